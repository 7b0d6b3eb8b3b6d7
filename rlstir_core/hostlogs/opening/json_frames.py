"""JSON values that do not stand one per line: an array of objects, or objects printed over many lines, as they stream.

What does not belong here: what a value means, and JSON Lines (`lines.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rlstir_core.hostlogs.opening.lines import Line

_BLOCK = 1 << 18  # scanned at a time: an unfinished text is scanned again from its start
# to the next brace or bracket, over texts; a text may not hold a raw line end, so that a torn one ends there
_NEXT = re.compile(rb'(?:[^{}\[\]"]++|"(?:[^"\\\r\n]++|\\.)*+(?:"|(?=[\r\n])))*+([{}\[\]])', re.DOTALL)
_BETWEEN = b" \t\r\n,\x1e\0"  # RFC 7464 puts a record separator before each
_OPEN = b"{["
OBJECTS_A_LINE = 64  # a line of more is no log of objects


class _Scanner:
    """Cuts values out of the bytes fed to it. `limit` bounds what it holds."""

    def __init__(self, limit: int) -> None:
        self.buffer = b""
        self._limit = limit
        self._at = 0  # everything before was scanned
        self._start = -1  # of the open value
        self._from = 0  # of what lies between two values
        self._depth = 0
        self._base = 0  # 1 inside the outer array
        self._margin = b""  # the line end and the spaces before the open value
        self._number = 1
        self._dropping = False

    def values(self) -> Iterator[Line]:
        """The values that are whole by now."""
        while found := _NEXT.match(self.buffer, self._at):
            at, end = found.start(1), found.end()
            self._at = end
            if found[1] in _OPEN:
                if self._start < 0 and not self._depth and found[1] == b"[":
                    self._base = self._depth = 1
                    yield from self._stray(at, end)
                    continue
                if self._start >= 0 and found[1] == b"{" and self._margin and self._same_margin(at):
                    # a new value where the last one began: the last one has no end
                    yield from self._close(at)
                    self._depth = self._base
                if self._start < 0:
                    yield from self._stray(at, at)
                    self._open(at)
                self._depth += 1
            elif self._depth > self._base or self._start >= 0:
                self._depth -= 1
                if self._depth <= self._base:
                    yield from self._close(end)
                    self._depth = self._base
            else:
                # the outer array's end, or a brace too many
                yield from self._stray(at, end)
                self._base = self._depth = 0
        yield from self._trim()

    def finish(self) -> Iterator[Line]:
        """What is left: a value without an end."""
        yield from self._close(len(self.buffer)) if self._start >= 0 else self._stray(len(self.buffer), 0)

    def _open(self, at: int) -> None:
        self._start = at
        begin = self.buffer.rfind(b"\n", max(0, at - 64), at)
        margin = self.buffer[begin:at] if begin >= 0 else b""
        self._margin = margin if not margin.strip() else b""

    def _same_margin(self, at: int) -> bool:
        return self.buffer[max(0, at - len(self._margin)) : at] == self._margin

    def _close(self, end: int) -> Iterator[Line]:
        raw = self.buffer[self._start : end]
        if not self._dropping:
            yield Line(self._number, raw[: self._limit], len(raw) <= self._limit)
        self._number += raw.count(b"\n")
        self._start, self._from, self._dropping = -1, end, False

    def _stray(self, end: int, go_on: int) -> Iterator[Line]:
        """Text between two values that is more than a comma."""
        raw = self.buffer[self._from : end]
        if kept := raw.strip(_BETWEEN):
            before = len(raw) - len(raw.lstrip(_BETWEEN))
            yield Line(self._number + raw.count(b"\n", 0, before), kept[: self._limit], False)
        self._number += raw.count(b"\n")
        self._from = go_on

    def _trim(self) -> Iterator[Line]:
        if self._start < 0:
            if len(self.buffer) - self._from > self._limit:
                yield from self._stray(len(self.buffer), len(self.buffer))
                self._at = len(self.buffer)
            cut = self._from
        elif len(self.buffer) - self._start > self._limit:
            if not self._dropping:
                yield Line(self._number, self.buffer[self._start : self._start + self._limit], False)
                self._dropping = True
            # a text longer than the limit is given up where it stands
            self._at = max(self._at, len(self.buffer) - self._limit)
            self._number += self.buffer.count(b"\n", self._start, self._at)
            cut = self._start = self._at
        else:
            cut = self._start
        self.buffer = self.buffer[cut:]
        self._at -= cut
        self._from -= cut
        if self._start >= 0:
            self._start -= cut

    def feed(self, block: bytes) -> None:
        self.buffer += block


def frames(chunks: Iterable[bytes], limit: int) -> Iterator[Line]:
    """Every value of the chunks, in order; `number` is the line where it begins.

    One longer than the limit is cut, and so is stray text between two; a torn one ends where the next begins.
    """
    scanner, waiting, n = _Scanner(limit), [], 0
    for chunk in chunks:
        waiting.append(chunk)
        n += len(chunk)
        if n >= _BLOCK:
            scanner.feed(b"".join(waiting))
            yield from scanner.values()
            waiting, n = [], 0
    scanner.feed(b"".join(waiting))
    yield from scanner.values()
    yield from scanner.finish()
