"""Dates and clocks as people and their locales write them, by pattern: `5/1/2024 10:00:01 AM`, RFC 2822, ctime, DMTF.

What does not belong here: ISO 8601 and counts since an epoch (`spelled.py`), and texts without a year (`years.py`).
"""

from __future__ import annotations

import calendar
import re
from datetime import datetime
from functools import lru_cache

from rlstir_core.hostlogs.times.date_orders import ORDERS, LocalTime, Order
from rlstir_core.hostlogs.times.months import ENGLISH
from rlstir_core.hostlogs.times.reading import DateOrder
from rlstir_core.hostlogs.times.zone_words import is_word, shift_s

_S = 1_000_000_000
_DAY_NS = 86_400 * _S
_LONGEST = 64  # characters of a text that is tried
_GAP = "[ \u00a0\u202f]"  # Unicode's own locales write narrow blanks that do not break
_CLOCK = (
    rf"(?P<half_before>上午|下午|午前|午後|오전|오후)?{_GAP}?"
    rf"(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{{1,9}})\d*)?)?"
    rf"(?:{_GAP}?(?P<half>[AaPp])\.?{_GAP}?[Mm]\.?(?![A-Za-z]))?"
)
_SHIFT = r"[+-](?:[01]\d|2[0-3]):?[0-5]\d"
_ZONE = rf"(?:{_GAP}?(?:(?P<zone>[A-Z]{{1,4}})|(?:GMT|UTC)?(?P<shift>{_SHIFT}))(?:{_GAP}?\([\w ]{{1,40}}\))?)?"
_MONTH = r"(?P<month>[A-Za-z]{3,9})\.?"
_DAY_NAME = rf"(?:[A-Za-z]{{3,9}},?{_GAP})?"
_NUMBERS = re.compile(
    r"(?P<a>\d{1,2}|\d{4})(?P<mark>[/.-])(?P<b>\d{1,2})(?P=mark)(?P<c>\d{4}|\d{1,2}),?[T ]?"
    rf"{_GAP}?{_CLOCK}{_ZONE}",
    re.ASCII,
)
_WORDS = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        # Wed, 01 May 2024 10:00:01 +0000 · 01-May-2024 10:00:01 · 01/May/2024:10:00:01 +0000
        rf"{_DAY_NAME}(?P<day>\d{{1,2}})[ /-]{_MONTH}[ /-](?P<year>\d{{4}})[ :,]{_GAP}?{_CLOCK}{_ZONE}",
        # May 1, 2024 @ 10:00:01.320 · Wednesday, May 1, 2024 10:00:01 AM
        rf"{_DAY_NAME}{_MONTH}{_GAP}{{1,2}}(?P<day>\d{{1,2}}),?{_GAP}(?P<year>\d{{4}}),?(?:{_GAP}(?:@|at))?{_GAP}{_CLOCK}{_ZONE}",
        # Wed May  1 10:00:01 UTC 2024
        rf"[A-Za-z]{{3}}{_GAP}{_MONTH}{_GAP}{{1,2}}(?P<day>\d{{1,2}}){_GAP}{_CLOCK}{_ZONE}{_GAP}(?P<year>\d{{4}})",
    )
)
# 20240501T100001Z · 20240501100001 · 20240501100001.123456-000, of DMTF, with minutes from UTC
_PACKED = re.compile(
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)T?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
    r"(?:[.,](?P<fraction>\d{1,9})\d*)?(?:(?P<zone>Z)|(?P<shift>" + _SHIFT + r")|(?P<minutes>[+-]\d{3}))?",
    re.ASCII,
)
_TICKS = re.compile(r"\\?/Date\((-?\d{1,16})(?:[+-]\d{4})?\)\\?/", re.ASCII)  # .NET's JSON
_AFTERNOON = frozenset({"下午", "午後", "오후"})


