"""Octet counting (RFC 6587): messages that a sender counts instead of ending them, as a stream that was kept.

A count that does not lead to the next message is passed on as it is. What does not belong here: what a message says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_COUNT = re.compile(rb"([1-9][0-9]{0,5}) (?=<[0-9]{1,3}>)")
_LOOK = 16  # bytes in which a count and the priority behind it stand
_ENDS = b"\r\n\0"


def uncounted(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, where they begin with a count as a message a line; further lines of a message are indented."""
    source = iter(chunks)
    held, more = _filled(b"", source, _LOOK)
    if not _COUNT.match(held):
        yield held
        yield from source
        return
    while held:
        match = _COUNT.match(held)
        end = match.end() + int(match[1]) if match else 0
        if match and more and len(held) < end + _LOOK:
            held, more = _filled(held, source, end + _LOOK)
        if match and _leads_on(held[end : end + _LOOK], len(held) >= end):
            yield held[match.end() : end].strip(_ENDS).replace(b"\n", b"\n ") + b"\n"
            held = held[end:].lstrip(_ENDS)
        else:
            line, mark, held = held.partition(b"\n")
            yield line + mark
        if more and len(held) < _LOOK:
            held, more = _filled(held, source, _LOOK)


def _filled(held: bytes, source: Iterator[bytes], n: int) -> tuple[bytes, bool]:
    """At least `n` bytes, if there are so many, and whether there may be more."""
    parts, size = [held], len(held)
    while size < n:
        chunk = next(source, None)
        if chunk is None:
            return b"".join(parts), False
        parts.append(chunk)
        size += len(chunk)
    return b"".join(parts), True


def _leads_on(behind: bytes, whole: bool) -> bool:
    """Whether a counted message ends where the next begins, or the log does."""
    return whole and (not behind or behind[0] in _ENDS or _COUNT.match(behind) is not None)
