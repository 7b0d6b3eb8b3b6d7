"""One zstd frame, decompressed in small bounded steps.

The frame's header and block headers are read here (RFC 8878, section 3.1), so that the window, the output of
a step and the exact end of the frame are known before the decompressor sees a byte. Skippable frames may
surround the frame; a second frame or any other byte may not. What does not belong here: what the bytes mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

import zstandard

from rlstir_core.contract.reasons import EpisodeRejected, ReasonCode
from rlstir_core.episodes.limits import Limits

_MAGIC = 0xFD2FB528
_SKIPPABLE = 0x184D2A50
_READ = 256 * 1024
_BLOCK_MAX = 128 * 1024
_STEP = 16 * _BLOCK_MAX  # output of a step, at most
_WHOLE = 4 * 1024 * 1024
_SKIPPABLE_MAX = 64


class FrameReader:
    """Iterates over a file's decompressed bytes; afterwards `sha256` and `n_bytes` are the file's own."""

    def __init__(self, handle: BinaryIO, limits: Limits) -> None:
        self._handle = handle
        self._limits = limits
        self._hash = hashlib.sha256()
        self._buffer = b""
        self._at = 0
        self.n_bytes = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        seen, skipped = False, 0
        while head := self._take(4, at_end_ok=True):
            magic = int.from_bytes(head, "little")
            if magic & 0xFFFFFFF0 == _SKIPPABLE:
                skipped += 1
                if skipped > _SKIPPABLE_MAX:
                    raise EpisodeRejected(ReasonCode.ARCHIVE_SKIPPABLE, f"more than {_SKIPPABLE_MAX} skippable frames")
                self._skip(int.from_bytes(self._take(4), "little"))
            elif magic == _MAGIC and not seen:
                seen = True
                yield from self._frame(head)
            elif magic == _MAGIC:
                raise EpisodeRejected(ReasonCode.ARCHIVE_SECOND_FRAME, "a second zstd frame follows; send one frame")
            elif seen:
                raise EpisodeRejected(
                    ReasonCode.ARCHIVE_TRAILING_BYTES, "bytes follow the zstd frame; send the frame only"
                )
            else:
                raise EpisodeRejected(
                    ReasonCode.ARCHIVE_NOT_ZSTD, "the file does not begin as zstd; send one zstd frame"
                )
        if not seen:
            raise EpisodeRejected(ReasonCode.ARCHIVE_EMPTY, "the file holds no zstd frame; send it again")

    def _frame(self, magic: bytes) -> Iterator[bytes]:
        header, window, size, checksum = self._frame_header()
        engine = zstandard.ZstdDecompressor(max_window_size=self._limits.window_bytes)
        stream = engine.decompressobj(write_size=_STEP)
        parts, n_parts, n_blocks, n_out, total, last = [magic, header], 0, 0, 0, 0, False
        # a small frame that says its size comes out in one call; the calls for larger ones are bounded by blocks
        whole = 0 < size <= _WHOLE
        while not last:
            block, most, last = self._block(n_blocks, min(window, _BLOCK_MAX))
            parts += block
            n_out += most
            n_parts += len(block[1])
            n_blocks += 1
            if last and checksum:
                parts.append(self._take(4))
            whole = whole and n_parts <= _WHOLE
            if last or (n_out > _STEP - _BLOCK_MAX and not whole):
                data = b"".join(parts)
                try:
                    data = engine.decompress(data, size) if whole else stream.decompress(data)
                except zstandard.ZstdError:
                    raise EpisodeRejected(
                        ReasonCode.ARCHIVE_ZSTD, f"the zstd frame is damaged near block {n_blocks}; send the file again"
                    ) from None
                parts, n_out = [], 0
                total += len(data)
                self._check_total(total)
                if data:
                    yield data
        if not (whole or stream.eof) or (whole and total != size):
            raise EpisodeRejected(
                ReasonCode.ARCHIVE_ZSTD, "the zstd frame does not end where it says; send the file again"
            )

    def _block(self, n_before: int, size_max: int) -> tuple[list[bytes], int, bool]:
        """The header and body of the next block, the most that can come out of it, and whether it is the last."""
        if n_before >= self._limits.blocks:
            raise EpisodeRejected(ReasonCode.ARCHIVE_ZSTD_BLOCKS, f"more than {self._limits.blocks} zstd blocks")
        head = self._take(3)
        word = int.from_bytes(head, "little")
        kind, size = (word >> 1) & 3, word >> 3
        if kind == 3 or size > size_max:
            raise EpisodeRejected(ReasonCode.ARCHIVE_ZSTD, f"zstd block {n_before} is not valid; send the file again")
        return [head, self._take(1 if kind == 1 else size)], _BLOCK_MAX if kind == 2 else size, bool(word & 1)

    def _frame_header(self) -> tuple[bytes, int, int, bool]:
        """The header's bytes, the window, the content's size (0 when unknown), and whether a checksum follows."""
        descriptor = self._take(1)
        flags = descriptor[0]
        single = bool(flags & 0x20)
        if flags & 0x08:
            raise EpisodeRejected(ReasonCode.ARCHIVE_ZSTD, "the zstd header sets a reserved bit; send the file again")
        window_byte = b"" if single else self._take(1)
        dictionary = self._take((0, 1, 2, 4)[flags & 3])
        size_bytes = self._take((1 if single else 0, 2, 4, 8)[flags >> 6])
        if any(dictionary):
            raise EpisodeRejected(
                ReasonCode.ARCHIVE_ZSTD_DICTIONARY, "the zstd frame needs a dictionary; send it without"
            )
        size = int.from_bytes(size_bytes, "little") + (256 if len(size_bytes) == 2 else 0)
        if window_byte:
            base = 1 << (10 + (window_byte[0] >> 3))
            window = base + (base >> 3) * (window_byte[0] & 7)
        else:
            window = size
        if window > self._limits.window_bytes:
            raise EpisodeRejected(
                ReasonCode.ARCHIVE_WINDOW,
                f"the zstd window is {window} bytes, over {self._limits.window_bytes}; leave --long out",
            )
        self._check_total(size)
        return descriptor + window_byte + dictionary + size_bytes, window, size, bool(flags & 0x04)

    def _check_total(self, total: int) -> None:
        if total > self._limits.total_bytes:
            raise EpisodeRejected(
                ReasonCode.ARCHIVE_TOO_LARGE,
                f"more than {self._limits.total_bytes} bytes come out of the frame; record shorter episodes",
            )

    def _take(self, n: int, at_end_ok: bool = False) -> bytes:
        end = self._at + n
        if end <= len(self._buffer):
            data = self._buffer[self._at : end]
            self._at = end
            return data
        parts = [self._buffer[self._at :]]
        missing = n - len(parts[0])
        self._buffer, self._at = b"", 0
        while missing > 0:
            if not self._fill():
                if at_end_ok and missing == n:
                    return b""
                raise EpisodeRejected(
                    ReasonCode.ARCHIVE_TRUNCATED, "the file ends inside the zstd frame; send it again"
                )
            parts.append(self._buffer[:missing])
            self._at = min(missing, len(self._buffer))
            missing -= self._at
        return b"".join(parts)

    def _skip(self, n: int) -> None:
        while n > 0:
            n -= len(self._take(min(n, _READ)))

    def _fill(self) -> bool:
        self._buffer = self._handle.read(_READ)
        self._at = 0
        self._hash.update(self._buffer)
        self.n_bytes += len(self._buffer)
        if self.n_bytes > self._limits.file_bytes:
            raise EpisodeRejected(
                ReasonCode.ARCHIVE_TOO_LARGE, f"the file is over {self._limits.file_bytes} bytes; split it"
            )
        return bool(self._buffer)
