"""An episode tarball to one verdict and, unless it is rejected, typed rows.

Bad content never raises: it becomes the verdict. What does not belong here: the store's index and what is
kept between runs.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from rlstir_core.arrays import Ints
from rlstir_core.atomic import canonical_sha256
from rlstir_core.contract.members import LABELS, META, is_known
from rlstir_core.contract.reasons import EpisodeRejected, ReasonCode
from rlstir_core.contract.registry import Registry
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.archive import members
from rlstir_core.episodes.reading.frames import FrameReader
from rlstir_core.episodes.reading.jsonl import Budget, RowReader
from rlstir_core.episodes.reading.meta import LabelReader, parse_meta
from rlstir_core.episodes.reading.plausible import Note, implausible
from rlstir_core.episodes.reading.rowspec import row_spec
from rlstir_core.episodes.schema import Column, Episode, Label, Meta, Reading, SourceRows, Verdict
from rlstir_core.text import printable, shown

_FINGERPRINT_BYTES = 32 << 20
Claims = tuple[str | None, str | None, str | None, int | None]  # host, episode, sha256, bytes


@dataclass
class _Found:
    """What the members of a tarball gave."""

    sizes: dict[str, int] = field(default_factory=dict)
    meta: Meta | None = None
    labels: LabelReader | None = None
    rows: dict[str, RowReader] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)  # sha256 of each log's content


def read_episode(
    path: Path,
    *,
    registry: Registry,
    host_id: str | None = None,
    episode_id: str | None = None,
    sha256: str | None = None,
    n_bytes: int | None = None,
    limits: Limits | None = None,
    truth: bool = True,
) -> Reading:
    """The verdict on the tarball at `path`, and its content; what is given must agree with the file.

    Without `truth` no label is read, and nothing that says what happened (labels, profile) counts for the verdict.
    """
    limits = limits or Limits()
    try:
        with open_plain(path) as handle:
            episode, notes = _read(handle, registry, limits, (host_id, episode_id, sha256, n_bytes), truth)
    except EpisodeRejected as error:
        return Reading(Verdict("reject", error.reason, printable(error.detail), (error.reason,)))
    if not notes:
        return Reading(Verdict("ok"), episode)
    reasons = tuple(dict.fromkeys(reason for reason, _ in notes))
    detail = printable("; ".join(text for _, text in notes))
    return Reading(Verdict("degraded", reasons[0], detail, reasons), episode)


def open_plain(path: Path) -> BinaryIO:
    """The file at `path`, which must be a plain file and no link; EpisodeRejected (`index.*`) otherwise."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        name = printable(path.name)
        raise EpisodeRejected(
            ReasonCode.INDEX_MISSING_FILE, f"{name} cannot be opened ({error.strerror}); restore it"
        ) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise EpisodeRejected(
            ReasonCode.INDEX_NOT_A_FILE, f"{printable(path.name)} is no plain file; put the tarball there"
        )
    return os.fdopen(handle, "rb", buffering=0)


