"""What a whole syslog tells of the years that its lines do not say: where the first of them lies.

The order of the dates tells how many years lie between two lines, February 29th which years they can be, a line that
says its year or holds its moment in UTC all of it, and else the file's time where the newest line can lie at most.
Lines with both clocks tell their host's zone as well. What does not belong here: the rule by which years follow one
another (`times/years.py`), which the reader shares.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

import msgspec

from rlstir_core.hostlogs.opening.lines import lines
from rlstir_core.hostlogs.syslog.header import COMMON, NEW, NEW_BARE, stamp_of
from rlstir_core.hostlogs.syslog.octets import uncounted
from rlstir_core.hostlogs.syslog.origin import Origins, host_of, tells
from rlstir_core.hostlogs.times.months import SYSLOG
from rlstir_core.hostlogs.times.reading import LogEvidence, LogReading
from rlstir_core.hostlogs.times.spelled import int64_time
from rlstir_core.hostlogs.times.years import BACK_S, TOLD_S, YEAR, Years, in_year, moved_to, nearest_s
from rlstir_core.hostlogs.times.zones import Zones, offset_name, zone_between
from rlstir_core.text import decoded

_S = 1_000_000_000
_REACH_S = 14 * 3600  # local clocks are at most that far ahead of UTC
_SLACK_S = 3600  # where the zone is known: clocks differ, and summer ends
_LITTLE_S = 300  # between the two clocks of one line
_YEARS = (YEAR, YEAR - 1, YEAR + 1, YEAR - 2)  # one of each place in a leap cycle, the fixed year first
_DATED = re.compile(
    rb"(?:[0-9]{1,6} (?=<))?(?:<[0-9]{1,3}>)?"
    rb"(?:(?:[0-9]{1,10}: (?:[\w.-]+: )?)?[*.]?(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?("
    + "|".join(SYSLOG).encode()
    + rb") {1,2}([0-9]{1,2})( [0-9]{4})? ((?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60))(?:[.,][0-9]{1,9})?"
    rb"( [0-9]{4}(?=[ :]))?(?=[ :+-])|(?:1 )?[0-9]{4}[-/])"
)
_UTC = re.compile(  # seconds since 1970 in what the audit daemon, the kernel and macOS' boot say
    rb" (?:audi[\w-]*(?:\[[0-9]+\])?: (?:node=\S+ )?type=\S+ msg=audit\("
    rb"|kernel: (?:\[[ 0-9.]+\] )?(?:audit: )?type=\S+ (?:msg=)?audit\("
    rb"|bootlog\[[0-9]+\]: BOOT_TIME )([0-9]{9,10})\b"
)
_CLOCK = re.compile(rb"[0-2][0-9]:[0-5][0-9]:[0-6][0-9][., :]")
_HEAD = 400  # bytes of a line that its time, its host and its tag stand in
_KEPT = 64  # lines
_HOSTS = 1024  # whose zones are learnt; hostile ones have no end
_FEW = 3  # falls from line to line that may be late lines
_MOSTLY = 0.6  # of the steps must fall where the newest line stands first


class _Dates:
    """The lines as they come, for each place of a leap cycle that the first may have."""

    def __init__(self, newest_first: bool) -> None:
        self._newest_first = newest_first
        self._all = [Years(year=year, newest_first=newest_first) for year in _YEARS]
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
        """Takes the last of some lines that say the day of the one before."""
        for years in self._all:
            years.same_day(seconds, lines)

    def first_s(self, latest_s: int | None) -> tuple[int | None, bool]:
        """Where the first line lies if the newest is as new as can be; whether the order of the lines tells it."""
        least = min(years.strained for years in self._all)
        fitting = [
            (first_s, first_s if self._newest_first else years.now_s, not years.disordered)
            for first_s, years in zip(self._first_s, self._all, strict=True)
            if years.strained == least and first_s is not None
        ]
        best: tuple[int, int, bool] | None = None
        for first_s, newest_s, ordered in fitting:
            if newest_s is None:
                continue
            by_s = 0 if latest_s is None else moved_to(newest_s, latest_s)
            found = (newest_s + by_s, first_s + by_s, ordered)
            if best is None or (latest_s is not None and found > best):
                best = found
        return (None, False) if best is None else best[1:]


class _Clocks:
    """The zones of hosts whose lines say their local time and hold the same moment in UTC."""

    def __init__(self) -> None:
        self._shift_s: dict[str, int | None] = {}  # None where the lines of a host disagree

    def add(self, host: str, local_s: int, utc_s: int) -> None:
        """Takes a line. What it holds was written a moment before."""
        ahead_ns = zone_between(local_s * _S, utc_s * _S, _LITTLE_S * _S)
        if not host or ahead_ns is None or abs(shift_s := ahead_ns // _S) > _REACH_S:
            return
        if self._shift_s.setdefault(host, shift_s) != shift_s:
            self._shift_s[host] = None
        if len(self._shift_s) > _HOSTS:
            self._shift_s.clear()

    def zones(self) -> dict[str, str]:
        """The zones as a reading spells them."""
        return {host: offset_name(shift_s) for host, shift_s in sorted(self._shift_s.items()) if shift_s is not None}


class _Survey:
    """Goes over the lines of one log."""

    def __init__(self, evidence: LogEvidence) -> None:
        self._evidence = evidence
        self._reading = LogReading(zone=evidence.zone, zones=evidence.zones)
        self._dates, self._turned = _Dates(newest_first=False), _Dates(newest_first=True)
        self._clocks, self._origins = _Clocks(), Origins()
        self._said: deque[bytes] = deque(maxlen=_KEPT)  # lines before that say their year
        self._day, self._clock, self._pending = b"", b"", 0
        self._first, self._last = b"", b""
        self._steps = self._falls = 0
        self._found: LogReading | None = None

    def over(self, chunks: Iterable[bytes]) -> LogReading:
        """What they tell."""
        begins, at = b"\n", 0  # what the last line without a year began with, and where its clock stood
        for line in lines(chunks, self._evidence.line_bytes):
            raw = line.raw
            same_day = raw.startswith(begins) and line.whole and _CLOCK.match(raw, at) is not None
            if same_day and self._follows(raw[at : at + 8]):
                if b"audit(" not in raw:
                    continue
            elif (match := _DATED.match(raw)) is None or not line.whole:
                continue
            elif match[1] is None or match[3] or match[5]:
                self._say(raw)
                continue
            else:
                begins, at = raw[: match.start(4)], match.start(4)
                if self._found is None and not self._take(match[1], match[2], match[4], raw):
                    begins = b"\n"
            if b"audit(" in raw or b"BOOT_TIME" in raw:
                self._compare(raw)
        if self._found is None and self._last:
            self._found = self._anchored(None)
        found = self._found or self._reading
        zones = self._clocks.zones()
        if zones and not found.zone:
            found = msgspec.structs.replace(found, zones={**zones, **found.zones})
        return found

    def _take(self, month: bytes, day: bytes, clock: bytes, raw: bytes) -> bool:
        """A line without a year; whether there is such a day."""
        if not self._last:
            told_s = next((told_s for each in reversed(self._said) if (told_s := self._told(each)) is not None), None)
            if told_s is not None:
                years = Years()
                years.told(told_s)
                self._found = self._with(years.at(SYSLOG[month.decode()], int(day), _seconds(clock), ""), False)
                return True
            self._first = raw
        if month + day == self._day and self._follows(clock):
            return True
        self._settle()
        text, seconds = decoded(raw[:_HEAD]), _seconds(clock)
        exists = self._dates.at(SYSLOG[month.decode()], int(day), seconds, text)
        self._turned.at(SYSLOG[month.decode()], int(day), seconds, text)
        if exists:
            self._day, self._clock, self._last = month + day, clock, raw
            self._steps += 1
        return exists

    def _follows(self, clock: bytes) -> bool:
        """A line that says the day of the one before; whether it is the same day."""
        before = self._clock
        if clock > before:
            if before < b"03" and clock > b"21":
                return False
            self._steps += 1
        elif clock < before:
            if clock < b"03" and before > b"21":
                return False
            self._steps += 1
            self._falls += 1
        self._clock = clock
        self._pending += 1
        return True

    def _settle(self) -> None:
        if self._pending:
            self._dates.same_day(_seconds(self._clock), self._pending)
            self._turned.same_day(_seconds(self._clock), self._pending)
            self._pending = 0

    def _say(self, raw: bytes) -> None:
        """A line that says its year: those before it lie before it."""
        if self._found is not None:
            return
        if not self._last:
            self._said.append(raw)
            return
        if match := COMMON.match(decoded(self._last[:_HEAD])):
            self._origins.seen(match[6])
        if (told_s := self._told(raw)) is not None:
            self._found = self._anchored(told_s)

    def _compare(self, raw: bytes) -> None:
        """A line that may hold its moment in UTC as well."""
        match, date = _UTC.search(raw[:_HEAD]), _DATED.match(raw)
        if match is None or int(match[1]) < TOLD_S or date is None:
            return
        month, day, _, clock, _ = date.groups()
        utc_s = int(match[1])
        local_s = nearest_s(SYSLOG[month.decode()], int(day), _seconds(clock), utc_s)
        if local_s is None or abs(local_s - utc_s) > _REACH_S + _LITTLE_S:
            return
        self._clocks.add(_host(raw), local_s, utc_s)
        if self._found is None and self._last:
            self._found = self._anchored(local_s)

    def _told(self, raw: bytes) -> int | None:
        """The time of a line that says its year; None where it has none that can be believed."""
        line = decoded(raw[:_HEAD])
        if match := NEW.match(line) or NEW_BARE.match(line):
            told = int64_time(match[2])
            ns = None if told is None else told[0]
        else:
            stamp = stamp_of(line)
            if stamp is None or isinstance(stamp, str) or not tells(stamp, self._origins.of(line, stamp)):
                return None
            ns = stamp.iso_ns
            if stamp.year:
                ns = in_year(int(stamp.year), stamp.month, stamp.day, stamp.clock, stamp.fraction)
        return ns // _S if ns is not None and ns // _S >= TOLD_S else None

    def _anchored(self, told_s: int | None) -> LogReading:
        """Where the first line lies: the newest one by the line behind it, else by the file's time."""
        self._settle()
        newest_first = self._falls >= _FEW and self._falls > _MOSTLY * self._steps
        dates = self._turned if newest_first else self._dates
        modified_ns = self._evidence.modified_ns
        if told_s is not None and not newest_first:
            first_s, ordered = dates.first_s(told_s + BACK_S)
        elif modified_ns is not None:
            newest = self._first if newest_first else self._last
            first_s, ordered = dates.first_s(modified_ns // _S + _ahead_s(modified_ns, _host(newest), self._reading))
        else:
            first_s, ordered = dates.first_s(None)
            ordered = False
        return self._with(first_s, not ordered, newest_first)

    def _with(self, first_s: int | None, assumed: bool, newest_first: bool = False) -> LogReading:
        if first_s is None or not 0 <= first_s * _S < 2**63:
            return self._reading
        return msgspec.structs.replace(
            self._reading, first_ns=first_s * _S, year="assumed" if assumed else "", newest_first=newest_first
        )


def survey(chunks: Iterable[bytes], evidence: LogEvidence) -> LogReading:
    """Where the first line without a year lies, and the zones of hosts whose lines tell them."""
    return _Survey(evidence).over(uncounted(chunks))


def _ahead_s(modified_ns: int, host: str, reading: LogReading) -> int:
    """How far behind the file's time the last line may lie by its own clock, which is a local one."""
    utc_ns, assumed = Zones(reading).utc(modified_ns, host)
    return _REACH_S + _LITTLE_S if assumed else (modified_ns - utc_ns) // _S + _SLACK_S


def _host(raw: bytes) -> str:
    match = COMMON.match(decoded(raw[:_HEAD]))
    return host_of(match[6]) if match else ""


def _seconds(clock: bytes) -> int:
    return int(clock[:2]) * 3600 + int(clock[3:5]) * 60 + int(clock[6:])
