"""Which of day and month stands first in the dates of one log: one order for all of them.

`05/11/24` is read in the order that gives every date of the log. Where several do, the rest of the evidence is asked
in this turn: a form of dates that is written in one order only; another time of the same event; when the file was last
written; the course of time from event to event; dates that are days and not months apart. Where nothing decides, the
order is the usual one of the form, and only assumed. What does not belong here: how a date is spelled (`dates.py`,
`locales.py`).
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import median_low
from typing import Literal, NamedTuple

from rlstir_core.hostlogs.times.reading import DateOrder

Order = Literal["dmy", "mdy", "ymd"]
ORDERS: tuple[Order, ...] = ("dmy", "mdy", "ymd")

_S = 1_000_000_000
_DAY_S = 86_400
_DAY_NS = _DAY_S * _S
_DATES = 4096  # that differ; hostile ones have no end
_STEP = 1 << 24  # a larger step of the number is a restart, or another file
_CLEARLY = 4  # times
_BESIDE_NS = 2 * _DAY_NS  # between two times of one event: zones and delays lie within
_WRITTEN_DAYS = 2  # a file written so soon after its last event is the log itself, not a copy of later
_AWAY_DAYS = 20  # as far must the other orders lie from when the file was written


class LocalTime(NamedTuple):
    """A local time: the day (since 1970) by each order of day and month that it may be read in, and the clock."""

    days: dict[Order, int]  # empty where the date says its order itself
    day: int  # since 1970; where orders differ, not used
    clock_s: int
    usual: Order = "mdy"  # what such a date mostly is, where nothing else decides
    sure: bool = False  # no locale writes such a date in another order

    def ns(self, order: Order) -> int | None:
        """Nanoseconds as if the time were UTC; None where there is no such date in this order."""
        day = self.days.get(order) if self.days else self.day
        return None if day is None else (day * _DAY_S + self.clock_s) * _S


class DecidedOrder(NamedTuple):
    """The order of a log's dates; empty where none of them needs one."""

    order: DateOrder
    assumed: bool


class DateOrders:
    """Sees every time of a log, in the order of the log, and then says in which order its dates are to be read."""

    def __init__(self) -> None:
        self._dates: dict[tuple[tuple[Order, int], ...], LocalTime] = {}
        self._usual: Counter[Order] = Counter()
        self._agrees: Counter[Order] = Counter()  # with another time of the same event
        self._before: dict[str, tuple[int, LocalTime]] = {}  # by counter: the number and time seen last
        self._last: LocalTime | None = None  # of events without a number
        self._rises = dict.fromkeys(ORDERS, 0)  # from one event without a number to the next
        self._falls = dict.fromkeys(ORDERS, 0)
        self._back = dict.fromkeys(ORDERS, 0)  # from a number to a higher one

    def saw(self, time: LocalTime, number: int = -1, counter: str = "", beside_ns: int | None = None) -> None:
        """A time, and where it has one the number of its event, which rises with time; each `counter` has its own.

        `beside_ns` is another time of the same event, which is read the same in any order.
        """
        if not time.days:
            return
        self._usual[time.usual] += 1
        if len(self._dates) < _DATES:
            self._dates.setdefault(tuple(time.days.items()), time)
        if beside_ns is not None and len(set(time.days.values())) > 1:
            self._agrees.update(order for order in time.days if _lies_beside(time.ns(order), beside_ns))
        if number < 0:
            self._step(time)
            return
        last, before = self._before.get(counter, (-1, time))
        if last >= 0 and 0 < number - last < _STEP and before.days != time.days:
            for order, day in time.days.items():
                self._back[order] += day < before.days.get(order, day)
        if counter in self._before or len(self._before) < _DATES:
            self._before[counter] = number, time

    def _step(self, time: LocalTime) -> None:
        if self._last is not None and self._last.days != time.days:
            for order, day in time.days.items():
                before = self._last.days.get(order, day)
                self._rises[order] += day > before
                self._falls[order] += day < before
        self._last = time

    def decide(self, written_ns: int | None = None) -> DecidedOrder:
        """The order, by what the log tells and by when its file was last written."""
        dates = list(self._dates.values())
        if not dates:
            return DecidedOrder("", False)
        lacking = {order: sum(order not in time.days for time in dates) for order in ORDERS}
        least = min(lacking.values())
        left = [order for order in ORDERS if lacking[order] == least]
        if len(left) == 1:
            second = sorted(lacking.values())[1]
            return DecidedOrder(left[0], second < _CLEARLY * least)
        usual = self._usual.most_common(1)[0][0]
        if usual in left and all(time.sure for time in dates):
            return DecidedOrder(usual, bool(least))
        left = [order for order in left if self._agrees[order]] or left
        days = {order: [day for time in dates if (day := time.days.get(order)) is not None] for order in left}
        written = None if written_ns is None else written_ns // _DAY_NS
        if written is not None:  # no event is later than its file; the local day may be one ahead
            left = [order for order in left if max(days[order]) <= written + 1] or left
        left = _least(left, {order: self._astray(order) for order in left})
        left = _least(left, {order: _usual_gap(days[order]) for order in left})
        if written is not None:
            left = _written(left, {order: abs(written - max(days[order])) for order in left})
        if len(left) == 1:
            return DecidedOrder(left[0], bool(least))
        return DecidedOrder(usual if usual in left else left[0], True)

    def _astray(self, order: Order) -> int:
        """Steps against the course of time; a log without numbers may have the newest event first."""
        return self._back[order] + min(self._rises[order], self._falls[order])


def _lies_beside(ns: int | None, other_ns: int) -> bool:
    return ns is not None and abs(ns - other_ns) <= _BESIDE_NS


def _usual_gap(days: list[int]) -> int:
    """Days from one date of a log to the next, mostly: a recording's are days apart, not months."""
    return median_low([after - before for before, after in pairwise(sorted(days))] or [0])


def _least(orders: list[Order], counts: dict[Order, int]) -> list[Order]:
    """The orders whose count is not clearly above the smallest."""
    smallest = min(counts.values())
    return [order for order in orders if counts[order] < max(1, _CLEARLY * smallest)]


def _written(orders: list[Order], away: dict[Order, int]) -> list[Order]:
    """The order whose last date is the day on which the file was written; a log is written as it grows."""
    near = [order for order in orders if away[order] <= _WRITTEN_DAYS]
    if len(near) == 1 and all(order in near or away[order] >= _AWAY_DAYS for order in orders):
        return near
    return orders
