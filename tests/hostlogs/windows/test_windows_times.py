"""Times of Windows events: one order of dates a log; zones told, learnt or assumed; and times that are none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.times.reading import LogEvidence, LogReading
from rlstir_core.hostlogs.windows.json_events import SPEC

LOCAL = {"EventID": 4688, "SourceName": "Microsoft-Windows-Security-Auditing", "Hostname": "WS1", "NewProcessId": "0x9"}


def surveyed(times: list[str], evidence: LogEvidence | None = None, **more: Any) -> tuple[LogReading, list[LogRow]]:
    raw = "\n".join(json.dumps(LOCAL | more | {"EventTime": time}) for time in times).encode()
    reading = SPEC.surveyed([raw[:100], raw[100:]], evidence or LogEvidence())
    return reading, list(SPEC.read([raw], LogContext(reading=reading)))


def test_one_date_over_twelve_decides_the_order_of_a_whole_log() -> None:
    reading, found = surveyed(["3/5/2024 10:00:00 AM", "3/5/2024 11:00:00 PM", "13/5/2024 10:00:00 AM"])
    assert (reading.order, reading.order_assumed) == ("dmy", False)
    assert [datetime.fromtimestamp(row.ts_ns // 10**9, UTC).isoformat()[:13] for row in found] == [
        *("2024-05-03T10", "2024-05-03T23"),
        "2024-05-13T10",
    ]
    reading, found = surveyed(["3/5/2024 10:00:00 AM"])
    assert (reading.order, reading.order_assumed) == ("mdy", True)
    assert all(row.timed and row.assumed == "order zone" for row in found)


def test_a_log_without_dates_of_numbers_is_not_decoded_to_find_that_out() -> None:
    with mock.patch("rlstir_core.hostlogs.windows.json_events.frames", side_effect=AssertionError):
        reading, _ = surveyed(["2024-05-03 10:00:00"] * 3, LogEvidence(zone="+02:00"))
    assert reading == LogReading(zone="+02:00")


def test_local_times_are_in_the_users_zone_unless_the_log_tells_its_own() -> None:
    (plain,) = surveyed(["2024-05-03 10:00:00"])[1]
    (told,) = surveyed(["2024-05-03 10:00:00"], LogEvidence(zone="Europe/Berlin"))[1]
    (by_host,) = surveyed(["2024-05-03 10:00:00"], LogEvidence(zones={"ws1": "+05:30"}))[1]
    pair = {"EventReceivedTime": "2024-05-03 10:00:01", "@timestamp": "2024-05-03T13:00:02Z"}
    (learnt,) = surveyed(["2024-05-03 10:00:00"], LogEvidence(zone="Europe/Berlin"), **pair)[1]
    hour = 3600 * 10**9
    assert (plain.assumed, told.assumed, by_host.assumed, learnt.assumed) == ("zone", "", "", "")
    assert [(row.ts_ns - plain.ts_ns) / hour for row in (told, by_host, learnt)] == [-2, -5.5, 3]


def test_an_event_without_a_time_lies_beside_the_row_before_even_where_that_waits_for_its_zone() -> None:
    found = surveyed(["2024-05-03 10:00:00", "soon", "never"], LogEvidence(zone="+02:00"))[1]
    assert [row.timed for row in found] == [True, False, False]
    assert len({row.ts_ns for row in found}) == 1
    assert [row.assumed for row in surveyed(["2024-05-03 10:00:00", "soon"])[1]] == ["zone", ""]


def test_a_time_that_cannot_be_read_gives_way_to_another_of_the_same_event() -> None:
    (found,) = surveyed(["yesterday"], **{"@timestamp": "2024-05-03T10:00:00Z"})[1]
    assert found.timed and found.assumed == ""
    assert surveyed(["2024-05-03 10:00:00"])[1][0].ts_ns == found.ts_ns


def test_a_log_of_many_local_times_waits_for_its_zone_no_longer_than_some_rows() -> None:
    found = surveyed([f"2024-05-03 10:{n // 60:02}:{n % 60:02}" for n in range(600)])[1]
    assert len(found) == 600 and {row.assumed for row in found} == {"zone"}
    assert found[-1].ts_ns - found[0].ts_ns == 599 * 10**9
