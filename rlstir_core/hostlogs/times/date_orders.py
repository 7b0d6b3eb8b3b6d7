"""Which of day and month stands first in the dates of one log: one order for all of them.

`05/11/24` is read in the order that gives every date of the log; else in the one in which times rise with the numbers
of the events; else in the one in which its dates are days and not months apart; else by when the file was written;
else as such dates mostly are, which is then only assumed. What does not belong here: how a date is spelled
(`locales.py`).
"""

from __future__ import annotations

from itertools import pairwise
from statistics import median_low
from typing import NamedTuple

from rlstir_core.hostlogs.times.locales import ORDERS, LocalTime, Order, local_time
from rlstir_core.hostlogs.times.reading import DateOrder

_DAY_NS = 86_400 * 10**9
_DATES = 4096  # that differ; hostile ones have no end
_STEP = 1 << 24  # a larger step of the number is a restart, or another file
_CLEARLY = 4  # times
_WRITTEN_DAYS = 2  # a file written so soon after its last event is the log itself, not a copy of later
_AWAY_DAYS = 20
_CACHED = 1 << 12


class DecidedOrder(NamedTuple):
    """The order of a log's dates; empty where none of them needs one."""

    order: DateOrder
    assumed: bool


class OrderSurvey:
    """Sees every time of a log, in the order of the log, and then says in which order its dates are to be read."""

    def __init__(self) -> None:
        self._dates: dict[tuple[tuple[Order, int], ...], LocalTime] = {}
        self._before: dict[str, tuple[int, LocalTime]] = {}  # by counter: the number and time seen last
        self._falls = dict.fromkeys(ORDERS, 0)

    def saw(self, time: LocalTime, number: int = -1, counter: str = "") -> None:
        """A time, and where it has one the number of its event, which rises with time; each `counter` has its own."""
        if not time.days:
            return
        if len(self._dates) < _DATES:
            self._dates.setdefault(tuple(time.days.items()), time)
        if number < 0:
            return
        last, before = self._before.get(counter, (-1, time))
        if last >= 0 and 0 < number - last < _STEP and before.days != time.days:
            for order, day in time.days.items():
                self._falls[order] += day < before.days.get(order, day)
        if counter in self._before or len(self._before) < _DATES:
            self._before[counter] = number, time

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
        usual = dates[0].usual
        if usual in left and all(time.sure for time in dates):
            return DecidedOrder(usual, bool(least))
        left = _least(left, self._falls)
        days = {order: [day for time in dates if (day := time.days.get(order)) is not None] for order in left}
        left = _least(left, {order: _usual_gap(found) for order, found in days.items()})
        if len(left) > 1 and written_ns is not None:
            left = _written(left, {order: max(days[order]) for order in left}, written_ns // _DAY_NS)
        if len(left) == 1:
            return DecidedOrder(left[0], bool(least))
        return DecidedOrder(usual if usual in left else left[0], True)


def _usual_gap(days: list[int]) -> int:
    """Days from one date of a log to the next, mostly: a recording's are days apart, not months."""
    return median_low([after - before for before, after in pairwise(sorted(days))] or [0])


def _least(orders: list[Order], counts: dict[Order, int]) -> list[Order]:
    """The orders whose count is not clearly above the smallest."""
    smallest = min(counts[order] for order in orders)
    return [order for order in orders if counts[order] < max(1, _CLEARLY * smallest)]


def _written(orders: list[Order], last: dict[Order, int], written: int) -> list[Order]:
    """No event is later than the file (the local day may be one ahead), and a log is written as it grows."""
    left = [order for order in orders if last[order] <= written + 1] or orders
    near = [order for order in left if abs(written - last[order]) <= _WRITTEN_DAYS]
    if len(near) == 1 and all(order in near or abs(written - last[order]) >= _AWAY_DAYS for order in left):
        return near
    return left


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
