"""One verdict a tarball, kept between runs: only what changed is decoded again.

A host's verdicts are a Parquet file that depends on the episodes alone. Beside it lies a stamp file, which
remembers size and times of the tarballs as they were read; it saves work and decides nothing else: a tarball
whose stamp differs is hashed, and decoded only when its bytes are new. What does not belong here: the checks
(`read.py`) and what later steps make of the rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.atomic import TEMPORARY_PREFIX, canonical_sha256, file_sha256, replacing, write_json
from rlstir_core.episodes.index import SUFFIX, IndexEntry, StoreIndex, read_index
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.read import read_episode
from rlstir_core.episodes.rows import write_rows
from rlstir_core.episodes.schema import Episode, Reading, Verdict
from rlstir_core.errors import UpstreamMissing
from rlstir_core.layout import Layout
from rlstir_core.registry import Registry

_MIN_DRIFT_ROWS = 20
DECODE_VERSION = 1  # raise it when equal bytes give other rows or another verdict

Progress = Callable[[int, int, str], None]  # done, of all, what
Stamp = tuple[int, int, int, int]


class ValidationRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one episode after reading it; maps are by source."""

    host: str
    episode_id: str
    path: str
    verdict: str
    reason: str
    reasons: tuple[str, ...]
    detail: str
    profile: str = ""
    sample_name: str = ""
    benign: bool | None = None
    origin: str = ""
    synthetic: bool = False
    t_start_wall_ns: int | None = None
    t_end_wall_ns: int | None = None
    index_sha256: str
    sha256: str  # of the file as it was read; empty when it could not be read to its end
    n_bytes: int
    decode_sha256: str
    content_sha256: str = ""
    rows: dict[str, int] = {}
    bad_rows: dict[str, int] = {}
    outside_rows: dict[str, int] = {}
    torn_lines: dict[str, int] = {}
    missing_sources: tuple[str, ...] = ()
    clock_offset_ns: dict[str, int] = {}
    clock_step_ns: int = 0
    clock_drift_ppm: float | None = None  # of the wall clock against the monotonic one; None where it is too short

    @property
    def usable(self) -> bool:
        return self.verdict != "reject"


@dataclass(frozen=True, kw_only=True)
class HostValidation:
    """The verdicts of one host, and how much of them was new."""

    host: str
    rows: tuple[ValidationRow, ...]
    n_decoded: int
    n_unchanged: int
    n_removed: int

    def count(self, verdict: str) -> int:
        return sum(row.verdict == verdict for row in self.rows)


def decode_sha256(registry: Registry, limits: Limits | None = None) -> str:
    """The hash of everything but the tarball that decides what reading it gives."""
    return canonical_sha256([registry, limits or Limits(), DECODE_VERSION])


def validate_store(store: Path, *, registry: Registry, limits: Limits | None = None) -> Iterator[tuple[str, Verdict]]:
    """(path, verdict) of every tarball of the store, by path; StoreError when there is no index.

    Tarballs that no index line names, and index lines that name no readable tarball, have verdicts too.
    """
    index = read_index(store)
    entries = {entry.path: entry for entry in index.entries}
    refused = {fault.path: fault for fault in index.faults if fault.reason == "index.case_twin"}
    absent = {fault.path: fault for fault in index.faults if fault.reason == "index.missing_file"}
    for path in sorted({*entries, *index.orphans, *absent}):
        if path in absent:
            fault = absent[path]
            yield path, Verdict("reject", fault.reason, fault.detail, (fault.reason,))
        elif path in entries:
            yield path, _read(store, entries[path], registry, limits).verdict
        elif path in refused:
            fault = refused[path]
            yield path, Verdict("reject", fault.reason, fault.detail, (fault.reason,))
        else:
            yield path, _orphan(store, path, registry, limits)


