"""Local dates and clocks as programs print them in their user's language, and the clock that reads those of one log.

`10/05/24`, `10.05.2024`, `2024年05月10日`, `Saturday, May 11, 2024`: what `strftime("%x %T")` gives in any locale of
the GNU C library. What does not belong here: which order of day and month a log has (`date_orders.py`), and times that
name their zone (`spelled.py`).
"""

from __future__ import annotations

import re
from datetime import date

from rlstir_core.hostlogs.times.date_orders import LocalTime, Order
from rlstir_core.hostlogs.times.dates import clock_seconds
from rlstir_core.hostlogs.times.months import month_named
from rlstir_core.hostlogs.times.reading import DateOrder

_CLOCK = re.compile(r"(.{4,64}?)[\s,T]{1,2}(\d{1,2}):(\d{2}):(\d{2})(?:\s?([AaPp])\.?[Mm]\.?)?", re.DOTALL)
_NUMBERS = re.compile(r"\d{1,4}")
_ESCAPED = re.compile(r"\\x[0-9a-f]{2}")  # a byte that is no UTF-8: no part of a number
BUDDHIST = 543  # years that the Thai calendar is ahead
LAST_YEAR = 2262  # of int64 nanoseconds
_YEARS = range(1970, LAST_YEAR + 1)
_EPOCH = date(1970, 1, 1).toordinal()
_CACHED = 1 << 12  # texts


def local_time(text: str) -> LocalTime | None:
    """The time that a text says; None where it says none that can be read."""
    if "\\x" in text:
        text = _ESCAPED.sub(" ", text)
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None
    said, hour, minute, second, half = match.groups()
    clock_s = clock_seconds(int(hour), int(minute), int(second), (half or "").lower())
    if clock_s is None:
        return None
    numbers = _NUMBERS.findall(said)
    if len(numbers) == 3:
        return _of_numbers(said, numbers, clock_s)
    month = month_named(said) if len(numbers) == 2 else 0
    if not month:
        return None
    day, year = numbers if len(numbers[1]) == 4 else reversed(numbers)
    found = _day(int(year), month, int(day))
    return None if found is None else LocalTime({}, found, clock_s)


def _of_numbers(said: str, numbers: list[str], clock_s: int) -> LocalTime | None:
    one, two, three = (int(number) for number in numbers)
    if len(numbers[0]) > 2 or one > 31:
        found = _day(one, two, three)
        return None if found is None else LocalTime({}, found, clock_s)
    short = len(numbers[2]) <= 2
    slashes = said.count("/") == 2
    read: dict[Order, int | None] = {"dmy": _day(three, two, one), "mdy": _day(three, one, two)}
    if short and slashes:  # as ne_NP and fa_IR write it
        read["ymd"] = _day(one, two, three)
    days = {order: day for order, day in read.items() if day is not None}
    if not days:
        return None
    return LocalTime(days, 0, clock_s, "mdy" if slashes else "dmy", not slashes)


def _day(year: int, month: int, day: int) -> int | None:
    if year < 100:
        year += 2000
    elif year > LAST_YEAR:
        year -= BUDDHIST
    if year not in _YEARS:
        return None
    try:
        return date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None


class LocalClock:
    """Reads the local times of one log, all in one order."""

    def __init__(self, order: DateOrder, assumed: bool = False, near_ns: int | None = None) -> None:
        self._order: DateOrder = order
        self._near_ns = near_ns
        self._said = bool(order)  # a survey found it; else the log's first such date decides
        self._assumed = assumed
        self._known: dict[str, tuple[int, bool] | None] = {}

    def at(self, text: str) -> tuple[int, bool] | None:
        """Nanoseconds as if the time were UTC, and whether its order of day and month is only assumed."""
        try:
            return self._known[text]
        except KeyError:
            pass
        if len(self._known) >= _CACHED:
            self._known.clear()
        time = local_time(text)
        found = self._known[text] = None if time is None else self._in_order(time)
        return found

    def _in_order(self, time: LocalTime) -> tuple[int, bool] | None:
        order: Order = "ymd"
        if time.days:
            if not self._order or (not self._said and self._order not in time.days):
                self._order = self._chosen(time)
            order = self._order
        ns = time.ns(order)
        return None if ns is None else (ns, self._assumed and len(time.days) > 1)

    def _chosen(self, time: LocalTime) -> Order:
        """The order that brings the time nearest to the episode."""
        self._known.clear()
        orders = list(time.days)
        near_ns = self._near_ns
        if near_ns is not None:
            return min(orders, key=lambda order: abs((time.ns(order) or 0) - near_ns))
        self._assumed = len(orders) > 1 and not time.sure
        return time.usual if time.usual in orders else orders[0]
