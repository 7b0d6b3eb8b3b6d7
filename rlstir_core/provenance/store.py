"""`provenance_graphs`: a folder of four Parquet files per episode, made from its log rows, only where they changed.

A folder is written under another name and renamed, so readers find it whole or not at all. What does not belong
here: what becomes a node or an edge (`graph.py`).
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.atomic import canonical_sha256, replacing
from rlstir_core.errors import UpstreamMissing
from rlstir_core.hostlogs.store import log_changes
from rlstir_core.progress import Progress, told_to
from rlstir_core.provenance import audit_facts, windows_facts
from rlstir_core.provenance.facts import Dropped, Row
from rlstir_core.provenance.graph import GraphBuilder
from rlstir_core.provenance.picture import tree_picture
from rlstir_core.provenance.tables import EDGE_TYPES, NODE_TABLES, TABLES, Graph
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import Changes, Ledger, begin, changes, finish, noting_files, read_ledger
from rlstir_core.results.lock import holding
from rlstir_core.results.versions import version
from rlstir_core.workers.spread import ALONE, Workers

_TEMPORARY = ".tmp-"
_META = b"rlstir"
_BATCH = 8192  # rows
_USER_CHARS = 256
_WORDS = ("provider", "event_id", "host", "exe", "user")
_NUMBERS = ("ts_ns", "pid", "ppid")
_COLUMNS = (*_WORDS, *_NUMBERS, "cmdline", "fields_json", "duplicate", "parsed")
_SKIP, _SEEN, _AUDIT, _WINDOWS = range(4)


class GraphCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What the graph of one episode holds, and what its rows name that it does not hold."""

    made_from: str  # the key of its input: files of one graph have one
    rows: int = 0
    nodes: dict[str, int] = {}
    edges: dict[str, int] = {}  # by type
    no_facts: int = 0  # rows of kinds that make nothing
    duplicates: int = 0  # rows that repeat another
    dropped: dict[str, int] = {}  # by reason


class GraphSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What `build_graphs` did, and what lies there now."""

    made: int
    dropped: int
    unchanged: int
    rows: int
    nodes: dict[str, int]
    edges: dict[str, int]
    no_facts: int
    duplicates: int
    left_out: dict[str, int]  # facts, by reason


def graph_changes(layout: Layout, host: str) -> Changes:
    """What `build_graphs` would do."""
    return changes(layout.graphs(host), _wanted(layout, host))


def build_graphs(layout: Layout, host: str, progress: Progress | None = None, workers: Workers = ALONE) -> GraphSummary:
    """Brings the graphs of `host` up to date with its log rows.

    UpstreamMissing when those are not those of the validated episodes.
    """
    with holding(layout.host_lock(host), waiting=told_to(progress)):
        stale = log_changes(layout, host)
        if stale:
            raise UpstreamMissing(
                f"the log rows of host {host!r} are missing or out of date ({len(stale.make)} to make, "
                f"{len(stale.drop)} to drop); make them with: {how_to_make('log_events')}"
            )
        folder = layout.graphs(host)
        wanted = _wanted(layout, host)
        todo = changes(folder, wanted)
        if todo:
            begin(folder, todo)
        items = [(episode, wanted[episode][episode]) for episode in todo.make]
        made = workers.each(functools.partial(_make, layout, host), items)
        with noting_files(folder, wanted) as finished:
            for done, (episode, _) in enumerate(zip(todo.make, made, strict=True), 1):
                finished(episode)
                if progress is not None:
                    progress(done, len(todo.make), f"graphs {host}")
        finish(folder, wanted, todo)
        return _summary([read_counts(folder / episode) for episode in wanted], todo)


def _make(layout: Layout, host: str, item: tuple[str, str]) -> None:
    """Writes the graph of an episode, which stands beside the hash of all that it is made from."""
    episode, made_from = item
    graph, counts = graph_of(layout.log_events(host) / f"{episode}.parquet", made_from)
    write_graph(layout.graphs(host) / episode, graph, counts)


def graph_of(path: Path, made_from: str = "") -> tuple[Graph, GraphCounts]:
    """The graph of a file of log rows. UpstreamMissing when it cannot be read."""
    builder = GraphBuilder()
    dropped: Counter[str] = Counter()
    n = n_quiet = n_duplicates = 0
    try:
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(_BATCH, columns=list(_COLUMNS), use_threads=False):
            kind_N = _kinds(batch)
            twice_N = batch["duplicate"].to_numpy(zero_copy_only=False)
            n_duplicates += int(twice_N.sum())
            n_quiet += int(((kind_N == _SKIP) & ~twice_N).sum())
            kind_N[twice_N] = _SKIP
            _add(builder, batch, kind_N, n, dropped)
            n += len(batch)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise UpstreamMissing(
            f"{path} cannot be read ({type(error).__name__}); make it with: {how_to_make('log_events')}"
        ) from None
    graph = builder.finish()
    edges = Counter(graph["edges"]["etype"].to_pylist())
    return graph, GraphCounts(
        made_from=made_from,
        rows=n,
        nodes={name: len(graph[name]) for name in NODE_TABLES},
        edges={etype: edges[etype] for etype in EDGE_TYPES},
        no_facts=n_quiet,
        duplicates=n_duplicates,
        dropped=dict(sorted((dropped + builder.counts).items())),
    )


def write_graph(folder: Path, graph: Graph, counts: GraphCounts) -> None:
    """Writes a graph; what lay there before is gone."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # not by the process's id: on two machines it may be the same
    temporary = Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY}{folder.name}-", dir=folder.parent))
    temporary.chmod(0o755)
    metadata = {_META: msgspec.json.encode(counts, order="sorted")}
    for name in TABLES:
        with replacing(temporary / f"{name}.parquet") as path:
            pq.write_table(graph[name].replace_schema_metadata(metadata), path, compression="zstd")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    handle = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_graph(layout: Layout, host: str, episode: str) -> Graph:
    """The four tables of an episode's graph. UpstreamMissing when they are not there, or not of one build."""
    folder = layout.graphs(host) / episode
    try:
        graph = {
            name: pq.ParquetFile(folder / f"{name}.parquet", memory_map=False).read(use_threads=False)
            for name in TABLES
        }
        one = len({(table.schema.metadata or {})[_META] for table in graph.values()}) == 1
    except (OSError, KeyError, pa.ArrowException):
        one = False
    if not one:
        raise UpstreamMissing(f"{folder} holds no graph; make it with: {how_to_make('provenance_graphs')}")
    return graph


