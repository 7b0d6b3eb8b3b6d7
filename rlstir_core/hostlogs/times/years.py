"""The time of a syslog line: ISO 8601 as it stands, RFC 3164 with the year that it does not say.

A line without a year lies in the year that brings it nearest to a time of the episode. Where none is known, the
first such line lies in 2024 and each further one nearest to the line before: a fixed year makes the same rows at
every run, and 2024 has a February 29th. A time without a zone is read as UTC. What does not belong here: the rest
of the line.
"""

from __future__ import annotations

from calendar import timegm
from datetime import UTC, datetime, timedelta
from functools import lru_cache

YEAR = 2024
_MONTH_WORDS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
_MONTHS = {name: at for at, name in enumerate(_MONTH_WORDS.split(), 1)}
_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LEAP_YEARS_APART = 8  # at most, about 2100
_FIRST_NS, _LAST_NS = -(2**63), 2**63 - 1


class YearGuess:
    """Gives dates without a year their year."""

    def __init__(self, near_ns: int | None) -> None:
        self._near_s = None if near_ns is None else near_ns // _SECOND
        self._before_s = None if near_ns is None else near_ns // _SECOND
        self.assumed = near_ns is None

    def at(self, month: str, day: str, clock: str, fraction: str | None) -> int | None:
        """Nanoseconds of `Dec`, `10`, `06:55:46` and perhaps a fraction; None for a date that does not exist."""
        number = _MONTHS.get(month)
        if number is None:
            return None
        found = _nearest(number, int(day), _seconds(clock), self._before_s)
        if found is None:
            return None
        if self._near_s is None:
            self._before_s = found
        return found * _SECOND + (_nanoseconds(fraction) if fraction else 0)

    def seen(self, ts_ns: int) -> None:
        """A line that says its year: later lines without one lie near it."""
        if self._near_s is None:
            self._before_s = ts_ns // _SECOND


def in_year(year: int, month: str, day: str, clock: str, fraction: str | None) -> int | None:
    """Nanoseconds of a date that says its year."""
    midnight = _midnight(year, _MONTHS.get(month, 0), int(day)) if year else None
    if midnight is None:
        return None
    found = (midnight + _seconds(clock)) * _SECOND + (_nanoseconds(fraction) if fraction else 0)
    return found if _FIRST_NS <= found <= _LAST_NS else None


def _seconds(clock: str) -> int:
    return int(clock[:2]) * 3600 + int(clock[3:5]) * 60 + int(clock[6:])


def _nanoseconds(fraction: str) -> int:
    return int(fraction[:9].ljust(9, "0"))


def _nearest(month: int, day: int, seconds: int, near_s: int | None) -> int | None:
    if near_s is None:
        midnight = _midnight(YEAR, month, day)
        return None if midnight is None else midnight + seconds
    candidates = _candidates(month, day, near_s // 86_400)
    if not candidates:
        return None
    if len(candidates) == 1:
        return candidates[0] + seconds
    return min((midnight + seconds for midnight in candidates), key=lambda at: (abs(at - near_s), at))


@lru_cache(maxsize=4096)
def _candidates(month: int, day: int, near_day: int) -> tuple[int, ...]:
    """Midnights of the years that may be nearest: one, or two where half a year lies either way."""
    near_s = near_day * 86_400
    year = (_EPOCH + timedelta(days=min(max(near_day, -90_000), 90_000))).year
    found = [_midnight(at, month, day) for at in range(year - _LEAP_YEARS_APART, year + _LEAP_YEARS_APART + 1)]
    known = sorted((midnight for midnight in found if midnight is not None), key=lambda at: abs(at - near_s))
    if len(known) > 1 and abs(abs(known[0] - near_s) - abs(known[1] - near_s)) <= 4 * 86_400:
        return known[0], known[1]
    return tuple(known[:1])


@lru_cache(maxsize=4096)
def _midnight(year: int, month: int, day: int) -> int | None:
    try:
        return timegm(datetime(year, month, day).timetuple())
    except ValueError:
        return None


def iso_ns(text: str) -> int | None:
    """Nanoseconds of `2024-05-01T12:00:00.123456+02:00`; None where it is no time, or beyond int64."""
    leap = text[17:19] == "60"
    try:
        at = datetime.fromisoformat(f"{text[:17]}59{text[19:]}" if leap else text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    found = (at - _EPOCH) // _MICROSECOND * 1000 + leap * _SECOND
    if text[19:20] in (".", ",") and text[26:27].isdecimal():  # beyond microseconds
        nanos = "".join(digit for digit in text[26:29] if digit.isdecimal())
        found += int(nanos.ljust(3, "0"))
    return found if _FIRST_NS <= found <= _LAST_NS else None