def validate_host(
    store: Path,
    layout: Layout,
    host: str,
    *,
    registry: Registry,
    index: StoreIndex,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> HostValidation:
    """Brings the verdicts and typed rows of one host up to date with the index."""
    decode = decode_sha256(registry, limits)
    target = layout.validation(host)
    stamps_path = target.with_name("_stamps.json")
    earlier = {row.episode_id: row for row in _earlier(target)}
    old_stamps = _stamps(stamps_path)
    entries = index.of_host(host)
    rows, stamps, n_decoded = [], {}, 0
    for done, entry in enumerate(entries):
        if progress is not None:
            progress(done, len(entries), entry.episode_id)
        row = earlier.get(entry.episode_id)
        kept = layout.rows(host, entry.episode_id)
        stamps[entry.episode_id] = _stamp(store / entry.path)
        if row is None or not _still_holds(row, store, entry, kept, decode=decode, stamps=old_stamps):
            row = _decode(store, entry, kept, registry=registry, limits=limits, decode=decode)
            n_decoded += 1
        rows.append(row)
    removed = earlier.keys() - {entry.episode_id for entry in entries}
    if progress is not None:
        progress(len(entries), len(entries), "done")
    if n_decoded or removed or not target.exists():
        _write(target, rows)
    if stamps != old_stamps:
        write_json(stamps_path, stamps)
    _sweep(layout, host, {row.episode_id for row in rows if row.usable})
    return HostValidation(
        host=host,
        rows=tuple(rows),
        n_decoded=n_decoded,
        n_unchanged=len(rows) - n_decoded,
        n_removed=len(removed),
    )


def host_is_current(
    store: Path,
    layout: Layout,
    host: str,
    *,
    registry: Registry,
    index: StoreIndex,
    limits: Limits | None = None,
) -> bool:
    """Whether `validate_host` would find nothing new; nothing is decoded to tell."""
    decode = decode_sha256(registry, limits)
    target = layout.validation(host)
    earlier = {row.episode_id: row for row in _earlier(target)}
    stamps = _stamps(target.with_name("_stamps.json"))
    entries = index.of_host(host)
    if earlier.keys() != {entry.episode_id for entry in entries} or not target.exists():
        return False
    return all(
        _still_holds(
            earlier[entry.episode_id],
            store,
            entry,
            layout.rows(host, entry.episode_id),
            decode=decode,
            stamps=stamps,
        )
        for entry in entries
    )


def read_validation(path: Path) -> list[ValidationRow]:
    """The rows of a host's verdicts; UpstreamMissing when they were never made."""
    try:
        table = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException):
        raise UpstreamMissing(
            f"{path} is not there or cannot be read; materialize validation for this host first"
        ) from None
    records = table.to_pylist()
    for record in records:
        for name in _MAPS:
            record[name] = json.loads(record[name])
    return msgspec.convert(records, list[ValidationRow])


# Columns of the Parquet file; maps are kept as JSON text.
_TYPES: dict[str, pa.DataType] = {
    "host": pa.string(),
    "episode_id": pa.string(),
    "path": pa.string(),
    "verdict": pa.string(),
    "reason": pa.string(),
    "reasons": pa.list_(pa.string()),
    "detail": pa.string(),
    "profile": pa.string(),
    "sample_name": pa.string(),
    "benign": pa.bool_(),
    "origin": pa.string(),
    "synthetic": pa.bool_(),
    "t_start_wall_ns": pa.int64(),
    "t_end_wall_ns": pa.int64(),
    "index_sha256": pa.string(),
    "sha256": pa.string(),
    "n_bytes": pa.int64(),
    "decode_sha256": pa.string(),
    "content_sha256": pa.string(),
    "rows": pa.string(),
    "bad_rows": pa.string(),
    "outside_rows": pa.string(),
    "torn_lines": pa.string(),
    "missing_sources": pa.list_(pa.string()),
    "clock_offset_ns": pa.string(),
    "clock_step_ns": pa.int64(),
    "clock_drift_ppm": pa.float64(),
}
_MAPS = ("rows", "bad_rows", "outside_rows", "torn_lines", "clock_offset_ns")


def _read(store: Path, entry: IndexEntry, registry: Registry, limits: Limits | None) -> Reading:
    return read_episode(
        store / entry.path,
        registry=registry,
        host_id=entry.host_id,
        episode_id=entry.episode_id,
        sha256=entry.sha256,
        n_bytes=entry.n_bytes,
        limits=limits,
    )


def _orphan(store: Path, path: str, registry: Registry, limits: Limits | None) -> Verdict:
    """The verdict on a tarball that the index does not name: never better than degraded."""
    host, episode = path.split("/")[1], path.split("/")[2].removesuffix(SUFFIX)
    verdict = read_episode(store / path, registry=registry, host_id=host, episode_id=episode, limits=limits).verdict
    if not verdict.usable:
        return verdict
    detail = "no line of the index names this tarball, so it is not used; add the line"
    if verdict.detail:
        detail = f"{detail}; {verdict.detail}"
    return Verdict("degraded", "index.orphan", detail, ("index.orphan", *verdict.reasons))


def _decode(
    store: Path, entry: IndexEntry, kept: Path, *, registry: Registry, limits: Limits | None, decode: str
) -> ValidationRow:
    reading = _read(store, entry, registry, limits)
    episode, verdict = reading.episode, reading.verdict
    if episode is not None:
        write_rows(kept, episode)
    said: dict[str, object] = {} if episode is None else _said(episode, registry)
    return ValidationRow(
        host=entry.host_id,
        episode_id=entry.episode_id,
        path=entry.path,
        verdict=verdict.verdict,
        reason=verdict.reason,
        reasons=verdict.reasons,
        detail=verdict.detail,
        index_sha256=entry.sha256,
        sha256=episode.sha256 if episode is not None else _hash(store / entry.path),
        n_bytes=entry.n_bytes,
        decode_sha256=decode,
        **said,  # type: ignore[arg-type]
    )


