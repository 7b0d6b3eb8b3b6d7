"""Windows events as JSON: every dialect gives the same row, damage costs its own line, nothing raises."""

from __future__ import annotations

import io
import json
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.windows.json_events import SPEC, rows

REAL = Path(__file__).parents[4] / "shared" / "real"
MORDOR = REAL / "mordor" / "windows"
SPLUNK = REAL / "splunk_attack_data" / "T1047" / "attack_data.tar.gz"
needs_mordor = pytest.mark.skipif(not MORDOR.exists(), reason="../shared/real/mordor is not there")
needs_splunk = pytest.mark.skipif(not SPLUNK.exists(), reason="../shared/real/splunk_attack_data is not there")

SYSMON = "Microsoft-Windows-Sysmon"
CHANNEL = f"{SYSMON}/Operational"
NS = 1_588_766_400_123_000_000  # 2020-05-06 12:00:00.123
DATA = {"UtcTime": "2020-05-06 12:00:00.123", "ProcessId": "77", "Image": r"C:\a b.exe", "User": r"LAB\anna"}
SYSTEM = {
    "EventID": 11,
    "EventRecordID": 5,
    "Channel": CHANNEL,
    "Computer": "WS1.lab.local",
}
NXLOG = DATA | {
    "EventTime": "2020-05-06 08:00:00",
    "EventReceivedTime": "2020-05-06 08:00:02",
    "@timestamp": "2020-05-06T12:00:02.500Z",
    "Hostname": "WS1.lab.local",
    "EventID": 11,
    "SourceName": SYSMON,
    "Channel": CHANNEL,
    "ThreadID": 9,
    "ExecutionProcessID": 4,
    "UserID": "S-1-5-18",
    "AccountName": "SYSTEM",
    "AccountType": "User",
    "Domain": "NT AUTHORITY",
    "EventType": "INFO",
    "tags": ["lab"],
}
DIALECTS: dict[str, dict[str, Any]] = {
    "nxlog": NXLOG,
    "flat": DATA
    | {"TimeCreated": "2020-05-06T12:00:00.123Z", "EventID": "11", "SourceName": SYSMON, "Hostname": "WS1.lab.local"},
    "channel only": DATA | {"EventID": 11, "Channel": CHANNEL, "Computer": "WS1.lab.local"},
    "by hand": DATA | {"EventID": 11, "Computer": "WS1.lab.local"},
    "evtx_dump": {
        "Event": {
            "#attributes": {"xmlns": "x"},
            "System": SYSTEM
            | {
                "Provider": {"#attributes": {"Name": SYSMON}},
                "EventID": {"#text": 11},
                "TimeCreated": {"#attributes": {"SystemTime": "2020-05-06T12:00:00.123000Z"}},
                "Execution": {"#attributes": {"ProcessID": 4, "ThreadID": 9}},
            },
            "EventData": DATA,
        }
    },
    "attributes apart": {
        "Event": {
            "System": SYSTEM
            | {
                "Provider_attributes": {"Name": SYSMON},
                "TimeCreated_attributes": {"SystemTime": "2020-05-06T12:00:00.123Z"},
            },
            "EventData": DATA,
        }
    },
    "xmltodict": {
        "Event": {
            "System": SYSTEM
            | {"Provider": {"@Name": SYSMON}, "TimeCreated": {"@SystemTime": "2020-05-06T12:00:00.123000000Z"}},
            "EventData": {"Data": [{"@Name": key, "#text": value} for key, value in DATA.items()]},
        }
    },
    "no Event": {
        "System": SYSTEM | {"Provider": {"Name": SYSMON}, "TimeCreated": {"SystemTime": "2020-05-06 12:00:00.123"}},
        "EventData": DATA,
    },
    "winlogbeat": {
        "@timestamp": "2020-05-06T12:00:00.123Z",
        "winlog": {
            "event_id": 11,
            "provider_name": SYSMON,
            "channel": CHANNEL,
            "computer_name": "WS1.lab.local",
            "process": {"pid": 4, "thread": {"id": 9}},
            "event_data": DATA,
            "user": {"identifier": "S-1-5-18", "name": "SYSTEM", "domain": "NT AUTHORITY"},
        },
        "host": {"name": "collector"},
        "message": "File created",
    },
    "winlogbeat dotted": {
        "@timestamp": "2020-05-06T12:00:00.123Z",
        "winlog.event_id": 11,
        "winlog.provider_name": SYSMON,
        "winlog.computer_name": "WS1.lab.local",
        **{f"winlog.event_data.{key}": value for key, value in DATA.items()},
    },
    "winlogbeat 6": {
        "@timestamp": "2020-05-06T12:00:00.123Z",
        "event_id": 11,
        "source_name": SYSMON,
        "computer_name": "WS1.lab.local",
        "event_data": DATA,
        "beat": {},
    },
    "elastic export": {
        "_source": {
            "@timestamp": "2020-05-06T12:00:00.123Z",
            "winlog": {"event_id": "11", "provider_name": SYSMON, "computer_name": "WS1.lab.local", "event_data": DATA},
        }
    },
    "Get-WinEvent": DATA
    | {"Id": 11, "ProviderName": SYSMON, "MachineName": "WS1.lab.local", "TimeCreated": "/Date(1588766400123)/"},
}


