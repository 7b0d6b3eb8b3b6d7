"""The files inside a path: a file, a folder, a zip, a tar or a compressed file, and those inside each other.

Nothing is extracted to disk and no link is followed; what comes out is counted and bounded, and what cannot be read is
named beside what can. Names are bytes: those that are no UTF-8 are shown escaped. What does not belong here: what the
files are (`recognise.py`) and how compressed data is read (`frames.py`).
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self, cast

from rlstir_core.errors import StoreError
from rlstir_core.hostlogs.opening.frames import Compression, Frames
from rlstir_core.hostlogs.opening.recognise import HEAD, UNKNOWN, Guess, foreign, recognise
from rlstir_core.hostlogs.times.evidence import earlier

_CHUNK = 1 << 18
_HOLE = 512  # bytes; no encoding and no block of a tar is broken where so many go
_NS = 1_000_000_000
_ZIP_END, _ZIP_END_BYTES = b"PK\x05\x06", 22
_PADDING = b"\0\r\n "  # what copies leave behind a zip
_ZIPS = 100  # one behind the other in one file
_UTF8_FLAG = 0x800
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # an encrypted zip, or (a subclass) a compression that zipfile does not know
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How much is taken out of one path."""

    files: int = 100_000
    file_bytes: int = 1 << 30
    total_bytes: int = 16 << 30
    nesting: int = 3


@dataclass(frozen=True, kw_only=True)
class Found:
    """One file that is no container, or (`fault`) what could not be read, or (`passed`) what is no file."""

    name: str  # the path inside what was asked for, `/` between folders and containers, printable
    data: bytes = b""
    guess: Guess = UNKNOWN
    modified_ns: int | None = None
    fault: str = ""  # `data` is empty then; what could be read of the same file came before it
    passed: str = ""  # `a link`, `no plain file`


def files(path: Path, bounds: Bounds | None = None) -> Iterator[Found]:
    """Every file in `path`, by name, whatever it is packed in; StoreError where `path` is not there."""
    walk = _Walk(bounds or Bounds())
    if path.is_dir():
        yield from walk.folder(path)
    elif path.is_file():
        yield from walk.file(path, shown_name(os.fsencode(path.name)))
    else:
        raise StoreError(
            f"{shown_name(os.fsencode(path))} is not there or is no file or folder; "
            "name logs, or a folder, zip or tar of logs"
        )


def shown_name(raw: bytes) -> str:
    """A file's name as text: bytes that are no UTF-8 as `\\xe9`, and what cannot be printed escaped."""
    text = raw.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


