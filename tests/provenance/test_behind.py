"""Which process stands behind a row: the graph's own word first, then the id that the row names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.parquet as pq

from rlstir_core.provenance.behind import parents, processes_behind
from rlstir_core.provenance.processes import ProcessNode
from rlstir_core.provenance.tables import edge_table, file_nodes, proc_nodes, sock_nodes

SHELL = (50, 5, "shell.exe")


def behind(log: Any) -> list[str | None]:
    """The program behind every row, in their order; None where none is known."""
    graph = log.graph()
    rows = pq.read_table(log.path)
    found = processes_behind(graph, rows["host"].to_pylist(), rows["pid"].to_numpy(), rows["ts_ns"].to_numpy())
    processes = log.procs(graph)
    return [None if at < 0 else log.name(processes[at]) for at in found.tolist()]


def test_a_row_that_makes_a_process_is_the_new_one_s_and_its_own_rows_are_its(log: Any) -> None:
    log.create(0, 100, 1, "cmd.exe", SHELL)
    log.create(1, 101, 2, "net.exe", (100, 1, "cmd.exe"))
    log.sysmon(2, 11, 101, 2, "net.exe", TargetFilename="C:\\x")
    log.sysmon(3, 5, 100, 1, "cmd.exe")  # an end, of which the graph makes no edge
    assert behind(log) == ["cmd.exe", "net.exe", "net.exe", "cmd.exe"]
    graph = log.graph()
    names = [log.name(each) for each in log.procs(graph)]
    parent_of = {name: at if at < 0 else names[at] for name, at in zip(names, parents(graph).tolist(), strict=True)}
    assert parent_of == {"shell.exe": -1, "cmd.exe": "shell.exe", "net.exe": "cmd.exe"}


def test_a_row_of_a_reused_pid_is_of_the_process_that_was_seen_last_by_then(log: Any) -> None:
    log.create_4688(0, 100, "one.exe", 50)
    log.security(3, 4703, ProcessId="0x64")
    log.create_4688(9, 100, "two.exe", 50)
    log.security(12, 4703, ProcessId="0x64")
    assert behind(log) == ["one.exe", "one.exe", "two.exe", "two.exe"]


def test_a_row_before_its_process_was_seen_and_one_without_a_process_have_nobody_behind_them(log: Any) -> None:
    log.security(0, 4703, ProcessId="0x64")
    log.create_4688(5, 100, "one.exe", 50)
    log.security(6, 4703, ProcessId="0x65")
    log.event(7, 6, ImageLoaded="driver.sys")
    assert behind(log) == [None, "one.exe", None, None]


def test_rows_of_another_host_are_not_of_its_namesakes() -> None:
    def process(at: int, host: str) -> ProcessNode:
        return ProcessNode(id=at, host=host, pid=7, guid="", first_ts=10, last_ts=10)

    graph = {
        "proc_nodes": proc_nodes([process(0, "a"), process(1, "b")]),
        "file_nodes": file_nodes([], 2),
        "sock_nodes": sock_nodes([], 2),
        "edges": edge_table([], 2, 0),
    }
    found = processes_behind(graph, ["b", "a", "c", "b"], np.array([7, 7, 7, 7]), np.array([10, 11, 12, 9]))
    assert found.tolist() == [1, 0, -1, -1]
