"""The bytes of a text table: unpacked where they are compressed, and in UTF-8 whatever they were written in.

What does not belong here: what the text says (`files.py`, `ts.py`).
"""

from __future__ import annotations

import codecs
import io
from pathlib import Path
from typing import IO, Any, cast

from rlstir_core.errors import StoreError
from rlstir_core.hostlogs.opening.encodings import encoding_of
from rlstir_core.hostlogs.opening.frames import Frames, compression_of

_ZIP = b"PK\x03\x04"
_CHUNK = 1 << 18
_TAIL = 1 << 16


class TextBytes(io.RawIOBase):
    """A file's text as UTF-8 bytes without a byte order mark.

    `n_unread` counts what follows the last compressed frame and is none; `tail` holds the last bytes given.
    """

    def __init__(self, path: Path, encoding: str = "") -> None:
        super().__init__()
        self._name = path.name
        self._handle = path.open("rb")
        start = self._handle.read(8)
        self._handle.seek(0)
        if start.startswith(_ZIP):
            raise StoreError(f"{path} is packed with zip; unpack it, or pack it with gzip")
        kind = compression_of(start)
        self._frames = Frames(self._handle, kind) if kind else None
        self._source = cast(IO[bytes], io.BufferedReader(self._frames, _CHUNK)) if self._frames else self._handle
        self._ended = False
        self.tail = b""
        head = self._some()
        mark, found = encoding_of(head)
        self.encoding = found or encoding or "utf-8"
        self._ready = head[len(mark) :]
        self._decode = None
        if codecs.lookup(self.encoding).name not in ("utf-8", "ascii"):
            self._decode = codecs.getincrementaldecoder(self.encoding)("strict")
            self._ready = self._decoded(self._ready)

    @property
    def n_unread(self) -> int:
        return self._frames.n_unread if self._frames is not None else 0

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
        chunk = self._source.read(_CHUNK)
        if not chunk:
            self._ended = True
            if self._frames is not None and self._frames.damaged:
                raise EOFError(self._frames.fault)
        return chunk
