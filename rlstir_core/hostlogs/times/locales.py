"""Local dates and clocks as programs print them in their user's language, where day and month may stand either way.

`10/05/24`, `10.05.2024`, `2024年05月10日`, `Saturday, May 11, 2024`: what `strftime("%x %T")` gives in any locale of
the GNU C library. What does not belong here: which order a log has (`date_orders.py`), and times that name their zone
(`spelled.py`).
"""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise
from typing import Literal, NamedTuple

Order = Literal["dmy", "mdy", "ymd"]
ORDERS: tuple[Order, ...] = ("dmy", "mdy", "ymd")

_S = 1_000_000_000
_DAY_S = 86_400
_CLOCK = re.compile(r"(.{4,64}?)[\s,T]{1,2}(\d{1,2}):(\d{2}):(\d{2})(?:\s?([AaPp])\.?[Mm]\.?)?", re.DOTALL)
_NUMBERS = re.compile(r"\d{1,4}")
_ESCAPED = re.compile(r"\\x[0-9a-f]{2}")  # a byte that is no UTF-8: no part of a number
_WORD = re.compile(r"[^\W\d_]{2,16}")
BUDDHIST = 543  # years that the Thai calendar is ahead
LAST_YEAR = 2262  # of int64 nanoseconds
_YEARS = range(1970, LAST_YEAR + 1)
_EPOCH = date(1970, 1, 1).toordinal()
# the first three letters of a month, or all of it, in the locales that print it as a word: en nb nn is ms kl bi ar
_LATIN = (
    "jan", "feb", "mar mac", "apr epr", "may mai mei maj maí", "jun jún", "jul júl", "aug ágú ogo ogs", "sep",
    "oct okt", "nov nóv", "dec des dis",
)  # fmt: skip
_ARABIC = (
    "ينا جان", "فبر شباط فيف", "مار آذار", "أبر نيسان أفر", "ماي أيار مايو", "يون حزيران جوا", "يول تموز جوي",
    "أغس آب أوت", "سبت أيلول", "أكت", "نوف", "ديس",
)  # fmt: skip
_MONTHS = {word: at for table in (_LATIN, _ARABIC) for at, words in enumerate(table, 1) for word in words.split()}
# these months have two words in Syria, Lebanon, Iraq and Jordan, of which the first is not enough
_TWO_WORDS = {
    ("كانون", "الثاني"): 1,
    ("كانون", "الأول"): 12,
    ("تشرين", "الأول"): 10,
    ("تشرين", "الثاني"): 11,
}


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


def local_time(text: str) -> LocalTime | None:
    """The time that a text says; None where it says none that can be read."""
    if "\\x" in text:
        text = _ESCAPED.sub(" ", text)
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None
    said, hour, minute, second, half = match.groups()
    clock_s = _clock(int(hour), int(minute), int(second), (half or "").lower())
    if clock_s is None:
        return None
    numbers = _NUMBERS.findall(said)
    if len(numbers) == 3:
        return _of_numbers(said, numbers, clock_s)
    month = _month(said) if len(numbers) == 2 else 0
    if not month:
        return None
    day, year = numbers if len(numbers[1]) == 4 else reversed(numbers)
    found = _day(int(year), month, int(day))
    return None if found is None else LocalTime({}, found, clock_s)


def _clock(hour: int, minute: int, second: int, half: str) -> int | None:
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "p")
    return hour * 3600 + minute * 60 + second if hour < 24 and minute < 60 and second <= 60 else None


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


def _month(said: str) -> int:
    """The month that a word names, the last such one: a weekday may stand before it."""
    words = [word.casefold() for word in _WORD.findall(said)]
    for pair in pairwise(words):
        if pair in _TWO_WORDS:
            return _TWO_WORDS[pair]
    for word in reversed(words):
        if month := _MONTHS.get(word) or _MONTHS.get(word[:3]):
            return month
    return 0
