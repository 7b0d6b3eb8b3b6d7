"""An episode of an earlier import, read back from the store as the run that it was.

It goes through the reader that all tarballs go through. Beside what every episode says, its meta names the files
that its rows are from (`table`), which the reader of telemetry passes over. What does not belong here: putting
two parts together (`join.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rlstir_core.contract.members import META
from rlstir_core.contract.reasons import EpisodeRejected
from rlstir_core.contract.registry import CLOCK_FIELDS, Registry
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.archive import members
from rlstir_core.episodes.reading.frames import FrameReader
from rlstir_core.episodes.reading.read import open_plain, read_episode
from rlstir_core.episodes.reading.strict import parse_object
from rlstir_core.episodes.schema import Episode
from rlstir_core.errors import StoreError
from rlstir_core.importers.table.columns import known
from rlstir_core.importers.table.mapping import Mapping
from rlstir_core.importers.table.numbers import AnyArray
from rlstir_core.importers.table.runs import Run, SourceBlock
from rlstir_core.importers.table.times import NS, YEAR_NS

NOTE = "table"
_LIMITS = Limits(span_ns=2 * YEAR_NS)  # what an import writes can be read back, though validation may reject it


class TableNote(msgspec.Struct, frozen=True, kw_only=True):
    """What an import writes into the meta for the next one."""

    files: tuple[str, ...]  # sha256 of each
    first_ns: int  # the first row's time as its table has it
    step_ns: int
    corpus: str = ""  # of the episode


def note_of(path: Path) -> TableNote | None:
    """The note in a tarball's meta; None where an older import or somebody else made it, or it is damaged."""
    try:
        with open_plain(path) as handle:
            for name, size, chunks in members(FrameReader(handle, _LIMITS), _LIMITS):
                if name == META and size <= _LIMITS.meta_bytes:
                    record = parse_object(b"".join(chunks), _LIMITS.nesting)
                    if isinstance(record, str):
                        return None
                    note = msgspec.convert(record.get(NOTE), TableNote)
                    return msgspec.structs.replace(note, corpus=str(record.get("corpus") or ""))
    except (EpisodeRejected, msgspec.ValidationError):
        return None
    return None


def stored_run(store: Path, path: str, like: Run, note: TableNote | None, rules: Mapping, registry: Registry) -> Run:
    """The run of a tarball, under the names of `like`; StoreError where not all of it can be had back."""
    reading = read_episode(store / path, registry=registry, host_id=like.host, limits=_LIMITS)
    episode = reading.episode
    if episode is None:
        raise StoreError(
            f"episode {like.origin!r} is in the store already, but cannot be read back ({reading.verdict.reason}: "
            f"{reading.verdict.detail}); remove {path}, or let this import take its place with --replace"
        )
    if lost := [name for name, rows in episode.sources.items() if rows.n_bad or rows.n_outside]:
        raise StoreError(
            f"episode {like.origin!r} is in the store already, with bad rows in {lost[0]}.jsonl that joining would "
            "drop; mend it, or let this import take its place with --replace"
        )
    if note is None and rules.time.since == "start":
        raise StoreError(
            f"episode {like.origin!r} is in the store already, without the time at which its table began; import all "
            "its files in one command with --replace"
        )
    return _run(episode, like, note, rules)


def _run(episode: Episode, like: Run, note: TableNote | None, rules: Mapping) -> Run:
    meta = episode.meta
    walls = {name: rows.columns[CLOCK_FIELDS[0]] for name, rows in episode.sources.items() if rows.n_rows}
    first_wall = min((int(wall[0]) for wall in walls.values()), default=meta.t_start_wall_ns)
    half = note.step_ns // 2 if note else first_wall - meta.t_start_wall_ns
    shift = (note.first_ns - meta.t_start_wall_ns - half) if note and rules.time.column else 0
    changes = [(label.t_wall_ns + half + shift, label.phase) for label in episode.labels]
    # rows without any value are not in the store, but where a phase begins or the episode ends there was one
    ends = meta.t_end_wall_ns - ((note.step_ns - half) if note else meta.t_end_wall_ns - first_wall) + shift
    times = [wall + shift for wall in walls.values()]
    t: AnyArray = np.unique(np.concatenate([*times, np.array([at for at, _ in changes] + [ends], dtype=np.int64)]))
    blocks = {}
    for name, wall in walls.items():
        columns = {
            field: values
            for field, values in episode.sources[name].columns.items()
            if field not in CLOCK_FIELDS and known(values).any()
        }
        blocks[name] = SourceBlock(np.searchsorted(t, wall + shift), columns)
    if not rules.time.column:
        step = note.step_ns if note else NS
        t = np.arange(round((int(t[-1]) - meta.t_start_wall_ns - half) / step) + 1)
        blocks = {
            name: SourceBlock(
                np.round((walls[name] - meta.t_start_wall_ns - half) / step).astype(np.int64), block.columns
            )
            for name, block in blocks.items()
        }
    return Run(
        host=like.host,
        episode_id=like.episode_id,
        origin=like.origin,
        profile=meta.profile,
        sample=meta.sample_name,
        corpus=meta.corpus,
        start_ns=like.start_ns,
        kind="time" if rules.time.column else "row",
        t=t,
        phases=_phases(t, changes, rules, meta.t_start_wall_ns, half, note),
        own=blocks,
        files=note.files if note else (),
        where="the store",
    )


def _phases(
    t: AnyArray, changes: list[tuple[int, str]], rules: Mapping, start: int, half: int, note: TableNote | None
) -> list[str | None]:
    """The phase of every row, from the labels, which stand where it changes."""
    at: list[Any] = [when for when, _ in changes]
    if not rules.time.column:
        step = note.step_ns if note else NS
        at = [round((when - start - half) / step) for when in at]
    places = np.searchsorted(np.array(at, dtype=np.int64), t, side="right") - 1
    return [changes[place][1] if place >= 0 else None for place in places.tolist()]
