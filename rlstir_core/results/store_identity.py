"""Which store a data folder belongs to, remembered by what the store holds and not by where it lies.

A store may be moved, mounted elsewhere and get new episodes: it is the same as long as one of the remembered
episodes is still in its index. The stamp of the index lets an unchanged one go unread. What does not belong here:
reading an index, and what is refused (`episodes/store/binding.py`).
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from pathlib import Path

import msgspec

from rlstir_core.atomic import sweep, write_json

FORMAT = 1
_ANCHORS = 1024  # enough that a store whose older half is thrown away is still known

Content = tuple[str, str, str]  # host, episode, sha256 of the tarball
IndexStamp = tuple[int, int, int]  # size, time and inode of the index
NO_STAMP: IndexStamp = (-1, 0, 0)  # no index has it


class StoreIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What a data folder remembers of its store."""

    format: int = FORMAT
    anchors: tuple[str, ...]  # the smallest hashes of its episodes
    n_episodes: int
    hosts: tuple[str, ...]
    stamp: IndexStamp = NO_STAMP

    def knows(self, contents: Iterable[Content]) -> bool:
        """Whether one of these episodes is remembered."""
        anchors = set(self.anchors)
        return any(_anchor(content) in anchors for content in contents)

    def n_known(self, contents: Iterable[Content]) -> int:
        """How many of the remembered episodes are among these."""
        return len(set(self.anchors).intersection(map(_anchor, contents)))

    def without_stamp(self) -> StoreIdentity:
        return msgspec.structs.replace(self, stamp=NO_STAMP)


def identity_of(
    contents: Iterable[Content], *, n_episodes: int, hosts: Iterable[str], stamp: IndexStamp = NO_STAMP
) -> StoreIdentity:
    """The identity of a store that names `contents`, of which `n_episodes` of `hosts` can be read."""
    smallest = heapq.nsmallest(_ANCHORS, map(_anchor, contents))
    return StoreIdentity(anchors=tuple(smallest), n_episodes=n_episodes, hosts=tuple(sorted(hosts)), stamp=stamp)


def read_identity(path: Path) -> StoreIdentity | None:
    """What `write_identity` wrote; None where it did not, or where it cannot be understood."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=StoreIdentity)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return found if found.format == FORMAT else None


def write_identity(path: Path, identity: StoreIdentity) -> None:
    """Writes the identity, whole or not at all."""
    sweep(path.parent, path.name)
    write_json(path, identity)


def stamp_of_index(index: Path) -> IndexStamp:
    """Size, time and inode: where they are the same, so are the index's bytes."""
    info = index.stat()
    return (info.st_size, info.st_mtime_ns, info.st_ino)


def _anchor(content: Content) -> str:
    return hashlib.sha256("/".join(content).encode()).hexdigest()