@lru_cache(maxsize=1 << 13)
def spelled_out(text: str, order: DateOrder = "") -> tuple[int, bool] | None:
    """(ns, whether the text names its zone); None where it is no such time."""
    if not 8 <= len(text) <= _LONGEST:
        return None
    if match := _NUMBERS.fullmatch(text):
        found = match.groupdict()
        date = _in_order(found, order)
        return None if date is None else _moment(*date, found)
    for pattern in _WORDS:
        if match := pattern.fullmatch(text):
            found = match.groupdict()
            return _moment(int(found["year"]), ENGLISH.get(found["month"].lower(), 0), int(found["day"]), found)
    if match := _PACKED.fullmatch(text):
        found = match.groupdict()
        return _moment(int(found["year"]), int(found["month"]), int(found["day"]), found)
    if match := _TICKS.fullmatch(text):
        return int(match[1]) * 1_000_000, True
    return None


def local_time_of_numbers(text: object) -> LocalTime | None:
    """The time of a text such as `5/1/2024 10:00:01 AM`, by each order of day and month; None for any other text."""
    match = _NUMBERS.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= _LONGEST else None
    if match is None or len(match["c"]) != 4 or len(match["a"]) > 2:
        return None
    found = match.groupdict()
    days: dict[Order, int] = {}
    clock_s = 0
    for order in ORDERS[:2]:
        date = _in_order(found, order)
        moment = None if date is None else _moment(*date, found)
        if moment is not None:
            days[order], clock_ns = divmod(moment[0], _DAY_NS)
            clock_s = clock_ns // _S
    if not days:
        return None
    usual = usual_order(match["a"], match["mark"], match["b"], bool(found["half"] or found["half_before"]))
    return LocalTime(days, 0, clock_s, usual, sure=match["mark"] == ".")  # nobody has the month first before a dot


def clock_seconds(hour: int, minute: int, second: int, half: str) -> int | None:
    """Seconds since midnight; `half` is `a`, `p` or empty. A leap second counts; None where no clock says so."""
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "p")
    return hour * 3600 + minute * 60 + second if hour < 24 and minute < 60 and second <= 60 else None


def usual_order(first: str, mark: str, second: str, half: bool) -> Order:
    """The order of day and month that most who write dates in this form mean; `half`: with AM or PM."""
    if mark != "/" or not half:
        return "dmy"
    # of those who write AM and PM, most put the month first; but `1/05/2024` pads what Australia calls the month
    return "dmy" if len(first) == 1 and len(second) == 2 and second[0] == "0" else "mdy"


def _in_order(found: dict[str, str | None], order: DateOrder) -> tuple[int, int, int] | None:
    """Year, month and day."""
    a, b, c = found["a"] or "", found["b"] or "", found["c"] or ""
    if len(a) == 4:
        return (int(a), int(b), int(c)) if len(c) < 4 else None
    if len(c) != 4:
        return None  # a year of two digits could be any of the three
    if order not in {"dmy", "mdy"}:
        half = bool(found["half"] or found["half_before"])
        order = usual_order(a, found["mark"] or "", b, half)
        if max(int(a), int(b)) > 12:
            order = "dmy" if int(a) > 12 else "mdy"
    return (int(c), int(b), int(a)) if order == "dmy" else (int(c), int(a), int(b))


def _moment(year: int, month: int, day: int, found: dict[str, str | None]) -> tuple[int, bool] | None:
    hour, minute, second = int(found["hour"] or 0), int(found["minute"] or 0), int(found["second"] or 0)
    half = (found.get("half") or "").lower()
    if before := found.get("half_before"):
        half = "p" if before in _AFTERNOON else "a"
    clock_s = clock_seconds(hour, minute, second, half)
    if clock_s is None:
        return None
    try:
        seconds = calendar.timegm(datetime(year, month, day).timetuple()) + clock_s
    except ValueError:
        return None
    ns = int((found["fraction"] or "").ljust(9, "0")) if found["fraction"] else 0
    zone, shift, minutes = found.get("zone"), found.get("shift"), found.get("minutes")
    if zone and not is_word(zone):
        return None
    if zone or shift:
        east = shift_s(zone or shift or "")
        if east is None:  # a word that several zones share
            zone = None
        seconds -= east or 0
    elif minutes:
        seconds -= int(minutes) * 60
    return seconds * _S + ns, bool(zone or shift or minutes)
