"""Times in texts, moved: the same layout, the same number of digits, another moment.

What does not belong here: which field of a record is its time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from rlstir_core.lab.tamper.records.entry import MILLISECOND_NS, SECOND_NS

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)(?:([.,])(\d{1,12}))?", re.ASCII)
_TICKS = re.compile(r"/Date\((-?\d{1,16})", re.ASCII)
_NUMBERS = ((10**17, 1), (10**14, 10**3), (10**11, 10**6), (0, 10**9))  # a number's size tells its unit


def at(ns: int) -> datetime:
    """The moment in UTC, to the second; the years of a date object bound it."""
    seconds = min(max(ns // SECOND_NS, -62_135_596_800), 253_402_300_799)
    return _EPOCH + timedelta(seconds=seconds)


def grain_of(digits: int) -> int:
    """By what a time with so many digits after the second can move: milliseconds at the finest."""
    return (SECOND_NS, 100_000_000, 10_000_000, MILLISECOND_NS)[min(digits, 3)]


def fraction(ns: int, digits: int) -> str:
    """The first digits after the second."""
    return f"{ns % SECOND_NS:09d}".ljust(digits, "0")[:digits]


def grain_in(text: object) -> int | None:
    """By what the time in this text can move; None where it holds none."""
    if isinstance(text, str):
        if match := _ISO.match(text):
            return grain_of(len(match[5] or ""))
        return MILLISECOND_NS if _TICKS.match(text) else None
    if isinstance(text, int) and not isinstance(text, bool) and text > 0:
        return max(_unit(text), MILLISECOND_NS)
    return MILLISECOND_NS if isinstance(text, float) and text > 0 else None


def moved(value: object, by_ns: int) -> object:
    """The same time text, number or .NET ticks, moved; anything else as it is."""
    if isinstance(value, str):
        return _moved_text(value, by_ns)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        return value
    unit = _unit(value)
    return value + by_ns // unit if isinstance(value, int) else value + by_ns / unit


def _unit(value: float) -> int:
    return next(unit for least, unit in _NUMBERS if value >= least)


def _moved_text(text: str, by_ns: int) -> str:
    match = _ISO.match(text)
    if match is None:
        ticks = _TICKS.match(text)
        if ticks is None:
            return text
        return f"{text[: ticks.start(1)]}{int(ticks[1]) + by_ns // MILLISECOND_NS}{text[ticks.end(1) :]}"
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[3]}")
        digits = match[5] or ""
        ns = int(digits[:9].ljust(9, "0") or 0) + by_ns
        moment += timedelta(seconds=ns // SECOND_NS)
    except (ValueError, OverflowError):
        return text
    made = f"{moment:%Y-%m-%d}".rjust(10, "0") + match[2] + f"{moment:%H:%M:%S}"
    if digits:
        made += match[4] + fraction(ns, min(len(digits), 9)) + digits[9:]
    return made + text[match.end() :]
