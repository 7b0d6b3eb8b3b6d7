"""What is out of date of a host's verdicts: told from the ledger and the tarballs' stamps, without decoding any.

What does not belong here: reaching verdicts anew (`validate.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from rlstir_core.atomic import canonical_sha256, file_sha256
from rlstir_core.contract import members
from rlstir_core.contract.registry import Registry
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.store.index import IndexEntry, StoreIndex
from rlstir_core.episodes.validation.decoded import Known, Stamp, read_ledger, stamp_of
from rlstir_core.episodes.validation.verdicts import ValidationRow
from rlstir_core.results.layout import Layout
from rlstir_core.results.versions import version

NO_STAMP: Stamp = (-1, 0, 0, 0)  # no file has it
# the log formats that the version of rows stands for; later ones are hashed by name
_LOGS_OF_VERSION = frozenset({"audit", "syslog", "journald", "windows_json", "evtx"})


class HostChanges(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a host's episodes have no verdict yet, have another content than it speaks of, or are gone."""

    new: int = 0
    changed: int = 0
    gone: int = 0
    lost: bool = False  # the verdicts themselves are not there

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.gone or self.lost)


def host_changes(
    store: Path,
    layout: Layout,
    host: str,
    *,
    registry: Registry,
    index: StoreIndex,
    limits: Limits | None = None,
) -> HostChanges:
    """What `validate_host` would find; nothing is decoded to tell."""
    decode = decode_sha256(registry, limits)
    known = read_ledger(layout.validation(host)).episodes
    entries = {entry.episode_id: entry for entry in index.of_host(host)}
    changed = sum(
        not still_holds(
            known[episode],
            stamp_of(store / entry.path),
            store,
            entry,
            layout.rows(host, episode),
            decode,
        )
        for episode, entry in entries.items()
        if episode in known
    )
    return HostChanges(
        new=len(entries.keys() - known.keys()),
        changed=changed,
        gone=len(known.keys() - entries.keys()),
        lost=not layout.validation(host).exists(),
    )


def decode_sha256(registry: Registry, limits: Limits | None = None) -> str:
    """The hash of everything but the tarball that decides what reading it gives."""
    later = [log.name for log in members.LOGS if log.format not in _LOGS_OF_VERSION]
    return canonical_sha256([registry, limits or Limits(), version("rows"), *later])


def known_of(row: ValidationRow, stamp: Stamp) -> Known:
    """The ledger's view of a row."""
    seen = (row.index_sha256, row.n_bytes, row.sha256, row.decode_sha256)
    return Known(stamp, *seen, row.usable, bool(row.log_bytes))


def still_holds(before: Known, stamp: Stamp, store: Path, entry: IndexEntry, kept: Path, decode: str) -> bool:
    """Whether decoding the episode again would give what is there."""
    return (
        (before.decode_sha256, before.index_sha256, before.n_bytes) == (decode, entry.sha256, entry.n_bytes)
        and (not before.usable or kept.exists())
        and (before.stamp == stamp or (bool(before.sha256) and hash_of(store / entry.path) == before.sha256))
    )


Reached = dict[str, tuple[ValidationRow, Known]]  # verdicts by episode, each with what it was reached from


def holding_still(
    reached: Reached,
    store: Path,
    layout: Layout,
    entries: Mapping[str, IndexEntry],
    stamps: Mapping[str, Stamp],
    decode: str,
) -> Reached:
    """Of these verdicts those that are in the index still, and that decoding again would not change."""
    return {
        episode: (row, before)
        for episode, (row, before) in reached.items()
        if (entry := entries.get(episode)) is not None
        and still_holds(before, stamps[episode], store, entry, layout.rows(entry.host_id, episode), decode)
    }


def hash_of(path: Path) -> str:
    try:
        return file_sha256(path) if path.stat().st_size <= Limits().file_bytes else ""
    except OSError:
        return ""
