"""What is a Windows event, and what only counts its own events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlstir_core.hostlogs.opening.recognise import recognise
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.windows.json_events import SPEC

SECURITY = "Microsoft-Windows-Security-Auditing"
ISO = "2024-06-01T08:00:00.250Z"


def read(*records: dict[str, Any]) -> list[LogRow]:
    raw = "\n".join(json.dumps(record) for record in records).encode()
    return list(SPEC.read([raw], LogContext()))


NO_EVENTS: dict[str, dict[str, Any]] = {
    ".NET": {"Timestamp": ISO, "EventId": 14, "LogLevel": "Information", "Category": "A.B", "Message": "on"},
    "Serilog": {"@t": ISO, "@mt": "Hello {x}", "EventId": {"Id": 4}, "MachineName": "PC7"},
    "Serilog's other": {"Timestamp": ISO, "Level": "Warning", "MessageTemplate": "x", "EventId": 7, "MachineName": "a"},
    "Hayabusa": {
        "Timestamp": "2024-06-01 08:00:00.250 +00:00", "RuleTitle": "Net use", "Level": "high", "Computer": "PC7",
        "Channel": "Sec", "EventID": 4688, "RecordID": 77, "Details": {"PID": 7300},
    },
    "Chainsaw": {"group": "Sigma", "name": "x", "document": {"data": {"Event": {"System": {"EventID": 1}}}}},
    "Chainsaw's own": {"detections": ["x"], "Event": {"System": {"EventID": 4688, "Channel": "Security"}}},
    "Elastic's alert": {"kibana.alert.rule.name": "x", "winlog.event_id": "1", "winlog.channel": "Security"},
    "Zircolite": {"title": "x", "id": "y", "rule_level": "high", "matches": [{"EventID": 1, "Channel": "Security"}]},
    "an application": {"id": 5, "event_id": 17, "host": "web1", "message": "cart"},
    "an application's EventID": {"EventID": 12, "Hostname": "web1", "Message": "started"},
    "an application's events": {"event_id": 8, "event_data": {"user": "x"}, "event_type": "login"},
    "CloudTrail": {"eventID": "6f3c", "eventName": "RunInstances", "eventSource": "ec2.test", "awsRegion": "x"},
    "osquery": {"name": "pack_x", "hostIdentifier": "h", "columns": {"eventid": "4688"}, "unixTime": 1717228800},
    "Zeek": {"ts": 1717228800.25, "uid": "C1", "id.orig_h": "10.0.0.1", "id.resp_p": 53},
    "Suricata": {"timestamp": ISO, "event_type": "dns", "flow_id": 1, "src_ip": "10.0.0.1"},
    "docker": {"log": '{"EventId":14,"LogLevel":"Information"}\n', "stream": "stdout", "time": ISO},
    "an event id that is none": {"EventID": "4688a", "Channel": "Security", "Computer": "x"},
    "an id alone": {"EventID": 4688},
}  # fmt: skip


@pytest.mark.parametrize("what", NO_EVENTS)
def test_another_programs_record_is_no_windows_event(what: str) -> None:
    (found,) = read(NO_EVENTS[what])
    assert not found.parsed and not found.timed
    assert recognise(json.dumps(NO_EVENTS[what]).encode()).log != "windows_json"


def test_two_channels_under_one_set_of_keys_are_two_providers() -> None:
    found = read(
        {"EventID": 7, "Channel": "Security", "Computer": "a"}, {"EventID": 7, "Channel": "System", "Computer": "a"}
    )
    assert [row.provider for row in found] == [SECURITY, "System"]
