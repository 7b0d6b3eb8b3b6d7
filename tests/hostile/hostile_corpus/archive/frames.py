"""zstd frames made by hand (RFC 8878): any header, raw and RLE blocks, skippable frames.

What does not belong here: what the frames hold.
"""

from __future__ import annotations

from collections.abc import Iterator

MAGIC = b"\x28\xb5\x2f\xfd"
BLOCK = 128 * 1024
_WINDOW_8_MIB = 13 << 3


def header(
    size: int | None = None,
    *,
    window: int = _WINDOW_8_MIB,
    flags: int = 0,
    dictionary: bytes = b"",
    single: bool = False,
) -> bytes:
    """Magic and frame header; `size` is written in eight bytes; `flags` are or-ed into the descriptor."""
    ids = {0: 0, 1: 1, 2: 2, 4: 3}[len(dictionary)]
    descriptor = flags | ids | (0x20 if single else 0) | (0xC0 if size is not None else 0)
    window_byte = b"" if single else bytes([window])
    return (
        MAGIC + bytes([descriptor]) + window_byte + dictionary + (b"" if size is None else size.to_bytes(8, "little"))
    )


def block(kind: int, size: int, body: bytes, last: bool = False) -> bytes:
    return ((size << 3) | (kind << 1) | last).to_bytes(3, "little") + body


def raw(data: bytes, last: bool = False) -> bytes:
    return block(0, len(data), data, last)


def rle(byte: bytes, n: int, last: bool = False) -> bytes:
    return block(1, n, byte, last)


def raw_frame(data: bytes, step: int = BLOCK, head: bytes | None = None) -> bytes:
    """One frame of raw blocks of `step` bytes."""
    starts = range(0, len(data), step)
    blocks = [raw(data[at : at + step], at + step >= len(data)) for at in starts]
    return b"".join([header() if head is None else head, *blocks])


def repeated(byte: bytes, n: int) -> Iterator[bytes]:
    """RLE blocks that come to `n` times `byte`."""
    for _ in range(n // BLOCK):
        yield rle(byte, BLOCK)
    if n % BLOCK:
        yield rle(byte, n % BLOCK)


def skippable(data: bytes, *, claimed: int | None = None, nibble: int = 0) -> bytes:
    size = len(data) if claimed is None else claimed
    return (0x184D2A50 + nibble).to_bytes(4, "little") + size.to_bytes(4, "little") + data
