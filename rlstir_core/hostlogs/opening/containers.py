"""The files inside a path: a file, a folder, a zip, a tar or a compressed file, and those inside each other.

Nothing is extracted to disk and no link is followed; what comes out is counted and bounded. What does not
belong here: what the files are (`recognise.py`).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self, cast

import zstandard

from rlstir_core.errors import StoreError
from rlstir_core.hostlogs.opening.recognise import HEAD, UNKNOWN, Guess, recognise

_CHUNK = 1 << 18
_ZSTD_WINDOW = 1 << 27
_ZSTD_STEP = 1 << 10  # compressed bytes; they stand for at most some ten MiB
_NS = 1_000_000_000
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # an encrypted zip, or (a subclass) a compression that zipfile does not know
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
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
    """One file that is no container. `fault` says why its bytes could not be read; they are empty then."""

    name: str  # the path inside what was asked for, `/` between folders and containers
    data: bytes = b""
    guess: Guess = UNKNOWN
    modified_ns: int | None = None
    fault: str = ""


def files(path: Path, bounds: Bounds | None = None) -> Iterator[Found]:
    """Every file in `path`, by name, whatever it is packed in; StoreError where `path` is not there."""
    walk = _Walk(bounds or Bounds())
    if path.is_dir():
        for each in sorted(path.rglob("*")):
            if each.is_symlink() or not each.is_file():
                continue
            yield from walk.file(each, each.relative_to(path).as_posix())
    elif path.is_file():
        yield from walk.file(path, path.name)
    else:
        raise StoreError(f"{path} is not there or is no file or folder; name logs, or a folder, zip or tar of logs")


class _Walk:
    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._left = bounds.total_bytes
        self._n = 0

    def file(self, path: Path, name: str) -> Iterator[Found]:
        try:
            with path.open("rb") as handle:
                modified = path.stat().st_mtime_ns
                yield from self._stream(handle, name, modified, 0)
        except _DAMAGED as error:
            yield Found(name=name, fault=_why(error))

    def _stream(self, handle: IO[bytes], name: str, modified: int | None, depth: int) -> Iterator[Found]:
        """The files in a stream that may be a container itself."""
        head = handle.read(HEAD)
        guess = recognise(head)
        self._n += 1
        if self._n > self._bounds.files:
            raise StoreError(f"more than {self._bounds.files} files; name fewer at a time")
        if guess.container is None:
            yield self._read(head, handle, name, guess, modified)
        elif depth >= self._bounds.nesting:
            yield Found(name=name, guess=guess, fault=f"containers more than {self._bounds.nesting} deep")
        else:
            yield from self._container(cast(IO[bytes], _Rest(head, handle)), name, guess, modified, depth)

    def _container(
        self, handle: IO[bytes], name: str, guess: Guess, modified: int | None, depth: int
    ) -> Iterator[Found]:
        try:
            if guess.container == "zip":
                yield from self._zip(handle, name, depth)
            elif guess.container == "tar":
                yield from self._tar(handle, name, depth)
            else:
                opened = _DECOMPRESSORS[str(guess.container)](handle)
                yield from self._stream(opened, name, modified, depth + 1)
        except _DAMAGED as error:
            yield Found(name=name, guess=guess, fault=_why(error))

    def _zip(self, handle: IO[bytes], name: str, depth: int) -> Iterator[Found]:
        data = self._read(b"", handle, name, UNKNOWN, None)
        if data.fault:
            yield data
            return
        with zipfile.ZipFile(io.BytesIO(data.data)) as archive:
            for info in sorted(archive.infolist(), key=lambda each: each.filename):
                kind = info.external_attr >> 16
                if info.is_dir() or (kind and stat.S_ISLNK(kind)):
                    continue
                inner = f"{name}/{info.filename}"
                try:
                    with archive.open(info) as member:
                        yield from self._stream(member, inner, _zip_time(info), depth + 1)
                except _DAMAGED as error:
                    yield Found(name=inner, fault=_why(error))

    def _tar(self, handle: IO[bytes], name: str, depth: int) -> Iterator[Found]:
        with tarfile.open(fileobj=handle, mode="r|", tarinfo=_Header) as archive:
            for info in archive:
                member = archive.extractfile(info) if info.isreg() else None
                if member is not None:
                    yield from self._stream(member, f"{name}/{info.name}", int(info.mtime * _NS), depth + 1)

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

    def read(self, n: int = -1) -> bytes:
        if n is None or n < 0:
            data, self._head = self._head, b""
            return data + self._handle.read()
        data, self._head = self._head[:n], self._head[n:]
        return data if len(data) == n else data + self._handle.read(n - len(data))

    def readable(self) -> bool:
        return True


class _ZstdFrame(io.RawIOBase):
    """One zstd frame; the library's own stream takes a frame that was cut short for its end."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle, self._ready = handle, b""
        self._frame = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._frame.eof:
            chunk = self._handle.read(_ZSTD_STEP)
            if not chunk:
                raise EOFError("the zstd frame is cut short")
            self._ready = self._frame.decompress(chunk)
        n = min(len(buffer), len(self._ready))
        buffer[:n], self._ready = self._ready[:n], self._ready[n:]
        return n


_DECOMPRESSORS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    "gzip": lambda handle: gzip.GzipFile(fileobj=handle),  # type: ignore[dict-item, return-value]
    "xz": lzma.LZMAFile,
    "bzip2": bz2.BZ2File,
    "zstd": lambda handle: cast(IO[bytes], io.BufferedReader(_ZstdFrame(handle), _CHUNK)),
}


def _zip_time(info: zipfile.ZipInfo) -> int | None:
    try:
        return int(datetime(*info.date_time, tzinfo=UTC).timestamp()) * _NS
    except ValueError:
        return None


def _why(error: BaseException) -> str:
    return f"{type(error).__name__} {str(error)[:120]}".strip()