def read(raw: bytes, size: int = 1 << 16, **context: Any) -> list[LogRow]:
    return list(SPEC.read((raw[at : at + size] for at in range(0, len(raw), size)), LogContext(**context)))


def one(record: dict[str, Any]) -> LogRow:
    (found,) = read(json.dumps(record).encode())
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_row(dialect: str) -> None:
    found = one(DIALECTS[dialect])
    assert found.parsed
    assert (found.channel, found.provider, found.event_id, found.host) == ("sysmon", SYSMON, "11", "ws1")
    assert (found.pid, found.exe, found.user, found.sid) == (77, r"C:\a b.exe", r"LAB\anna", "")
    assert found.ts_ns == (NS - 123_000_000 if dialect == "nxlog" else NS)
    assert found.message == rf"{SYSMON} 11 Image=C:\a_b.exe ProcessId=77 User=LAB\anna"
    assert json.loads(found.fields_json) == DIALECTS[dialect], "no field is lost"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_array_and_printed_objects_give_the_rows_of_the_lines(dialect: str) -> None:
    records = [DIALECTS[dialect]] * 3
    by_line = read("\n".join(json.dumps(record) for record in records).encode())
    printed = "\n".join(json.dumps(record, indent=4) for record in records)
    for text in (json.dumps(records), json.dumps(records, indent=2), "\ufeff" + printed, printed.replace("\n", "\r\n")):
        for size in (1, 7, 1 << 16):
            found = read(text.encode(), size)
            assert [row.message for row in found] == [row.message for row in by_line]
            assert [json.loads(row.fields_json) for row in found] == records
    assert [row.message for row in read(printed.encode("utf-16"))] == [row.message for row in by_line]


def test_what_evtx_dump_prints_above_its_events_is_no_row() -> None:
    event = {"Event": {"System": SYSTEM, "EventData": DATA}}
    text = "".join(f"Record {n}\n{json.dumps(event, indent=2)}\n" for n in (1, 2))
    assert [(row.parsed, row.pid) for row in read(text.encode())] == [(True, 77)] * 2


def test_a_zone_less_time_is_moved_to_utc_by_what_the_log_tells_even_before_it_does() -> None:
    security = {"EventID": 4658, "Channel": "Security", "Hostname": "a", "TimeCreated": "2020-05-06 07:59:59.000"}
    sysmon = DATA | {"EventID": 11, "Channel": CHANNEL, "Hostname": "a", "TimeCreated": "2020-05-06 08:00:00.125"}
    found = read("\n".join(json.dumps(record) for record in (security, sysmon, security)).encode())
    assert [row.event_id for row in found] == ["4658", "11", "4658"]
    assert found[1].ts_ns == NS + 2_000_000
    assert found[0].ts_ns == found[2].ts_ns == NS - 1_123_000_000
    (alone,) = read(json.dumps(security).encode())
    assert alone.ts_ns == found[0].ts_ns - 4 * 3600 * 10**9, "a log that never tells is taken as UTC"


def test_a_log_that_tells_its_zone_late_is_moved_from_then_on() -> None:
    security = {"EventID": 4658, "Channel": "Security", "Hostname": "a", "TimeCreated": "2020-05-06 07:59:59.000"}
    sysmon = DATA | {"EventID": 11, "Channel": CHANNEL, "Hostname": "a", "TimeCreated": "2020-05-06 08:00:00.125"}
    found = read("\n".join(json.dumps(record) for record in (*[security] * 300, sysmon, security)).encode())
    assert found[0].ts_ns == found[299].ts_ns == found[301].ts_ns - 4 * 3600 * 10**9
    assert found[300].ts_ns == NS + 2_000_000


