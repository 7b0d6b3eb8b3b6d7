"""Lines of a log that arrives in chunks, each with its number; over-long ones are cut, never kept whole.

NUL bytes at either end of a line are nobody's words: some senders put one behind every message, and rsyslog and the
journal leave blocks of them after a crash, in which the line before ends. What does not belong here: what a line means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_BLOCK = re.compile(rb"\0{5,}")
_BLOCK_KEPT = b"\0" * 4
_BETWEEN = re.compile(rb"\0{4,}|\0(?=<\d{1,3}>)")  # a block, or the end of one message and the priority of the next


class Line(NamedTuple):
    """A line without its end. `whole` is False where it was longer than the limit and was cut."""

    number: int  # from 1
    raw: bytes
    whole: bool = True


def lines(chunks: Iterable[bytes], limit: int, keep_nuls: bool = False) -> Iterator[Line]:
    """Every line of the chunks, in order, `\\r\\n` ends taken off like `\\n`; memory stays within limit and a chunk.

    A line with a block of NULs in its middle comes as two of one number, unless `keep_nuls`.
    """
    number, rest, cut = 0, b"", False
    nuls = False  # since a line without them has nothing to take out
    for chunk in chunks:
        if not keep_nuls and b"\0" in chunk:
            words = rest.rstrip(b"\0")  # a block that the last chunk ended in
            nuls, parts = True, _BLOCK.sub(_BLOCK_KEPT, rest[len(words) :] + chunk).split(b"\n")
            rest = words
        else:
            parts = chunk.split(b"\n")
        for part in parts[:-1]:
            number += 1
            raw = part if not rest else rest + part[: max(0, limit + 1 - len(rest))]
            if nuls and b"\0" in raw:
                yield from _without_nuls(number, raw, limit, cut)
            else:
                yield _line(number, raw, limit, cut)
            rest, cut = b"", False
        tail = parts[-1]
        if tail:
            cut = cut or len(rest) + len(tail) > limit
            rest = rest + tail[: max(0, limit + 1 - len(rest))]
    if nuls and b"\0" in rest:
        yield from _without_nuls(number + 1, rest, limit, cut)
    elif rest:
        yield _line(number + 1, rest, limit, cut)


def _without_nuls(number: int, raw: bytes, limit: int, cut: bool) -> Iterator[Line]:
    cut = cut or len(raw) > limit
    pieces = [piece for part in _BETWEEN.split(raw[: limit + 1]) if (piece := part.strip(b"\0\r"))]
    for at, piece in enumerate(pieces, 1):
        yield _line(number, piece, limit, cut and at == len(pieces))


def _line(number: int, raw: bytes, limit: int, cut: bool) -> Line:
    if cut or len(raw) > limit:
        return Line(number, raw[:limit], False)
    return Line(number, raw.removesuffix(b"\r"))
