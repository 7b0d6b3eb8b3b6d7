"""One verdict per tarball, kept between runs: only what changed is decoded again.

A host's verdicts depend on its episodes alone. The ledger beside them remembers size and times of the tarballs
as they were read: a tarball whose stamp differs is hashed, and decoded only when its bytes are new. What does
not belong here: the checks (`reading/read.py`) and what later steps make of the rows.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from rlstir_core.atomic import canonical_sha256, sweep
from rlstir_core.contract import members
from rlstir_core.contract.reasons import ReasonCode
from rlstir_core.contract.registry import Registry
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.schema import Episode, Reading, Verdict
from rlstir_core.episodes.store.index import SUFFIX, IndexEntry, StoreIndex, read_index
from rlstir_core.episodes.validation.current import NO_STAMP, decode_sha256, hash_of, holding_still, known_of
from rlstir_core.episodes.validation.decoded import (
    HostLedger,
    Known,
    Stamp,
    is_there,
    read_ledger,
    stamp_of,
    write_ledger,
)
from rlstir_core.episodes.validation.gate import (
    StagedRows,
    VerdictsRefused,
    rejected,
    rejections,
    too_many,
    unbelievable,
)
from rlstir_core.episodes.validation.rows import write_rows
from rlstir_core.episodes.validation.unfinished import forget_unfinished, read_unfinished, write_unfinished
from rlstir_core.episodes.validation.verdicts import ValidationRow, read_validation, write_validation
from rlstir_core.errors import StoreError, UpstreamMissing
from rlstir_core.progress import Progress, told_to
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import noting
from rlstir_core.results.lock import holding
from rlstir_core.text import printable
from rlstir_core.workers.spread import ALONE, Workers

_MIN_DRIFT_ROWS = 20
_NO_TARBALL = (ReasonCode.INDEX_PATH, ReasonCode.INDEX_MISSING_FILE)  # faults that stand for a tarball's verdict
_IN_WORK = Known(NO_STAMP, "", 0, "", "", False, False)


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

    @property
    def believable(self) -> bool:
        """Whether at most half of the episodes are rejected: later steps refuse what is not."""
        return not too_many(self.count("reject"), len(self.rows))

    @property
    def sentence(self) -> str:
        """Why later steps refuse verdicts that are not believable."""
        return unbelievable(self.host, self.rows)


def validate_store(
    store: Path, *, registry: Registry, index: StoreIndex | None = None, limits: Limits | None = None
) -> Iterator[tuple[str, Verdict]]:
    """(path, verdict) of every tarball of the store, by path; StoreError when there is no index.

    Tarballs that no index line names, index lines that name no readable tarball, and links or unsafe names that
    look like tarballs have verdicts too; a name that is not printable comes escaped.
    """
    index = index or read_index(store)
    entries = {entry.path: entry for entry in index.entries}
    orphans = set(index.orphans)
    refused = {
        fault.path: fault
        for fault in index.faults
        if (fault.reason in _NO_TARBALL and fault.path)
        or (fault.reason == ReasonCode.INDEX_CASE_TWIN and fault.path in orphans)
    }
    for path in sorted({*entries, *index.orphans, *refused}):
        if path in entries:
            yield path, _read(store, entries[path], registry, limits).verdict
        elif path in refused:
            fault = refused[path]
            yield path, Verdict("reject", fault.reason, fault.detail, (fault.reason,))
        else:
            yield path, _orphan(store, path, registry, limits)


def validate_files(
    files: Sequence[Path], *, registry: Registry, limits: Limits | None = None
) -> Iterator[tuple[str, Verdict]]:
    """(path, verdict) of tarballs that need be in no store; StoreError where one is not there."""
    for file in files:
        if not file.is_file():
            raise StoreError(f"{file} is not a file; name an episode's tarball, or a store with --store")
    for file in files:
        yield printable(str(file)), read_episode(file, registry=registry, limits=limits).verdict


def validate_host(
    store: Path,
    layout: Layout,
    host: str,
    *,
    registry: Registry,
    index: StoreIndex,
    limits: Limits | None = None,
    progress: Progress | None = None,
    workers: Workers = ALONE,
) -> HostValidation:
    """Brings the verdicts and typed rows of one host up to date with the index.

    Nothing is written where the verdicts that stand are believable and the new ones would not be
    (VerdictsRefused), or where usable episodes were known and not one tarball is there any more (StoreError).
    """
    with holding(layout.host_lock(host), waiting=told_to(progress)):
        return _validate_host(store, layout, host, registry, index, limits, progress, workers)


def _validate_host(
    store: Path,
    layout: Layout,
    host: str,
    registry: Registry,
    index: StoreIndex,
    limits: Limits | None,
    progress: Progress | None,
    workers: Workers,
) -> HostValidation:
    decode = decode_sha256(registry, limits)
    target = layout.validation(host)
    earlier = {row.episode_id: row for row in _earlier(target)}
    ledger = read_ledger(target)
    entries: dict[str, IndexEntry] = {entry.episode_id: entry for entry in index.of_host(host)}
    stamps = {episode: stamp_of(store / entry.path) for episode, entry in entries.items()}
    # verdicts whose ledger is lost are believed where the tarball's hash says so
    known = ledger.episodes or {episode: known_of(row, NO_STAMP) for episode, row in earlier.items()}
    still = functools.partial(holding_still, store=store, layout=layout, entries=entries, stamps=stamps, decode=decode)
    reached = still(noted := read_unfinished(target))
    stand = reached | still({e: (row, known[e]) for e, row in earlier.items() if e in known and e not in reached})
    todo = entries.keys() - stand.keys()
    _check_there(store, host, stamps.values(), earlier.values())
    staged = StagedRows(layout, host, n_usable=sum(row.usable for row, _ in stand.values()), of=len(entries))
    at_stake = bool(earlier) and not too_many(rejected(earlier.values()), len(earlier))

    def commit() -> None:
        if todo and target.exists():  # so that the next run knows what this one, if it is cut off, had begun
            write_ledger(target, known | dict.fromkeys(todo, _IN_WORK))
        if len(reached) < len(noted):  # nor does what was noted of rows outlive them
            write_unfinished(target, reached)
        staged.commit()

    work = functools.partial(_decode, store=store, registry=registry, limits=limits, decode=decode)
    decoded: Iterator[ValidationRow] | None = None  # from where it is certain that rows replace those of before
    rows = []
    tell = progress or (lambda *_: None)
    with noting(lambda: write_unfinished(target, reached)) as notes:
        for done, (episode, entry) in enumerate(entries.items()):
            tell(done, len(entries), episode)
            if episode not in todo:
                rows.append(stand[episode][0])
                continue
            if not staged.committed and (staged.safe or not at_stake):
                commit()
            if staged.committed and decoded is None:
                rest = [(each, staged.place(e)) for e, each in islice(entries.items(), done, None) if e in todo]
                decoded = workers.each(work, rest)
            row = next(decoded) if decoded is not None else work((entry, staged.place(episode)))
            _check_seen(store, row, stamps[episode])
            staged.took(row)
            rows.append(row)
            reached[episode] = row, known_of(row, stamps[episode])
            if staged.committed:
                notes.finished()
    if not staged.committed:
        if at_stake and not staged.safe:
            staged.discard()
            raise _refused(host, rows, earlier.values())
        commit()
    removed = earlier.keys() - entries.keys()
    tell(len(entries), len(entries), "done")
    _write(target, rows, stamps.values(), ledger, fresh=bool(todo or reached or removed) or not target.exists())
    _drop_rows(layout, host, {row.episode_id for row in rows if row.usable})
    return HostValidation(
        host=host,
        rows=tuple(rows),
        n_decoded=len(todo),
        n_unchanged=len(rows) - len(todo),
        n_removed=len(removed),
    )


def validated(layout: Layout, host: str, *, with_logs: bool = False) -> dict[str, str]:
    """{episode: hash of what it was decoded from} of the host's usable episodes (those with logs), by name.

    UpstreamMissing when the host was never validated.
    """
    path = layout.validation(host)
    if not path.exists():
        raise UpstreamMissing(
            f"{path} is missing: host {host!r} was not validated; make it with: {how_to_make('validation')}"
        )
    known = read_ledger(path).episodes or {row.episode_id: known_of(row, NO_STAMP) for row in read_validation(path)}
    if _IN_WORK in known.values():
        raise UpstreamMissing(
            f"the validation of host {host!r} was cut off; make it again with: {how_to_make('validation')}"
        )
    n_rejected = sum(not each.usable for each in known.values())
    if too_many(n_rejected, len(known)):
        raise UpstreamMissing(unbelievable(host, read_validation(path)))
    return {
        episode: canonical_sha256([each.sha256, each.decode_sha256])
        for episode, each in sorted(known.items())
        if each.usable and (each.has_logs or not with_logs)
    }


def _refused(host: str, rows: Collection[ValidationRow], earlier: Collection[ValidationRow]) -> VerdictsRefused:
    return VerdictsRefused(
        f"verdict_rates: {rejections(host, rows)}, more than half; the verdicts of before, by which "
        f"{len(earlier) - rejected(earlier)} of {len(earlier)} were usable, stay as they are: restore the tarballs, or "
        "take the episodes out of the index, and run again"
    )


def _write(
    target: Path, rows: Sequence[ValidationRow], stamps: Iterable[Stamp], before: HostLedger, *, fresh: bool
) -> None:
    """Writes verdicts where they are others than those that stand, and what they were reached from likewise."""
    now = {row.episode_id: known_of(row, stamp) for row, stamp in zip(rows, stamps, strict=True)}
    if fresh:
        write_validation(target, rows)
    if fresh or now != before.episodes:
        write_ledger(target, now)
    forget_unfinished(target)
    sweep(target.parent)


def _check_there(store: Path, host: str, stamps: Collection[Stamp], earlier: Collection[ValidationRow]) -> None:
    """A folder that is not mounted is no reason to reject what could be read before."""
    n_usable = len(earlier) - rejected(earlier)
    if n_usable and stamps and not any(map(is_there, stamps)):
        raise StoreError(
            f"none of the {len(stamps)} tarballs of host {host!r} is under {store / 'episodes' / host}, though "
            f"{n_usable} of its episodes could be read before; mount or restore that folder and run again"
        )


def _check_seen(store: Path, row: ValidationRow, stamp: Stamp) -> None:
    """What a worker does not see is no fault of the recording."""
    if row.reason == ReasonCode.INDEX_MISSING_FILE and is_there(stamp):
        raise StoreError(
            f"{store / row.path} was there, and whoever was to read it did not see it; if workers of a Dask scheduler "
            "read (RLSTIR_WORKERS), mount the whole store there under the same path, and run again"
        )


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
    return Verdict("degraded", ReasonCode.INDEX_ORPHAN, detail, (ReasonCode.INDEX_ORPHAN, *verdict.reasons))


def _decode(
    item: tuple[IndexEntry, Path], *, store: Path, registry: Registry, limits: Limits | None, decode: str
) -> ValidationRow:
    """The verdict on one tarball, whose typed rows it writes to the path beside its index entry."""
    entry, kept = item
    reading = _read(store, entry, registry, limits)
    episode, verdict = reading.episode, reading.verdict
    if episode is not None:
        write_rows(kept, episode)
    part: dict[str, object] = {} if episode is None else _usable_part(episode, registry)
    return ValidationRow(
        host=entry.host_id,
        episode_id=entry.episode_id,
        path=entry.path,
        verdict=verdict.verdict,
        reason=verdict.reason,
        reasons=verdict.reasons,
        detail=verdict.detail,
        index_sha256=entry.sha256,
        sha256=episode.sha256 if episode is not None else hash_of(store / entry.path),
        n_bytes=entry.n_bytes,
        decode_sha256=decode,
        **part,  # type: ignore[arg-type]
    )


def _usable_part(episode: Episode, registry: Registry) -> dict[str, object]:
    """The part of a row that only a usable episode has."""
    meta, sources = episode.meta, episode.sources
    return {
        "profile": meta.profile,
        "sample_name": meta.sample_name,
        "benign": meta.benign,
        "origin": meta.origin,
        "corpus": meta.corpus,
        "synthetic": meta.synthetic,
        "t_start_wall_ns": meta.t_start_wall_ns,
        "t_end_wall_ns": meta.t_end_wall_ns,
        "content_sha256": episode.content_sha256,
        "logs_sha256": episode.logs_sha256,
        "rows": {name: rows.n_rows for name, rows in sources.items()},
        "bad_rows": {name: rows.n_bad for name, rows in sources.items() if rows.n_bad},
        "outside_rows": {name: rows.n_outside for name, rows in sources.items() if rows.n_outside},
        "torn_lines": {name: rows.n_torn for name, rows in sources.items() if rows.n_torn},
        "log_bytes": {name: size for name, size in episode.members.items() if name.startswith(members.LOG_FOLDER)},
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


def _earlier(path: Path) -> list[ValidationRow]:
    """The rows of the run before; none where there was none, or where another version wrote them."""
    try:
        return read_validation(path)
    except UpstreamMissing:
        return []


def _drop_rows(layout: Layout, host: str, wanted: set[str]) -> None:
    """Removes rows of episodes that are gone or rejected, and temporary files of a run that was killed."""
    folder = layout.rows(host, "x").parent
    keep = {layout.rows(host, name).name for name in wanted}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.name not in keep:
            file.unlink(missing_ok=True)