def _read(
    handle: BinaryIO,
    registry: Registry,
    limits: Limits,
    claims: Claims,
    truth: bool,
) -> tuple[Episode, list[Note]]:
    _, _, sha256, n_bytes = claims
    size = os.fstat(handle.fileno()).st_size
    if n_bytes is not None and size != n_bytes:
        raise EpisodeRejected(
            ReasonCode.INDEX_BYTES, f"the file has {size} bytes, the index says {n_bytes}; send it again"
        )
    frames = FrameReader(handle, limits)
    found = _members(members(frames, limits), registry, limits, truth)
    if sha256 is not None and frames.sha256 != sha256:
        raise EpisodeRejected(
            ReasonCode.INDEX_SHA256, f"the file's sha256 is {frames.sha256}, not the index's; send it again"
        )
    meta = found.meta
    if meta is None:
        raise EpisodeRejected(ReasonCode.META_MISSING, "meta.json is missing; send it in the tarball")
    _check_identity(meta, claims)
    notes: list[Note] = []
    labels = _labels(found, meta, registry, notes) if truth else ()
    sources, steps, offsets = {}, {}, {}
    for name, source in registry.sources.items():
        reader = found.rows.pop(name, None)  # and with it the blocks it was made of
        if reader is None:
            if source.required:
                notes.append((ReasonCode.CHANNEL_MISSING, f"{name}.jsonl is missing"))
            continue
        rows, table, offset, step, drift = _finish(reader, meta, limits)
        _note_rows(rows, meta, source.required and not source.count, notes)
        # a step that is named by itself explains the drift
        notes += implausible(rows, table, source, meta, 0.0 if step > limits.step_ns else drift, limits.step_ns)
        sources[name] = rows
        if offset is not None:
            offsets[name] = offset
        if not source.count:
            steps[name] = step
    step = max(steps.values(), default=0)
    if step > limits.step_ns:
        where = max(steps, key=lambda name: steps[name])
        notes.append((ReasonCode.TIME_CLOCK_STEP, f"the wall clock steps by {step / 1e9:.3f} s in {where}"))
    if truth and meta.profile not in registry.profiles:
        notes.append(
            (ReasonCode.META_UNKNOWN_PROFILE, f"the registry does not know profile {meta.profile}; add it there")
        )
    if found.unknown:
        some = ", ".join(found.unknown[:5])
        notes.append((ReasonCode.ARCHIVE_UNKNOWN_MEMBER, f"{len(found.unknown)} unknown members ignored: {some}"))
    base = next(iter(offsets.values()), 0)
    return (
        Episode(
            meta=meta,
            labels=labels,
            sources=sources,
            members=found.sizes,
            sha256=frames.sha256,
            n_bytes=size,
            clock_offset_ns={name: offset - base for name, offset in offsets.items()},
            clock_step_ns=step,
            logs_sha256=canonical_sha256(sorted(found.logs)) if found.logs else "",
        ),
        notes,
    )


def _members(
    tape: Iterator[tuple[str, int, Iterator[bytes]]], registry: Registry, limits: Limits, truth: bool
) -> _Found:
    """Streams every member into its reader; they may come in any order."""
    found, budget = _Found(), Budget.of(limits)
    for name, size, chunks in tape:
        found.sizes[name] = size
        if name == META:
            if size > limits.meta_bytes:
                raise EpisodeRejected(
                    ReasonCode.META_TOO_LARGE, f"meta.json has {size} bytes, over {limits.meta_bytes}; trim it"
                )
            found.meta = parse_meta(b"".join(chunks), limits)
        elif name == LABELS and truth:
            if size > limits.labels_bytes:
                raise EpisodeRejected(
                    ReasonCode.LABEL_TOO_LARGE,
                    f"labels.jsonl has {size} bytes, over {limits.labels_bytes}; send labels only",
                )
            found.labels = LabelReader(limits)
            for chunk in chunks:
                found.labels.feed(chunk)
            found.labels.finish()
        elif (source := name.removesuffix(".jsonl")) != name and source in registry.sources:
            spec = row_spec(source, registry.sources[source], limits.text_chars)
            reader = found.rows[source] = RowReader(source, spec, limits, budget)
            for chunk in chunks:
                reader.feed(chunk)
            reader.finish()
        elif not is_known(name):
            found.unknown.append(name)
        elif name.startswith("logs/"):
            found.logs.append(_fingerprint(size, chunks))
    return found


def _fingerprint(size: int, chunks: Iterator[bytes]) -> str:
    """The hash of a log: of its size and its beginning, so that a huge one costs a reader no more than a large one."""
    digest, left = hashlib.sha256(str(size).encode()), _FINGERPRINT_BYTES
    for chunk in chunks:
        if left > 0:
            digest.update(chunk[:left])
            left -= len(chunk)
    return digest.hexdigest()


