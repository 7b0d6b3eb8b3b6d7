"""A store's index and its tarballs: which episodes there are, and what is wrong with the index.

Every readable record is kept, every unreadable one is named with its line. What does not belong here: opening
a tarball.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rlstir_core.atomic import sweep, write_json
from rlstir_core.contract.reasons import ReasonCode
from rlstir_core.episodes.limits import MIB
from rlstir_core.episodes.reading.strict import parse_line
from rlstir_core.episodes.store.writer import INDEX_NAME
from rlstir_core.errors import InvalidId, StoreError, UpstreamMissing
from rlstir_core.ids import EpisodeId, HostId, SafeName, episode_id, fold, host_id, is_safe, safe_name
from rlstir_core.remedies import how_to_make
from rlstir_core.text import printable, shown

SUFFIX = ".tar.zst"
INDEX_BYTES = 256 * MIB
_NESTING = 8
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """One episode that the index names; `path` is relative to the store."""

    episode_id: EpisodeId
    host_id: HostId
    path: str
    n_bytes: int
    sha256: str
    profile: SafeName | None = None
    sample_name: SafeName | None = None
    received_wall_ns: int | None = None
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class StoreFault:
    """Something wrong at a line of the index, or (line 0) with what lies there; `path` is the tarball's, printable."""

    line: int
    reason: ReasonCode
    detail: str
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class StoreIndex:
    """What the index says, what is wrong with it, and tarballs that it does not name."""

    entries: tuple[IndexEntry, ...]
    faults: tuple[StoreFault, ...]
    orphans: tuple[str, ...]
    n_lines: int = 0  # that are not blank
    missing: tuple[IndexEntry, ...] = ()  # named, but their tarball is not there

    @property
    def hosts(self) -> tuple[HostId, ...]:
        return tuple(sorted({entry.host_id for entry in self.entries}))

    def of_host(self, host: str) -> tuple[IndexEntry, ...]:
        """The episodes of one host, by name."""
        return tuple(sorted((e for e in self.entries if e.host_id == host), key=lambda e: e.episode_id))


def read_index(store: Path) -> StoreIndex:
    """The index of `store` with its tarballs; StoreError when there is nothing to read at all."""
    found = parse_index(_index_bytes(store))
    tarballs, faults = _tarballs(store)
    named = {entry.path for entry in found.entries}
    entries, missing = [], []
    for entry in found.entries:
        if entry.path in tarballs:
            entries.append(entry)
        else:
            missing.append(entry)
            detail = f"line {entry.line}: {entry.path} is not there (or is a link); send the episode again"
            faults.append(
                StoreFault(line=entry.line, reason=ReasonCode.INDEX_MISSING_FILE, detail=detail, path=entry.path)
            )
    orphans = tuple(sorted(tarballs - named))
    if not entries and not orphans and not found.faults and not faults:
        raise StoreError(f"store {store} is empty: its index names no episode; {_remedy(store)}")
    ordered = tuple(sorted((*found.faults, *faults), key=lambda fault: fault.line))
    return StoreIndex(
        entries=tuple(entries), faults=ordered, orphans=orphans, n_lines=found.n_lines, missing=tuple(missing)
    )


def named_entries(store: Path) -> tuple[IndexEntry, ...]:
    """Every episode that the index of `store` names, be its tarball there or not; StoreError when it names none."""
    found = parse_index(_index_bytes(store))
    if found.entries:
        return found.entries
    if found.n_lines:
        first = found.faults[0].detail if found.faults else "nothing in it is an episode"
        raise StoreError(
            f"no line of {store / INDEX_NAME} names an episode ({first}); write the index again or name another store"
        )
    raise StoreError(f"store {store} is empty: its index names no episode; {_remedy(store)}")


def _index_bytes(store: Path) -> bytes:
    path = store / INDEX_NAME
    if not store.is_dir():
        raise StoreError(f"store {store} is not a folder; {_remedy(store)}")
    if not path.is_file():
        raise StoreError(f"store {store} has no {INDEX_NAME}; {_remedy(store)}")
    if path.stat().st_size > INDEX_BYTES:
        raise StoreError(f"{path} has {path.stat().st_size} bytes, over {INDEX_BYTES}; split the store")
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}); give read permission") from None


def _remedy(store: Path) -> str:
    return f"make episodes with `rlstir lab generate --store {store}`, `rlstir add` or `rlstir import`, or name another"


