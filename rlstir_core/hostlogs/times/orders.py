"""The order of day and month in a log's dates of numbers, decided over all of them: one log, one order.

Decided by a number over 12, by a time of the same event that says its order, by when the file was last written, and by
a log's going one way in time. Where nothing decides, the usual order of the form is taken, and that it is assumed is
kept. What does not belong here: reading a time (`spelled.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from rlstir_core.hostlogs.times.dates import usual_order
from rlstir_core.hostlogs.times.reading import DateOrder
from rlstir_core.hostlogs.times.spelled import parse_time

_DATE = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2\d{4}[ ,T]", re.ASCII)
_HALF = re.compile(r"[ap]\.?[ \u00a0\u202f]?m\.?(?![a-z])|[上下]午|午[前後]|오[전후]", re.IGNORECASE)
_ORDERS: Final[tuple[DateOrder, DateOrder]] = ("dmy", "mdy")
_DAY_NS = 86_400 * 10**9
_NEAR_NS = 2 * _DAY_NS  # between two times of one event: zones and delays lie within


class DateOrders:
    """What the dates of one log say of their order."""

    def __init__(self) -> None:
        self.n = 0
        self._over: Counter[DateOrder] = Counter()  # dates that can be read in this order alone
        self._pairs: Counter[DateOrder] = Counter()
        self._usual: Counter[DateOrder] = Counter()
        self._last: dict[DateOrder, int] = {}
        self._latest: dict[DateOrder, int] = {}
        self._steps: Counter[tuple[DateOrder, bool]] = Counter()  # (order, whether time rose)
        self._dots = True

    def see(self, text: object, others: Sequence[object] = ()) -> None:
        """A time of an event, and other times that the same event says; what is no date of numbers tells nothing."""
        match = _DATE.match(text) if isinstance(text, str) else None
        if match is None or not isinstance(text, str):
            return
        self.n += 1
        first, mark, second = match.groups()
        self._dots = self._dots and mark == "."
        self._usual[usual_order(first, mark, second, _HALF.search(text) is not None)] += 1
        if int(first) > 12 or int(second) > 12:
            self._over["dmy" if int(first) > 12 else "mdy"] += 1
        told = next((ns for other in others if (ns := _plain_time(other)) is not None), None)
        read = {order: at[0] for order in _ORDERS if (at := parse_time(text, order)) is not None}
        for order, its in read.items():
            if told is not None and len(read) > 1 and read["dmy"] != read["mdy"] and abs(its - told) <= _NEAR_NS:
                self._pairs[order] += 1
            if order in self._last and its != self._last[order]:
                self._steps[order, its > self._last[order]] += 1
            self._last[order] = its
            self._latest[order] = max(its, self._latest.get(order, its))

    def decided(self, modified_ns: int | None = None) -> tuple[DateOrder, bool]:
        """(the order, whether it is assumed); empty where there are no such dates, or some of either order."""
        if not self.n:
            return "", False
        if all(self._over[order] for order in _ORDERS):
            return "", True
        usual = self._usual.most_common(1)[0][0]
        if self._dots and not self._over["mdy"]:
            return "dmy", False  # nobody writes the month first before a dot
        for order in (self._one(self._over), self._one(self._pairs), self._by_file(modified_ns), self._by_direction()):
            if order:
                return order, False
        return usual, True

    def _one(self, counts: Counter[DateOrder]) -> DateOrder:
        """The order that only has counts."""
        return next((mine for mine, other in (_ORDERS, _ORDERS[::-1]) if counts[mine] and not counts[other]), "")

    def _by_file(self, modified_ns: int | None) -> DateOrder:
        """The order in which the file was written after its events, where in the other it was not."""
        if modified_ns is None:
            return ""
        fits = [order for order in _ORDERS if self._latest.get(order, modified_ns) <= modified_ns + _NEAR_NS]
        return fits[0] if len(fits) == 1 else ""

    def _by_direction(self) -> DateOrder:
        """The order in which all goes one way in time, where in the other it goes both ways."""
        one_way = [order for order in _ORDERS if not (self._steps[order, True] and self._steps[order, False])]
        return one_way[0] if len(one_way) == 1 else ""


def _plain_time(value: object) -> int | None:
    """A time that is read the same in either order."""
    if isinstance(value, str) and _DATE.match(value):
        return None
    found = parse_time(value)
    return None if found is None else found[0]
