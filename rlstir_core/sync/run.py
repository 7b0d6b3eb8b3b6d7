"""`rlstir sync`: the new episodes of another store into one's own, each checked before it has its name.

A tarball is written beside its place, compared with the hash of its index line, and renamed; its own line is appended
after that. So whatever stops the work costs one file, and the next time goes on from there. Nothing of the own store
is ever deleted. What does not belong here: how bytes come (`sources.py`, `ssh.py`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from rlstir_core.atomic import file_sha256, replacing, sweep, write_bytes
from rlstir_core.contract.reasons import ReasonCode
from rlstir_core.contract.registry import parse_registry
from rlstir_core.episodes.limits import MIB, Limits
from rlstir_core.episodes.store.adding import known_episodes
from rlstir_core.episodes.store.index import INDEX_BYTES, IndexEntry, parse_index
from rlstir_core.episodes.store.writer import INDEX_NAME, IndexRecord, append_index
from rlstir_core.errors import ConfigError, RegistryError, StoreError
from rlstir_core.ids import fold
from rlstir_core.progress import Progress, told_to
from rlstir_core.results.lock import holding
from rlstir_core.sync.sources import EpisodeSource, Folder, LinkCut, NotThere, Unfit
from rlstir_core.text import one_line, printable

REGISTRY_NAME = "registry.toml"
_REGISTRY_BYTES = MIB
_AT_ONCE = 100  # episodes whose index lines are written together
_TRIES = 4  # of one file over a link that breaks
_WAIT_S = 1.0  # before the second of them, doubled for every other
_EVERY_S = 0.5
_NAMED = 50
_HEALED = {ReasonCode.INDEX_TORN, ReasonCode.INDEX_REPEATED}
_UNREADABLE = ReasonCode.INDEX_UNREADABLE


class FirstFew(msgspec.Struct, kw_only=True):
    """How many there were of something, and the first of them in words."""

    n: int = 0
    first: list[str] = []

    def add(self, text: str, n: int = 1) -> None:
        """Counts, and keeps the words while there are few."""
        self.n += n
        if len(self.first) < _NAMED:
            self.first.append(one_line(text, 400))


class Synced(msgspec.Struct, kw_only=True):
    """What became of the source's episodes."""

    source: str
    store: str
    named: int = 0  # episodes that the source's index names
    fetched: int = 0
    n_bytes: int = 0
    there_already: int = 0
    cuts: int = 0
    registry: str = ""
    healed: FirstFew = msgspec.field(default_factory=FirstFew)
    replaced: FirstFew = msgspec.field(default_factory=FirstFew)
    left: FirstFew = msgspec.field(default_factory=FirstFew)
    refused: FirstFew = msgspec.field(default_factory=FirstFew)

    @property
    def exit_code(self) -> int:
        """0 all there, 1 something was left for the next time, 2 something was refused."""
        return 2 if self.refused.n else 1 if self.left.n else 0

    def sentences(self, most: int = 8) -> list[str]:
        """The summary: a line of counts, then of everything that a person may have to look at at most so many."""
        size = f"{self.n_bytes / MIB:.1f} MiB"
        said = [
            f"{self.fetched} of {self.named} episodes fetched ({size}), {self.there_already} were there already"
            + (f"; the link broke {self.cuts} {'time' if self.cuts == 1 else 'times'}" if self.cuts else "")
        ]
        said += [self.registry] if self.registry else []
        for what, told in (
            ("healed", self.healed),
            ("replaced", self.replaced),
            ("left for the next time", self.left),
            ("refused", self.refused),
        ):
            said += [f"  {what}: {text}" for text in told.first[:most]]
            said += [f"  {what}: and {told.n - most} more" if told.n > most else ""]
        return [line for line in said if line]


@dataclass
class _Work:
    """One sync at work."""

    source: EpisodeSource
    store: Path
    made: Synced
    progress: Progress | None
    sleep: Callable[[float], None]
    known: dict[tuple[str, str], IndexEntry] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    records: list[IndexRecord] = field(default_factory=list)
    told_at: float = 0.0

    def tell(self, done: int, of: int, what: str, *, now: bool = False) -> None:
        if self.progress is not None and (now or time.monotonic() - self.told_at >= _EVERY_S):
            self.told_at = time.monotonic()
            self.progress(done, of, what)

    def write_lines(self) -> None:
        records, self.records = self.records, []
        if records:
            append_index(self.store, records)


