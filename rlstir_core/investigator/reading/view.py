"""An episode's log rows as models are shown them: their texts, and what stands around each row.

Around a row stand the process behind it, that process's ancestors, and the event before of the same process: what a
command means is told by who ran it. Every distinct text is kept once. What does not belong here: what a text says
(`text.py`), labels (`techniques/`), and which process is which (`provenance/`).
"""

# N log rows, M rows that are chosen, P processes, U distinct texts, F features
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.arrays import Floats
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.hostlogs.store import opened_rows
from rlstir_core.investigator.reading.names import hidden_names
from rlstir_core.investigator.reading.surroundings import Surroundings, surroundings
from rlstir_core.investigator.reading.text import COLUMNS, process_text, record_text
from rlstir_core.investigator.tamper.row_features import NAMES, row_features
from rlstir_core.investigator.tamper.spans import Tampering, tamper_of
from rlstir_core.provenance.behind import parents, processes_behind
from rlstir_core.provenance.store import read_graph
from rlstir_core.provenance.tables import Graph
from rlstir_core.results.layout import Layout

_BLOCK = 4_096  # rows at a time
_NUMBERED = 200_000  # rows whose numbers are made together
_SURELY = 0.002  # no rule is surer than that
FEATURES: Final = (*NAMES, "rules")
_PLAIN = ("member", "seq", "ts_ns", "pid", "duplicate")


@dataclass(frozen=True, kw_only=True)
class LogView:
    """An episode's rows in the order of their table."""

    texts: list[str]  # distinct, of rows and of processes
    text_N: NDArray[np.int32]  # which of them a row says
    kind_N: NDArray[np.int32]  # rows of one channel, event and program have one number
    process_N: NDArray[np.int32]  # behind the row; -1 where none is known
    before_N: NDArray[np.int32]  # the row before of the same process; -1 where there is none
    text_P: NDArray[np.int32]
    parent_P: NDArray[np.int32]  # -1 where none is known
    around: Surroundings
    members: list[str]
    member_N: NDArray[np.int32]
    seq_N: NDArray[np.int64]
    ts_N: NDArray[np.int64]
    features_NF: NDArray[np.float32]  # numbers that words cannot tell

    def __len__(self) -> int:
        return len(self.text_N)

    def of_rows(self, row_M: NDArray[np.int64]) -> LogView:
        """The view of some of the rows, with their processes and three generations of these processes' ancestors.

        The event before stays only where it is among these rows.
        """
        used_P = np.zeros(len(self.text_P) + 1, np.bool_)
        parent_P = np.append(self.parent_P, -1)
        now = self.process_N[row_M]
        for _ in range(4):
            used_P[now] = True
            now = parent_P[now]
        process = np.flatnonzero(used_P[:-1])
        text = np.unique(np.concatenate([self.text_N[row_M], self.text_P[process]]))
        row_at, process_at, text_at = (
            _places(each, n) for each, n in ((row_M, len(self)), (process, len(self.text_P)), (text, len(self.texts)))
        )
        return LogView(
            texts=[self.texts[place] for place in text.tolist()],
            text_N=text_at[self.text_N[row_M]],
            kind_N=self.kind_N[row_M],
            process_N=process_at[self.process_N[row_M]],
            before_N=row_at[self.before_N[row_M]],
            text_P=text_at[self.text_P[process]],
            parent_P=process_at[self.parent_P[process]],
            around=self.around.among(process_at[:-1]),
            members=self.members,
            member_N=self.member_N[row_M],
            seq_N=self.seq_N[row_M],
            ts_N=self.ts_N[row_M],
            features_NF=self.features_NF[row_M],
        )

    def without(self, part: str) -> LogView:
        """The view as a model sees it that is trained without a part of `PARTS` (`learning/presets.py`)."""
        if part == "graph":  # no process behind a row, so no ancestors, and no event before
            nobody_N = np.full(len(self), -1, np.int32)
            return replace(self, process_N=nobody_N, before_N=nobody_N).of_rows(np.arange(len(self)))
        if part == "row-features":
            features_NF = np.zeros_like(self.features_NF)
            features_NF[:, -1] = self.features_NF[:, -1]  # the rules are no feature of a row
            return replace(self, features_NF=features_NF)
        return self

    def digest(self, most: int) -> NDArray[np.int64]:
        """At most `most` rows of distinct texts, in their order: the first of every kind, then the second …"""
        _, first = np.unique(self.text_N, return_index=True)
        first = np.sort(first)
        kind = self.kind_N[first]
        by_kind = np.argsort(kind, kind="stable")
        rank = np.empty(len(first), np.int64)
        starts = np.flatnonzero(np.r_[True, np.diff(kind[by_kind]) != 0]) if len(first) else np.zeros(0, np.int64)
        rank[by_kind] = np.arange(len(first)) - np.repeat(starts, np.diff(np.r_[starts, len(first)]))
        return np.sort(first[np.argsort(rank, kind="stable")[:most]])


