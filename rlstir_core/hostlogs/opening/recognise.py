"""What a file is, by its content: which log format, which container, or neither.

No file name and no flag is asked; each format's spec says how its files begin. What does not belong here: reading the
format (its own module).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from rlstir_core.hostlogs.parsers import specs
from rlstir_core.hostlogs.spec import Head

Container = Literal["zip", "tar", "gzip", "xz", "bzip2", "zstd"]

HEAD = 1 << 16  # bytes of a file's beginning that are looked at

_CONTAINERS: tuple[tuple[bytes, Container], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_TAR_MAGIC = (257, b"ustar")


class Guess(msgspec.Struct, frozen=True):
    """What a file is; both are None where it is nothing that is known."""

    log: str | None = None  # the format
    container: Container | None = None


UNKNOWN = Guess()


def recognise(head: bytes) -> Guess:
    """What a file whose first bytes (`HEAD` of them, or all) are `head` is."""
    known = specs()
    for spec in known:
        if spec.magic and head.startswith(spec.magic):
            return Guess(log=spec.format)
    for magic, container in _CONTAINERS:
        if head.startswith(magic):
            return Guess(container=container)
    if head[_TAR_MAGIC[0] :].startswith(_TAR_MAGIC[1]):
        return Guess(container="tar")
    text = Head(head)
    for spec in known:
        if spec.recognised is not None and spec.recognised(text):
            return Guess(log=spec.format)
    return UNKNOWN
