"""A log cut into its lines, which record owns which line, and the log put together again.

Lines of records that nobody edited are the very bytes that were read; lines that belong to no record (blank ones, what
ausearch prints between events) stay where they stood. What does not belong here: what a line means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.schema import LogRow
from rlstir_core.lab.tamper.records.entry import MADE_UP, Entry

NOBODY = -1
_NOT_A_LINE = (
    "its records do not stand one a line (NUL bytes, records of another log inside, or JSON over several lines); "
    "write it anew with one record a line"
)


class SplitLog(msgspec.Struct):
    """A log. `owner[i]` is the place of the record that the line `pieces[i]` belongs to, or `NOBODY`.

    In a plain log the lines of a record stand together, so that no change makes a parser cut them otherwise.
    """

    pieces: list[bytes]
    owner: list[int]
    entries: list[Entry]
    plain: bool = False


class Joined(msgspec.Struct):
    """A log that was put together: its lines, and for each the index of the record that it came from."""

    pieces: list[bytes]
    made_by: list[int]

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


def cut(data: bytes) -> list[bytes]:
    """The lines of a log, each with its end."""
    pieces = [piece + b"\n" for piece in data.split(b"\n")]
    last = pieces.pop()[:-1]
    return [*pieces, last] if last else pieces


def bare(piece: bytes) -> bytes:
    """A line without its end."""
    return piece.removesuffix(b"\n").removesuffix(b"\r")


def end_of(piece: bytes) -> bytes:
    """A line's end."""
    return piece[len(bare(piece)) :]


def next_row(rows: Iterator[LogRow]) -> LogRow:
    """The row of the next line; ConfigError where the parser gives none for it."""
    row = next(rows, None)
    if row is None:
        raise ConfigError(_NOT_A_LINE)
    return row


def no_more(rows: Iterator[LogRow]) -> None:
    """ConfigError where the parser gives more rows than there are lines."""
    if next(rows, None) is not None:
        raise ConfigError(_NOT_A_LINE)


def join(split: SplitLog, entries: Sequence[Entry], render: Callable[[Entry], Sequence[bytes]]) -> Joined:
    """The log with `entries` in it, in their order; a record that is not among them is gone.

    A made-up record, or one that was moved back, stands before the first line of the next that kept its order.
    """
    kept: dict[int, int] = {}
    before: dict[int, list[int]] = {}
    waiting: list[int] = []
    last = -1
    for index, entry in enumerate(entries):
        if entry.place == MADE_UP or entry.place <= last:
            waiting.append(index)
            continue
        last = entry.place
        kept[last] = index
        if waiting:
            before[last], waiting = waiting, []
    joined = _Tape()
    rest: dict[int, list[bytes]] = {}
    for piece, place in zip(split.pieces, split.owner, strict=True):
        if place == NOBODY:
            joined.add(piece, NOBODY)
            continue
        if place not in kept:
            continue
        index = kept[place]
        for other in before.pop(place, ()):
            joined.add_all(render(entries[other]), other)
        entry = entries[index]
        if not entry.edits:
            joined.add(piece, index)
        else:
            if place not in rest:
                rest[place] = list(reversed(render(entry)))
            joined.add(rest[place].pop(), index)
    for other in waiting:
        joined.add_all(render(entries[other]), other)
    return Joined(joined.pieces, joined.made_by)


class _Tape:
    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.made_by: list[int] = []

    def add(self, piece: bytes, index: int) -> None:
        if self.pieces and not self.pieces[-1].endswith(b"\n"):
            self.pieces[-1] += b"\n"  # the log's last line had no end, and is not the last any more
        self.pieces.append(piece)
        self.made_by.append(index)

    def add_all(self, pieces: Sequence[bytes], index: int) -> None:
        for piece in pieces:
            self.add(piece if piece.endswith(b"\n") else piece + b"\n", index)
