"""Which process stands behind each log row: by the graph's own edges, else by the process id that the row names.

What does not belong here: how processes are told apart (`processes.py`), and reading files (`store.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Ints
from rlstir_core.provenance.tables import PROC_CHILD, Graph

# N log rows, P processes, E edges

NOBODY = -1


def processes_behind(graph: Graph, host_N: Sequence[str], pid_N: Ints, ts_N: Ints) -> NDArray[np.int32]:
    """The place of a process in `proc_nodes` for every row of the graph's file of log rows, -1 where none is known.

    A row that makes a process is the new one's. Rows of which the graph makes nothing (an end, a logon) are of the
    last process of that host and id that was seen by then. (N,)
    """
    behind_N = np.full(len(pid_N), NOBODY, np.int32)
    edges, processes = graph["edges"], graph["proc_nodes"]
    src_E, dst_E = edges["src_id"].to_numpy(), edges["dst_id"].to_numpy()
    is_child_E = np.array([etype == PROC_CHILD for etype in edges["etype"].to_pylist()], np.bool_)
    _spread(behind_N, edges["rows"], np.where(is_child_E, dst_E, src_E))
    _spread(behind_N, processes["created_by"], np.arange(len(processes)))
    seen: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    columns = (processes[name].to_pylist() for name in ("host", "pid", "first_ts"))
    for place, (host, pid, first) in enumerate(zip(*columns, strict=True)):
        if pid is not None:
            seen[host, pid].append((first, place))
    for each in seen.values():
        each.sort()
    for row in np.flatnonzero((behind_N < 0) & (pid_N >= 0)).tolist():
        candidates = seen.get((host_N[row], int(pid_N[row])))
        if candidates:
            behind_N[row] = next((place for first, place in reversed(candidates) if first <= ts_N[row]), NOBODY)
    return behind_N


def parents(graph: Graph) -> NDArray[np.int32]:
    """The place of each process's parent, -1 where it is not known. (P,)"""
    found = [NOBODY if parent is None else parent for parent in graph["proc_nodes"]["parent_id"].to_pylist()]
    return np.array(found, np.int32)


def _spread(behind_N: NDArray[np.int32], rows: object, process_E: Ints) -> None:
    """Writes the process of every entry of a list column to all rows that the entry names."""
    lists = rows.combine_chunks()  # type: ignore[attr-defined]
    n_E = lists.value_lengths().to_numpy(zero_copy_only=False)
    behind_N[lists.flatten().to_numpy(zero_copy_only=False)] = np.repeat(process_E, np.nan_to_num(n_E).astype(np.int64))
