"""The headers of an EVTX file's records after its events were changed: as an editor leaves them, or mended.

In an exported file a header carries the time of the record that came next, and numbers count from the first record on.
What does not belong here: the events' own times and numbers, which operators change.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rlstir_core.errors import ConfigError
from rlstir_core.lab.tamper.records.clocks import at, fraction
from rlstir_core.lab.tamper.records.entry import MADE_UP, NONE, Entry, renumbered

# moved with the event's own time; left where it was; left, and then mended as whoever exports anew would write it
HEADERS = ("moved", "left", "repaired")


def check_headers(headers: str) -> None:
    """ConfigError where there is no such way."""
    if headers not in HEADERS:
        raise ConfigError(f"headers {headers!r} are unknown; known are {', '.join(HEADERS)}")


def with_headers(before: Sequence[Entry], after: Sequence[Entry], headers: str) -> list[Entry]:
    """The records `after` an operator, with their headers in that way; records without headers stay as they are."""
    if headers == "moved" or not any(entry.header != NONE for entry in after):
        return list(after)
    if headers == "left":
        return [_edited(entry, "header_stays", True) if "shift_ns" in entry.edits else entry for entry in after]
    if all(entry.header in (entry.number, NONE) for entry in before):  # a live log: the header says what the event says
        return list(after)
    numbers = [entry.header for entry in before if entry.header != NONE]
    counted = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    followed = _following(before)
    now = _following(after)
    mended: list[Entry] = []
    for index, entry in enumerate(after):
        behind = now.get(index)
        same = entry.place != MADE_UP and behind is not None and followed.get(entry.place) == after[behind].place
        moved = behind is not None and ("shift_ns" in after[behind].edits or "shift_ns" in entry.edits)
        if behind is not None and entry.header != NONE and (not same or moved):
            entry = _edited(entry, "written", _iso(after[behind].ts_ns))  # noqa: PLW2901
        by = numbers[0] + len(mended) - entry.header if counted and entry.header != NONE else 0
        mended.append(renumbered(entry, 0, by, marked=False))
    return mended


def _following(entries: Sequence[Entry]) -> dict[int, int]:
    """The index of the next record of the same log, by index."""
    last: dict[str, int] = {}
    found: dict[int, int] = {}
    for index, entry in enumerate(entries):
        if not entry.fixed:
            if entry.log in last:
                found[last[entry.log]] = index
            last[entry.log] = index
    return found


def _edited(entry: Entry, key: str, value: object) -> Entry:
    return msgspec.structs.replace(entry, edits={**entry.edits, key: value})


def _iso(ns: int) -> str:
    return f"{at(ns):%Y-%m-%dT%H:%M:%S}.{fraction(ns, 7)}Z"
