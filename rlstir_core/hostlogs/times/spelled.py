"""What a time may look like in a log or an export, in nanoseconds.

ISO 8601 is read from two caches, everything else by the patterns of `dates.py`. What does not belong here: which field
of an event holds its time.
"""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta

from rlstir_core.hostlogs.times.dates import spelled_out
from rlstir_core.hostlogs.times.reading import DateOrder

_S = 1_000_000_000
_INT64 = 2**63 - 1
_SECOND = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)", re.ASCII)
_REST = re.compile(r"(?:[.,](\d{1,9})\d*)?[ ]?(?:(Z|UTC|GMT)|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?", re.ASCII)
_DIGITS = re.compile(r"(\d{9,19})(?:[.,](\d{1,9})\d*)?", re.ASCII)
_CACHED = 1 << 13
_FINE = range(6, 10)  # digits of a second's fraction
_UNITS = ((10**17, 1), (10**14, 10**3), (10**11, 10**6), (10**8, 10**9))  # a number's size tells its unit
# nanoseconds of such sizes lie before 1995, where no log is: there they are what Windows and .NET count
_FILETIME = range(125_911_584 * 10**9, 160_000_000 * 10**9)  # 100 ns since 1601, of 2000 to 2108
_FILETIME_ZERO = 116_444_736 * 10**9
_DOTNET = range(630_822_816 * 10**9, 662_380_416 * 10**9)  # 100 ns since the year 1, of 2000 to 2100
_DOTNET_ZERO = 621_355_968 * 10**9
_seconds: dict[str, int | None] = {}
_rests: dict[str, tuple[int, bool] | None] = {}


def parse_time(value: object, order: DateOrder = "") -> tuple[int, bool] | None:
    """(ns, whether the text names its zone); None where it is no time. May lie beyond int64: FILETIME 0 is 1601.

    `order` is that of day and month in dates of numbers; without it the usual one of the date's form is taken.
    """
    if type(value) is not str:
        return _number(value)
    # events come in bursts and fractions repeat, so that both halves are mostly found and seldom parsed
    head, tail = value[:19], value[19:]
    try:
        second = _seconds[head]
    except KeyError:
        second = _remember_second(head)
    try:
        rest = _rests[tail]
    except KeyError:
        rest = _remember_rest(tail)
    if second is None or rest is None:
        return _other(value, order)
    return second + rest[0], rest[1]


def int64_time(value: object, order: DateOrder = "") -> tuple[int, bool] | None:
    """The same, of times that an int64 column can hold."""
    found = parse_time(value, order)
    return found if found is not None and fits(found[0]) else None


def fits(ns: int) -> bool:
    """Whether a time can stand in an int64 column: 1601 cannot."""
    return -_INT64 <= ns <= _INT64


def _remember_second(head: str) -> int | None:
    found = None
    if match := _SECOND.fullmatch(head):
        year, month, day, hour, minute, second = (int(part) for part in match.groups())
        try:
            moment = datetime(max(year, 1), month, day, hour, minute, min(second, 59))
        except ValueError:
            moment = None
        if moment is not None and second <= 60:
            found = calendar.timegm((moment + timedelta(seconds=second - moment.second)).timetuple()) * _S
    if len(_seconds) >= _CACHED:
        _seconds.clear()
    _seconds[head] = found
    return found


def _remember_rest(tail: str) -> tuple[int, bool] | None:
    digits = tail[1:-1]
    if len(digits) in _FINE and tail[0] == "." and tail[-1] == "Z" and digits.isdecimal() and digits.isascii():
        return int(digits) * 10 ** (9 - len(digits)), True  # too many to be met again
    found = None
    if len(tail) <= 40 and (match := _REST.fullmatch(tail)):
        fraction, utc, sign, hours, minutes = match.groups()
        ns = int(fraction.ljust(9, "0")) if fraction else 0
        if sign:
            shift = (int(hours) * 60 + int(minutes or 0)) * 60 * _S
            ns += shift if sign == "-" else -shift
        found = ns, bool(utc or sign)
    if len(_rests) >= _CACHED:
        _rests.clear()
    if len(tail) <= 40:
        _rests[tail] = found
    return found


def _other(text: str, order: DateOrder) -> tuple[int, bool] | None:
    text = text.strip()
    if match := _DIGITS.fullmatch(text):
        whole, fraction = match.groups()
        found = spelled_out(text, order) if len(whole) == 14 else None  # 20240501100001
        return found or _counted(int(whole), fraction or "")
    return spelled_out(text, order)


def _number(value: object) -> tuple[int, bool] | None:
    """A count since an epoch. A float has no nanoseconds."""
    if type(value) is int:
        return _counted(value)
    if type(value) is float and 0 < value < _INT64:
        scale = _unit(int(value))
        return (round(value * (scale / 1000)) * 1000, True) if scale >= 10**6 else _counted(int(value))
    return None


def _counted(count: int, fraction: str = "") -> tuple[int, bool] | None:
    if count in _FILETIME:
        return (count - _FILETIME_ZERO) * 100, True
    if count in _DOTNET:
        return (count - _DOTNET_ZERO) * 100, True
    unit = _unit(count) if count < _INT64 else 0
    part = int(fraction.ljust(9, "0")) * unit // _S if fraction else 0
    return (count * unit + part, True) if unit else None


def _unit(count: int) -> int:
    """Nanoseconds of one; 0 where it counts no time that a log can have."""
    return next((unit for least, unit in _UNITS if count >= least), 0)