def sync_episodes(
    source: EpisodeSource, store: Path, *, progress: Progress | None = None, sleep: Callable[[float], None] = time.sleep
) -> Synced:
    """Copies what `source` has and `store` (which may be new) has not.

    LinkCut where the source cannot even be asked for its index; StoreError where it has none, or one that is too large.
    """
    made = Synced(source=printable(source.name), store=str(store))
    work = _Work(source, store, made, progress, sleep)
    if isinstance(source, Folder) and store.exists() and source.root.samefile(store):
        raise ConfigError(f"source and store are both {store}; name two of them")
    with source:
        work.tell(0, 0, f"asking {made.source} for its index", now=True)
        found = parse_index(_small(work, INDEX_NAME, INDEX_BYTES))
        made.named = len(found.entries)
        for fault in found.faults:
            told = (
                made.healed if fault.reason in _HEALED else made.left if fault.reason == _UNREADABLE else made.refused
            )
            told.add(f"{INDEX_NAME} of the source, {fault.detail}")
        store.mkdir(parents=True, exist_ok=True)
        with holding(store / ".add.lock", waiting=told_to(progress)):
            work.known = known_episodes(store)
            work.hosts = {fold(entry.host_id): str(entry.host_id) for entry in work.known.values()}
            _registry(work)
            try:
                _all(work, sorted(found.entries, key=lambda entry: entry.line))
            finally:  # what lies there is named, whatever stopped the rest
                work.write_lines()
    return made


def _all(work: _Work, entries: list[IndexEntry]) -> None:
    for done, entry in enumerate(entries):
        name = f"{entry.host_id}/{entry.episode_id}"
        work.tell(done, len(entries), name)
        try:
            record = _one(work, entry, partial(_tick, work, done, len(entries), name))
        except _Refused as error:
            work.made.refused.add(f"line {entry.line}: {name}: {error}")
            continue
        except Unfit as error:
            work.made.left.add(f"line {entry.line}: {name}: {error}")
            continue
        except LinkCut as error:
            more = f", and {len(entries) - done - 1} after it were not asked for" if done + 1 < len(entries) else ""
            work.made.left.add(f"line {entry.line}: {name}: the link broke {_TRIES} times ({error}){more}")
            work.made.left.n += len(entries) - done - 1
            return
        if record is not None:
            work.records.append(record)
        if len(work.records) == _AT_ONCE:
            work.write_lines()


def _tick(work: _Work, done: int, of: int, name: str, n_bytes: int) -> None:
    work.tell(done, of, f"{name} ({n_bytes / MIB:.1f} MiB)" if n_bytes >= MIB else name)


def _one(work: _Work, entry: IndexEntry, tick: Callable[[int], None]) -> IndexRecord | None:
    """Puts one tarball in its place; its index record where the own index does not have it."""
    store, target = work.store, work.store / entry.path
    earlier = work.known.get((fold(entry.host_id), fold(entry.episode_id)))
    spelt = work.hosts.get(fold(entry.host_id), entry.host_id)
    if spelt != entry.host_id:
        raise _Refused(f"the store spells its host {spelt}; case tells no two names apart")
    if earlier is not None and (earlier.path, earlier.sha256) != (entry.path, entry.sha256):
        raise _Refused(
            f"the store names another {earlier.path} (sha256 {earlier.sha256[:12]}, the source's {entry.sha256[:12]}), "
            "which stays; give the episode an id of its own"
        )
    most = Limits().file_bytes
    if entry.n_bytes > most:
        raise _Refused(f"{entry.n_bytes} bytes are over the limit of {most} for a tarball")
    if (store / "episodes").is_symlink() or target.parent.is_symlink() or target.is_symlink():
        raise _Refused(f"{entry.path} or its folder is a link in the store; make it a plain one")
    lies_there = target.exists()
    if lies_there and not target.is_file():
        raise _Refused(f"{entry.path} is no plain file in the store; take it away")
    same_size = lies_there and target.stat().st_size == entry.n_bytes
    if same_size and (earlier is not None or file_sha256(target) == entry.sha256):
        work.made.there_already += 1
        return None if earlier is not None else _record(work, entry)
    if lies_there and earlier is None:
        raise _Refused(f"{entry.path} lies in the store with other content, and its index does not name it; move it")
    _fetch(work, entry, target, tick)
    if lies_there:
        work.made.replaced.add(
            f"{entry.path} had another size than the store's own index says; fetched anew and replaced"
        )
    work.made.fetched += 1
    work.made.n_bytes += entry.n_bytes
    return None if earlier is not None else _record(work, entry)


