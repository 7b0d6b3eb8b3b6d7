"""What stands around a row: slots, ancestors that stay when rows are chosen, digests, and the graph as edges."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from little_batches import little_view
from logs_world import LogsWorld

from rlstir_core.investigator.reading.hashing import WORDS, hashed
from rlstir_core.investigator.reading.slots import SLOTS, slots
from rlstir_core.investigator.reading.surroundings import FILE_KINDS, SOCKET_KINDS, surroundings
from rlstir_core.investigator.reading.view import LogView, _before, read_view, view_of
from rlstir_core.investigator.tamper.spans import Tampering, tamper_of
from rlstir_core.provenance.processes import ProcessNode
from rlstir_core.provenance.store import read_graph
from rlstir_core.provenance.tables import (
    PROC_CHILD,
    PROC_FILE_RW,
    PROC_SOCK_CONN,
    Edge,
    Node,
    edge_table,
    file_nodes,
    proc_nodes,
    sock_nodes,
)

FAMILY = [("init", -1), ("login", 0), ("shell", 1), ("script", 2), ("tool", 3), ("stranger", -1)]


def said(view: LogView) -> list[list[str]]:
    """The texts in and around every row; empty where there is none."""
    found = slots(view.text_N, view.process_N, view.before_N, view.text_P, view.parent_P)
    return [[view.texts[at] if at >= 0 else "" for at in row] for row in found.tolist()]


def test_around_a_row_stand_its_process_three_ancestors_and_the_event_before() -> None:
    view = little_view([("first", 4), ("second", 4), ("other", 1), ("nobody's", -1)], FAMILY)
    assert len(SLOTS) == 6
    assert said(view) == [
        ["first", "tool", "script", "shell", "login", ""],
        ["second", "tool", "script", "shell", "login", "first"],
        ["other", "login", "init", "", "", ""],
        ["nobody's", "", "", "", "", ""],
    ]


def test_a_view_without_the_graph_or_without_numbers_keeps_its_rows_and_what_the_rules_say() -> None:
    view = little_view([("first", 4), ("second", 4)], FAMILY)
    view = dataclasses.replace(view, features_NF=np.ones_like(view.features_NF))
    alone = view.without("graph")
    assert said(alone) == [["first", "", "", "", "", ""], ["second", "", "", "", "", ""]]
    assert alone.around.edges.counts == (0, 0, 0) and np.array_equal(alone.features_NF, view.features_NF)
    numberless = view.without("row-features")
    assert said(numberless) == said(view) and not numberless.features_NF[:, :-1].any()
    assert numberless.features_NF[:, -1].all() and view.without("transformer") is view


def test_rows_that_are_chosen_keep_their_ancestors_and_what_came_before_only_where_it_is_chosen_too() -> None:
    view = little_view([("first", 4), ("second", 4), ("third", 4), ("other", 5)], FAMILY)
    some = view.of_rows(np.array([1, 2]))
    assert said(some) == [
        ["second", "tool", "script", "shell", "login", ""],
        ["third", "tool", "script", "shell", "login", "second"],
    ]
    assert some.texts == ["second", "third", "login", "shell", "script", "tool"] and len(some.text_P) == 4
    sources, targets = some.around.edges.of[PROC_CHILD]
    assert (sources.tolist(), targets.tolist()) == ([0, 1, 2], [1, 2, 3]) and some.around.edges.counts == (4, 0, 0)
    whole = view.of_rows(np.arange(4))
    assert said(whole) == said(view)
    assert said(view.of_rows(np.array([3]))) == [["other", "stranger", "", "", "", ""]]
    assert len(view.of_rows(np.zeros(0, np.int64)).texts) == 0


def test_a_digest_takes_the_first_of_every_kind_then_the_second_and_no_text_twice() -> None:
    rows = [*((f"a{k}", -1) for k in range(5)), ("a0", -1), ("b0", -1), ("b1", -1), ("c0", -1)]
    view = little_view(rows, kinds=[0, 0, 0, 0, 0, 0, 1, 1, 2])
    assert view.digest(3).tolist() == [0, 6, 8]
    assert view.digest(5).tolist() == [0, 1, 6, 7, 8]
    assert view.digest(100).tolist() == [0, 1, 2, 3, 4, 6, 7, 8]
    assert little_view([]).digest(3).tolist() == []


def test_the_event_before_is_not_one_that_only_repeats_another() -> None:
    process, repeats = np.array([0, 0, 1, 0, -1, -1], np.int32), np.array([False, True, False, False, False, False])
    assert _before(process, repeats).tolist() == [-1, 0, -1, 0, -1, -1]


def test_words_and_pairs_are_hashed_by_what_they_are_and_nothing_else() -> None:
    one, other = hashed(["net user /add"]), hashed(["a net user b", ""])
    assert one.shape == (1, WORDS) and set(one.data.tolist()) == {1.0} and len(one.indices) == 5
    assert len(set(one.indices) & set(other[0].indices)) == 3  # net, user, net user
    assert other[1].nnz == 0


def process(at: int) -> ProcessNode:
    return ProcessNode(id=at, host="h", pid=at, guid="", first_ts=0, last_ts=0)


def node(at: int, *values: str | int) -> Node:
    return Node(id=at, values=("h", *values), first_ts=0, last_ts=0)


def edge(src: int, dst: int, etype: str) -> Edge:
    return Edge(src=src, dst=dst, etype=etype, op="x", first_ts=0, last_ts=0, rows=[0])


def test_files_and_sockets_are_told_by_kind_and_only_what_chosen_processes_touch_stays() -> None:
    graph = {
        "proc_nodes": proc_nodes([process(at) for at in range(3)]),
        "file_nodes": file_nodes([node(0, "registry", "k"), node(1, "file", "f")], 3),
        "sock_nodes": sock_nodes([node(0, "tcp", "", "10.0.0.1", 80, ""), node(1, "dns", "", "", -1, "a.b")], 5),
        "edges": edge_table(
            [
                edge(0, 1, PROC_CHILD),
                edge(1, 2, PROC_CHILD),
                edge(0, 0, PROC_FILE_RW),
                edge(2, 1, PROC_FILE_RW),
                edge(2, 0, PROC_SOCK_CONN),
                edge(0, 1, PROC_SOCK_CONN),
            ],
            3,
            2,
        ),
    }
    around = surroundings(graph)
    assert [FILE_KINDS[row.argmax()] for row in around.file_FC] == ["registry", "file"]
    assert [[SOCKET_KINDS[c] for c in np.flatnonzero(row)] for row in around.socket_SC] == [
        ["tcp", "well-known port"],
        ["dns"],
    ]
    some = around.among(np.array([-1, 0, 1], np.int32))
    assert some.edges.counts == (2, 1, 1)
    assert [FILE_KINDS[row.argmax()] for row in some.file_FC] == ["file"]
    assert [[end.tolist() for end in some.edges.of[etype]] for etype in (PROC_CHILD, PROC_FILE_RW, PROC_SOCK_CONN)] == [
        [[0], [1]],
        [[1], [0]],
        [[1], [0]],
    ]


def test_what_is_seen_of_rows_does_not_depend_on_their_labels(world: LogsWorld, tmp_path: Path) -> None:
    layout, info = world.layout, next(info for info in world.study().train if info.episode_id == "ep-west-7")
    table = pq.read_table(layout.log_events(info.host) / f"{info.own_id}.parquet")
    assert any(table["label_ttp"].to_pylist()) and any(table["tamper_tag"].to_pylist())
    for name in ("label_ttp", "tamper_tag"):
        place, field = table.schema.get_field_index(name), table.schema.field(name)
        table = table.set_column(place, field, pa.nulls(len(table), field.type))
    pq.write_table(table, tmp_path / "rows.parquet")
    with pq.ParquetFile(tmp_path / "rows.parquet") as file:
        bare = view_of(file, read_graph(layout, info.host, info.own_id), ["west"])
    told: list[Tampering] = []
    view = read_view(layout, info, ["west"], told.append)  # what the rules said once is what others would be told
    assert len(told) == 1 and np.array_equal(told[0].p_tamper_N, tamper_of(table).p_tamper_N)
    assert len(view) == len(table) and bare.texts == view.texts
    for name, value in vars(view).items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, getattr(bare, name)), name
    assert view.features_NF[:, -1].max() > view.features_NF[:, -1].min()  # the rules see that the clock went back


def test_numbers_that_nobody_reads_are_not_made_but_what_the_rules_say_is(world: LogsWorld) -> None:
    layout, info = world.layout, next(info for info in world.study().train if info.episode_id == "ep-west-7")
    whole, plain = (read_view(layout, info, ["west"], numbers=numbers) for numbers in (True, False))
    assert whole.features_NF[:, :-1].any() and not plain.features_NF[:, :-1].any()
    np.testing.assert_array_equal(plain.features_NF[:, -1], whole.features_NF[:, -1])
    assert plain.texts == whole.texts
