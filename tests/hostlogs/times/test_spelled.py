"""Times as Windows and its exporters write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlstir_core.hostlogs.times.reading import DateOrder
from rlstir_core.hostlogs.times.spelled import fits, int64_time, parse_time

NOON = int(datetime(2020, 10, 18, 12, 0, 5, tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-10-18T12:00:05Z", (NOON, True)),
        ("2020-10-18 12:00:05", (NOON, False)),
        ("2020-10-18 12:00:05.123", (NOON + 123_000_000, False)),
        ("2020-10-18T12:00:05.1397835Z", (NOON + 139_783_500, True)),
        ("2020-10-18T12:00:05.1397835Z UTC", None),
        ("2020-10-18T14:00:05+02:00", (NOON, True)),
        ("2020-10-18T07:00:05.5-0500", (NOON + 500_000_000, True)),
        ("2020-10-18 12:00:05 UTC", (NOON, True)),
        ("/Date(1603022405000)/", (NOON, True)),
        (NOON // 10**9, (NOON, True)),
        (NOON // 10**6, (NOON, True)),
        ("2020-10-18 12:00:05.123 +00:00", (NOON + 123_000_000, True)),
        ("2020-10-18T14:00:05+02", (NOON, True)),
        ("2020-10-18 14:00:05 CEST", (NOON, True)),
        ("10/18/2020 12:00:05 PM", (NOON, False)),
        ("10/18/2020, 12:00:05.123 PM", (NOON + 123_000_000, False)),
        ("10/18/2020 12:00:05\u202fp.m.", (NOON, False)),
        ("10/18/2020 12:00:05 AM", (NOON - 12 * 3600 * 10**9, False)),
        ("18/10/2020 12:00:05", (NOON, False)),
        ("18.10.2020 12:00:05", (NOON, False)),
        ("2020/10/18 12:00:05", (NOON, False)),
        ("2020/10/18 下午 12:00:05", (NOON, False)),
        ("Sun Oct 18 12:00:05 2020", (NOON, False)),
        ("Sun Oct 18 12:00:05 UTC 2020", (NOON, True)),
        ("Sun, 18 Oct 2020 14:00:05 +0200", (NOON, True)),
        ("18 Oct 2020 12:00:05 GMT", (NOON, True)),
        ("18/Oct/2020:12:00:05 +0000", (NOON, True)),
        ("Oct 18, 2020 @ 12:00:05.500", (NOON + 500_000_000, False)),
        ("Sunday, October 18, 2020 12:00:05 PM", (NOON, False)),
        ("20201018140005.500000+120", (NOON + 500_000_000, True)),
        ("20201018120005", (NOON, False)),
        ("20201018T120005Z", (NOON, True)),
        (str(NOON // 10**9), (NOON, True)),
        (f"{NOON // 10**9}.250", (NOON + 250_000_000, True)),
        (NOON / 10**9 + 0.25, (NOON + 250_000_000, True)),
        (str(NOON // 10**6), (NOON, True)),
        (str(NOON), (NOON, True)),
        (str(NOON // 100 + 116_444_736 * 10**9), (NOON, True)),  # FILETIME
        (NOON // 100 + 621_355_968 * 10**9, (NOON, True)),  # .NET
        (5, None),
        ("20", None),
        ("10/18/20 12:00:05 PM", None),  # a year of two digits could be a day
        ("32/13/2020 12:00:05", None),
        ("13:00:05 PM", None),
        ("10/18/2020 13:00:05 PM", None),
        ("Sun Oct 18 12:00:61 2020", None),
        ("18 Okt 2020 12:00:05", None),
        ("2020-10-18 12:00:05 XYZ", None),
        ("2020-10-18 12:00:05 CST", (NOON, False)),  # Chicago or Shanghai
        ("2020-10-18T12:00:05+99:00", None),
        ("18 Oct 2020 12:00:05 +9900", None),
        ("yesterday", None),
        ("2020-13-18 12:00:05", None),
        ("2020-10-18 12:61:05", None),
        ("٢٠٢٠-10-18 12:00:05", None),
        ("", None),
        (None, None),
        (True, None),
        ([], None),
    ],
)
def test_a_time_is_read_as_it_was_written(text: object, expected: object) -> None:
    assert parse_time(text) == expected
    assert parse_time(text) == expected, "the second time it comes from the cache"


def test_a_leap_second_is_the_next_second() -> None:
    last = parse_time("2016-12-31T23:59:59Z")
    assert last is not None
    assert parse_time("2016-12-31T23:59:60Z") == (last[0] + 10**9, True)


def test_filetime_zero_is_read_but_fits_no_column() -> None:
    parsed = parse_time("1601-01-01T00:00:00Z")
    assert parsed is not None
    assert not fits(parsed[0])
    assert int64_time("1601-01-01T00:00:00Z") is None


@given(st.text("0123456789 /:.,-+TZAPMmayCEST()上午Date\\", max_size=40) | st.floats() | st.integers())
def test_nothing_that_stands_for_a_time_raises(value: object) -> None:
    parse_time(value)


def test_the_order_of_a_date_of_numbers_is_the_logs_or_the_usual_one_of_its_form() -> None:
    march, may = (int(datetime(2020, month, day, 12, tzinfo=UTC).timestamp()) for month, day in ((3, 5), (5, 3)))
    cases: tuple[tuple[str, DateOrder, int], ...] = (
        ("3/5/2020 12:00:00", "mdy", march),
        ("3/5/2020 12:00:00", "dmy", may),
        ("3/5/2020 12:00:00", "", may),
        ("3/5/2020 12:00:00 PM", "", march),
        ("3/05/2020 12:00:00 PM", "", may),  # Australia pads the month alone
        ("03.05.2020 12:00:00", "", may),
    )
    for text, order, expected in cases:
        assert parse_time(text, order) == (expected * 10**9, False)
    assert parse_time("13/5/2020 12:00:00", "mdy") is None
