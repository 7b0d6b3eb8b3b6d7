"""Lines of a log that arrives in chunks, each with its number; over-long ones are cut, never kept whole.

What does not belong here: what a line means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Line(NamedTuple):
    """A line without its end. `whole` is False where it was longer than the limit and was cut."""

    number: int  # from 1
    raw: bytes
    whole: bool = True


def lines(chunks: Iterable[bytes], limit: int) -> Iterator[Line]:
    """Every line of the chunks, in order, `\\r\\n` ends taken off like `\\n`; memory stays within limit and a chunk."""
    number, rest, cut = 0, b"", False
    for chunk in chunks:
        parts = chunk.split(b"\n")
        for part in parts[:-1]:
            number += 1
            raw = part if not rest else rest + part[: max(0, limit + 1 - len(rest))]
            yield _line(number, raw, limit, cut)
            rest, cut = b"", False
        tail = parts[-1]
        if tail:
            cut = cut or len(rest) + len(tail) > limit
            rest = rest + tail[: max(0, limit + 1 - len(rest))]
    if rest:
        yield _line(number + 1, rest, limit, cut)


def _line(number: int, raw: bytes, limit: int, cut: bool) -> Line:
    if cut or len(raw) > limit:
        return Line(number, raw[:limit], False)
    return Line(number, raw.removesuffix(b"\r"))
