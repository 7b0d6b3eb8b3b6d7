"""Operators: on every format the truth is exact, what was not touched keeps its bytes, and the parsers read it all."""

from __future__ import annotations

import numpy as np
import pytest
from tamper_logs import NATURAL, NEAR, SMALL, assert_exact, parsed, told

from rlstir_core.errors import ConfigError
from rlstir_core.lab.tamper.apply import OPERATORS, applicable, tampered
from rlstir_core.lab.tamper.rows import tampered_rows

EVERYWHERE = {"drop_channel", "drop_rows", "jitter", "clock_step", "clear_log", "clear_log_event", "rewrite_field"}
EVERYWHERE |= {"inject_decoys"}
NUMBERED = {"drop_renumber"}
PROCESSES = {"orphan_children", "spoof_parent", "audit_disabled"}
EXPECTED = {
    "audit": set(OPERATORS),
    "audit-raw": set(OPERATORS),
    "auth": EVERYWHERE | {"blank_history"},
    "auth-iso": EVERYWHERE | {"blank_history"},
    "auth-5424": EVERYWHERE | {"blank_history"},
    "journal": EVERYWHERE | NUMBERED | {"blank_history"},
    "nxlog": set(OPERATORS),
    "winlogbeat": set(OPERATORS),
    "evtx-dump": set(OPERATORS),
    "evtx": set(OPERATORS),
}


@pytest.mark.parametrize("kind", SMALL)
def test_the_operators_that_apply_are_those_that_the_format_can_show(kind: str) -> None:
    assert set(applicable(SMALL[kind])) == EXPECTED[kind]


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_spans_name_every_row_that_differs_and_every_gap(kind: str, operator: str) -> None:
    logs = SMALL[kind]
    if operator not in EXPECTED[kind]:
        with pytest.raises(ConfigError, match=f"{operator} cannot apply to logs/"):
            tampered(logs, operator, np.random.default_rng(0), near_ns=NEAR)
        return
    for seed in range(6):
        made = tampered(
            logs, operator, np.random.default_rng(seed), strength=(0.0, 0.2, 0.5, 0.8, 1.0)[seed % 5], near_ns=NEAR
        )
        assert made.spans
        assert_exact(logs, made.logs, made.origin, made.spans, operator)


@pytest.mark.parametrize("kind", SMALL)
def test_equal_draws_give_equal_bytes(kind: str) -> None:
    for operator in sorted(EXPECTED[kind]):
        one, other = (tampered(SMALL[kind], operator, np.random.default_rng(3), near_ns=NEAR) for _ in "ab")
        assert one == other


@pytest.mark.parametrize("kind", SMALL)
def test_parsed_rows_can_be_tampered_with_like_the_log_and_keep_their_fields_in_step(kind: str) -> None:
    (member, data) = next(iter(SMALL[kind].items()))
    before = parsed(member, data)
    n_done = 0
    for operator in sorted(EXPECTED[kind]):
        rows, spans, origin = tampered_rows(before, operator, np.random.default_rng(2), strength=0.6)
        assert len(rows) == len(origin) and spans
        marked = {seq for span in spans for seq in span.seqs}
        for seq, place in enumerate(origin):
            if place >= 0 and seq not in marked and operator not in NATURAL:
                assert rows[seq] is before[place]
            elif place >= 0:
                natural = operator in NATURAL
                assert (seq in marked) == (told(rows[seq], natural) != told(before[place], natural))
            else:
                assert seq in marked and rows[seq].parsed
        gaps = [span for span in spans if span.after_seq is not None]
        assert sum(gap.n_removed for gap in gaps) == len(before) - sum(place >= 0 for place in origin)
        n_done += 1
    assert n_done == len(EXPECTED[kind])
