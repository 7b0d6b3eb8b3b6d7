"""Blocks of whole lines, and the proof that every line of one is a single flat JSON object without a repeated key.

The fast decoder keeps the last of repeated keys and does not look at line ends; to prove a whole block clean costs a
fraction of what it costs line by line. A block that is not proven may still be clean: it is then read by lines. What
does not belong here: what an object means (`json_events.py`), and lines on their own (`opening/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
FLAT = msgspec.json.Decoder(dict[str, INT64 | str | float | bool | list[str] | None])
_BLOCK = 1 << 16  # stays in the cache with what is made of it
_QUOTE, _COLON = b'":'
_SPACES, _GAP = 256, 16  # in a block, and bytes of one, that are looked behind
_BEFORE = (":", "\\", " ", "[", ",")  # what stands before a quote that ends no key, while no key ends in these
_PATIENCE = 63  # blocks at most that are not tried after one that failed


def blocks(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The chunks cut anew between lines; of a line over the limit, `limit` bytes and one are left, so that it shows."""
    held: list[bytes] = []
    n_held, dropping = 0, False
    for chunk in chunks:
        rest = chunk
        if end := chunk.rfind(b"\n") + 1:
            whole = chunk[chunk.find(b"\n") if dropping else 0 : end]
            yield from _cut(b"".join((*held, whole)), min(_BLOCK, limit))
            rest, held, n_held, dropping = chunk[end:], [], 0, False
        if rest and not dropping:
            held.append(rest)
            n_held += len(rest)
            if n_held > limit:
                held, dropping = [b"".join(held)[: limit + 1]], True
    if held:
        yield b"".join(held)


def _cut(lines: bytes, size: int) -> Iterator[bytes]:
    start = 0
    while start < len(lines):
        end = len(lines)
        if end - start > size:
            end = lines.rfind(b"\n", start, start + size) + 1 or lines.index(b"\n", start) + 1
        yield lines[start:end]
        start = end


class FlatBlocks:
    """Tries the blocks of one log; the more of them fail in a row, the fewer are tried."""

    def __init__(self) -> None:
        self._n_failed = 0
        self._n_passed_over = 0

    def read(self, block: bytes) -> tuple[list[str], list[dict[str, Any]]] | None:
        """Every line's text and object; None where the block has to be read by lines."""
        if self._n_passed_over:
            self._n_passed_over -= 1
            return None
        found = flat_objects(block)
        self._n_failed = 0 if found else min(2 * self._n_failed + 1, _PATIENCE)
        self._n_passed_over = self._n_failed
        return found


def flat_objects(block: bytes) -> tuple[list[str], list[dict[str, Any]]] | None:
    """The lines of a block and the object in each; None unless these three hold, which prove one clean object per line.

    1. The decoder took the block: it is JSON values with white space between, and each is an object of scalars and
       lists of texts. No text holds a raw line end, for JSON forbids it, and no object holds another.
    2. Every line begins with a brace, and there are as many objects as lines. By 1 that brace stands in no text and so
       opens an object; as there are no others, each line holds exactly one, from its first byte to the white space at
       its end.
    3. As many keys were written as all objects keep, so that none was lost.
    """
    try:
        objects = FLAT.decode_lines(block)
        text = block.decode()
    except (ValueError, RecursionError):
        return None
    lines = _split(text)
    if len(lines) != len(objects) or [line[:1] for line in lines].count("{") != len(lines):
        return None
    return (lines, objects) if _no_key_is_lost(block, objects) else None


def _split(text: str) -> list[str]:
    """`text.split("\\n")` without an empty last line; a search for the next line end is faster than that."""
    found, start = [], 0
    while (end := text.find("\n", start)) >= 0:
        found.append(text[start:end])
        start = end + 1
    if start < len(text):
        found.append(text[start:])
    return found


def _no_key_is_lost(block: bytes, objects: list[dict[str, Any]]) -> bool:
    """Whether as many keys were written in a block of JSON as its objects keep; may say no where it is not sure.

    Behind every key stands a colon of its own, and between the two nothing but white space. So keys kept <= keys
    written <= colons right behind a quote or white space, and all are equal where the ends are. Colons that certainly
    stand behind no key need not be counted: those where the white space stands behind something else than a quote, and
    those where the quote begins a text (`":x"`) or stands in one (`\\":`). The latter are known by the byte before the
    quote, unless a key ends in that byte, which the kept keys tell: a lost key equals one of them.
    """
    n_kept = sum(map(len, objects))
    raw = np.frombuffer(block, dtype=np.uint8)
    before, colons = raw[:-1], raw[1:] == _COLON
    n = int(np.count_nonzero(colons & (before <= _QUOTE)))
    if n > n_kept:
        n -= _behind_a_space(block, colons & (before < _QUOTE))
    if n > n_kept and not any(key.endswith(_BEFORE) for key in set().union(*objects)):
        two_before = raw[:-2]
        odd = two_before == ord(_BEFORE[0])
        for other in _BEFORE[1:]:
            odd |= two_before == ord(other)
        n -= int(np.count_nonzero(odd & colons[1:] & (before[1:] == _QUOTE)))
    return n == n_kept


def _behind_a_space(block: bytes, marks: npt.NDArray[np.bool_]) -> int:
    """How many of the marked bytes, up to white space, stand behind something else than a quote."""
    places = marks.tobytes()  # bytes find the next of few marks faster than an array gives all of them
    n, at = 0, places.find(1)
    for _ in range(_SPACES):
        if at < 0:
            break
        n += block[max(0, at - _GAP) : at + 1].rstrip(b" \t\r\n")[-1:] not in {b"", b'"'}
        at = places.find(1, at + 1)
    return n
