"""What modules of beats moved to ECS goes back to the name that the event has for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.windows.json_events import SPEC
from rlstir_core.provenance.windows_facts import decode

SECURITY = "Microsoft-Windows-Security-Auditing"
SYSMON = "Microsoft-Windows-Sysmon"
ISO = "2024-06-01T08:00:00.250Z"
EXE = r"C:\Tools\net.exe"


def one(record: dict[str, Any]) -> LogRow:
    (found,) = SPEC.read([json.dumps(record).encode()], LogContext())
    return found


MOVED: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "file": ("11", {"file": {"path": r"C:\f.txt"}}, {"TargetFilename": r"C:\f.txt"}),
    "registry": ("13", {"registry": {"path": r"HKLM\x"}}, {"TargetObject": r"HKLM\x"}),
    "dns": ("22", {"dns": {"question": {"name": "a.test"}}}, {"QueryName": "a.test"}),
    "pipe": ("17", {"file": {"name": "\\p"}}, {"PipeName": "\\p"}),
    "library": (
        "7",
        {"file": {"path": r"C:\l.dll"}, "hash": {"sha256": "ab"}},
        {"ImageLoaded": r"C:\l.dll", "Hashes": "SHA256=ab"},
    ),
    "network": (
        "3",
        {
            "source": {"ip": "10.0.0.1", "port": 5000},
            "destination": {"ip": "10.0.0.2", "port": 443},
            "network": {"transport": "tcp", "direction": "egress"},
        },
        {"SourceIp": "10.0.0.1", "DestinationPort": "443", "Protocol": "tcp", "Initiated": "true"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MOVED)
def test_what_a_module_moved_to_ecs_has_its_own_name_again(what: str) -> None:
    event_id, parts, expected = MOVED[what]
    log = {"event_id": event_id, "provider_name": SYSMON, "process": {"pid": 2100}, "user": {"identifier": "S-1-5-18"}}
    record = {
        "@timestamp": ISO,
        "winlog": log,
        "process": {"pid": 7300, "executable": EXE},
        "user": {"name": "mia", "domain": "CORP", "id": "S-1-5-18"},
        **parts,
    }
    found = one(record)
    assert (found.pid, found.exe, found.user, found.sid) == (7300, EXE, r"CORP\mia", "")
    for name, value in expected.items():
        assert f"{name}={value}" in found.message
    fields = decode(json.dumps(record).encode())
    assert str(fields.process_id) == "7300"


def test_event_data_is_believed_before_ecs() -> None:
    log = {"event_id": 4688, "provider_name": SECURITY, "event_data": {"NewProcessId": "0x1c84", "NewProcessName": EXE}}
    found = one({"winlog": log, "process": {"pid": 1, "executable": "other", "parent": {"pid": 3120}}})
    assert (found.pid, found.exe, found.ppid) == (7300, EXE, 3120)