def _said(episode: Episode, registry: Registry) -> dict[str, object]:
    """The part of a row that only a usable episode has."""
    meta, sources = episode.meta, episode.sources
    return {
        "profile": meta.profile,
        "sample_name": meta.sample_name,
        "benign": meta.benign,
        "origin": meta.origin,
        "synthetic": meta.synthetic,
        "t_start_wall_ns": meta.t_start_wall_ns,
        "t_end_wall_ns": meta.t_end_wall_ns,
        "content_sha256": episode.content_sha256,
        "rows": {name: rows.n_rows for name, rows in sources.items()},
        "bad_rows": {name: rows.n_bad for name, rows in sources.items() if rows.n_bad},
        "outside_rows": {name: rows.n_outside for name, rows in sources.items() if rows.n_outside},
        "torn_lines": {name: rows.n_torn for name, rows in sources.items() if rows.n_torn},
        "missing_sources": tuple(
            name for name, source in registry.sources.items() if source.required and name not in sources
        ),
        "clock_offset_ns": episode.clock_offset_ns,
        "clock_step_ns": episode.clock_step_ns,
        "clock_drift_ppm": _drift_ppm(episode, registry),
    }


def _drift_ppm(episode: Episode, registry: Registry) -> float | None:
    """Growth of wall - mono over the first sampled source, last tenth of its rows against the first tenth."""
    for name, source in registry.sources.items():
        rows = episode.sources.get(name)
        if source.count or rows is None or rows.n_rows < _MIN_DRIFT_ROWS:
            continue
        wall, tenth = rows.columns["t_wall_ns"], rows.n_rows // 10
        gap = wall - rows.columns["t_mono_ns"]
        span = float(np.median(wall[-tenth:]) - np.median(wall[:tenth]))
        if span > 0:
            return round(float(np.median(gap[-tenth:]) - np.median(gap[:tenth])) / span * 1e6, 3)
    return None


def _still_holds(
    row: ValidationRow, store: Path, entry: IndexEntry, kept: Path, *, decode: str, stamps: dict[str, Stamp]
) -> bool:
    """Whether the row is what decoding the episode again would give."""
    return (
        (row.decode_sha256, row.index_sha256, row.n_bytes) == (decode, entry.sha256, entry.n_bytes)
        and (not row.usable or kept.exists())
        and _same_file(store, row, _stamp(store / entry.path), stamps)
    )


def _same_file(store: Path, row: ValidationRow, stamp: Stamp, stamps: dict[str, Stamp]) -> bool:
    """Whether the tarball still holds the bytes that the row speaks of."""
    if stamps.get(row.episode_id) == stamp:
        return True
    return bool(row.sha256) and _hash(store / row.path) == row.sha256


def _hash(path: Path) -> str:
    try:
        return file_sha256(path) if path.stat().st_size <= Limits().file_bytes else ""
    except OSError:
        return ""


def _stamp(path: Path) -> Stamp:
    try:
        info = path.lstat()
    except OSError:
        return (0, 0, 0, 0)
    return (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)


def _stamps(path: Path) -> dict[str, Stamp]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Stamp])
    except (OSError, msgspec.MsgspecError):
        return {}


def _earlier(path: Path) -> list[ValidationRow]:
    """The rows of the run before; none where there was none, or where another version wrote them."""
    try:
        return read_validation(path)
    except (UpstreamMissing, KeyError, ValueError, TypeError, msgspec.MsgspecError):
        return []


def _write(path: Path, rows: list[ValidationRow]) -> None:
    columns = []
    for name, kind in _TYPES.items():
        values = [getattr(row, name) for row in rows]
        if name in _MAPS:
            values = [json.dumps(value, separators=(",", ":")) for value in values]
        columns.append(pa.array([list(v) if isinstance(v, tuple) else v for v in values], type=kind))
    table = pa.Table.from_arrays(columns, names=list(_TYPES))
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", store_schema=False)


def _sweep(layout: Layout, host: str, wanted: set[str]) -> None:
    """Removes rows of episodes that are gone or rejected, and temporary files of a run that was killed."""
    folder = layout.rows(host, "x").parent
    if not folder.is_dir():
        return
    keep = {layout.rows(host, name).name for name in wanted}
    for file in sorted(folder.iterdir()):
        if file.name not in keep or file.name.startswith(TEMPORARY_PREFIX):
            file.unlink(missing_ok=True)
