"""The catalogue: what can be asked, what it costs, in words for people."""

from __future__ import annotations

import numpy as np

from rlstir_core.investigator.queries.catalogue import (
    ACTIONS,
    KIND_Q,
    KINDS,
    LOCKED_Q,
    PAGE,
    PLACE,
    QUERIES,
    STOP,
    costs,
)


def test_there_are_23_queries_and_stop_is_the_last_action_and_free() -> None:
    assert len(QUERIES) == 23 and ACTIONS[STOP].name == "STOP" and costs()[STOP] == 0
    assert len({action.name for action in ACTIONS}) == 24
    assert [KINDS[kind] for kind in KIND_Q] == [query.about for query in QUERIES]


def test_costs_follow_from_the_rows_that_a_store_would_read_and_differ_fivefold() -> None:
    for query in QUERIES:
        assert query.cost == round(1 + np.log2(query.rows / PAGE)), query.name
        assert query.scans and query.sentence.endswith(".")
        if query.about == "host":
            assert 6 <= query.cost <= 8
        else:
            assert query.cost <= 2 or query.name == "proc_tree_far"
    paid = costs()[:STOP]
    assert paid.max() >= 5 * paid.min()


def test_what_reads_the_alerts_own_process_is_what_is_about_a_process_but_the_trees() -> None:
    locked = {QUERIES[place].name for place in np.flatnonzero(LOCKED_Q)}
    assert locked == {"file_writes", "sockets_process", "script_blocks"}
    assert not LOCKED_Q[PLACE["proc_tree_near"]]
