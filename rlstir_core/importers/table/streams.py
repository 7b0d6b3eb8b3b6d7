"""The bytes of a text table: unpacked where they are gzip, and in UTF-8 whatever they were written in.

What does not belong here: what the text says (`files.py`, `ts.py`).
"""

from __future__ import annotations

import codecs
import io
import zlib
from pathlib import Path
from typing import IO, Any

from rlstir_core.errors import StoreError

GZIP = b"\x1f\x8b"
_OTHERS = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark begins it
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHUNK = 1 << 18
_TAIL = 1 << 16
_GZIP_WBITS = 31


class TextBytes(io.RawIOBase):
    """A file's text as UTF-8 bytes without a byte order mark.

    `n_unread` counts what follows the last gzip member and is none; `tail` holds the last bytes given.
    """

    def __init__(self, path: Path, encoding: str = "") -> None:
        super().__init__()
        self._name = path.name
        self._handle = path.open("rb")
        start = self._handle.read(len(b"\xfd7zXZ\x00"))
        self._handle.seek(0)
        for magic, name in _OTHERS.items():
            if start.startswith(magic):
                raise StoreError(f"{path} is packed with {name}; unpack it, or pack it with gzip")
        self._unpack = zlib.decompressobj(_GZIP_WBITS) if start.startswith(GZIP) else None
        self._waiting = b""  # packed bytes that belong to the next member
        self._ready = b""
        self._ended = False
        self.n_unread = 0
        self.tail = b""
        head = self._some()
        mark, found = next(((mark, name) for mark, name in _BOMS if head.startswith(mark)), (b"", ""))
        self.encoding = found or encoding or _by_nuls(head)
        self._ready = head[len(mark) :]
        self._decode = None
        if codecs.lookup(self.encoding).name not in ("utf-8", "ascii"):
            self._decode = codecs.getincrementaldecoder(self.encoding)("strict")
            self._ready = self._decoded(self._ready)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._handle.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._ended:
            chunk = self._some()
            self._ready = chunk if self._decode is None else self._decoded(chunk)
        n = min(len(buffer), len(self._ready))
        given, self._ready = self._ready[:n], self._ready[n:]
        buffer[:n] = given
        self.tail = (self.tail + given)[-_TAIL:]
        return n

    def _decoded(self, chunk: bytes) -> bytes:
        assert self._decode is not None
        try:
            return self._decode.decode(chunk, final=not chunk).encode("utf-8")
        except (UnicodeError, ValueError):
            raise StoreError(f"{self._name} is not {self.encoding} all through; correct the encoding") from None

    def _some(self) -> bytes:
        """A chunk of the file, unpacked; empty (and `_ended`) at its end."""
        if self._unpack is None:
            chunk = self._handle.read(_CHUNK)
            self._ended = not chunk
            return chunk
        while True:
            if self._unpack.eof and not self._next_member():
                self._ended = True
                return b""
            packed = self._waiting or self._handle.read(_CHUNK)
            self._waiting = b""
            try:
                chunk = self._unpack.decompress(packed, _CHUNK * 16)
            except zlib.error as error:
                raise EOFError(f"the gzip file is damaged ({error})") from None
            self._waiting = self._unpack.unconsumed_tail or self._unpack.unused_data
            if chunk:
                return chunk
            if not packed and not self._unpack.eof:
                raise EOFError("the gzip file is cut short")

    def _next_member(self) -> bool:
        """Whether another gzip member follows; padding of zeros is none, and neither is anything else."""
        rest = self._waiting
        while not rest.lstrip(b"\0") or len(rest.lstrip(b"\0")) < len(GZIP):
            more = self._handle.read(_CHUNK)
            if not more:
                break
            rest = rest.lstrip(b"\0") + more
        rest = rest.lstrip(b"\0")
        self._waiting = rest
        if not rest.startswith(GZIP):
            self.n_unread = len(rest) + _length(self._handle)
            return False
        self._unpack = zlib.decompressobj(_GZIP_WBITS)
        return True


def _length(handle: IO[bytes]) -> int:
    return sum(len(chunk) for chunk in iter(lambda: handle.read(_CHUNK), b""))


def _by_nuls(head: bytes) -> str:
    """UTF-16 without a mark shows in the zero halves of its ASCII; anything else is taken for UTF-8."""
    pairs = head[: len(head) // 2 * 2]
    if not pairs or b"\0" not in pairs:
        return "utf-8"
    even, odd = pairs[0::2].count(0), pairs[1::2].count(0)
    half = len(pairs) // 4
    if odd > half and even == 0:
        return "utf-16-le"
    return "utf-16-be" if even > half and odd == 0 else "utf-8"
