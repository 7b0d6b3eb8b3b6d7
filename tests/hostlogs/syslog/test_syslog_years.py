"""The year of lines that say none: from the order of the lines, February 29th, dated lines and the file's time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.syslog import parser as syslog
from rlstir_core.hostlogs.times.reading import LogEvidence, LogReading

S = 10**9
HOUR, DAY = 3600, 86_400


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * S


def surveyed(log: str, modified: str | None, zone: str = "", chunk: int = 1 << 18) -> tuple[LogReading, list[LogRow]]:
    """The reading of a log, and the rows that follow it: what an import and every later reader see."""
    raw = log.encode()
    chunks = [raw[at : at + chunk] for at in range(0, len(raw), chunk)]
    reading = syslog.SPEC.surveyed(chunks, LogEvidence(modified_ns=ns(modified) if modified else None, zone=zone))
    return reading, list(syslog.rows(chunks, LogContext(reading=reading, near_ns=ns("2001-01-01"))))


def log_of(*stamps: str) -> str:
    """Lines; a stamp that holds a blank behind its time is a line already."""
    return "".join(f"{each}\n" if each.count(":") > 2 else f"{each} web1 sshd[1]: x\n" for each in stamps)


def times(rows: list[LogRow]) -> list[str]:
    return [datetime.fromtimestamp(row.ts_ns // S, UTC).isoformat()[:19] for row in rows]


@pytest.mark.parametrize(
    ("stamps", "modified", "years"),
    [
        (["Sep 20 01:00:00", "Jan  9 02:00:00", "May 30 03:00:00", "Nov  4 04:00:00", "Feb  1 05:00:00"],
         "2021-02-01T06:00:00", [2019, 2020, 2020, 2020, 2021]),
        (["Jun 12 08:00:00", "Jun 11 09:00:00", "Jun 10 10:00:00"], "2023-06-10T10:00:00", [2021, 2022, 2023]),
        # no year passes for a late line, for a clock put right, or about New Year
        (["Dec 31 23:59:59", "Jan  1 00:00:01", "Dec 31 23:59:58", "Jan  1 00:00:02"], "2024-01-01T00:01:00",
         [2023, 2024, 2023, 2024]),
        (["Jun 12 20:00:00", "Jun 12 01:00:00", "Jun 12 21:00:00"], "2023-06-12T21:00:00", [2023, 2023, 2023]),
        (["Mar  1 01:00:00", "Feb 28 23:00:00", "Mar  1 02:00:00"], "2023-03-01T02:00:00", [2023, 2023, 2023]),
        # the newest line lies before the file's time, give or take a zone
        (["Jan 15 13:55:00"], "2024-01-15T00:00:00", [2024]),
        (["Jan 15 14:55:00"], "2024-01-15T00:00:00", [2023]),
        (["Dec 31 12:00:00"], "2024-01-01T00:00:00", [2023]),
        (["Jan  1 09:00:00"], "2023-12-31T20:00:00", [2024]),
        # February 29th is of a leap year
        (["Feb 28 10:00:00", "Feb 29 10:00:00", "Mar  1 10:00:00"], "2023-07-30T00:00:00", [2020, 2020, 2020]),
        (["Feb 29 10:00:00", "Mar  1 10:00:00", "Feb 28 10:00:00"], "2025-07-30T00:00:00", [2024, 2024, 2025]),
        (["Mar  1 10:00:00", "Feb 29 09:00:00"], "2025-07-30T00:00:00", [2023, 2024]),
    ],
)  # fmt: skip
def test_the_order_of_the_lines_and_the_files_time_give_the_years(
    stamps: list[str], modified: str, years: list[int]
) -> None:
    reading, rows = surveyed(log_of(*stamps), modified)
    assert [int(each[:4]) for each in times(rows)] == years
    assert {row.assumed for row in rows} == {"zone"} and reading.year == ""


def test_without_the_files_time_the_year_is_assumed_and_every_row_says_so() -> None:
    for stamps, years in (
        (["Sep  8 18:11:51", "Sep  8 18:11:52"], [2024, 2024]),
        (["Dec 31 10:00:00", "Jan  1 10:00:00"], [2024, 2025]),
        (["Mar  1 10:00:00", "Feb 29 10:00:00"], [2023, 2024]),
    ):
        reading, rows = surveyed(log_of(*stamps), None)
        assert [int(each[:4]) for each in times(rows)] == years
        assert reading.year == "assumed" and {row.assumed for row in rows} == {"year zone"}
        assert all('"year":"assumed"' in row.fields_json for row in rows)


def test_a_line_that_says_its_year_dates_those_around_it() -> None:
    dated = (
        "2020-01-01T00:00:00+02:00 web1 sshd[1]: x",
        "<34>1 2020-01-01T00:00:00Z web1 su - - - x",
        "Wed Jan  1 00:00:00 2020 daemon.info web[1]: x",
    )
    for line in dated:
        reading, rows = surveyed(log_of("Dec 30 10:00:00", "Dec 31 10:00:00", line, "Jan  2 10:00:00"), "2023-07-30")
        assert [each[:10] for each in (*times(rows[:2]), *times(rows[3:]))] == [
            "2019-12-30",
            "2019-12-31",
            "2020-01-02",
        ]
        assert reading.year == ""
        _, rows = surveyed(log_of(line, "Jan  2 10:00:00", "Jan  1 09:00:00"), None)
        assert [each[:4] for each in times(rows[1:])] == ["2020", "2021"]
        assert {row.assumed for row in rows[1:]} == {"zone"}


def test_a_date_in_another_programs_line_or_of_a_clock_never_set_dates_nothing() -> None:
    for line in ("2011-05-01 10:00:00,1 WARN [main] a.b: x", "1970-01-01T00:00:09+00:00 web1 kernel: x"):
        _, rows = surveyed(log_of("Jul 30 10:00:00", line, "Jul 30 10:00:01"), "2023-07-30T11:00:00")
        assert [times(rows)[at] for at in (0, 2)] == ["2023-07-30T10:00:00", "2023-07-30T10:00:01"]


def test_a_board_without_a_clock_boots_in_january_and_no_year_passes() -> None:
    boot = ["Jan  1 00:00:05 web1 kernel: Linux version 5", "Jan  1 00:00:09 web1 ntpd[7]: x"]
    _, rows = surveyed(
        log_of("Jul 30 10:00:00", *boot, "Jul 30 10:02:00", *boot, *boot, "Aug  2 10:00:00"), "2023-08-02T11:00:00"
    )
    assert [each[:7] for each in times(rows)] == ["2023-07", *["2023-01"] * 2, "2023-07", *["2023-01"] * 4, "2023-08"]
    assert [row.assumed for row in rows[:4]] == ["zone", "year zone", "year zone", "zone"]
    _, rows = surveyed(log_of("Jul 30 10:00:00", *boot), "2023-08-02T11:00:00")
    assert times(rows)[0] == "2023-07-30T10:00:00"
    # a host that is merely quiet has a New Year
    _, rows = surveyed(log_of("Jul 30 10:00:00", "Jan  1 00:00:05", "Jul 30 10:02:00"), "2024-08-02T11:00:00")
    assert [each[:4] for each in times(rows)] == ["2023", "2024", "2024"]


def test_one_device_with_a_wrong_clock_moves_no_other_lines() -> None:
    many = ["Jul 30 10:00:00"] * 6
    _, rows = surveyed(log_of(*many, "Mar  1 00:00:05", *many, "Mar  1 00:00:25", *many), "2023-07-30T11:00:00")
    assert {each for each in times(rows) if "-07-" in each} == {"2023-07-30T10:00:00"}


def test_a_log_that_comes_newest_first_goes_back_in_time() -> None:
    stamps = [f"{day} {hour:02d}:00:00" for day in ("Jan  3", "Jan  1", "Dec 25") for hour in (20, 15, 14, 3)]
    reading, rows = surveyed(log_of(*stamps), "2024-01-03T23:00:00")
    assert reading.newest_first
    assert [each[:10] for each in times(rows)[::4]] == ["2024-01-03", "2024-01-01", "2023-12-25"]
    assert [row.ts_ns for row in rows] == sorted((row.ts_ns for row in rows), reverse=True)


def test_a_log_whose_order_says_nothing_is_assumed_to_be_of_some_year() -> None:
    reading, rows = surveyed(log_of(*["Jan  1 10:00:00", "Jun  1 10:00:00"] * 60), "2024-07-01T00:00:00")
    assert reading.year == "assumed" and {row.assumed for row in rows} == {"year zone"}


def test_a_zone_that_the_user_names_is_no_longer_assumed_and_narrows_the_files_time() -> None:
    reading, (row,) = surveyed(log_of("Jan 15 13:29:00"), "2024-01-15T00:30:00", zone="Pacific/Auckland")
    assert (times([row]), row.assumed, reading.zone) == (["2024-01-15T00:29:00"], "", "Pacific/Auckland")
    _, (row,) = surveyed(log_of("Jan 15 13:29:00"), "2024-01-15T00:30:00", zone="UTC")
    assert times([row]) == ["2023-01-15T13:29:00"]  # thirteen hours ahead of its file in no zone but that


def test_lines_that_hold_their_moment_in_utc_tell_the_year_and_the_hosts_zone() -> None:
    audit = 'audispd: type=SYSCALL msg=audit(1704067200.1:5): pid=7 exe="/bin/x"'  # 2024-01-01T00:00:00Z
    log = log_of(
        "Dec 31 23:00:00", f"Jan  1 02:00:01 web1 {audit}", "Jan  2 02:00:01", "Jan  2 02:00:01 db1 cron[1]: x"
    )
    reading, rows = surveyed(log, "2026-07-30T11:00:00")
    assert times(rows) == ["2023-12-31T21:00:00", "2024-01-01T00:00:00", "2024-01-02T00:00:01", "2024-01-02T02:00:01"]
    assert [row.assumed for row in rows] == ["", "", "", "zone"] and reading.zones == {"web1": "+02:00"}
    # summer began: no one offset fits
    reading, rows = surveyed(log + log_of(f"Jan  1 03:00:01 web1 {audit}"), "2026-07-30T11:00:00")
    assert reading.zones == {} and rows[0].assumed == "zone"


def test_the_survey_of_hostile_lines_ends_and_the_reading_fits_the_rows() -> None:
    lines = ["Feb 30 10:00:00 h a: x", "Feb 30 11:00:00 h a: x", "May  1 1x:00:00 h a: x", "May  1 10:00:01", "\0" * 90]
    reading, rows = surveyed("\n".join(["May  1 10:00:00 h a[1]: x", *lines, "May  1 9:"]), "2023-07-30T11:00:00")
    assert times(rows)[:1] == ["2023-05-01T10:00:00"] and reading.first_ns == rows[0].ts_ns
    assert [row.parsed for row in rows] == [True, *[False] * 5]
    assert surveyed("", "2023-07-30T11:00:00") == (LogReading(), [])


@st.composite
def written(draw: st.DrawFn) -> tuple[list[int], int, int]:
    """Local times over some years, with late lines; when the file was last written; the size of chunks."""
    zone_s = draw(st.integers(-24, 28)) * 1800
    now = draw(st.integers(1_000_000_000, 1_700_000_000))
    steps = st.one_of(st.integers(0, 5), st.integers(0, HOUR), st.integers(0, 3 * DAY), st.integers(0, 363 * DAY))
    true_s: list[int] = []
    for step, late in draw(
        st.lists(st.tuples(steps, st.sampled_from([0, 0, 0, 60, 20 * HOUR])), min_size=1, max_size=30)
    ):
        now += step
        true_s += [now, now - late] if late else [now]
    modified = max(true_s) + draw(st.integers(0, DAY))
    return [each + zone_s for each in true_s], modified, draw(st.sampled_from([17, 100, 1 << 16]))


@settings(max_examples=80, deadline=None)
@given(written())
def test_every_line_gets_its_true_year(log: tuple[list[int], int, int]) -> None:
    local_s, modified_s, chunk = log
    stamps = [datetime.fromtimestamp(each, UTC) for each in local_s]
    text = log_of(*(f"{at:%b} {at.day:2d} {at:%H:%M:%S}" for at in stamps))
    _, rows = surveyed(text, datetime.fromtimestamp(modified_s, UTC).isoformat()[:19], chunk=chunk)
    assert [row.ts_ns // S for row in rows] == local_s
