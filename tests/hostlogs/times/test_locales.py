"""Local dates in the languages of the world, and the clock that reads those of one log."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from rlstir_core.hostlogs.times.date_orders import LocalTime
from rlstir_core.hostlogs.times.locales import LocalClock, local_time


def days(*ymd: int) -> int:
    return (date(*ymd) - date(1970, 1, 1)).days


def ns(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 10**9


def read(text: str) -> LocalTime:
    found = local_time(f"{text} 10:00:00")
    assert found is not None, text
    return found


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-11", "2024.05.11.", "2024/05/11", "2024年05月11日", "2024년 05월 11일", "2024年05月11號",
        "2024\\xc7\\xaf05\\xb7\\xee11\\xc6\\xfc", "11. mai 2024", "lau 11.maí 2024", "Sabtu 11 Mei 2024",
        "maj 11 2024", "Saturday, May 11, 2024", "Saturday, 11 May, 2024", "11 ماي, 2024", "11 أيار, 2024",
    ],
)  # fmt: skip
def test_a_date_that_says_its_order_is_read_in_any_language(text: str) -> None:
    found = read(text)
    assert (found.days, found.day, found.clock_s) == ({}, days(2024, 5, 11), 36_000)


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("11/05/24", {"dmy": (2024, 5, 11), "mdy": (2024, 11, 5), "ymd": (2011, 5, 24)}),
        ("11/05/2024", {"dmy": (2024, 5, 11), "mdy": (2024, 11, 5)}),
        ("11.05.2024", {"dmy": (2024, 5, 11), "mdy": (2024, 11, 5)}),
        ("11. 5. 24", {"dmy": (2024, 5, 11), "mdy": (2024, 11, 5)}),
        ("13-05-24", {"dmy": (2024, 5, 13)}),
        ("05/13/24", {"mdy": (2024, 5, 13)}),
        ("24/5/30", {"dmy": (2030, 5, 24), "ymd": (2024, 5, 30)}),
        ("11/05-2024", {"dmy": (2024, 5, 11), "mdy": (2024, 11, 5)}),
        ("11/05/2567", {"dmy": (2024, 5, 11), "mdy": (2024, 11, 5)}),
        ("۲۴/۰۵/۱۱", {"dmy": (2011, 5, 24), "ymd": (2024, 5, 11)}),
    ],
)
def test_a_date_of_numbers_has_a_day_for_each_order_that_gives_one(
    text: str, orders: dict[str, tuple[int, int, int]]
) -> None:
    assert read(text).days == {order: days(*ymd) for order, ymd in orders.items()}


def test_months_of_two_words_are_told_apart() -> None:
    assert read("11 كانون الثاني, 2024").day == days(2024, 1, 11)
    assert read("11 تشرين الثاني, 2024").day == days(2024, 11, 11)


@pytest.mark.parametrize(
    "text",
    ["", "?", "10:00:00", "99/99/99 10:00:00", "11/05/24 25:00:00", "11/05/24 10:60:00", "11/05/24",
     "2024-13-01 10:00:00",
     "lr., 2024.eko mairen 11a \x7f", "11 ábc 2024 10:00:00", "1/2/3/4 10:00:00", "11/05/24 13:00:00 PM",
     "11/05/9999 10:00:00"],
)  # fmt: skip
def test_what_is_no_time_is_none(text: str) -> None:
    assert local_time(text) is None


def test_a_clock_of_twelve_hours_is_read() -> None:
    found = [local_time(f"05/11/24 {clock}") for clock in ("12:00:01 AM", "12:00:00 pm", "1:02:03 p.m.", "11:00:00AM")]
    assert [time and time.clock_s for time in found] == [1, 43_200, 46_923, 39_600]


def test_without_a_survey_the_date_nearest_to_the_episode_decides_for_the_log() -> None:
    clock = LocalClock("", near_ns=ns(2024, 5, 12))
    assert clock.at("11/05/24 10:00:00") == (ns(2024, 5, 11, 10), False)
    assert clock.at("12/01/24 10:00:00") == (ns(2024, 1, 12, 10), False)
    assert clock.at("11/05/24 10:00:00") == (ns(2024, 5, 11, 10), False)
    unknown = LocalClock("")
    assert unknown.at("11/05/2024 10:00:00") == (ns(2024, 11, 5, 10), True)
    assert unknown.at("13/05/2024 10:00:00") == (ns(2024, 5, 13, 10), False)  # the guess was wrong
    assert unknown.at("11/05/2024 10:00:00") == (ns(2024, 5, 11, 10), False)


def test_a_surveyed_order_holds_even_for_a_date_that_it_does_not_give() -> None:
    clock = LocalClock("mdy", assumed=True)
    assert clock.at("05/11/24 10:00:00") == (ns(2024, 5, 11, 10), True)
    assert clock.at("13/05/24 10:00:00") is None
    assert clock.at("2024-05-11 10:00:00") == (ns(2024, 5, 11, 10), False)
