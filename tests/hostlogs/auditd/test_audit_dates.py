"""Times of `ausearch -i`: one order of day and month a log, its zone, and what a raw log of the same events tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from rlstir_core.hostlogs.auditd.parser import SPEC
from rlstir_core.hostlogs.auditd.twins import raw_times, twin_reading
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.times.reading import LogEvidence, LogReading

DAY = 86_400
FIRST = 1_714_564_800  # 2024-05-01 12:00 UTC


def interpreted(times: list[int], form: str, zone_s: int = 0, serial: int = 101, node: str = "") -> bytes:
    out = b""
    for number, at in enumerate(times, serial):
        said = (datetime.fromtimestamp(at, UTC) + timedelta(seconds=zone_s)).strftime(form)
        head = f"{node}type={{}} msg=audit({said}.123:{number}) : "
        title, call = head.format("PROCTITLE"), head.format("SYSCALL")
        out += f"----\n{title}proctitle=id -u \n{call}syscall=execve pid={number} \n".encode()
    return out


def raw(times: list[int], serial: int = 101) -> bytes:
    return b"".join(b"type=SYSCALL msg=audit(%d.123:%d): pid=%d\n" % (at, n, n) for n, at in enumerate(times, serial))


def read(log: bytes, reading: LogReading | None = None, **context: Any) -> list[LogRow]:
    said = SPEC.surveyed([log], LogEvidence()) if reading is None else reading
    return list(SPEC.read([log], LogContext(reading=said, **context)))


DAYS = [FIRST + k * DAY for k in range(6)]


@pytest.mark.parametrize(
    "form",
    ["%d/%m/%y %T", "%m/%d/%y %T", "%d.%m.%Y %T", "%Y年%m月%d日 %T", "%d-%m-%y %T", "%A, %B %d, %Y %T", "%y/%m/%d %T"],
)
def test_days_of_one_month_come_out_as_they_were(form: str) -> None:
    found = read(interpreted(DAYS, form))
    assert [row.ts_ns for row in found] == [at * 10**9 + 123 * 10**6 for at in DAYS]
    assert {(row.parsed, row.timed, row.assumed) for row in found} == {(True, True, "zone")}


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_survey_does_not_depend_on_how_the_bytes_arrive(size: int) -> None:
    log = interpreted(DAYS, "%d/%m/%y %T")
    chunks = [log[at : at + size] for at in range(0, len(log), size)]
    assert SPEC.surveyed(chunks, LogEvidence()) == LogReading(order="dmy")
    assert SPEC.surveyed([b"x" * 5000, b"x\n", log], LogEvidence(line_bytes=100)) == LogReading(order="dmy")


def test_each_nodes_numbers_rise_for_themselves_and_the_daemons_too() -> None:
    # June 1 before May 2, or January 6 before February 5: the numbers would decide if they were of one counter
    june, may = (int(datetime(2024, month, day, tzinfo=UTC).timestamp()) for month, day in ((6, 1), (5, 2)))
    for node, kind, assumed in ((b"b", b"SYSCALL", True), (b"a", b"DAEMON_END", True), (b"a", b"SYSCALL", False)):
        later = interpreted([may], "%m/%d/%y %T", 0, 20, f"node={node.decode()} ")
        later = later.replace(b"PROCTITLE", kind).replace(b"SYSCALL", kind)
        found = SPEC.surveyed([interpreted([june], "%m/%d/%y %T", 0, 10, "node=a ") + later], LogEvidence())
        assert found.order_assumed == assumed


def test_an_order_that_nothing_decides_is_said_in_every_row_and_users_zones_are_followed() -> None:
    log = interpreted([FIRST], "%m/%d/%y %T") + interpreted([FIRST], "%m/%d/%y %T", 7200, 102, "node=berlin.lab ")
    reading = SPEC.surveyed([log], LogEvidence(zone="UTC", zones={"berlin": "+02:00"}))
    assert reading == LogReading(order="mdy", order_assumed=True, zone="UTC", zones={"berlin": "+02:00"})
    assert [(row.ts_ns // 10**9, row.assumed) for row in read(log, reading)] == [(FIRST, "order")] * 2
    assert [row.assumed for row in read(log)] == ["order zone"] * 2


def test_an_event_whose_time_cannot_be_read_is_there_and_says_so() -> None:
    known = interpreted([FIRST], "%Y-%m-%d %T")
    log = known + interpreted([FIRST, FIRST + 1], "السبت %d مايو %Y \x7f\x01", serial=102)
    first, *rest = read(log)
    assert [(row.parsed, row.timed, row.pid, row.ts_ns) for row in rest] == [
        (True, False, 102, first.ts_ns),
        (True, False, 103, first.ts_ns),
    ]
    assert [row.ts_ns for row in read(log[len(known) :], near_ns=7)] == [7, 7]


def test_comments_and_what_ausearch_prints_between_are_no_rows() -> None:
    log = b"# a note\n#type=SYSCALL msg=audit(1.000:1): pid=1\n  # more\n" * 30 + raw([FIRST]) + b"----\n"
    assert [row.pid for row in read(log)] == [101]


def test_a_line_that_the_kernel_printed_is_a_record() -> None:
    log = b'[   12.3] audit: type=1400 audit(1714564800.080:7): apparmor="DENIED" pid=5\n'
    log += b"audit: type=1400 audit(1.000:8): pid=6\n"
    assert [(row.event_id, row.pid, row.parsed) for row in read(log)] == [("AVC", 5, True), ("AVC", 6, True)]
    assert not read(b"audit: rate limit exceeded\n")[0].parsed


@pytest.mark.parametrize("report", [
    "Time,Event\n05/11/24,SYSCALL\n", "At 10:00:00 05/11/24 system, acting as root, did-unknown\n",
    "NODE,EVENT,DATE,TIME\n,SYSCALL,05/11/24,10:00:00\n", "1. 05/11/24 10:00:00 id root pts0 ? yes 101\n"])  # fmt: skip
def test_reports_are_no_records(report: str) -> None:
    assert not any(row.parsed for row in read(report.encode()))


@pytest.mark.parametrize(("zone", "seconds"), [("+08:00", 28_800), ("-03:30", -12_600), ("+00:00", 0)])
def test_a_raw_log_of_the_same_events_tells_zone_and_order(zone: str, seconds: int) -> None:
    times = raw_times([raw(DAYS[:3])])
    log = interpreted(DAYS[:2], "%d/%m/%y %T", seconds)
    found = twin_reading([log], times, LogReading(order="mdy", order_assumed=True))
    assert found == LogReading(order="dmy", zone=zone)
    assert [row.ts_ns // 10**9 for row in read(log, found)] == DAYS[:2]
    assert twin_reading([log], times, LogReading(zone="Asia/Tokyo")).zone == "Asia/Tokyo"


def test_logs_that_do_not_agree_on_one_zone_leave_the_reading_as_it_was() -> None:
    times, reading = raw_times([raw(DAYS)]), LogReading(order="mdy", order_assumed=True)
    summer = interpreted(DAYS[:3], "%Y-%m-%d %T", 7200) + interpreted(DAYS[3:], "%Y-%m-%d %T", 3600, 104)
    others = interpreted([at + 61 for at in DAYS], "%Y-%m-%d %T")
    nothing = interpreted(DAYS, "%Y-%m-%d %T", serial=900) + raw(DAYS)
    for log in (summer, others, nothing, b""):
        assert twin_reading([log], times, reading) == reading
    assert twin_reading([interpreted(DAYS, "%Y-%m-%d %T", 3600)], times, reading) == msgspec.structs.replace(
        reading, zone="+01:00"
    )
    assert raw_times([raw([FIRST]) + raw([FIRST + DAY])]) == {(101, 123): -1}  # a number that came twice


def test_of_a_large_raw_log_some_events_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlstir_core.hostlogs.auditd.twins._KEPT", 40)
    times = raw_times([raw([FIRST + k for k in range(1000)], serial=0)])
    assert 10 < len(times) <= 40
    log = interpreted([FIRST + k for k in range(1000)], "%Y-%m-%d %T", 3600, serial=0)
    assert twin_reading([log], times, LogReading()).zone == "+01:00"
