"""The members of a tar stream, strictly: plain files with safe names, each at most once.

Ustar and plain GNU headers are read from 512-byte blocks; directory entries for `.` and `logs`, a leading
`./`, and pax headers that only set times and owners are accepted, because honest tools write them. All else
is refused. Nothing touches the disk. What does not belong here: decompression and what members hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rlstir_core.contract.reasons import EpisodeRejected, ReasonCode
from rlstir_core.episodes.limits import Limits
from rlstir_core.ids import fold
from rlstir_core.text import shown

_BLOCK = 512
_ZERO = bytes(_BLOCK)
_NAME = re.compile(r"(?:logs/)?[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_FOLDERS = {".", "./", "logs", "logs/", "./logs", "./logs/"}
_PAX_KEYS = {"mtime", "atime", "ctime", "uid", "gid", "uname", "gname"}
_OCTAL = re.compile(rb" *([0-7]{1,11})[ \0]*")
_USTAR, _GNU = b"ustar\x0000", b"ustar  \x00"
_KINDS = {
    b"1": "a hard link",
    b"2": "a symlink",
    b"3": "a device",
    b"4": "a device",
    b"6": "a fifo",
    b"7": "a contiguous file",
    b"D": "a GNU folder dump",
    b"K": "a GNU long link",
    b"L": "a GNU long name",
    b"M": "a continued file",
    b"S": "a sparse file",
    b"V": "a volume label",
    b"X": "a Solaris extended header",
    b"g": "a global pax header",
}


def members(stream: Iterable[bytes], limits: Limits) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """(name, size, chunks) of every file member in turn; what is left of a member is skipped.

    EpisodeRejected with an `archive.*` reason at the first thing that is not allowed.
    """
    tape = _Tape(stream)
    names: dict[str, str] = {}
    n_headers, after_pax = 0, False
    while True:
        block = tape.take(_BLOCK)
        if block == _ZERO:
            break
        n_headers += 1
        if n_headers > limits.members:
            raise EpisodeRejected(
                ReasonCode.ARCHIVE_MEMBERS, f"more than {limits.members} tar headers; send fewer members"
            )
        name, size, kind = _header(block)
        if kind == b"x":
            if after_pax:
                raise EpisodeRejected(ReasonCode.ARCHIVE_PAX, "two pax headers for one member; send plain members")
            _check_pax(tape, name, size, limits)
            after_pax = True
            continue
        after_pax = False
        if kind == b"5":
            if name not in _FOLDERS or size:
                raise EpisodeRejected(
                    ReasonCode.ARCHIVE_FOLDER,
                    f"folder {shown(name)} is not '.' or 'logs'; pack the known members only",
                )
            continue
        if kind not in (b"0", b"\0"):
            what = _KINDS.get(kind, f"of type {shown(kind)}")
            raise EpisodeRejected(
                ReasonCode.ARCHIVE_MEMBER_TYPE, f"{shown(name)} is {what}; an episode holds plain files only"
            )
        name = _safe_member(name)
        if twin := names.get(fold(name)):
            raise EpisodeRejected(
                ReasonCode.ARCHIVE_DUPLICATE, f"member {name} comes again (as {twin}); send each member once"
            )
        names[fold(name)] = name
        body = tape.stream(size)
        yield name, size, body
        for _ in body:
            pass
        tape.skip(-size % _BLOCK)
    if after_pax:
        raise EpisodeRejected(ReasonCode.ARCHIVE_PAX, "a pax header stands before no member; send the file again")
    tape.expect_only_zeros()


def _header(block: bytes) -> tuple[str, int, bytes]:
    """Name, size and type flag of a header block whose checksum holds."""
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    if _octal(block[148:156], "checksum") != total:
        raise EpisodeRejected(
            ReasonCode.ARCHIVE_CHECKSUM, "a tar header's checksum does not match; send the file again"
        )
    magic, kind = block[257:265], block[156:157]
    if magic not in (_USTAR, _GNU):
        raise EpisodeRejected(ReasonCode.ARCHIVE_HEADER, f"tar magic {shown(magic)} is unknown; use the ustar format")
    raw = _text(block[:100])
    prefix = _text(block[345:500]) if magic == _USTAR else b""
    if magic == _GNU and any(block[345:500]):
        raise EpisodeRejected(ReasonCode.ARCHIVE_HEADER, "a GNU header carries extra fields; use the ustar format")
    if prefix:
        raw = prefix + b"/" + raw
    name = raw.decode("latin-1")
    if kind in (b"0", b"\0") and any(block[157:257]):
        raise EpisodeRejected(ReasonCode.ARCHIVE_HEADER, f"{shown(name)} carries a link target; send plain files only")
    return name, _octal(block[124:136], "size"), kind


def _octal(field: bytes, what: str) -> int:
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise EpisodeRejected(
            ReasonCode.ARCHIVE_HEADER, f"a tar header's {what} {shown(field)} is no octal number; use the ustar format"
        )
    return int(match[1], 8)


def _text(field: bytes) -> bytes:
    """The field up to its first NUL; what follows must be NUL as well, or readers would disagree about it."""
    text, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise EpisodeRejected(
            ReasonCode.ARCHIVE_HEADER, f"a tar name goes on after a NUL: {shown(field)}; rename the member"
        )
    return text


def _safe_member(name: str) -> str:
    plain = name.removeprefix("./")
    if _NAME.fullmatch(plain) is None or ".." in plain:
        raise EpisodeRejected(
            ReasonCode.ARCHIVE_MEMBER_NAME,
            f"member name {shown(name)} is not safe; use the member names of an episode",
        )
    return plain


def _check_pax(tape: _Tape, name: str, size: int, limits: Limits) -> None:
    """Refuses a pax header unless all its records only set times and owners (POSIX pax, `%d %s=%s\\n`)."""
    if size > limits.pax_bytes:
        raise EpisodeRejected(
            ReasonCode.ARCHIVE_PAX, f"pax header {shown(name)} has {size} bytes, over {limits.pax_bytes}"
        )
    data = b"".join(tape.stream(size))
    tape.skip(-size % _BLOCK)
    seen = set()
    while data:
        digits, space, _ = data[:8].partition(b" ")
        length = int(digits) if digits.isdigit() and digits.isascii() and space else 0
        record, data = data[:length], data[length:]
        key, equals, _ = record[len(digits) + 1 : -1].partition(b"=")
        if len(record) != length or not record.endswith(b"\n") or not equals:
            raise EpisodeRejected(ReasonCode.ARCHIVE_PAX, f"pax header {shown(name)} is malformed; send the file again")
        text = key.decode("latin-1")
        if text not in _PAX_KEYS or text in seen:
            raise EpisodeRejected(
                ReasonCode.ARCHIVE_PAX,
                f"pax header {shown(name)} sets {shown(text)}; only times and owners are allowed",
            )
        seen.add(text)


class _Tape:
    """A stream of chunks, read by length."""

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = iter(stream)
        self._chunk = b""
        self._at = 0

    def take(self, n: int) -> bytes:
        return b"".join(self.stream(n))

    def skip(self, n: int) -> None:
        for _ in self.stream(n):
            pass

    def stream(self, n: int) -> Iterator[bytes]:
        while n > 0:
            if self._at == len(self._chunk):
                self._next()
            piece = self._chunk[self._at : self._at + n]
            self._at += len(piece)
            n -= len(piece)
            yield piece

    def expect_only_zeros(self) -> None:
        """The rest of the stream must be at least one more zero block, and nothing but whole zero blocks."""
        n = 0
        rest = self._chunk[self._at :]
        while True:
            if rest != bytes(len(rest)):
                raise EpisodeRejected(
                    ReasonCode.ARCHIVE_TRAILING_BYTES, "data follows the end of the tar; send it without"
                )
            n += len(rest)
            try:
                rest = next(self._stream)
            except StopIteration:
                break
        if n < _BLOCK or n % _BLOCK:
            raise EpisodeRejected(ReasonCode.ARCHIVE_TRUNCATED, "the tar has no proper end; send the file again")

    def _next(self) -> None:
        try:
            self._chunk, self._at = next(self._stream), 0
        except StopIteration:
            raise EpisodeRejected(
                ReasonCode.ARCHIVE_TRUNCATED, "the tar ends inside a member; send the file again"
            ) from None
