"""What an operator works on: the records of one log, the logs within it, and draws.

What does not belong here: any operator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from rlstir_core.errors import ConfigError
from rlstir_core.lab.tamper.formats.forms import Form
from rlstir_core.lab.tamper.records.entry import MADE_UP, NONE, Entry, renumbered

_RESTART = 1000  # a number so much smaller than the one before begins anew


@dataclass
class Work:
    """One log and the dice. `entries` are its records as they stand in the log."""

    entries: Sequence[Entry]
    form: Form
    rng: np.random.Generator
    strength: float = 0.5
    logs: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.logs = {}
        for entry in self.entries:
            if not entry.fixed:
                self.logs.setdefault(entry.log, []).append(entry.place)

    def whole(self, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        return int(self.rng.integers(low, high + 1))

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * float(self.rng.random())

    def one_of(self, names: Sequence[str]) -> str:
        """One of them, each as likely."""
        return names[self.whole(0, len(names) - 1)]

    def some(self, places: Sequence[int], n: int) -> list[int]:
        """`n` of them, in their order."""
        chosen = self.rng.permutation(len(places))[:n]
        return [places[i] for i in sorted(int(c) for c in chosen)]

    def log(self, least: int, *, numbered: bool = False, among: Iterable[str] | None = None) -> list[int]:
        """The places of one of the logs with at least so many records, the larger the likelier."""
        names = self.logs if among is None else among
        fit = [
            name
            for name in names
            if len(self.logs[name]) >= least
            and (not numbered or any(self.entries[place].number >= 0 for place in self.logs[name]))
        ]
        if not fit:
            what = "numbered records" if numbered else "records"
            raise ConfigError(f"it needs a log of at least {least} {what}")
        ends = np.cumsum([len(self.logs[name]) for name in fit])
        draw = float(self.rng.random()) * float(ends[-1])
        return self.logs[fit[int(np.searchsorted(ends, draw, side="right"))]]

    def share(self, low: float, high: float) -> float:
        """A share between `low` and `high`, larger where the strength is."""
        return low + (high - low) * self.strength * self.uniform(0.6, 1.0)

    def stretch(self, n: int, low: float, high: float) -> tuple[int, int]:
        """[start, end) of a stretch within `n` records that leaves one on either side; `n` is three at least."""
        length = min(max(1, round(n * self.share(low, high))), n - 2)
        start = self.whole(1, n - 1 - length)
        return start, start + length

    def notice(self, what: str, like: Entry, ts_ns: int, number: int = NONE, **given: object) -> Entry:
        """What the host writes when something happens, in the manner of `like`; ConfigError where it writes nothing.

        Without a number it gets the next of its log at that place.
        """
        words = {**self.form.words(self.entries), **given}
        made = self.form.notice(what, like, ts_ns, max(number, like.number, 0) if number < 0 else number, **words)
        if made is not None and number < 0 and made.log != like.log and made.number >= 0:  # it counts on its own
            before = [self.entries[place].number for place in self.logs.get(made.log, ()) if place < like.place]
            number = before[-1] + 1 if before else self.whole(1000, 90_000)
            made = self.form.notice(what, like, ts_ns, number, **words)
        if made is None:
            raise ConfigError("it needs a log in which such an event can be written; ausearch -i has no zone")
        return made


@dataclass
class Outcome:
    """A log after an operator: its records, and among which records gaps count."""

    entries: list[Entry]
    lane: Collection[int] = ()


def without(entries: Sequence[Entry], gone: Collection[int]) -> list[Entry]:
    """The records that are left."""
    return [entry for entry in entries if entry.place not in gone]


def replaced(entries: Sequence[Entry], changed: dict[int, Entry]) -> list[Entry]:
    """The records with some of them changed, by place."""
    return [changed.get(entry.place, entry) if entry.place != MADE_UP else entry for entry in entries]


def placed(entries: Sequence[Entry], made: Sequence[tuple[int, Entry]]) -> list[Entry]:
    """The records with made-up ones before those at the given places; a place past the end is the end.

    Before a line that could not be read nothing is put, for a reader might take it for the new record's.
    """
    waiting = sorted(range(len(made)), key=lambda i: made[i][0])
    found: list[Entry] = []
    for entry in entries:
        while waiting and entry.place != MADE_UP and made[waiting[0]][0] <= entry.place and not entry.fixed:
            found.append(made[waiting.pop(0)][1])
        found.append(entry)
    return found + [made[i][1] for i in waiting]


def closed_up(entries: Sequence[Entry], log: str, gone: Sequence[Entry], *, marked: bool) -> list[Entry]:
    """The records with the numbers of one log moved up, so that the numbers of `gone` are not missed.

    Each run of records that is gone is closed up wholly. Where numbers fall back (a reboot) they begin anew, and what
    follows is left alone. The headers of an EVTX file count over all its logs.
    """
    lost = {entry.place: entry for entry in gone}
    there = sorted((entry for entry in (*entries, *gone) if not entry.fixed), key=lambda entry: entry.place)
    number_by = _closing([(entry.place, entry.number) for entry in there if entry.log == log], lost)
    live = is_live(there)
    header_by = number_by if live else _closing([(entry.place, entry.header) for entry in there], lost)
    return [
        renumbered(entry, number_by.get(entry.place, 0), header_by.get(entry.place, 0), marked=marked)
        for entry in entries
    ]


def is_live(entries: Iterable[Entry]) -> bool:
    """Whether headers repeat the events' own numbers, as in a log on its host: an export counts over all its logs."""
    return all(entry.header in (entry.number, NONE) for entry in entries if entry.place != MADE_UP)


def _closing(numbers: list[tuple[int, int]], lost: dict[int, Entry]) -> dict[int, int]:
    """By how much each record's number moves, by place."""
    by, last, highest, found = 0, -1, -1, dict[int, int]()
    for place, number in numbers:
        if number < 0:
            continue
        if place in lost:
            highest = max(highest, number)
            continue
        if last >= 0 and number < last - _RESTART:
            break
        if highest >= 0 and last >= 0 and number > max(highest, last):
            by -= number - last - 1
        highest = -1
        # one that stands out of order, from before the gap
        if by and number > -by:
            found[place] = by
        last = max(last, number)
    return found


def numbered_on(entries: Sequence[Entry], log: str) -> list[Entry]:
    """The records with made-up ones of `log` numbered on from the record before, and those after moved on.

    That is what the host's own numbering would have done, so those after count as untouched.
    """
    live = is_live(entries)
    by, last, header_by, last_header, found = 0, -1, 0, -1, list[Entry]()
    for entry in entries:
        ours = entry.log == log and entry.number >= 0 and not entry.fixed
        if entry.place == MADE_UP:
            number_to = last + 1 if last >= 0 and ours else entry.number
            header_to = number_to if live else last_header + 1 if last_header >= 0 else entry.header
            by += ours and last >= 0
            header_by += last_header >= 0
            made = renumbered(entry, number_to - entry.number, header_to - entry.header, marked=entry.marked)
        elif entry.fixed:
            made = entry
        else:
            mine = by if ours else 0
            made = renumbered(entry, mine, mine if live else header_by, marked=False)
        if ours:
            last = made.number if last - made.number > _RESTART else max(last, made.number)
        last_header = max(last_header, made.header)
        found.append(made)
    return found


def unmarked(entry: Entry) -> Entry:
    """A record that the host wrote itself."""
    return msgspec.structs.replace(entry, marked=False)