class _Walk:
    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._left = bounds.total_bytes
        self._n = 0

    def folder(self, path: Path) -> Iterator[Found]:
        """Every file below a folder, in the order of names; a folder that cannot be listed is named."""
        faults: list[OSError] = []
        below = [
            Path(at, name)
            for at, folders, names in os.walk(path, onerror=faults.append)
            for name in (*names, *(each for each in folders if Path(at, each).is_symlink()))
        ]
        for each in sorted(below):
            name = shown_name(os.fsencode(each.relative_to(path).as_posix()))
            if each.is_symlink():
                yield Found(name=name, passed="a link")
            elif not each.is_file():
                yield Found(name=name, passed="no plain file")
            else:
                yield from self.file(each, name)
        for fault in faults:
            listed = shown_name(os.fsencode(str(fault.filename)))
            yield Found(name=listed, fault=f"the folder cannot be listed ({fault.strerror})")

    def file(self, path: Path, name: str) -> Iterator[Found]:
        try:
            with path.open("rb") as handle:
                modified = os.fstat(handle.fileno()).st_mtime_ns
                yield from self._stream(handle, name, modified, 0)
        except _DAMAGED as error:
            yield Found(name=name, fault=_why(error))

    def _stream(self, handle: IO[bytes], name: str, modified: int | None, depth: int) -> Iterator[Found]:
        """The files in a stream that may be a container itself."""
        head = self._head(handle)
        guess = recognise(head)
        self._n += 1
        if self._n > self._bounds.files:
            raise StoreError(f"more than {self._bounds.files} files; name fewer at a time")
        if guess.log is None and (what := foreign(head)):
            yield Found(name=name, fault=what)
        elif guess.container is None:
            yield self._read(head, handle, name, guess, modified)
        elif depth >= self._bounds.nesting:
            yield Found(name=name, guess=guess, fault=f"containers more than {self._bounds.nesting} deep")
        else:
            yield from self._container(cast(IO[bytes], _Rest(head, handle)), name, guess, modified, depth)

    def _head(self, handle: IO[bytes]) -> bytes:
        """The first bytes of a file behind the blocks of zeros that it may begin with.

        A log whose beginning was cut off under its writer has a hole there, which may be longer than all that follows.
        """
        head, n = handle.read(HEAD), 0
        while head and not head.strip(b"\0") and n <= min(self._bounds.file_bytes, self._left):
            more = handle.read(HEAD)
            if not more:
                return head
            head, n = more, n + len(head)
        self._left -= n
        zeros = (len(head) - len(head.lstrip(b"\0"))) // _HOLE * _HOLE
        return head[zeros:] + handle.read(zeros)

    def _container(
        self, handle: IO[bytes], name: str, guess: Guess, modified: int | None, depth: int
    ) -> Iterator[Found]:
        try:
            if guess.container == "zip":
                yield from self._zip(handle, name, depth)
            elif guess.container == "tar":
                yield from self._tar(handle, name, depth)
            else:
                yield from self._compressed(handle, cast(Compression, guess.container), name, modified, depth)
        except _DAMAGED as error:
            yield Found(name=name, guess=guess, fault=_why(error))

    def _compressed(
        self, handle: IO[bytes], kind: Compression, name: str, modified: int | None, depth: int
    ) -> Iterator[Found]:
        """What the frames hold; what of them could not be read is named behind it."""
        frames = Frames(handle, kind)
        opened = cast(IO[bytes], io.BufferedReader(frames, _CHUNK))
        for found in self._stream(opened, name, modified, depth + 1):
            if found.fault and frames.fault:  # a tar whose end is missing says the same again
                continue
            own = found.name == name and frames.modified_s
            yield replace(found, modified_ns=earlier(modified, frames.modified_s * _NS)) if own else found
        if frames.fault:
            yield Found(name=name, fault=frames.fault)

    def _zip(self, handle: IO[bytes], name: str, depth: int) -> Iterator[Found]:
        whole = self._read(b"", handle, name, UNKNOWN, None)
        if whole.fault:
            yield whole
            return
        end = _zip_end(whole.data)
        archives, before = _zips(whole.data[:end])
        for data in archives:
            yield from self._one_zip(data, name, depth)
        if before:
            yield Found(name=name, fault=f"{before} bytes before the zip's first member were not read")
        if whole.data[end:].strip(_PADDING):
            yield Found(name=name, fault=f"{len(whole.data) - end} bytes behind the zip's end were not read")

    def _one_zip(self, data: bytes, name: str, depth: int) -> Iterator[Found]:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in sorted(archive.infolist(), key=lambda each: each.filename):
                kind = info.external_attr >> 16
                if info.is_dir():
                    continue
                inner = f"{name}/{_zip_name(info)}"
                if kind and stat.S_ISLNK(kind):
                    yield Found(name=inner, passed="a link")
                    continue
                try:
                    with archive.open(info) as member:
                        yield from self._stream(member, inner, _zip_time(info), depth + 1)
                except _DAMAGED as error:
                    yield Found(name=inner, fault=_why(error))

    def _tar(self, handle: IO[bytes], name: str, depth: int) -> Iterator[Found]:
        # zeros are no end: archives stand one behind the other where frames were joined
        with tarfile.open(fileobj=handle, mode="r|", tarinfo=_Header, ignore_zeros=True) as archive:
            for info in archive:
                inner = f"{name}/{shown_name(info.name.encode('utf-8', 'surrogateescape'))}"
                member = archive.extractfile(info) if info.isreg() else None
                if member is not None:
                    yield from self._stream(member, inner, int(info.mtime * _NS), depth + 1)
                elif not info.isdir():
                    yield Found(name=inner, passed="a link" if info.issym() or info.islnk() else "no plain file")

    def _read(self, head: bytes, handle: IO[bytes], name: str, guess: Guess, modified: int | None) -> Found:
        """The whole file, unless it is over a bound: then it is named and left out."""
        parts, size = [head], len(head)
        while size <= self._bounds.file_bytes and size <= self._left:
            chunk = handle.read(_CHUNK)
            if not chunk:
                self._left -= size
                return Found(name=name, data=b"".join(parts), guess=guess, modified_ns=modified)
            parts.append(chunk)
            size += len(chunk)
        return Found(name=name, guess=guess, fault=f"over {min(self._bounds.file_bytes, self._left)} bytes; split it")


class _Header(tarfile.TarInfo):
    """A tar header whose damage is an error; `tarfile` takes a later one for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise ValueError(f"a damaged tar header ({error})") from None


class _Rest:
    """A stream whose first bytes were read already: as much of a file as decompressors ask for."""

    def __init__(self, head: bytes, handle: IO[bytes]) -> None:
        self._head, self._handle = head, handle

    def read(self, n: int) -> bytes:
        data, self._head = self._head[:n], self._head[n:]
        return data if len(data) == n else data + self._handle.read(n - len(data))


def _zips(data: bytes) -> tuple[list[bytes], int]:
    """The archives in a file, in their order, and how many bytes before them belong to none.

    A zip's directory stands at its end and knows of nothing before its own members.
    """
    found: list[bytes] = []
    while len(found) < _ZIPS:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                first = min((info.header_offset for info in archive.infolist()), default=0)
        except _DAMAGED:
            if not found:
                raise
            break
        found.insert(0, data[first:] if first > 0 else data)
        if first <= 0:
            return found, 0
        data = data[:first]
    return found, len(data)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name; many tools write UTF-8 and do not say so."""
    if info.flag_bits & _UTF8_FLAG:
        return shown_name(info.filename.encode("utf-8", "surrogateescape"))
    return shown_name(info.filename.encode("cp437", "replace"))


def _zip_end(data: bytes) -> int:
    """Where the last archive and its comment end; the end of the file where there is no such mark."""
    mark = data.rfind(_ZIP_END)
    if mark < 0:
        return len(data)
    return min(len(data), mark + _ZIP_END_BYTES + int.from_bytes(data[mark + 20 : mark + 22], "little"))


def _zip_time(info: zipfile.ZipInfo) -> int | None:
    try:
        return int(datetime(*info.date_time, tzinfo=UTC).timestamp()) * _NS
    except ValueError:
        return None


def _why(error: BaseException) -> str:
    return f"{type(error).__name__} {str(error)[:120]}".strip()