def _places(chosen_M: NDArray[Any], n: int) -> NDArray[np.int32]:
    """The new number of each of n things, -1 for those that are not chosen and, at the end, for none. (n + 1,)"""
    found = np.full(n + 1, -1, np.int32)
    found[chosen_M] = np.arange(len(chosen_M))
    return found


def read_view(
    layout: Layout,
    info: EpisodeInfo,
    hosts: Iterable[str],
    tell: Callable[[Tampering], None] | None = None,
    *,
    numbers: bool = True,
) -> LogView:
    """The view of an episode; `hosts` are names that are hidden beside the episode's own.

    `tell` gets what the rules say of all its rows, where they are asked about all together. Without `numbers` the
    features of rows are 0 but for what the rules say. UpstreamMissing where its rows or its graph were not made.
    """
    graph = read_graph(layout, info.host, info.own_id)
    with opened_rows(layout, info.host, info.own_id) as file:
        if tell is None or file.metadata.num_rows > _NUMBERED:
            return view_of(file, graph, hosts, numbers=numbers)
        said = tamper_of(file.read(use_threads=False))
        tell(said)
        return view_of(file, graph, hosts, said.p_tamper_N, numbers=numbers)


def view_of(
    file: pq.ParquetFile, graph: Graph, hosts: Iterable[str], p_tamper_N: Floats | None = None, *, numbers: bool = True
) -> LogView:
    """The view of the rows of one file and of the graph that was made from it.

    `p_tamper_N` is what the rules say of its rows, where they were asked before.
    """
    names = hidden_names(file, hosts)
    place: dict[str, int] = {}  # of every distinct text
    kinds: dict[tuple[str, str, str], int] = {}
    text, kind = [], []
    for batch in file.iter_batches(_BLOCK, columns=list(COLUMNS), use_threads=False):
        for row in batch.to_pylist():
            text.append(place.setdefault(record_text(row, names), len(place)))
            kind.append(kinds.setdefault((row["channel"], row["event_id"], row["exe"]), len(kinds)))
    rows = file.read(columns=[*_PLAIN, "host"], use_threads=False)
    processes = graph["proc_nodes"]
    columns = (processes[name].to_pylist() for name in ("exe", "cmdline", "user"))
    text_P = [
        place.setdefault(process_text(exe or "", cmdline or "", user or "", names), len(place))
        for exe, cmdline, user in zip(*columns, strict=True)
    ]
    ts_N = rows["ts_ns"].to_numpy()
    process_N = processes_behind(graph, rows["host"].to_pylist(), rows["pid"].to_numpy(), ts_N)
    member = rows["member"].combine_chunks()
    return LogView(
        texts=list(place),
        text_N=np.array(text, np.int32),
        kind_N=np.array(kind, np.int32),
        process_N=process_N,
        before_N=_before(process_N, rows["duplicate"].to_numpy()),
        text_P=np.array(text_P, np.int32),
        parent_P=parents(graph),
        around=surroundings(graph),
        members=member.dictionary.to_pylist(),
        member_N=member.indices.to_numpy(),
        seq_N=rows["seq"].to_numpy(),
        ts_N=ts_N,
        features_NF=_features(file, p_tamper_N, numbers),
    )


def _features(file: pq.ParquetFile, p_tamper_N: Floats | None, numbers: bool) -> NDArray[np.float32]:
    """Numbers of every row, and what the rules say of tampering there, in the order of `FEATURES`. (N, F)"""
    parts = []
    n = 0
    for batch in file.iter_batches(_NUMBERED, use_threads=False):
        table = pa.Table.from_batches([batch])
        said_N = tamper_of(table).p_tamper_N if p_tamper_N is None else p_tamper_N[n : n + len(table)]
        n += len(table)
        p_N = np.clip(said_N, _SURELY, 1 - _SURELY)
        values_NF = row_features(table).values_NF if numbers else np.zeros((len(table), len(NAMES)))
        parts.append(np.column_stack([values_NF, np.log(p_N) - np.log1p(-p_N)]))
    return np.asarray(np.concatenate([np.zeros((0, len(FEATURES))), *parts]), np.float32)


def _before(process_N: NDArray[np.int32], duplicate_N: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The row before of the same process that does not only repeat another."""
    before_N = np.full(len(process_N), -1, np.int32)
    last: dict[int, int] = {}
    for row, (process, repeats) in enumerate(zip(process_N.tolist(), duplicate_N.tolist(), strict=True)):
        if process >= 0:
            before_N[row] = last.get(process, -1)
            if not repeats:
                last[process] = row
    return before_N