def largest_tree(layout: Layout, hosts: Iterable[str]) -> bytes:
    """A picture of the process trees of the graph that has most of them; empty where no process has a parent."""
    best: tuple[int, str, str] | None = None
    for host in sorted(hosts):
        for episode in sorted(read_ledger(layout.graphs(host))):
            n = read_counts(layout.graphs(host) / episode).edges.get("PROC_CHILD", 0)
            if n and (best is None or n > best[0]):
                best = (n, host, episode)
    if best is None:
        return b""
    return tree_picture(read_graph(layout, best[1], best[2]), f"{best[1]} {best[2]}")


def read_counts(folder: Path) -> GraphCounts:
    """What was counted while a graph was made."""
    try:
        metadata = pq.read_schema(folder / "edges.parquet").metadata or {}
        return msgspec.json.decode(metadata[_META], type=GraphCounts)
    except (OSError, KeyError, pa.ArrowException, msgspec.MsgspecError):
        raise UpstreamMissing(f"{folder} holds no graph; make it with: {how_to_make('provenance_graphs')}") from None


def _wanted(layout: Layout, host: str) -> Ledger:
    """One folder per episode, made from what the ledger of log rows says of it."""
    held = read_ledger(layout.log_events(host))
    return {
        episode: {episode: canonical_sha256([key, version("graph")])}
        for each in held.values()
        for episode, key in each.items()
    }


def _kinds(batch: pa.RecordBatch) -> NDArray[np.int8]:
    """What to do with each row, decided once for each pair of provider and event. (N,)"""
    provider, event = batch["provider"], batch["event_id"]
    providers, events = provider.dictionary.to_pylist(), event.dictionary.to_pylist()
    kinds = np.zeros((len(providers), len(events)), np.int8)
    for i, its in enumerate(providers):
        for j, event_id in enumerate(events):
            kinds[i, j] = _kind(its, event_id)
    found: NDArray[np.int8] = kinds[provider.indices.to_numpy(), event.indices.to_numpy()]
    found[~batch["parsed"].to_numpy(zero_copy_only=False)] = _SKIP
    return found


def _kind(provider: str, event_id: str) -> int:
    if (provider, event_id) in windows_facts.KINDS:
        return _WINDOWS
    if (provider, event_id) in windows_facts.SIGHTINGS:
        return _SEEN
    return _AUDIT if provider == "auditd" else _SKIP


def _add(
    builder: GraphBuilder, batch: pa.RecordBatch, kind_N: NDArray[np.int8], first: int, dropped: Counter[str]
) -> None:
    """Adds the rows of a batch that make facts."""
    at_M = np.flatnonzero(kind_N)
    if not len(at_M):
        return
    chosen = batch.take(pa.array(at_M))
    words = [_values(chosen[name]) for name in _WORDS]
    numbers = [chosen[name].to_numpy().tolist() for name in _NUMBERS]
    cmdlines = chosen["cmdline"].to_pylist()
    for at, kind, raw, provider, event, host, exe, user, ts_ns, pid, ppid, cmdline in zip(
        (at_M + first).tolist(), kind_N[at_M].tolist(), _texts(chosen["fields_json"]), *words, *numbers, cmdlines,
        strict=True,
    ):  # fmt: skip
        row = Row(at, ts_ns, host, pid, ppid, exe, user[:_USER_CHARS], cmdline)
        try:
            if kind == _WINDOWS:
                facts = windows_facts.KINDS[provider, event](row, windows_facts.decode(raw))
            elif kind == _AUDIT:
                facts = audit_facts.facts(row, audit_facts.decode(raw))
            else:
                facts = windows_facts.seen(row)
        except Dropped as error:
            dropped[error.reason] += 1
        else:
            builder.add(row, facts)


def _values(column: Any) -> list[str]:
    """The texts of a dictionary column."""
    words = column.dictionary.to_pylist()
    return [words[at] for at in column.indices.to_numpy().tolist()]


def _texts(column: Any) -> Iterator[memoryview]:
    """The texts of a column as bytes, without a copy."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].tolist()
    view = memoryview(data) if data is not None else memoryview(b"")
    return (view[start:end] for start, end in pairwise(ends))


def _summary(counts: list[GraphCounts], todo: Changes) -> GraphSummary:
    nodes: Counter[str] = Counter()
    edges: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for each in counts:
        nodes.update(each.nodes)
        edges.update(each.edges)
        left_out.update(each.dropped)
    return GraphSummary(
        made=len(todo.make),
        dropped=len(todo.drop),
        unchanged=len(counts) - len(todo.make),
        rows=sum(each.rows for each in counts),
        nodes=dict(nodes),
        edges=dict(edges),
        no_facts=sum(each.no_facts for each in counts),
        duplicates=sum(each.duplicates for each in counts),
        left_out=dict(sorted(left_out.items())),
    )
