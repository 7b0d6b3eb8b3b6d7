"""Which of day and month stands first in the dates of one log, what decides it, and when it is assumed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rlstir_core.hostlogs.times.date_orders import DateOrders, DecidedOrder
from rlstir_core.hostlogs.times.dates import local_time_of_numbers
from rlstir_core.hostlogs.times.locales import local_time


def ns(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 10**9


def decided(*dates: str, written: int | None = None, numbers: list[int] | None = None) -> DecidedOrder:
    orders = DateOrders()
    for at, text in enumerate(dates):
        time = local_time(f"{text} 10:00:00")
        assert time is not None, text
        orders.saw(time, numbers[at] if numbers else at + 1)
    return orders.decide(written)


@pytest.mark.parametrize(
    ("dates", "order"),
    [
        (("11/05/24", "12/05/24", "13/05/24"), "dmy"),
        (("05/11/24", "05/12/24", "05/13/24"), "mdy"),
        (("24/5/11", "24/5/12", "24/5/30"), "ymd"),
        # April 30 would decide alone; May 1 comes after April 5 in one order only
        (("04/05/24", "05/01/24", "05/02/24"), "mdy"),
        (("05/04/24", "01/05/24", "02/05/24"), "dmy"),
        # they rise in both orders, but one log is of days and the other of months
        (("01/05/24", "02/05/24", "03/05/24"), "dmy"),
        (("05/01/24", "05/02/24", "05/03/24"), "mdy"),
        (("24/5/11", "24/5/12"), "ymd"),
    ],
)
def test_a_logs_order_is_the_one_that_gives_every_date_and_a_sensible_course(
    dates: tuple[str, ...], order: str
) -> None:
    assert decided(*dates) == (order, False)


def test_what_nothing_decides_is_assumed_and_said() -> None:
    assert decided("05/11/24", "05/11/24") == ("mdy", True)
    assert decided("24/5/11") == ("dmy", True)
    assert decided("05/11/24", "06/12/24") == ("mdy", True)
    assert decided() == ("", False)
    assert decided("2024-05-11") == ("", False)


def test_dots_and_dashes_stand_between_day_and_month_in_every_language() -> None:
    assert decided("05.11.2024") == decided("05-11-24") == ("dmy", False)
    assert decided("01.05.2024", "01.06.2024", "01.07.2024") == ("dmy", False)  # the first of every month
    assert decided("05-11-2024", "05-13-2024") == ("mdy", False)


def test_a_reboot_and_a_second_file_do_not_count_as_time_going_back() -> None:
    numbers = [500, 501, 1, 2, 3]
    assert decided("05/01/24", "05/02/24", "05/03/24", "06/01/24", "06/02/24", numbers=numbers) == ("mdy", False)
    # rotated files, the newest first
    assert decided("06/01/24", "06/02/24", "05/03/24", "05/04/24", numbers=[90, 95, 10, 20]) == ("mdy", False)


def test_the_time_at_which_a_file_was_written_decides_what_else_nothing_does() -> None:
    assert decided("11/05/24", written=ns(2024, 5, 11, 23)) == ("dmy", False)
    assert decided("11/05/24", written=ns(2024, 11, 5, 23)) == ("mdy", False)
    assert decided("11/05/24", written=ns(2024, 8, 1)) == ("dmy", True)  # November was not yet; but 2011 was
    assert decided("11/05/2024", written=ns(2024, 8, 1)) == ("dmy", False)
    assert decided("11/05/2024", written=ns(2025, 8, 1)) == ("mdy", True)
    assert decided("11/05/2024", written=ns(2023, 1, 1)) == ("mdy", True)  # before both: it tells nothing


def test_one_date_that_cannot_be_does_not_turn_a_log_and_two_logs_in_one_are_said() -> None:
    american = [f"05/{day}/24" for day in range(1, 31)]
    assert decided(*american, "31/05/24") == ("mdy", False)
    assert decided("05/13/24", "13/05/24") == ("mdy", True)


@pytest.mark.parametrize(
    ("texts", "written", "expected"),
    [
        ([], "", ("", False)),
        (["2024-05-01 10:00:00", "2024/05/01 10:00:00"], "", ("", False)),
        (["5/1/2024 10:00:00 AM"], "", ("mdy", True)),
        (["01/05/2024 10:00:00"], "", ("dmy", True)),
        (["01.05.2024 10:00:00"], "", ("dmy", False)),
        (["01/05/2024 10:00:00", "31/05/2024 10:00:00"], "", ("dmy", False)),
        (["05/01/2024 10:00:00", "05/31/2024 10:00:00"], "", ("mdy", False)),
        (["13/05/2024 10:00:00", "05/31/2024 10:00:00"], "", ("dmy", True)),
        (["05/06/2024 10:00:00"], "2024-05-08", ("mdy", False)),
        (["05/06/2024 10:00:00"], "2024-05-01", ("dmy", True)),
        (["12/04/2024 10:00:00", "03/05/2024 10:00:00", "04/06/2024 10:00:00"], "", ("dmy", False)),
        (["04/06/2024 10:00:00", "03/05/2024 10:00:00", "12/04/2024 10:00:00"], "", ("dmy", False)),
        (["05/01/2024 10:00:00", "05/02/2024 10:00:00", "05/03/2024 10:00:00"], "", ("mdy", False)),
        (["05/06/2024 10:00:00", "06/07/2025 10:00:00"], "", ("dmy", True)),
        (["05-06-2024 10:00:00"], "", ("dmy", True)),
        ([f"05/{day}/2024 10:00:00" for day in range(1, 31)] + ["31/05/2024 10:00:00"], "", ("mdy", False)),
    ],
)
def test_events_without_numbers_decide_by_what_else_there_is(
    texts: list[str], written: str, expected: tuple[str, bool]
) -> None:
    orders = DateOrders()
    for text in texts:
        if (time := local_time_of_numbers(text)) is not None:
            orders.saw(time)
    assert orders.decide(ns(*map(int, written.split("-"))) if written else None) == expected


@pytest.mark.parametrize(("other", "order"), [((2024, 5, 6, 8), "mdy"), ((2024, 6, 5, 23), "dmy")])
def test_another_time_of_the_same_event_decides(other: tuple[int, ...], order: str) -> None:
    orders = DateOrders()
    time = local_time_of_numbers("05/06/2024 10:00:00")
    assert time is not None
    orders.saw(time, beside_ns=ns(*other))
    assert orders.decide() == (order, False)


@pytest.mark.parametrize(
    "text", [None, 5, [], "10:00:00", "5/1/24 10:00", "2024/05/01 10:00", "45/45/2024 10:00", "1" * 99]
)
def test_what_is_no_date_of_numbers_with_a_year_tells_nothing(text: object) -> None:
    assert local_time_of_numbers(text) is None