def parse_index(raw: bytes) -> StoreIndex:
    """The records in the bytes of an index, in their order; of a repeated episode the last one is used."""
    entries: dict[tuple[str, str], IndexEntry] = {}
    faults: list[StoreFault] = []
    hosts: dict[str, IndexEntry] = {}

    def fault(line: int, reason: ReasonCode, detail: str, path: str = "") -> None:
        text = printable(f"line {line}: {detail}")
        faults.append(StoreFault(line=line, reason=reason, detail=text, path=path))

    lines = raw.split(b"\n")
    for number, content in enumerate(lines, 1):
        if not content.strip():
            continue
        line = parse_line(content, _NESTING)
        if line.n_damaged:
            what = "half a record at the end" if number == len(lines) else "unreadable text"
            kept = f", {len(line.objects)} readable records kept" if line.objects else ""
            fault(number, ReasonCode.INDEX_UNREADABLE, f"{what} ({line.fault}){kept}; write one JSON object a line")
        elif len(line.objects) > 1:
            words = {2: "two records in one line, both kept"}
            n = len(line.objects)
            fault(number, ReasonCode.INDEX_TORN, words.get(n, f"{n} records in one line, all kept"))
        for record in line.objects:
            try:
                entry = _entry(record, number)
            except (InvalidId, StoreError) as error:
                fault(number, ReasonCode.INDEX_FORM, f"{error}")
                continue
            key = (fold(entry.host_id), fold(entry.episode_id))
            earlier = entries.get(key)
            spelt = hosts.setdefault(fold(entry.host_id), entry)
            if spelt.host_id != entry.host_id:
                detail = (
                    f"{entry.path} is of a host that differs from {spelt.host_id} (line {spelt.line}) only in case; "
                    "rename it"
                )
                fault(number, ReasonCode.INDEX_CASE_TWIN, detail, entry.path)
            elif earlier is None:
                entries[key] = entry
            elif (earlier.host_id, earlier.episode_id) != (entry.host_id, entry.episode_id):
                detail = f"{entry.path} differs from {earlier.path} (line {earlier.line}) only in case; rename it"
                fault(number, ReasonCode.INDEX_CASE_TWIN, detail, entry.path)
            else:
                same = (earlier.sha256, earlier.n_bytes) == (entry.sha256, entry.n_bytes)
                how = "the same again" if same else "with other content, which is used"
                fault(number, ReasonCode.INDEX_REPEATED, f"{entry.path} was named in line {earlier.line}, {how}")
                entries[key] = entry
    n_lines = sum(bool(content.strip()) for content in lines)
    return StoreIndex(entries=tuple(entries.values()), faults=tuple(faults), orphans=(), n_lines=n_lines)


def save_index(path: Path, index: StoreIndex) -> None:
    """Writes what was read of the index, for the steps after it."""
    sweep(path.parent, path.name)
    write_json(path, index)


def load_index(path: Path) -> StoreIndex:
    """What `save_index` wrote; UpstreamMissing where it did not."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=StoreIndex)
    except (FileNotFoundError, msgspec.DecodeError):
        raise UpstreamMissing(f"{path} is missing; make it with: {how_to_make('episode_index')}") from None


def _entry(record: dict[str, Any], line: int) -> IndexEntry:
    host, episode = host_id(record.get("host_id")), episode_id(record.get("episode_id"))
    path = f"episodes/{host}/{episode}{SUFFIX}"
    given = record.get("path")
    if given != path:
        raise StoreError(f"path {shown(given)} is not {path}; keep episodes at that place")
    n_bytes, sha256, received = record.get("bytes"), record.get("sha256"), record.get("received_wall_ns")
    if type(n_bytes) is not int or n_bytes < 0:
        raise StoreError(f"bytes {shown(n_bytes)} of {path} is no size; write the file's size")
    if not isinstance(sha256, str) or _SHA256.fullmatch(sha256.lower()) is None:
        raise StoreError(f"sha256 {shown(sha256)} of {path} is not 64 hex digits; write the file's sha256")
    if received is not None and type(received) is not int:
        raise StoreError(f"received_wall_ns {shown(received)} of {path} is no integer; write nanoseconds")
    profile, sample = record.get("profile"), record.get("sample_name")
    return IndexEntry(
        episode_id=episode,
        host_id=host,
        path=path,
        n_bytes=n_bytes,
        sha256=sha256.lower(),
        profile=None if profile is None else safe_name(profile, "profile"),
        sample_name=None if sample is None else safe_name(sample, "sample_name"),
        received_wall_ns=received,
        line=line,
    )


def _tarballs(store: Path) -> tuple[set[str], list[StoreFault]]:
    """Every `episodes/<host>/<episode>.tar.zst` that is a plain file under plain folders, links left out."""
    found: set[str] = set()
    faults: list[StoreFault] = []
    root = store / "episodes"
    if root.is_symlink() or not root.is_dir():
        return found, faults
    for folder in sorted(root.iterdir()):
        if folder.is_symlink() or not folder.is_dir():
            if folder.is_symlink():
                faults.append(_stray(f"episodes/{folder.name}", "is a link", is_tarball=False))
            continue
        for file in sorted(folder.iterdir()):
            name = file.name
            if not name.endswith(SUFFIX) or name.startswith("."):
                continue
            if file.is_symlink() or not file.is_file():
                faults.append(_stray(f"episodes/{folder.name}/{name}", "is no plain file"))
            elif is_safe(folder.name) and is_safe(name.removesuffix(SUFFIX)):
                found.add(f"episodes/{folder.name}/{name}")
            else:
                faults.append(_stray(f"episodes/{folder.name}/{name}", "has an unsafe name"))
    return found, faults


def _stray(path: str, what: str, is_tarball: bool = True) -> StoreFault:
    detail = printable(f"{path} {what}; put a plain file with a safe name there")
    return StoreFault(line=0, reason=ReasonCode.INDEX_PATH, detail=detail, path=printable(path) if is_tarball else "")
