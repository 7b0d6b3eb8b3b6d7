"""Rules for gaps: they speak where numbers are missing or time goes wrong, name the rows, and stay quiet elsewhere."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rlstir_core.hostlogs.attack.truth import LogTruth
from rlstir_core.hostlogs.gap_rules import Reason, chainsaw_rule, naive_rule
from rlstir_core.hostlogs.parsers import spec_of_member
from rlstir_core.hostlogs.record_ids import Ids, audit_ids, journal_ids, windows_ids
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.table import TableBuilder
from rlstir_core.hostlogs.windows import evtx

REAL = Path(__file__).parents[3] / "shared" / "real" / "evtx_mdecrevoisier.tar.xz"
T0 = 1_714_564_800


def table(**members: bytes) -> pa.Table:
    builder = TableBuilder("host", "episode", 100_000)
    for name, data in members.items():
        member = f"logs/{name.replace('_', '.', 1)}"
        spec = spec_of_member(member)
        assert spec is not None
        builder.add(member, spec.rows([data], LogContext()))
    return builder.finish(LogTruth())


def audit(serials: list[int], at: list[float] | None = None) -> bytes:
    times = at or [T0 + k for k in range(len(serials))]
    fields = "arch=c000003e syscall=59 success=yes exit=0 pid=7 uid=0"
    return "".join(
        f"type=SYSCALL msg=audit({t:.3f}:{serial}): {fields}\n" for t, serial in zip(times, serials, strict=True)
    ).encode()


def windows(number: int, second: float, channel: str = "Security", header: tuple[int, float] | None = None) -> bytes:
    event = {
        "System": {
            "Provider": {"#attributes": {"Name": "P"}},
            "EventID": 1,
            "TimeCreated": {"#attributes": {"SystemTime": clock(second)}},
            "EventRecordID": number,
            "Channel": channel,
            "Computer": "h",
        }
    }
    record: dict[str, Any] = {"Event": event}
    if header is not None:
        record = {"RecordHeader": {"EventRecordID": header[0], "TimeWritten": clock(header[1])}, **record}
    return json.dumps(record).encode() + b"\n"


def clock(second: float) -> str:
    whole = int(second)
    return f"2024-05-01T{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{int(second % 1 * 1000):03d}Z"


def test_numbers_that_follow_each_other_and_time_that_goes_on_make_neither_rule_speak() -> None:
    rows = table(audit_log=audit([5, 6, 7, 8]), sysmon_jsonl=b"".join(windows(k, 10 * k) for k in range(5)))
    assert not naive_rule(rows).flagged and naive_rule(rows).reasons == ()
    assert not chainsaw_rule(rows).flagged
    assert not naive_rule(table()).flagged


def test_a_gap_is_named_with_the_rows_on_either_side() -> None:
    rows = table(audit_log=audit([5, 6, 9, 10]))
    for rule in (naive_rule, chainsaw_rule):
        assert rule(rows).reasons == (Reason(why="id-gap", log="host auditd", rows=(1, 2), size=2),)


def test_numbers_out_of_order_in_the_file_are_no_gap() -> None:
    rows = table(audit_log=audit([5, 7, 6, 8], [T0, T0 + 1, T0 + 1, T0 + 2]))
    assert not naive_rule(rows).flagged


def test_every_channel_and_every_host_counts_on_its_own() -> None:
    data = b"".join(windows(10 + k, k, "Security") + windows(900 + k, k, "System") for k in range(4))
    rows = table(sysmon_jsonl=data)
    assert not naive_rule(rows).flagged
    gapped = table(sysmon_jsonl=data + windows(20, 5, "Security"))
    assert [reason.log for reason in naive_rule(gapped).reasons] == ["h evtx Security"]


def test_chainsaw_s_rule_looks_at_headers_where_there_are_any() -> None:
    export = b"".join(windows(100 + 7 * k, k, header=(1 + k, k)) for k in range(4))
    assert naive_rule(table(sysmon_jsonl=export)).flagged
    assert not chainsaw_rule(table(sysmon_jsonl=export)).flagged
    cut = b"".join(windows(100 + k, k, header=(1 + k + (k > 1), k)) for k in range(4))
    (reason,) = chainsaw_rule(table(sysmon_jsonl=cut)).reasons
    assert (reason.why, reason.size, reason.rows) == ("id-gap", 1, (1, 2))


def test_half_an_hour_of_silence_speaks_and_a_second_less_does_not() -> None:
    assert chainsaw_rule(table(audit_log=audit([1, 2], [T0, T0 + 1800]))).reasons[0].why == "quiet"
    assert not chainsaw_rule(table(audit_log=audit([1, 2], [T0, T0 + 1799]))).flagged
    assert not naive_rule(table(audit_log=audit([1, 2], [T0, T0 + 1800]))).flagged


def test_time_that_steps_back_in_the_file_speaks_by_the_header_s_clock_where_there_is_one() -> None:
    (reason,) = naive_rule(table(audit_log=audit([1, 2, 3], [T0 + 5, T0 + 9, T0 + 6]))).reasons
    assert (reason.why, reason.size) == ("time-back", 3 * 10**9)
    steady = b"".join(windows(k, 9 - k, header=(1 + k, k)) for k in range(3))
    assert not naive_rule(table(sysmon_jsonl=steady)).flagged
    back = b"".join(windows(k, k, header=(1 + k, 9 - k)) for k in range(3))
    assert {reason.why for reason in naive_rule(table(sysmon_jsonl=back)).reasons} == {"time-back"}


def test_rows_that_were_not_parsed_and_the_daemon_s_own_count_for_nothing() -> None:
    odd = audit([5, 6]) + b"garbage\ntype=DAEMON_START msg=audit(1714564802.000:9999): op=start res=success\n"
    rows = table(audit_log=odd + audit([7], [T0 + 3]))
    assert not naive_rule(rows).flagged


def test_reasons_are_bounded() -> None:
    flag = naive_rule(table(audit_log=audit(list(range(0, 5000, 2)))))
    assert flag.flagged and len(flag.reasons) == 1000


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"EventRecordID": "12", "Channel": "C"}, Ids("C", 12)),
        ({"RecordNumber": 12, "LogName": "C"}, Ids("C", 12)),
        ({"winlog": {"record_id": 12, "channel": "C"}}, Ids("C", 12)),
        ({"System": {"EventRecordID": 12, "Channel": "C"}}, Ids("C", 12)),
        ({"Event": {"System": {"EventRecordID": "12", "Channel": "C"}}}, Ids("C", 12)),
        ({"EventID": 1}, Ids()),
        ({"EventRecordID": {"#text": "1"}, "Channel": ["C"]}, Ids()),
        ({"RecordNumber": -4, "Channel": "C"}, Ids("C")),
        ({"RecordNumber": True}, Ids()),
        ({"RecordNumber": 2**63}, Ids()),
        ({"Event": 5, "winlog": "x"}, Ids()),
    ],
)
def test_numbers_are_found_in_every_dialect_and_odd_values_are_none(record: dict[str, Any], expected: Ids) -> None:
    assert windows_ids(json.dumps(record)) == expected


def test_the_journal_s_numbers_come_from_the_field_or_the_cursor() -> None:
    assert journal_ids('{"__SEQNUM":"7","__SEQNUM_ID":"a"}') == Ids("a", 7)
    assert journal_ids('{"__CURSOR":"s=ab;i=1f;b=c"}') == Ids("ab", 31)
    for odd in (
        "[]",
        '{"__CURSOR":5}',
        '{"__CURSOR":"i=zz"}',
        '{"__SEQNUM":{}}',
        "{",
        '{"__CURSOR":"i=' + "f" * 40 + '"}',
    ):
        assert journal_ids(odd) == Ids()
    assert audit_ids('{"serial":"x"}') == audit_ids("[") == Ids()


@pytest.mark.skipif(not REAL.is_file(), reason="the real EVTX files are not beside this checkout")
def test_on_real_exports_event_ids_gap_often_and_headers_seldom() -> None:
    n = n_naive = n_chainsaw = 0
    with tarfile.open(REAL) as archive:
        for info in archive:
            member = archive.extractfile(info)
            if member is None or not info.name.endswith(".evtx"):
                continue
            builder = TableBuilder("host", "episode", 100_000)
            builder.add("logs/x.evtx", evtx.rows([io.BytesIO(member.read()).getvalue()], LogContext()))
            rows = builder.finish(LogTruth())
            if len(rows) > 1:
                n += 1
                n_naive += naive_rule(rows).flagged
                n_chainsaw += chainsaw_rule(rows).flagged
    assert (n, n_naive, n_chainsaw) == (242, 134, 25)
