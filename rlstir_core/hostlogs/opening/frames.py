"""A compressed file as one stream: every frame and member in it, and a word on what could not be read.

gzip (RFC 1952), xz, bzip2 and zstd (RFC 8878) files may hold several frames one after the other, and zstd frames that
hold no data; `cat`, log rotation and parallel compressors write such files. Damage ends the stream softly, so that what
came before it is not lost. What does not belong here: archives, and what is compressed.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Any, Literal, Protocol

import zstandard

Compression = Literal["gzip", "xz", "bzip2", "zstd"]

SKIPPABLE = range(0x184D2A50, 0x184D2A60)  # zstd frames without data (RFC 8878, 3.1.2); pzstd begins with one
MAGIC: dict[Compression, bytes] = {
    "gzip": b"\x1f\x8b",
    "xz": b"\xfd7zXZ\x00",
    "bzip2": b"BZh",
    "zstd": b"\x28\xb5\x2f\xfd",
}
_PADDED = {"gzip", "xz"}  # zeros behind a frame are padding
_CHUNK = 1 << 12
_OUT = 1 << 18  # bytes that one step gives at most
_ZSTD_WINDOW = 1 << 27  # bytes; what `zstd` itself decompresses without being asked to
_ZSTD_STEP = 1 << 10  # compressed bytes, where the library has no such limit; they stand for at most some ten MiB
_HEADER = 8  # bytes that say what the next frame is
_DAMAGE = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)


def compression_of(head: bytes) -> Compression | None:
    """How a file with these first bytes is compressed; None where it is not."""
    for kind, magic in MAGIC.items():
        if head.startswith(magic):
            return kind
    if len(head) >= _HEADER and int.from_bytes(head[:4], "little") in SKIPPABLE:
        return "zstd"
    return None


class _Frame(Protocol):
    """One frame: gives what it can of `data`, keeps what it did not take in `rest`, and says when it is over."""

    over: bool
    waits: bool  # for more of the file: it has nothing left to give without
    rest: bytes

    def feed(self, data: bytes) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._of = zlib.decompressobj(31)
        self.over, self.waits, self.rest = False, True, b""

    def feed(self, data: bytes) -> bytes:
        out = self._of.decompress(data, _OUT)
        self.over = self._of.eof
        self.rest = self._of.unused_data if self.over else self._of.unconsumed_tail
        return out


class _Blocks:
    """bzip2 and xz, whose objects keep what they did not take."""

    def __init__(self, of: Any) -> None:
        self._of = of
        self.over, self.waits, self.rest = False, True, b""

    def feed(self, data: bytes) -> bytes:
        out: bytes = self._of.decompress(data, _OUT)
        self.over = self._of.eof
        self.rest = self._of.unused_data if self.over else b""
        self.waits = self.over or self._of.needs_input
        return out


class _Zstd:
    def __init__(self) -> None:
        self._of = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        self.over, self.waits, self.rest = False, True, b""

    def feed(self, data: bytes) -> bytes:
        out = self._of.decompress(data[:_ZSTD_STEP]) if data else b""
        self.over = self._of.eof
        self.rest = (self._of.unused_data if self.over else b"") + data[_ZSTD_STEP:]
        return out


_NEW: dict[Compression, Callable[[], _Frame]] = {
    "gzip": _Gzip,
    "bzip2": lambda: _Blocks(bz2.BZ2Decompressor()),
    "xz": lambda: _Blocks(lzma.LZMADecompressor(lzma.FORMAT_XZ)),
    "zstd": _Zstd,
}


class Frames(io.RawIOBase):
    """The content of the frames in `handle`, in order. At its end, `fault` says what was not read (or nothing)."""

    def __init__(self, handle: IO[bytes], kind: Compression) -> None:
        self.fault = ""
        self.n_unread = 0
        self.damaged = False  # a frame is; else what was not read stands behind the last one
        self.modified_s = 0  # when the file of the last frame was last written, where gzip says so
        self._handle, self._kind = handle, kind
        self._in, self._out = b"", b""
        self._frame: _Frame | None = None
        self._done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._out and not self._done:
            try:
                self._step()
            except _DAMAGE as error:
                said = str(error)[:100] or type(error).__name__
                if "too much memory" in said:
                    self._stop(
                        "a zstd frame with a window over 128 MiB; unpack it with zstd -d --long=31", len(self._in)
                    )
                    continue
                self._stop(f"the {self._kind} data is damaged ({said})", len(self._in))
        n = min(len(buffer), len(self._out))
        buffer[:n], self._out = self._out[:n], self._out[n:]
        return n

    def _step(self) -> None:
        if self._frame is None:
            if not self._begin():
                self._done = True
            return
        if not self._in and self._frame.waits and not self._more():
            self._stop(f"the {self._kind} data is cut short", 0)
            return
        self._out = self._frame.feed(self._in)
        self._in = self._frame.rest
        if self._frame.over:
            self._frame = None

    def _begin(self) -> bool:
        """Whether another frame begins; passes over padding and over frames without data."""
        while True:
            if self._kind in _PADDED:
                self._in = self._in.lstrip(b"\0")
            while len(self._in) < _HEADER and self._more():
                if self._kind in _PADDED:
                    self._in = self._in.lstrip(b"\0")
            if not self._in:
                return False
            if self._in.startswith(MAGIC[self._kind]):
                self._frame = _NEW[self._kind]()
                if self._kind == "gzip":
                    self.modified_s = int.from_bytes(self._in[4:8], "little")
                return True
            if self._kind != "zstd" or int.from_bytes(self._in[:4], "little") not in SKIPPABLE:
                self._stop(f"what stands behind the last {self._kind} frame is none", len(self._in), damaged=False)
                return False
            if not self._skip(_HEADER + int.from_bytes(self._in[4:8], "little")):
                return False

    def _skip(self, n: int) -> bool:
        while len(self._in) < n:
            n -= len(self._in)
            self._in = b""
            if not self._more():
                self._stop("a zstd frame without data is cut short", 0)
                return False
        self._in = self._in[n:]
        return True

    def _more(self) -> bool:
        chunk = self._handle.read(_CHUNK)
        self._in += chunk
        return bool(chunk)

    def _stop(self, why: str, n_unread: int, damaged: bool = True) -> None:
        """Ends the stream; counts what is left of the file."""
        self._done, self._frame, self._in = True, None, b""
        self.damaged = damaged
        try:
            while chunk := self._handle.read(_CHUNK):
                n_unread += len(chunk)
        except _DAMAGE:
            pass  # a container around this one is damaged, and says so itself
        self.n_unread = n_unread
        self.fault = f"{why}; {n_unread} bytes were not read" if n_unread else f"{why}; what follows is lost"
