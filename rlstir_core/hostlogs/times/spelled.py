"""Times as Windows logs and their exporters write them, in nanoseconds; and the zone of those that name none.

What does not belong here: which field of an event holds its time.
"""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta

_S = 1_000_000_000
_INT64 = 2**63 - 1
_QUARTER_NS = 900 * _S
_WIDEST = 24 * 3600 * _S  # 14 h are possible; 16 h were seen, from an export with a 12-hour clock
_SECOND = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)", re.ASCII)
_REST = re.compile(r"(?:[.,](\d{1,9})\d*)?[ ]?(?:(Z|UTC)|([+-])(\d\d):?(\d\d))?", re.ASCII)
_TICKS = re.compile(r"/Date\((-?\d{1,16})(?:[+-]\d{4})?\)/", re.ASCII)  # .NET's JSON
_CACHED = 1 << 13
_FINE = range(6, 10)  # digits of a second's fraction
_UNITS = ((10**17, 1), (10**14, 10**3), (10**11, 10**6), (0, 10**9))  # a number's size tells its unit
_seconds: dict[str, int | None] = {}
_rests: dict[str, tuple[int, bool] | None] = {}


def parse_time(value: object) -> tuple[int, bool] | None:
    """(ns, whether the text names its zone); None where it is no time. May lie beyond int64: FILETIME 0 is 1601."""
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
        return _ticks(value)
    return second + rest[0], rest[1]


def fits(ns: int) -> bool:
    """Whether a time can stand in an int64 column: 1601 cannot."""
    return -_INT64 <= ns <= _INT64


class Zone:
    """What must be taken from a log's zone-less times to get UTC, learnt from events that give both."""

    def __init__(self) -> None:
        self.offset_ns: int | None = None
        self._hour = ""

    def wants(self, local: str) -> bool:
        """Whether it is worth learning from this event: the first, and the first of every hour (summer time)."""
        return self.offset_ns is None or local[:13] != self._hour

    def learn(self, local: str, utc: object) -> None:
        """Both times are of one moment, give or take minutes: the difference is whole quarter hours."""
        ours, theirs = parse_time(local), parse_time(utc)
        if ours is None or theirs is None:
            return
        offset = (ours[0] - theirs[0] + _QUARTER_NS // 2) // _QUARTER_NS * _QUARTER_NS
        if abs(offset) <= _WIDEST:
            self.offset_ns = offset
            self._hour = local[:13]


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
            shift = (int(hours) * 60 + int(minutes)) * 60 * _S
            ns += shift if sign == "-" else -shift
        found = ns, bool(utc or sign)
    if len(_rests) >= _CACHED:
        _rests.clear()
    if len(tail) <= 40:
        _rests[tail] = found
    return found


def _ticks(text: str) -> tuple[int, bool] | None:
    match = _TICKS.fullmatch(text[:40])
    return (int(match[1]) * 1_000_000, True) if match else None


def _number(value: object) -> tuple[int, bool] | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < _INT64:
        return None
    unit = next(unit for least, unit in _UNITS if value >= least)
    # a whole number is scaled as such: a float has no nanoseconds
    return (value * unit if isinstance(value, int) else int(value * unit)), True