def test_an_event_without_a_time_has_that_of_the_row_before() -> None:
    late = {"EventID": 1, "Channel": "System", "TimeCreated": "1601-01-01T00:00:00Z"}
    none = {"EventID": 1, "Channel": "System"}
    found = read("\n".join(json.dumps(record) for record in (late, DIALECTS["flat"], late, none)).encode(), near_ns=5)
    assert [row.ts_ns for row in found] == [5, NS, NS, NS]
    assert [row.timed for row in found] == [False, True, False, False]


GOOD = json.dumps(DIALECTS["flat"]).encode()
BAD: dict[str, bytes] = {
    "a repeated key": b'{"EventID":1,"EventID":2}',
    "a repeated key, spaced": b'{"EventID" : 1, "EventID" :2, "x":"\\""}',
    "a repeated key inside": b'{"Event":{"System":{"EventID":1,"EventID":2}}}',
    "a repeated key behind escaped quotes": b'{"EventID":1,"a":"\\u0022\\u0022","b":"x","b":"x"}',
    "NaN": b'{"EventID":NaN}',
    "2^70": b'{"EventID":1,"x":1180591620717411303424}',
    "2^70 inside": b'{"EventID":1,"x":{"y":[1180591620717411303424]}}',
    "a lone surrogate": b'{"EventID":1,"x":"\\ud800"}',
    "no UTF-8": b'{"EventID":1,"x":"\xff"}',
    "a raw control character": b'{"EventID":1,"x":"\x00"}',
    "deep nesting": b'{"EventID":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a float beyond all": b'{"EventID":1,"x":1e999}',
    "half an object": b'{"EventID":1,"Image":"C:',
    "no object": b'"EventID"',
    "no event": b'{"message":"hello"}',
    "an array in a line": b'[{"EventID":1}]',
    "an event id that is a list": b'{"Event":{"System":[]},"EventID":[[]]}',
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_line_is_kept_as_a_row_that_is_not_parsed_and_costs_no_other(what: str) -> None:
    if what == "an event id that is a list":
        assert len(read(GOOD + b"\n" + BAD[what] + b"\n" + GOOD)) == 3
        return
    before, bad, after = read(GOOD + b"\n" + BAD[what] + b"\n" + GOOD)
    assert before.parsed and after.parsed and not bad.parsed
    assert bad.message.isprintable() and len(bad.message) < 20_000
    assert json.loads(bad.fields_json)["raw"]


def test_a_block_of_nuls_between_two_events_costs_neither() -> None:
    assert [row.parsed for row in read(GOOD + b"\n" + b"\0" * 300 + b"\n" + GOOD)] == [True, True]
    assert [row.parsed for row in read(GOOD + b"\n" + b"\0" * 300 + GOOD + b"\0\n")] == [True, True]


def test_numbers_of_64_unsigned_bits_are_windows_own() -> None:
    record = {"EventID": 60, "Channel": "System", "bandwidthLimit": 2**64 - 1}
    assert one(record).parsed
    assert one({"Event": {"System": {"EventID": 5447}, "EventData": {"Weight": 10376293542535364576}}}).parsed


def test_quotes_and_escapes_inside_values_are_no_repeated_keys() -> None:
    record = {
        "EventID": 1,
        "Channel": "System",
        'k"': '{"a":"b","a":"c"}',
        "b": '":":" :',
        "c\\": "\\",
        "tags": ['"', "x"],
    }
    assert one(record).parsed
    assert one({"Event": {"System": {"EventID": 1}, "EventData": record}}).parsed


def test_two_records_in_one_line_are_two_rows() -> None:
    assert [row.parsed for row in read(GOOD + GOOD)] == [True, True]


def test_a_line_of_ten_megabytes_is_cut_and_named() -> None:
    long = b'{"EventID":1,"x":"' + b"a" * 10_000_000 + b'"}'
    for text in (b"\n".join((GOOD, long, GOOD)), b"[" + b",\n".join((GOOD, long, GOOD)) + b"]"):
        found = read(text)
        assert [row.parsed for row in found] == [True, False, True]
        assert len(found[1].fields_json) < 3_000_000


def test_a_torn_object_in_an_array_ends_where_the_next_begins() -> None:
    text = b"[\n" + GOOD + b",\n" + GOOD[:60] + b"\n" + GOOD + b"\n]"
    assert [row.parsed for row in read(text)] == [True, False, True]
    printed = json.dumps(DIALECTS["flat"], indent=2).encode()
    assert [row.parsed for row in read(printed + b"\n" + printed[:90] + b"\n" + printed)] == [True, False, True]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n\n",
        b"[",
        b"[]",
        b"[,,]",
        b"{\n",
        b"]]]}}}",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"[" * 100_000,
        b'["' + b"a" * 3_000_000,
    ],
)
def test_odd_beginnings_end_quietly(text: bytes) -> None:
    start = time.process_time()
    assert all(not row.parsed for row in read(text))
    assert time.process_time() - start < 5


