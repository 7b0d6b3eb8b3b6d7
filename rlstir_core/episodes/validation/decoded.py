"""The ledger of a host: from which bytes, and under which rules, each of its verdicts was reached.

It saves work and decides nothing else. It speaks of one file of verdicts, whose hash it carries: where the two
do not belong together (a run was killed between them, a file was put back), the ledger is not believed and
tarballs are hashed again. What does not belong here: the verdicts (`verdicts.py`).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from rlstir_core.atomic import file_sha256, write_bytes

_NAME = "_ledger.json"  # Parquet readers pass over names that begin with an underscore

Stamp = tuple[int, int, int, int]
_ABSENT: Stamp = (0, 0, 0, 0)


class Known(msgspec.Struct, frozen=True, array_like=True):
    """What one verdict was reached from."""

    stamp: Stamp  # of the tarball as it was read
    index_sha256: str
    n_bytes: int
    sha256: str  # of the file as it was read; empty when it could not be read to its end
    decode_sha256: str
    usable: bool
    has_logs: bool


class HostLedger(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of every episode of a host."""

    verdicts_sha256: str = ""
    episodes: dict[str, Known] = {}


def read_ledger(verdicts: Path) -> HostLedger:
    """The ledger beside a host's verdicts; an empty one where it is lost or speaks of other verdicts."""
    try:
        ledger = msgspec.json.decode(verdicts.with_name(_NAME).read_bytes(), type=HostLedger)
        return ledger if file_sha256(verdicts) == ledger.verdicts_sha256 else HostLedger()
    except (OSError, msgspec.MsgspecError):
        return HostLedger()


def write_ledger(verdicts: Path, episodes: dict[str, Known]) -> None:
    """Notes what the verdicts that now stand there were reached from."""
    ledger = HostLedger(verdicts_sha256=file_sha256(verdicts), episodes=episodes)
    write_bytes(verdicts.with_name(_NAME), msgspec.json.encode(ledger, order="sorted"))


def stamp_of(path: Path) -> Stamp:
    """Size, times and inode of a file: where they are the same, so are its bytes."""
    try:
        info = path.lstat()
    except OSError:
        return _ABSENT
    return (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)


def is_there(stamp: Stamp) -> bool:
    """Whether there was a file when its stamp was taken."""
    return stamp != _ABSENT
