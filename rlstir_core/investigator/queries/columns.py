"""The columns of an episode's log rows that queries read, beside what its graph says of the same rows.

What does not belong here: what follows from them (`entities.py`, `row_kinds.py`).
"""

# N log rows, P processes, M pairs of a row and an edge
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.investigator.tamper.spans import tamper_of
from rlstir_core.provenance.behind import parents, processes_behind
from rlstir_core.provenance.tables import Graph

_TEXTS: Final = ("channel", "provider", "event_id", "exe", "cmdline", "user", "sid", "message", "fields_json")


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphUse:
    """What the rows of one type of edge say: a process used something. One entry a row and edge."""

    row_M: Ints
    process_M: Ints
    used_M: Ints  # the node's id in the graph
    op_M: NDArray[np.object_]


@dataclass(frozen=True, kw_only=True, eq=False)
class LogColumns:
    """An episode's rows, and its graph."""

    table: pa.Table
    graph: Graph
    channel: list[str]
    provider: list[str]
    event_id: list[str]
    exe: list[str]
    cmdline: list[str]
    user: list[str]
    sid: list[str]
    message: list[str]
    fields_json: list[str]
    pid_N: Ints
    ts_N: Ints
    duplicate_N: Bools
    process_N: NDArray[np.int32]  # behind each row; -1 where none is known
    parent_P: NDArray[np.int32]
    p_tamper_N: Floats  # what the rules say

    def __len__(self) -> int:
        return len(self.ts_N)

    @cached_property
    def created(self) -> tuple[Ints, Ints]:
        """Rows and the processes that they saw begin."""
        return flat(self.graph["proc_nodes"]["created_by"])

    def uses(self, etype: str) -> GraphUse:
        """Edges of one type by the rows that made them."""
        edges = self.graph["edges"]
        chosen_E = np.flatnonzero(np.array([each == etype for each in edges["etype"].to_pylist()], np.bool_))
        edges = edges.take(chosen_E)
        row_M, edge_M = flat(edges["rows"])
        op_E = np.array(edges["op"].to_pylist(), object)
        return GraphUse(
            row_M=row_M,
            process_M=edges["src_id"].to_numpy()[edge_M],
            used_M=edges["dst_id"].to_numpy()[edge_M],
            op_M=op_E[edge_M] if len(op_E) else np.zeros(0, object),
        )


def columns_of(table: pa.Table, graph: Graph, p_tamper_N: Floats | None = None) -> LogColumns:
    """The columns of these rows; `graph` was made from them, `p_tamper_N` what the rules say, where they were asked."""
    texts = {name: [text or "" for text in table[name].to_pylist()] for name in _TEXTS}
    pid_N, ts_N = table["pid"].to_numpy(), table["ts_ns"].to_numpy()
    return LogColumns(
        table=table,
        graph=graph,
        **texts,
        pid_N=pid_N,
        ts_N=ts_N,
        duplicate_N=table["duplicate"].to_numpy(),
        process_N=processes_behind(graph, table["host"].to_pylist(), pid_N, ts_N),
        parent_P=parents(graph),
        p_tamper_N=tamper_of(table).p_tamper_N if p_tamper_N is None else p_tamper_N,
    )


def flat(lists: Any) -> tuple[Ints, Ints]:
    """The entries of a column of lists, and which list each stands in. (M,), (M,)"""
    lists = lists.combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], lists.type)
    n = np.nan_to_num(lists.value_lengths().to_numpy(zero_copy_only=False)).astype(np.int64)
    return lists.flatten().to_numpy(zero_copy_only=False).astype(np.int64), np.repeat(np.arange(len(n)), n)
