"""What a file is, by its content: which log format, which container, or neither.

No file name and no flag is asked. A binary format and a container begin with bytes of their own; a text is of the
format whose reader reads the beginning of it, so that nothing is recognised that is not read, or the other way round.
What does not belong here: reading the format (its own module).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from rlstir_core.hostlogs.opening.encodings import utf8
from rlstir_core.hostlogs.opening.frames import Compression, compression_of
from rlstir_core.hostlogs.parsers import specs
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.spec import ParserSpec

Container = Literal["zip", "tar"] | Compression

HEAD = 1 << 16  # bytes of a file's beginning that are looked at

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_TAR_MAGIC = (257, b"ustar")
_ENOUGH = 50  # rows; if nearly all of them are read, no other format is tried
_NEARLY_ALL = 0.95
_LEAST = 0.5  # of the rows from the first that is read on


class Guess(msgspec.Struct, frozen=True):
    """What a file is; both are None where it is nothing that is known."""

    log: str | None = None  # the format
    container: Container | None = None


UNKNOWN = Guess()
_UNPACK = "which is not opened here; unpack it, or pack it with gzip, xz or zstd"
_FOREIGN: dict[bytes, str] = {
    b"7z\xbc\xaf\x27\x1c": f"a 7z archive, {_UNPACK}",
    b"Rar!\x1a\x07": f"a rar archive, {_UNPACK}",
    b"\x04\x22\x4d\x18": f"packed with lz4, {_UNPACK}",
    b"\x1f\x9d": f"packed with compress, {_UNPACK}",
    b"\x5d\x00\x00": f"packed with lzma, {_UNPACK}",
    b"LPKSHHRH": "a journal in systemd's own form; write it out with journalctl --file NAME -o export",
}


def foreign(head: bytes) -> str:
    """What a file with these first bytes is, where it may well hold logs that are not read; else empty."""
    return next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), "")


def recognise(head: bytes) -> Guess:
    """What a file whose first bytes (`HEAD` of them, or all) are `head` is."""
    known = specs()
    for spec in known:
        if spec.magic and head.startswith(spec.magic):
            return Guess(log=spec.format)
    if container := container_of(head):
        return Guess(container=container)
    text = b"".join(utf8((head,)))
    best, most = UNKNOWN, (0.0, 0)
    for spec in known:
        if spec.magic:
            continue
        found = _tried(spec, text, cut=len(head) >= HEAD)
        if found > most:
            best, most = Guess(log=spec.format), found
        if found[0] >= _NEARLY_ALL and found[1] >= _ENOUGH:
            break
    return best if most[0] >= _LEAST else UNKNOWN


def is_binary(head: bytes) -> bool:
    """Whether a file with these first bytes is a log that is no text, or packed in a way that is not opened."""
    return bool(foreign(head)) or any(spec.magic and head.startswith(spec.magic) for spec in specs())


def container_of(head: bytes) -> Container | None:
    """The container that a file with these first bytes is; None where it is none."""
    if head.startswith(_ZIP):
        return "zip"
    if compression := compression_of(head):
        return compression
    return "tar" if head[_TAR_MAGIC[0] :].startswith(_TAR_MAGIC[1]) or _is_old_tar(head) else None


def _is_old_tar(head: bytes) -> bool:
    """Whether a tar begins that is older than its magic: its header's sum is right. AIX and Solaris write such."""
    said = head[148:156].strip(b" \0")
    if len(head) < 512 or not head[0] or not said.isdigit() or b"8" in said or b"9" in said:
        return False
    return int(said, 8) == sum(head[:148]) + sum(b" " * 8) + sum(head[156:512])


def _tried(spec: ParserSpec, text: bytes, cut: bool) -> tuple[float, int]:
    """How much of a text the format's reader reads: the share from the first row that it reads on, and how many.

    What stands before that row may be the end of something, such as a stack trace whose first lines were rotated away.
    """
    if cut:
        text = text[: text.rfind(b"\n") + 1] or text
    said = [row.parsed for row in spec.rows((text,), LogContext())]
    if cut and said and not said[-1]:
        said.pop()  # the last value may be torn where the sample ends
    if True not in said:
        return 0.0, 0
    rest = said[said.index(True) :]
    n = sum(rest)
    return n / len(rest), n