def _check_identity(meta: Meta, claims: Claims) -> None:
    for what, value, claim in (("host", meta.host_id, claims[0]), ("episode", meta.episode_id, claims[1])):
        if claim is not None and value != claim:
            raise EpisodeRejected(
                ReasonCode.META_IDENTITY,
                f"meta.json says {what} {value}, the index says {shown(claim)}; send the right file",
            )


def _labels(found: _Found, meta: Meta, registry: Registry, notes: list[Note]) -> tuple[Label, ...]:
    labels = found.labels.labels(meta, registry) if found.labels else ()
    if not labels:
        if found.rows:
            raise EpisodeRejected(ReasonCode.LABEL_MISSING, "telemetry without labels.jsonl; send the phases with it")
        notes.append((ReasonCode.LABEL_MISSING, "labels.jsonl is missing or empty"))
    return labels


def _finish(reader: RowReader, meta: Meta, limits: Limits) -> tuple[SourceRows, Ints, int | None, int, float]:
    """Rows in time order and inside the episode, their integer columns in one piece, and of wall - mono the median,
    the largest jump and the range."""
    ints, floats = reader.table()
    table, values = np.ascontiguousarray(ints.T), np.ascontiguousarray(floats.T)  # columns in one piece each
    wall = table[0]
    offset, step, drift = None, 0, 0.0
    if len(wall):
        gap = wall - table[1]
        offset = int(np.partition(gap, len(gap) // 2)[len(gap) // 2])
        # as floats, because two hostile clocks may lie further apart than int64 reaches
        drift = float(gap.max()) - float(gap.min())
        if drift >= 2.0**62:
            step = int(min(np.abs(np.diff(gap.astype(np.float64))).max(), 2.0**62))
        elif len(gap) > 1:
            moved = gap[1:] - gap[:-1]
            step = max(int(moved.max()), -int(moved.min()))
    n_outside = n_unsorted = 0
    low, high = meta.t_start_wall_ns - limits.margin_ns, meta.t_end_wall_ns + limits.margin_ns
    if len(wall) and (wall.min() < low or wall.max() > high):
        inside = (wall >= low) & (wall <= high)
        n_outside = int(len(wall) - np.count_nonzero(inside))
        table, values = table.compress(inside, axis=1), values.compress(inside, axis=1)
    backward = table[0, 1:] < table[0, :-1]
    if backward.any():
        n_unsorted = int(np.count_nonzero(backward))
        order = np.argsort(table[0], kind="stable")
        table, values = table.take(order, axis=1), values.take(order, axis=1)
    columns: dict[str, Column] = dict(zip(reader.spec.int_names, table, strict=True))
    columns.update(zip(reader.spec.float_names, values, strict=True))
    rows = SourceRows(
        name=reader.name,
        columns=columns,
        n_rows=table.shape[1],
        n_bad=reader.n_bad,
        n_torn=reader.n_torn,
        n_unsorted=n_unsorted,
        n_outside=n_outside,
        faults=tuple(printable(fault) for fault in reader.faults),
    )
    return rows, table, offset, step, drift


def _note_rows(rows: SourceRows, meta: Meta, must_have_rows: bool, notes: list[Note]) -> None:
    name = rows.name
    if rows.n_bad:
        first = f" ({rows.faults[0]})" if rows.faults else ""
        notes.append((ReasonCode.JSON_BAD_ROWS, f"{name}.jsonl: {rows.n_bad} bad records dropped{first}"))
    if rows.n_outside:
        notes.append((ReasonCode.TIME_OUTSIDE, f"{name}.jsonl: {rows.n_outside} rows outside the episode dropped"))
    if must_have_rows and not rows.n_rows:
        notes.append((ReasonCode.CHANNEL_EMPTY, f"{name}.jsonl has no usable row"))
    claimed, seen = meta.sources.get(name), rows.n_rows + rows.n_outside + rows.n_bad
    if claimed is not None and claimed != seen:
        notes.append((ReasonCode.CHANNEL_ROW_COUNT, f"{name}.jsonl has {seen} rows, meta.json says {claimed}"))