def test_values_that_imitate_headers_change_no_header() -> None:
    evil = DIALECTS["flat"] | {"CommandLine": '","EventID":4688,"Hostname":"dc\n{"EventID":1}', "a\u0007": "x"}
    found = one(evil)
    assert (found.event_id, found.host, found.pid) == ("11", "ws1", 77)
    assert found.message.isprintable()


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = st.sampled_from(
    [
        "Event", "System", "EventData", "EventID", "Data", "#text", "#attributes", "Name", "winlog", "event_data",
        "ProcessId", "Message", "Provider", "TimeCreated", "UtcTime", "_source", "host", "user", *( "Payload",
        "Properties", "Id", "EventId", "Channel", "_raw", "message", "fields", "_index", "Value", "process", ),
        *("event", "code", "StringInserts", "TimeGenerated", "result", "ParameterXml", "event_data", "ThreadId"),
    ]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=3), st.sampled_from([None, 2]))
def test_no_json_value_raises(values: list[Any], indent: int | None) -> None:
    text = "\n".join(json.dumps(value, indent=indent) for value in values).encode("utf-8", "surrogatepass")
    assert all(json.loads(row.fields_json) is not None for row in read(text))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.booleans())
def test_no_damage_raises_and_good_lines_survive(noise: bytes, at: int, array: bool) -> None:
    text = GOOD + b"\n" + GOOD[:at] + noise.replace(b"\n", b" ") + GOOD[at:] + b"\n" + GOOD
    found = read(b"[" + text if array else text)
    if not array:
        assert found[0].parsed and found[-1].parsed


def members() -> Iterator[tuple[str, bytes]]:
    for path in sorted(MORDOR.rglob("*.zip")):
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            for name in archive.namelist():
                if not name.endswith("/"):
                    yield name, archive.read(name)


@needs_mordor
def test_all_of_mordor_is_read_event_by_event() -> None:
    count: Counter[str] = Counter()
    for name, raw in members():
        for row in rows((raw[at : at + (1 << 18)] for at in range(0, len(raw), 1 << 18)), LogContext(name=name)):
            count["rows"] += 1
            count["parsed"] += row.parsed
            count["host"] += bool(row.host)
            count["times"] += row.ts_ns > 1_590_000_000 * 10**9
            count[row.channel] += 1
    assert count["rows"] == count["parsed"] == count["host"] == count["times"] == 142_019
    assert count["sysmon"] == 81_741


PIDS = {"ProcessId", "NewProcessId", "SourceProcessId", "ClientProcessId", "CallerProcessId", "EnginePID"}
EXES = {"Image", "NewProcessName", "ProcessName", "Application", "SourceImage", "CallerProcessName"}


@needs_mordor
def test_pid_exe_and_the_lossless_record_hold_on_a_part_of_mordor() -> None:
    for name, raw in list(members())[::16]:
        for row, line in zip(read(raw, name=name), (part for part in raw.split(b"\n") if part.strip()), strict=True):
            record = json.loads(line)
            assert json.loads(row.fields_json) == record
            given = {key for key, value in record.items() if isinstance(value, str) and value not in {"", "-"}}
            assert row.pid >= 0 or not given & PIDS, record
            assert row.exe or not given & EXES, record
            if "UtcTime" in record and "EventReceivedTime" in record:
                utc = record["UtcTime"].replace(" ", "T") + "Z"
                apart = row.ts_ns - one({"EventID": 1, "Channel": "System", "TimeCreated": utc}).ts_ns
                assert abs(apart) < 600 * 10**9, "the local time was moved to UTC"


@needs_splunk
def test_the_splunk_export_gives_the_process_that_its_fields_lost() -> None:
    with tarfile.open(SPLUNK) as archive:
        handle = archive.extractfile("attack_data.txt")
        assert handle is not None
        found = read(handle.read())
    assert len(found) == sum(row.parsed for row in found) == 8_220
    sysmon = [row for row in found if row.channel == "sysmon" and row.event_id != "6"]
    assert all(row.pid >= 0 and row.exe for row in sysmon)
