"""What a whole syslog tells of the years that its lines do not say: where the first of them lies.

The order of the dates tells how many years lie between two lines, February 29th which years they can be, a line that
says its year all of it, and else the file's time where the last line can lie at most. What does not belong here: the
rule by which years follow one another (`times/years.py`), which the reader shares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from rlstir_core.hostlogs.opening.lines import lines
from rlstir_core.hostlogs.syslog.header import COMMON, NEW, NEW_BARE, stamp_of
from rlstir_core.hostlogs.syslog.origin import host_of
from rlstir_core.hostlogs.times.reading import LogEvidence, LogReading
from rlstir_core.hostlogs.times.years import BACK_S, MONTHS, TOLD_S, YEAR, Years, in_year, iso_ns, moved_to
from rlstir_core.hostlogs.times.zones import Zones
from rlstir_core.text import decoded

_S = 1_000_000_000
_REACH_S = 14 * 3600  # local clocks are at most that far ahead of UTC
_SLACK_S = 3600  # where the zone is known: clocks differ, and summer ends
_LITTLE_S = 300
_YEARS = (YEAR, YEAR - 1, YEAR + 1, YEAR - 2)  # one of each place in a leap cycle, the fixed year first
_DATED = re.compile(
    rb"(?:[0-9]{1,6} (?=<))?(?:<[0-9]{1,3}>)?"
    rb"(?:(?:[0-9]{1,10}: (?:[\w.-]+: )?)?[*.]?(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?("
    + "|".join(MONTHS).encode()
    + rb") {1,2}([0-9]{1,2})( [0-9]{4})? ([0-2][0-9]:[0-5][0-9]:[0-6][0-9])(?:[.,][0-9]{1,9})?"
    rb"( [0-9]{4}(?=[ :]))?(?=[ :+-])|(?:1 )?[0-9]{4}[-/])"
)
_HEAD = 400  # bytes of a line that its time and host stand in


class _Dates:
    """The lines as they come, for each place of a leap cycle that the first may have."""

    def __init__(self) -> None:
        self._all = [Years(year=year) for year in _YEARS]
        self._first_s: list[int | None] = [None] * len(_YEARS)

    def at(self, month: int, day: int, seconds: int, line: str) -> bool:
        """Takes a line; whether there is such a date."""
        exists = False
        for i, years in enumerate(self._all):
            found = years.at(month, day, seconds, line)
            exists = exists or found is not None
            if self._first_s[i] is None:
                self._first_s[i] = found
        return exists

    def same_day(self, seconds: int, lines: int) -> None:
        for years in self._all:
            years.same_day(seconds, lines)

    def first_s(self, latest_s: int | None) -> tuple[int | None, bool]:
        """Where the first line lies if the last is the newest that can be; whether the order of the lines tells it."""
        least = min(years.strained for years in self._all)
        fitting = [
            (first_s, years.now_s, years.disordered)
            for first_s, years in zip(self._first_s, self._all, strict=True)
            if years.strained == least and first_s is not None and years.now_s is not None
        ]
        if not fitting:
            return None, False
        if latest_s is None:
            first_s, _, disordered = fitting[0]
            return first_s, not disordered
        best: tuple[int, int, bool] | None = None
        for first_s, now_s, disordered in fitting:
            by_s = moved_to(now_s, latest_s)
            found = (now_s + by_s, first_s + by_s, not disordered)
            best = found if best is None or found > best else best
        assert best is not None
        return best[1], best[2]


def survey(chunks: Iterable[bytes], evidence: LogEvidence) -> LogReading:
    """Where the first line without a year lies; nothing where every line says its year."""
    reading = LogReading(zone=evidence.zone, zones=evidence.zones)
    dates = _Dates()
    told_s: int | None = None  # by a line that says its year
    day, clock, pending, last = b"", b"", 0, b""
    for line in lines(chunks, evidence.line_bytes):
        match = _DATED.match(line.raw)
        if match is None or not line.whole:
            continue
        month, number, year, at, year_behind = match.groups()
        if month is None or year or year_behind:
            said_s = _told(line.raw)
            told_s = told_s if said_s is None else said_s
            if said_s is not None and last:
                break
            continue
        if told_s is not None:
            return _following(told_s, month, number, at, reading)
        key = month + number
        if key == day and (at >= clock or at[:2] >= b"03"):
            pending += 1
        else:
            if pending:
                dates.same_day(_seconds(clock), pending)
                pending = 0
            if not dates.at(MONTHS[month.decode()], int(number), _seconds(at), decoded(line.raw[:_HEAD])):
                continue
            day = key
        clock, last = at, line.raw
    if pending:
        dates.same_day(_seconds(clock), pending)
    return _anchored(dates, told_s, last, evidence, reading) if last else reading


def _following(told_s: int, month: bytes, day: bytes, clock: bytes, reading: LogReading) -> LogReading:
    """Where the first line lies that says no year, behind one that does."""
    years = Years()
    years.told(told_s)
    return _with(reading, years.at(MONTHS[month.decode()], int(day), _seconds(clock), ""), assumed=False)


def _anchored(dates: _Dates, told_s: int | None, last: bytes, evidence: LogEvidence, reading: LogReading) -> LogReading:
    if told_s is not None:
        first_s, ordered = dates.first_s(told_s + BACK_S)
    elif evidence.modified_ns is not None:
        first_s, ordered = dates.first_s(evidence.modified_ns // _S + _ahead_s(evidence.modified_ns, last, reading))
    else:
        first_s, ordered = dates.first_s(None)
        ordered = False
    return _with(reading, first_s, assumed=not ordered)


def _with(reading: LogReading, first_s: int | None, assumed: bool) -> LogReading:
    if first_s is None or not 0 <= first_s * _S < 2**63:
        return reading
    return msgspec.structs.replace(reading, first_ns=first_s * _S, year="assumed" if assumed else "")


def _ahead_s(modified_ns: int, last: bytes, reading: LogReading) -> int:
    """How far behind the file's time the last line may lie by its own clock, which is a local one."""
    match = COMMON.match(decoded(last[:_HEAD]))
    utc_ns, assumed = Zones(reading).utc(modified_ns, host_of(match[6]) if match else "")
    return _REACH_S + _LITTLE_S if assumed else (modified_ns - utc_ns) // _S + _SLACK_S


def _told(raw: bytes) -> int | None:
    """The time of a line that says its year; None where it has none that can be believed."""
    line = decoded(raw[:_HEAD])
    if match := NEW.match(line) or NEW_BARE.match(line):
        ns = iso_ns(match[2])
    else:
        stamp = stamp_of(line)
        if stamp is None or isinstance(stamp, str):
            return None
        ns = stamp.iso_ns
        if stamp.year:
            ns = in_year(int(stamp.year), stamp.month, stamp.day, stamp.clock, stamp.fraction)
    return ns // _S if ns is not None and ns // _S >= TOLD_S else None


def _seconds(clock: bytes) -> int:
    return int(clock[:2]) * 3600 + int(clock[3:5]) * 60 + int(clock[6:])
