"""Entries as shippers shape them, their times in every spelling, and the fields that an exporter left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlstir_core.hostlogs.journald.parser import SPEC
from rlstir_core.hostlogs.opening.recognise import recognise
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.times.reading import LogReading

US = 1_714_557_601_123_456
SAID = "Failed password for root from 192.0.2.1 port 50021 ssh2"
OWN = {
    "__REALTIME_TIMESTAMP": str(US), "_BOOT_ID": "3cbc", "_HOSTNAME": "Web1.lab", "SYSLOG_IDENTIFIER": "sshd",
    "_PID": "4321", "_UID": "0", "_COMM": "sshd", "_EXE": "/usr/sbin/sshd", "_CMDLINE": "sshd: [net]",
    "_SYSTEMD_UNIT": "ssh.service", "_TRANSPORT": "syslog", "PRIORITY": "6", "MESSAGE": SAID,
}  # fmt: skip
ISO = "2024-05-01T10:00:01.123456Z"


def but(*left_out: str, **added: Any) -> dict[str, Any]:
    return {key: value for key, value in OWN.items() if key not in left_out} | added


ELASTIC: dict[str, Any] = {
    "@timestamp": ISO, "agent": {"type": "filebeat", "name": "collector"}, "input": {"type": "journald"},
    "message": SAID, "host": {"hostname": "Web1.lab", "id": "5cbc", "name": "collector"},
    "event": {"kind": "event", "created": "x"},
    "journald": {"pid": 4321, "uid": 0, "host": {"boot_id": "3cbc"}, "custom": {"pid": 7}, "object": {"pid": 8},
                 "process": {"name": "sshd", "executable": "/usr/sbin/sshd", "command_line": "sshd: [net]"}},
    "systemd": {"unit": "ssh.service", "transport": "syslog"}, "log": {"syslog": {"identifier": "sshd", "priority": 6}},
}  # fmt: skip
SQUEEZED = {key.strip("_").lower(): value for key, value in OWN.items()}
SHAPES: dict[str, dict[str, Any]] = {
    "journalctl": OWN,
    "vector": but("MESSAGE", "_HOSTNAME", message=SAID, host="Web1.lab", timestamp=ISO, source_type="journald"),
    "fluent-bit": but("__REALTIME_TIMESTAMP", date=US / 1e6),
    "fluent-bit lower-cased": {key.lower(): value for key, value in OWN.items()},
    "fluent-bit stripped": {key.strip("_"): value for key, value in OWN.items()},
    "fluentd": SQUEEZED,
    "fluentd nested": {"@timestamp": ISO, "systemd": SQUEEZED},
    "cloudwatch": {
        "pid": 4321, "uid": 0, "cmdName": "sshd", "comm": "sshd", "exe": "/usr/sbin/sshd", "cmdLine": "sshd: [net]",
        "systemdUnit": "ssh.service", "bootId": "3cbc", "hostname": "Web1.lab", "transport": "syslog", "message": SAID,
        "syslogIdentifier": "sshd", "realtimeTimestamp": US,
    },
    "elastic": ELASTIC,
    "elastic flattened": {
        "@timestamp": ISO, "message": SAID, "host.hostname": "Web1.lab", "journald.pid": 4321, "journald.uid": "0",
        "journald.process.executable": "/usr/sbin/sshd", "journald.process.command_line": "sshd: [net]",
        "systemd.unit": "ssh.service", "syslog.identifier": "sshd",
    },
    "elastic agent": {
        "@timestamp": ISO, "message": SAID, "host": {"hostname": "Web1.lab"}, "input": {"type": "journald"},
        "process": {"pid": 4321, "executable": "/usr/sbin/sshd", "command_line": "sshd: [net]", "name": "sshd"},
        "user": {"id": "0"}, "systemd": {"unit": "ssh.service"}, "log": {"syslog": {"appname": "sshd"}},
    },
    "elastic cut down": {
        "_source": {key: ELASTIC[key] for key in ("@timestamp", "input", "message", "host", "log")}
        | {"process": {"pid": 4321, "executable": "/usr/sbin/sshd", "command_line": "sshd: [net]"}, "user": {"id": "0"}}
    },
    "elasticsearch": {"_index": "logs", "_id": "1", "_source": OWN},
    "splunk": {"preview": False, "result": but(_time="2024-05-01 10:00:01.123 UTC", host="collector")},
    "splunk raw": {"result": {"_raw": json.dumps(OWN)}, "_raw": json.dumps(OWN)},
    "splunk hec": {"time": US / 1e6, "host": "collector", "event": OWN},
    "promtail": {f"__journal_{key.lower()}": value for key, value in OWN.items()},
    "loki": {"labels": {"job": "systemd-journal"}, "line": json.dumps(OWN), "timestamp": "2024-05-01T10:00:02Z"},
    "google": {"jsonPayload": OWN, "timestamp": ISO},
    "opentelemetry": {"body": OWN, "timestamp": ISO},
    "syslog-ng": {"HOST": "collector", "MESSAGE": SAID, "_journald": OWN},
    "gelf": {
        "version": "1.1", "host": "Web1.lab", "short_message": SAID, "timestamp": US / 1e6, "level": 6,
        **{f"_{key}": value for key, value in but("MESSAGE", "_HOSTNAME", "__REALTIME_TIMESTAMP").items()},
    },
    "docker": {"log": json.dumps(OWN) + "\n", "stream": "stdout", "time": "2024-05-01T10:00:02Z"},
}  # fmt: skip


def read(*records: dict[str, Any], **context: Any) -> list[LogRow]:
    log = "".join(json.dumps(record) + "\n" for record in records).encode()
    return list(SPEC.read([log], LogContext(**context)))


@pytest.mark.parametrize("shape", SHAPES)
def test_an_entry_says_the_same_in_every_shape(shape: str) -> None:
    record = SHAPES[shape]
    (row,) = read(record)
    assert (row.parsed, row.timed, row.assumed, row.cut, row.bare) == (True, True, "", False, False)
    assert abs(row.ts_ns - US * 1000) < 1000
    assert (row.message, row.host, row.host_said) == (SAID, "web1", "Web1.lab")
    assert (row.pid, row.exe, row.cmdline, row.user) == (4321, "/usr/sbin/sshd", "sshd: [net]", "root")
    assert row.provider == "sshd"
    kept = json.loads(row.fields_json)
    assert {key: kept[key] for key in record} == record  # as it came
    assert recognise(json.dumps(record).encode() + b"\n").log == "journald"


def at(value: object, **others: Any) -> LogRow:
    (row,) = read(but("__REALTIME_TIMESTAMP", **{"__REALTIME_TIMESTAMP": value} | others))
    return row


@pytest.mark.parametrize(
    "value",
    [
        str(US), US, US * 1000, str(US * 1000), US // 1000, str(US // 1000), US / 1e6, "1714557601.123456", 1714557601,
        "1714557601", "2024-05-01 10:00:01.123456+00:00", "2024-05-01T12:00:01.123+02:00", ISO, [US, "x"],
    ],
)  # fmt: skip
def test_a_time_is_read_in_every_unit_and_spelling(value: object) -> None:
    row = at(value)
    assert (row.timed, row.assumed) == (True, "")
    assert 0 <= US * 1000 + 1000 - row.ts_ns <= 123_457_000


def test_a_host_that_did_not_know_the_time_counts_from_its_start() -> None:
    assert at("12000000").ts_ns == 12 * 10**9
    assert at("1800000000", __MONOTONIC_TIMESTAMP="1700000000").ts_ns == 1800 * 10**9
    assert at("1800000000").ts_ns == 1_800_000_000 * 10**9


def test_a_time_without_a_zone_is_of_the_zone_in_which_another_clock_of_the_entry_says_the_same() -> None:
    naive = {"_SOURCE_REALTIME_TIMESTAMP": "2024-05-01 12:00:01.100000"}
    row = at("2024-05-01 12:00:01.123456+02:00", **naive)
    assert (row.ts_ns, row.assumed) == (1_714_557_601_100_000_000, "")
    assert at("2024-05-01 12:05:01.123456+02:00", **naive).ts_ns == 1_714_557_901_123_456_000  # no zone is so odd
    row = at("2024-05-01 12:00:01.123456", **naive)
    assert (row.ts_ns, row.assumed) == (1_714_564_801_100_000_000, "zone")
    zoned = LogContext(reading=LogReading(zone="+02:00"))
    (row,) = SPEC.read([json.dumps(OWN | naive | {"__REALTIME_TIMESTAMP": None}).encode()], zoned)
    assert (row.ts_ns, row.assumed) == (1_714_557_601_100_000_000, "")


@pytest.mark.parametrize(
    "value", ["yesterday", "5/1/2024 10:00:01 AM", "", [], {"hex": "00"}, -5, True, 1e300, "9" * 17, "٣", None]
)
def test_a_time_that_cannot_be_read_is_none_and_the_row_says_so(value: object) -> None:
    first, second = read(OWN, OWN | {"__REALTIME_TIMESTAMP": value})
    assert (second.parsed, second.timed, second.ts_ns) == (True, False, first.ts_ns)
    (alone,) = read(OWN | {"__REALTIME_TIMESTAMP": value}, near_ns=5)
    assert (alone.timed, alone.ts_ns) == (False, 5)


def test_a_long_field_that_the_exporter_left_out_is_marked() -> None:
    found = read(
        OWN | {"MESSAGE": None, "_CMDLINE": None, "NOTE": None}, OWN | {"_PID": None}, OWN | {"note": None}, OWN
    )
    assert [row.cut for row in found] == [True, False, False, False]
    assert set(json.loads(found[0].fields_json)["cut"]) == {"MESSAGE", "_CMDLINE", "NOTE"}


def test_deep_wrapped_and_hostile_records_never_raise() -> None:
    deep: dict[str, Any] = OWN
    for _ in range(9):
        deep = {"_source": deep}
    assert not read(deep)[0].parsed
    for text in ('{"line":"{"}', '{"_PID":"1","line":"{\\"a\\":1}"}', '{"log":"{' + '\\"a\\":{' * 2000 + '"}'):
        (row,) = SPEC.read([text.encode()], LogContext())
        assert not row.parsed
