"""`rlstir add`: one's own tarballs into a store, each read first, copied whole or not at all, and named in the index.

What does not belong here: making tarballs (`writer.py`) and fetching them from elsewhere.
"""

from __future__ import annotations

import errno
import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from rlstir_core.atomic import replacing, sweep
from rlstir_core.contract.registry import Registry
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.read import open_plain, read_episode
from rlstir_core.episodes.schema import Episode, Verdict
from rlstir_core.episodes.store.index import SUFFIX, IndexEntry, named_entries
from rlstir_core.episodes.store.writer import INDEX_NAME, IndexRecord, append_index
from rlstir_core.errors import StoreError
from rlstir_core.ids import fold
from rlstir_core.progress import Progress, told_to
from rlstir_core.results.lock import holding
from rlstir_core.text import printable

_AT_ONCE = 100  # episodes whose index lines are written together
_CHUNK = 1 << 20


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A tarball that was not added, and why."""

    file: str
    why: str


class Added(msgspec.Struct, kw_only=True):
    """What became of the tarballs."""

    store: str
    added: list[str] = []  # host/episode
    degraded: dict[str, str] = {}  # of those added: what is missing or was dropped
    there_already: list[str] = []  # the same bytes, under the same name
    refused: list[Refused] = []


def add_episodes(paths: Sequence[Path], store: Path, *, registry: Registry, progress: Progress | None = None) -> Added:
    """Puts every tarball under `paths` (files and folders) into `store`, which may be new.

    A tarball is refused by name where it would be rejected, or where the store holds another episode of that host
    and name. StoreError where a path is not there or holds no tarball.
    """
    files = list(_tarballs(paths))
    store.mkdir(parents=True, exist_ok=True)
    with holding(store / ".add.lock", waiting=told_to(progress)):
        return _add_all(files, store, registry, progress)


def _add_all(files: Sequence[Path], store: Path, registry: Registry, progress: Progress | None) -> Added:
    known = known_episodes(store)
    made = Added(store=str(store))
    hosts = {fold(entry.host_id): str(entry.host_id) for entry in known.values()}
    records: list[IndexRecord] = []
    try:
        for done, file in enumerate(files):
            if progress is not None:
                progress(done, len(files), printable(file.name))
            record = _add(file, store, registry, known, hosts, made)
            if record is not None:
                records.append(record)
            if len(records) == _AT_ONCE:
                append_index(store, records)
                records = []
    finally:  # what lies there is named, whatever stopped the rest
        if records:
            append_index(store, records)
    return made


def _tarballs(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = sorted(file for file in path.rglob(f"*{SUFFIX}") if not file.name.startswith("."))
            if not found:
                raise StoreError(f"{path} holds no *{SUFFIX}; name episode tarballs, or a folder of them")
            yield from found
        elif path.exists():
            yield path
        else:
            raise StoreError(f"{path} is not there; name episode tarballs (*{SUFFIX}), or a folder of them")


def known_episodes(store: Path) -> dict[tuple[str, str], IndexEntry]:
    """The episodes that the index names, by host and name; none where the store is new."""
    path = store / INDEX_NAME
    if not path.exists() or not path.stat().st_size:
        return {}
    return {(fold(entry.host_id), fold(entry.episode_id)): entry for entry in named_entries(store)}


def _add(
    file: Path,
    store: Path,
    registry: Registry,
    known: dict[tuple[str, str], IndexEntry],
    hosts: dict[str, str],
    made: Added,
) -> IndexRecord | None:
    """The index record of a tarball that is in its place now; None where none is to be written."""
    name, verdict = printable(str(file)), Verdict("ok")
    try:
        episode, verdict = _read(file, registry)
        host, own = episode.meta.host_id, episode.meta.episode_id
        path = f"episodes/{host}/{own}{SUFFIX}"
        earlier = known.get((fold(host), fold(own)))
        spelt = hosts.setdefault(fold(host), host)
        if spelt != host:
            raise _NotAdded(f"the store spells its host {spelt}; case tells no two names apart, so rename it")
        if earlier is not None and (earlier.path != path or earlier.sha256 != episode.sha256):
            raise _NotAdded(
                f"the store names another {earlier.path} (sha256 {earlier.sha256[:12]}, this one "
                f"{episode.sha256[:12]}); give the episode an id of its own"
            )
        _put(file, store, path, episode.sha256)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        made.refused.append(Refused(file=name, why=f"{error.strerror}; check the store's folders"))
        return None
    except _NotAdded as error:
        made.refused.append(Refused(file=name, why=str(error)))
        return None
    if earlier is not None:
        made.there_already.append(f"{host}/{own}")
        return None
    made.added.append(f"{host}/{own}")
    if verdict.detail:
        made.degraded[f"{host}/{own}"] = verdict.detail
    record = _record(episode, path, (store / path).stat().st_size)
    known[fold(host), fold(own)] = IndexEntry(
        episode_id=own, host_id=host, path=path, n_bytes=record["bytes"], sha256=episode.sha256, line=0
    )
    return record


def _read(file: Path, registry: Registry) -> tuple[Episode, Verdict]:
    if file.is_symlink():
        raise _NotAdded("it is a link; name the file that it leads to")
    reading = read_episode(file, registry=registry)
    if reading.episode is None:
        raise _NotAdded(f"{reading.verdict.reason}: {reading.verdict.detail}")
    return reading.episode, reading.verdict


def _put(file: Path, store: Path, path: str, sha256: str) -> None:
    """Copies a tarball that was read into its place, unless it lies there already."""
    target = store / path
    if (store / "episodes").is_symlink() or target.parent.is_symlink():
        raise _NotAdded(f"the folder of {path} is a link; make it a folder")
    if target.is_file() and not target.is_symlink() and _sha256(target) == sha256:
        return
    if target.exists() or target.is_symlink():
        raise _NotAdded(f"{path} is there with other content; take it away first")
    left, digest = Limits().file_bytes, hashlib.sha256()
    sweep(target.parent, target.name)
    with open_plain(file) as source, replacing(target) as temporary:
        with temporary.open("wb") as copy:
            while left > 0 and (chunk := source.read(min(_CHUNK, left))):
                left -= len(chunk)
                digest.update(chunk)
                copy.write(chunk)
        if digest.hexdigest() != sha256:
            raise _NotAdded("it changed while it was read; add it again once it is written")


class _NotAdded(Exception):
    """Why a tarball is left out."""


def _record(episode: Episode, path: str, size: int) -> IndexRecord:
    return {
        "episode_id": episode.meta.episode_id,
        "host_id": episode.meta.host_id,
        "path": path,
        "bytes": size,
        "sha256": episode.sha256,
        "profile": episode.meta.profile,
        "sample_name": episode.meta.sample_name,
        "received_wall_ns": time.time_ns(),
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
