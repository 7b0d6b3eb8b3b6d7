"""The years of dates that say none, as syslog writes them: from the order of the lines and what else a log says.

Lines follow one another, so a date that lies before the one above it is of the next year. A step back of less than
`BACK_S` is none: relays deliver late, and clocks are put right. What is no step in time either: a board without a clock
that boots on January 1st until it is told the time, and a line of a device whose clock is wrong between many others.
Where the first line lies is said by the log's reading (`reading.py`), which a survey found. Without one, each line lies
nearest to a time of the episode; where that is unknown as well, the first line lies in 2024, which has a February 29th:
a fixed year makes the same rows at every run. What does not belong here: the rest of the line, and zones (`zones.py`).
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import datetime, timedelta
from functools import lru_cache

from rlstir_core.hostlogs.times.months import SYSLOG
from rlstir_core.hostlogs.times.reading import LogReading
from rlstir_core.hostlogs.times.spelled import fits

YEAR = 2024
BACK_S = 21 * 3600  # a step back of less is a late line or a clock put right; of more, the next year
_SECOND = 1_000_000_000
_DAY_S = 86_400
_FAR_S = _DAY_S  # a longer step forward may be one onto a wrong clock, or back from it
_YEAR_S = 366 * _DAY_S
_LEAP_S = 1461 * _DAY_S  # four years; all are alike from 1901 to 2099
_EPOCH = datetime(1970, 1, 1)
_LEAP_YEARS_APART = 8  # at most, about 2100
_MOST_S = 50 * _YEAR_S  # a log of more years is a log out of order
_MANY = 5  # lines of one day in a row: others wrote them than the line between them and the next
_SOON_S = 600  # so near in time are the lines around one of a device whose clock is wrong
TOLD_S = 631_152_000  # 1990: a clock that says an earlier year was never set, and tells nothing of other lines
_BOOT = re.compile(r"[ /](?:kernel|(?:r?sys)?k?logd?|syslogd|rsyslogd|syslog-ng|init|procd|systemd)[:\[ ]")


class Years:
    """Gives each date of a log that says no year the year that its place among the others asks for."""

    def __init__(self, first_s: int | None = None, year: int = YEAR, newest_first: bool = False) -> None:
        self._first_s, self._year, self._newest_first = first_s, year, newest_first
        self._at_s: int | None = None  # the line before
        self._least_s: int | None = None  # the first line
        self._same_day = 0  # lines in a row that say this day
        self._left_s: int | None = None  # the last line before a step that may be one onto a wrong clock
        self._left_many = False
        self._entered_s = 0
        self.adrift = False  # in the lines of a board that booted without a clock
        self.disordered = False  # more years than a log has: its order says nothing
        self.strained = 0  # dates of February 29th that lie over a year behind the line before

    @property
    def now_s(self) -> int | None:
        """Where the log has come to; lines of a board without a clock do not count."""
        return self._left_s if self.adrift else self._at_s

    def told(self, at_s: int) -> None:
        """A line that says its year: the next one without lies behind it."""
        if at_s >= TOLD_S:
            self._at_s, self._left_s, self.adrift, self._same_day, self._least_s = at_s, None, False, 0, at_s

    def same_day(self, seconds: int, lines: int = 1) -> int | None:
        """A line that says the day of the line before; None where it must lie a year later."""
        if self._at_s is None:
            return None
        found = self._at_s // _DAY_S * _DAY_S + seconds
        if abs(found - self._at_s) > BACK_S:
            return None
        self._at_s = found
        self._same_day += lines
        return found

    def at(self, month: int, day: int, seconds: int, line: str) -> int | None:
        """Seconds since 1970 of a date; None where no year has it."""
        now_s = self._at_s
        found: int | None
        if now_s is None:
            found = self._start(month, day, seconds)
            self._least_s = found
        elif self._newest_first:
            found = _until(now_s + BACK_S, month, day, seconds)
        else:
            found = _since(now_s - BACK_S, month, day, seconds)
        if found is None:
            return None
        if now_s is not None and abs(found - now_s) > _FAR_S:
            self.strained += abs(found - now_s) > _YEAR_S
            if not self._newest_first:
                found = self._after_a_leap(now_s, found, month, day, seconds, line)
            if self._least_s is not None and abs(found - self._least_s) > _MOST_S:
                self.disordered = True
                near = nearest_s(month, day, seconds, now_s)
                found = found if near is None else near
        self._same_day = self._same_day + 1 if now_s is not None and found // _DAY_S == now_s // _DAY_S else 1
        self._at_s = found
        return found

    def _start(self, month: int, day: int, seconds: int) -> int | None:
        if self._first_s is not None:
            return nearest_s(month, day, seconds, self._first_s)
        midnight = _midnight(self._year, month, day)
        if midnight is None:
            self.strained += 1
            return nearest_s(month, day, seconds, timegm((self._year, month, 1, 0, 0, 0)))
        return midnight + seconds

    def _after_a_leap(self, now_s: int, found: int, month: int, day: int, seconds: int, line: str) -> int:
        if _is_boot(month, day, line) and found - now_s > 2 * _DAY_S:
            if not self.adrift:
                self._left_s, self._left_many, self.adrift = now_s, True, True
            before = _since((now_s if self._left_s is None else self._left_s) - _YEAR_S, month, day, seconds)
            return found if before is None else before
        left_s = self._left_s
        if left_s is not None:
            back = _since(left_s - BACK_S, month, day, seconds)
            short = now_s - self._entered_s <= _SOON_S and abs(back - left_s) <= _SOON_S if back is not None else False
            if back is not None and (self.adrift or (self._left_many and short)):
                self._left_s, self.adrift = None, False
                return back
        self._left_s, self._left_many, self._entered_s = now_s, self._same_day >= _MANY, found
        return found


class YearGuess:
    """The same for a reader: dates as texts; near a time of the episode where no survey was made."""

    def __init__(self, near_ns: int | None, reading: LogReading | None = None) -> None:
        first_ns = None if reading is None else reading.first_ns
        self._near_s = None if near_ns is None or first_ns is not None else near_ns // _SECOND
        first_s = None if first_ns is None else first_ns // _SECOND
        self._years = Years(first_s, newest_first=reading is not None and reading.newest_first)
        self._nobody_says = near_ns is None if reading is None or first_ns is None else reading.year == "assumed"
        self.assumed = self._nobody_says  # only a rule says the year of the last line
        self._day = ("", "")

    def at(self, month: str, day: str, clock: str, fraction: str | None, line: str) -> int | None:
        """Nanoseconds of `Dec`, `10`, `06:55:46` and perhaps a fraction; None for a date that does not exist."""
        seconds = int(clock[:2]) * 3600 + int(clock[3:5]) * 60 + int(clock[6:])
        found: int | None
        if self._near_s is not None:
            found = nearest_s(SYSLOG.get(month, 0), int(day), seconds, self._near_s)
        else:
            found = self._years.same_day(seconds) if self._day == (month, day) else None
            if found is None:
                found = self._years.at(SYSLOG.get(month, 0), int(day), seconds, line)
                self._day = (month, day) if found is not None else ("", "")
                self.assumed = self._nobody_says or self._years.adrift
        if found is None:
            return None
        return found * _SECOND + int(fraction.ljust(9, "0")) if fraction else found * _SECOND

    def told(self, ts_ns: int) -> None:
        """A line that says its year: later lines without one lie behind it."""
        if self._near_s is None and ts_ns >= TOLD_S * _SECOND:
            self._years.told(ts_ns // _SECOND)
            self._day, self._nobody_says = ("", ""), False


def in_year(year: int, month: str, day: str, clock: str, fraction: str | None) -> int | None:
    """Nanoseconds of a date that says its year."""
    midnight = _midnight(year, SYSLOG.get(month, 0), int(day)) if year else None
    if midnight is None:
        return None
    seconds = int(clock[:2]) * 3600 + int(clock[3:5]) * 60 + int(clock[6:])
    found = (midnight + seconds) * _SECOND + (int(fraction.ljust(9, "0")) if fraction else 0)
    return found if fits(found) else None


def moved_to(end_s: int, latest_s: int) -> int:
    """By how many seconds a time must be moved, in whole leap cycles, to be the last one up to `latest_s`."""
    return (latest_s - end_s) // _LEAP_S * _LEAP_S


def _is_boot(month: int, day: int, line: str) -> bool:
    """Whether a line is what a board writes that was switched on and has no clock: 1970 began, in some zone."""
    return (month, day) in ((1, 1), (12, 31)) and _BOOT.search(line[:200]) is not None


def _since(least_s: int, month: int, day: int, seconds: int) -> int | None:
    """The first such date that is not before `least_s`."""
    year = _year_of(least_s // _DAY_S)
    for each in range(year, year + _LEAP_YEARS_APART + 1):
        midnight = _midnight(each, month, day)
        if midnight is not None and midnight + seconds >= least_s:
            return midnight + seconds
    return None


def _until(most_s: int, month: int, day: int, seconds: int) -> int | None:
    """The last such date that is not behind `most_s`."""
    year = _year_of(most_s // _DAY_S)
    for each in range(year, year - _LEAP_YEARS_APART - 1, -1):
        midnight = _midnight(each, month, day)
        if midnight is not None and midnight + seconds <= most_s:
            return midnight + seconds
    return None


def nearest_s(month: int, day: int, seconds: int, near_s: int) -> int | None:
    """The date nearest to a time."""
    candidates = _candidates(month, day, near_s // _DAY_S)
    if not candidates:
        return None
    if len(candidates) == 1:
        return candidates[0] + seconds
    return min((midnight + seconds for midnight in candidates), key=lambda at: (abs(at - near_s), at))


@lru_cache(maxsize=4096)
def _candidates(month: int, day: int, near_day: int) -> tuple[int, ...]:
    """Midnights of the years that may be nearest: one, or two where half a year lies either way."""
    near_s = near_day * _DAY_S
    year = _year_of(near_day)
    found = [_midnight(at, month, day) for at in range(year - _LEAP_YEARS_APART, year + _LEAP_YEARS_APART + 1)]
    known = sorted((midnight for midnight in found if midnight is not None), key=lambda at: abs(at - near_s))
    if len(known) > 1 and abs(abs(known[0] - near_s) - abs(known[1] - near_s)) <= 4 * _DAY_S:
        return known[0], known[1]
    return tuple(known[:1])


@lru_cache(maxsize=4096)
def _year_of(day: int) -> int:
    return (_EPOCH + timedelta(days=min(max(day, -90_000), 90_000))).year


@lru_cache(maxsize=4096)
def _midnight(year: int, month: int, day: int) -> int | None:
    try:
        return timegm(datetime(year, month, day).timetuple())
    except ValueError:
        return None