def _fetch(work: _Work, entry: IndexEntry, target: Path, tick: Callable[[int], None]) -> None:
    sweep(target.parent, target.name)
    for attempt in range(_TRIES):
        try:
            with replacing(target) as temporary:
                work.source.fetch(entry.path, temporary, entry.n_bytes, tick)
                size = temporary.stat().st_size
                if size != entry.n_bytes:
                    more = "more" if size > entry.n_bytes else f"{size}"
                    raise Unfit(f"the index says {entry.n_bytes} bytes and {more} came: it changed at the source")
                if (found := file_sha256(temporary)) != entry.sha256:
                    raise Unfit(
                        f"its sha256 is {found[:12]} and the index says {entry.sha256[:12]}: it changed at the source"
                    )
            return
        except LinkCut:
            work.made.cuts += 1
            if attempt + 1 == _TRIES:
                raise
            _wait(work, _WAIT_S * 2**attempt, entry.path)


def _wait(work: _Work, seconds: float, path: str) -> None:
    work.tell(0, 0, f"the link broke; {path} is asked for again in {seconds:.0f} s", now=True)
    work.sleep(seconds)


def _record(work: _Work, entry: IndexEntry) -> IndexRecord:
    """The line of an episode, of what was understood of the source's and nothing else."""
    work.known[fold(entry.host_id), fold(entry.episode_id)] = entry
    work.hosts.setdefault(fold(entry.host_id), str(entry.host_id))
    optional = {
        "profile": entry.profile,
        "sample_name": entry.sample_name,
        "received_wall_ns": entry.received_wall_ns,
    }
    return {
        "episode_id": entry.episode_id,
        "host_id": entry.host_id,
        "path": entry.path,
        "bytes": entry.n_bytes,
        "sha256": entry.sha256,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _registry(work: _Work) -> None:
    """The source's registry where the store has none; what differs is named, and stays."""
    made, own = work.made, work.store / REGISTRY_NAME
    try:
        raw = _small(work, REGISTRY_NAME, _REGISTRY_BYTES)
    except NotThere:
        return
    except StoreError as error:
        made.left.add(f"{REGISTRY_NAME}: {error}")
        return
    if own.exists() or own.is_symlink():
        if not own.is_file() or own.read_bytes() != raw:
            made.registry = f"the source's {REGISTRY_NAME} differs from the store's, which stays as it is"
        return
    try:
        parse_registry(raw)
    except RegistryError as error:
        made.refused.add(f"{REGISTRY_NAME} of the source: {error}")
        return
    write_bytes(own, raw)
    made.registry = f"{REGISTRY_NAME} was copied: the store had none"


def _small(work: _Work, path: str, most: int) -> bytes:
    """A file of the source that is read at once; tried again where the link breaks."""
    with tempfile.TemporaryDirectory(prefix="rls-") as folder:
        file = Path(folder) / "file"
        for attempt in range(_TRIES):
            try:
                file.touch()
                work.source.fetch(path, file, most, lambda _: work.tell(0, 0, f"reading {path} of the source"))
                break
            except NotThere:
                if path == INDEX_NAME:
                    raise StoreError(
                        f"source {work.made.source} has no {path}; name a store: the folder that {path} lies in"
                    ) from None
                raise
            except Unfit as error:
                raise StoreError(f"source {work.made.source}: {error}; give read permission") from None
            except LinkCut:
                work.made.cuts += 1
                if attempt + 1 == _TRIES:
                    raise
                _wait(work, _WAIT_S * 2**attempt, path)
        if file.stat().st_size > most:
            raise StoreError(f"{path} of source {work.made.source} has over {most} bytes; split the store")
        return file.read_bytes()


class _Refused(Exception):
    """Why an episode does not come in."""
