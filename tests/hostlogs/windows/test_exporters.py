"""What exporters make of one and the same event: its process is the event's own or missing, never the logger's.

Mutated inputs are read as Python's own JSON reader reads them.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from one_event import CMD, EXE, PARENT, PLACES, SECURITY, SID

from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.windows.json_events import SPEC
from rlstir_core.provenance.windows_facts import decode

NS = 1_717_228_800_250_000_000  # 2024-06-01 08:00:00.250 UTC
WHOLE = NS - 250_000_000
ISO = "2024-06-01T08:00:00.250Z"
DATA: dict[str, Any] = {
    "SubjectUserSid": SID,
    "SubjectUserName": "mia",
    "SubjectDomainName": "CORP",
    "NewProcessId": "0x1c84",
    "NewProcessName": EXE,
    "ProcessId": "0xc30",
    "CommandLine": CMD,
    "ParentProcessName": PARENT,
}
NAMED = [{"@Name": name, "#text": value} for name, value in DATA.items()]
XML = "".join(f"<Data Name='{name}'>{value}</Data>" for name, value in DATA.items())
EVENT_XML = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
    f"<Provider Name='{SECURITY}' Guid='{{54849625-5478-4994-a5ba-3e3b0328c30d}}'/><EventID>4688</EventID>"
    "<TimeCreated SystemTime='2024-06-01T08:00:00.250000000Z'/><Execution ProcessID='4' ThreadID='60'/>"
    f"<Channel>Security</Channel><Computer>PC7.corp.test</Computer></System><EventData>{XML}</EventData></Event>"
)
TEXT = (
    "A new process has been created.\r\n\r\nCreator Subject:\r\n"
    f"\tSecurity ID:\t\t{SID}\r\n\tAccount Name:\t\tmia\r\n\tAccount Domain:\t\tCORP\r\n\tLogon ID:\t\t0x1267\r\n\r\n"
    "Target Subject:\r\n\tSecurity ID:\t\tS-1-0-0\r\n\tAccount Name:\t\t-\r\n\tAccount Domain:\t\t-\r\n\r\n"
    f"Process Information:\r\n\tNew Process ID:\t\t0x1c84\r\n\tNew Process Name:\t{EXE}\r\n"
    f"\tCreator Process ID:\t0xc30\r\n\tCreator Process Name:\t{PARENT}\r\n\tProcess Command Line:\t{CMD}\r\n\r\n"
    "Token Elevation Type indicates the type of token that was assigned.\r\n"
)
SPLUNK_TEXT = (
    "06/01/2024 10:00:00 AM\nLogName=Security\nSourceName=Microsoft Windows security auditing.\nEventCode=4688\n"
    "EventType=0\nType=Information\nComputerName=PC7.corp.test\nTaskCategory=Process Creation\nOpCode=Info\n"
    f"RecordNumber=77\nKeywords=Audit Success\nMessage={TEXT}"
)
EVTXECMD = {
    "PayloadData1": r"CORP\mia", "ExecutableInfo": CMD, "MapDescription": "A new process has been created",
    "UserName": r"CORP\PC7$", "ChunkNumber": 3, "Computer": "PC7.corp.test", "Channel": "Security",
    "Provider": SECURITY, "EventId": 4688, "EventRecordId": "77", "ProcessId": 4, "ThreadId": 60,
    "Level": "LogAlways", "SourceFile": r"D:\Security.evtx", "ExtraDataOffset": 0, "HiddenRecord": False,
    "TimeCreated": "2024-06-01T08:00:00.2500000+00:00",
}  # fmt: skip
GET_WINEVENT = {
    "Id": 4688, "Version": 2, "ProviderName": SECURITY, "LogName": "Security", "ProcessId": 4, "ThreadId": 60,
    "MachineName": "PC7.corp.test", "UserId": None, "RecordId": 77, "TimeCreated": "/Date(1717228800250)/",
    "LevelDisplayName": "Information", "Message": TEXT,
}  # fmt: skip
WINEVTLOG = {
    "ProviderName": SECURITY, "ProviderGuid": "{54849625-5478-4994-A5BA-3E3B0328C30D}", "EventID": 4688, "Level": 0,
    "Keywords": "0x8020000000000000", "TimeCreated": "2024-06-01 08:00:00 +0000", "EventRecordID": 77,
    "ProcessID": 4, "ThreadID": 60, "Channel": "Security", "Computer": "PC7.corp.test", "UserID": "",
}  # fmt: skip
SENTINEL = {
    "TenantId": "t", "SourceSystem": "OpsManager", "Computer": "PC7.corp.test", "EventSourceName": SECURITY,
    "Channel": "Security", "Level": "8", "EventID": 4688, "Activity": "4688 - A new process has been created.",
    "AccountType": "User", "CallerProcessId": "", "Type": "SecurityEvent",
}  # fmt: skip
ECS = {
    "@timestamp": ISO,
    "event": {"code": "4688", "provider": SECURITY, "kind": "event"},
    "host": {"name": "pc7"},
    "process": {"pid": 7300, "executable": EXE, "command_line": CMD, "parent": {"pid": 3120, "executable": PARENT}},
    "user": {"name": "mia", "domain": "CORP", "id": SID},
    "winlog": {
        "channel": "Security",
        "computer_name": "PC7.corp.test",
        "event_id": "4688",
        "provider_name": SECURITY,
        "process": {"pid": 4, "thread": {"id": 60}},
        "event_data": {"TokenElevationType": "%%1937"},
    },
}


def dotted(node: Any, at: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {at: node}
    return {
        key: value for name, inner in node.items() for key, value in dotted(inner, f"{at}.{name}".strip(".")).items()
    }


EXPORTS: dict[str, dict[str, Any]] = {
    "EvtxECmd": EVTXECMD | {"Payload": json.dumps({"EventData": {"Data": NAMED}})},
    "EvtxECmd as CSV": {
        name: str(value) for name, value in EVTXECMD.items()
    } | {"Payload": json.dumps({"EventData": {"Data": NAMED}}), "TimeCreated": "2024-06-01 08:00:00.2500000"},
    "Get-WinEvent by place": GET_WINEVENT | {"Properties": [{"Value": value} for value in PLACES], "Message": ""},
    "Get-WinEvent in another language": GET_WINEVENT
    | {"Properties": [{"Value": value} for value in PLACES], "Message": "Ein neuer Prozess.\r\n\tProzess-ID:\t0x4"},
    "Get-WinEvent cut at its depth": GET_WINEVENT
    | {"Properties": ["System.Diagnostics.Eventing.Reader.EventProperty"] * 15},
    "Get-WinEvent cut shorter": GET_WINEVENT | {"Properties": "System.Diagnostics.Eventing.Reader.EventProperty " * 15},
    "Get-WinEvent cut to nothing": GET_WINEVENT | {"Properties": [{}] * 15},
    "a few columns": DATA | {"TimeGenerated": ISO, "EventID": 4688, "Computer": "PC7.corp.test"},
    "a number beside a text": {
        "EventID": 4688, "Channel": "Security", "Computer": "PC7.corp.test", "ProcessId": 4, "Message": TEXT,
        "SystemTime": "2024-06-01 08:00:00.250",
    },
    "ToXml()": {
        "Event": {
            "xmlns": "x",
            "System": {
                "Provider": {"Name": SECURITY}, "EventID": "4688", "Execution": {"ProcessID": "4", "ThreadID": "60"},
                "TimeCreated": {"SystemTime": "2024-06-01T08:00:00.2500000Z"}, "Computer": "PC7.corp.test",
            },
            "EventData": {"Data": [{"Name": name, "#text": value} for name, value in DATA.items()]},
        }
    },
    "Get-WinEvent of PowerShell 7": GET_WINEVENT
    | {"TimeCreated": "2024-06-01T10:00:00.2500000+02:00", "Properties": [{"Value": value} for value in PLACES]},
    "Get-WinEvent, some columns": {name: GET_WINEVENT[name] for name in ("Id", "ProviderName", "MachineName")}
    | {"TimeCreated": {"value": "/Date(1717228800250)/", "DisplayHint": 2}, "ProcessId": 4, "Message": TEXT},
    "Get-EventLog": {
        "EventID": 4688,
        "MachineName": "PC7.corp.test",
        "Index": 77,
        "EntryType": 8,
        "Message": "",
        "Source": SECURITY,
        "ReplacementStrings": [str(value) for value in PLACES],
        "InstanceId": 4688,
        "TimeGenerated": "/Date(1717228800250)/",
    },
    "WMI": {
        "EventCode": 4688,
        "ComputerName": "PC7.corp.test",
        "SourceName": SECURITY,
        "Logfile": "Security",
        "InsertionStrings": [str(value) for value in PLACES],
        "TimeGenerated": "20240601080000.250000-000",
    },
    "fluent-bit": WINEVTLOG | {"Message": "x", "StringInserts": PLACES},
    "fluent-bit, text alone": WINEVTLOG | {"Message": TEXT},
    "Sentinel": SENTINEL | DATA | {"TimeGenerated": ISO},
    "Log Analytics as CSV": SENTINEL | DATA | {"TimeGenerated [UTC]": "6/1/2024, 8:00:00.250 AM"},
    "WindowsEvent": {
        "TimeGenerated": ISO,
        "Provider": SECURITY,
        "Channel": "Security",
        "Computer": "PC7.corp.test",
        "EventID": 4688,
        "SystemProcessId": 4,
        "SystemThreadId": 60,
        "EventData": DATA,
        "Type": "WindowsEvent",
    },
    "Event": {
        "TimeGenerated": ISO,
        "Source": SECURITY,
        "EventLog": "Security",
        "Computer": "PC7.corp.test",
        "EventID": 4688,
        "EventData": f'<DataItem type="System.XmlData" time="x"><EventData xmlns="y">{XML}</EventData></DataItem>',
        "ParameterXml": "",
        "RenderedDescription": "",
        "Type": "Event",
    },
    "Event by place": {
        "TimeGenerated": ISO,
        "Source": SECURITY,
        "EventLog": "Security",
        "Computer": "PC7.corp.test",
        "EventID": 4688,
        "EventData": "",
        "ParameterXml": "".join(f"<Param>{value}</Param>" for value in PLACES),
        "Type": "Event",
    },
    "winlogbeat's modules": ECS,
    "ECS alone": {name: part for name, part in ECS.items() if name != "winlog"} | {"host": {"name": "PC7.corp.test"}},
    "dotted": dotted(ECS),
    "Kibana's CSV": {name: str(value) for name, value in dotted(ECS).items()} | {"process.pid": "7,300"},
    "Elasticsearch's fields": {"_index": "x", "_id": "1", "fields": {n: [v] for n, v in dotted(ECS).items()}},
    "Elasticsearch's source": {"_index": "x", "_source": ECS},
    "vector": {
        "timestamp": ISO,
        "host": "collector",
        "event_id": 4688,
        "provider_name": SECURITY,
        "channel": "Security",
        "computer": "PC7.corp.test",
        "process_id": 4,
        "thread_id": 60,
        "event_data": DATA,
    },
    "a shipper of text": {"message": EVENT_XML, "source_type": "file", "host": "collector", "timestamp": "x"},
    "a shipper of JSON": {"message": json.dumps(EVTXECMD | {"Payload": json.dumps({"EventData": {"Data": NAMED}})})},
    "Splunk's XML": {"preview": False, "result": {"_time": "2024-06-01 10:00:00.250 CEST", "_raw": EVENT_XML}},
    "Splunk's text": {"preview": False, "result": {"_time": "1717228800.250", "_raw": SPLUNK_TEXT, "host": "PC7"}},
    "Splunk's fields": {
        "result": {
            "_time": "2024-06-01T10:00:00.250+02:00",
            "EventCode": "4688",
            "ComputerName": "PC7.corp.test",
            "LogName": "Security",
            "SourceName": "Microsoft Windows security auditing.",
            "New_Process_ID": "0x1c84",
            "New_Process_Name": EXE,
            "Creator_Process_ID": "0xc30",
            "Process_Command_Line": CMD,
            "Account_Name": ["mia", "-"],
            "Account_Domain": ["CORP", "-"],
            "Security_ID": [SID, "S-1-0-0"],
        }
    },
    "Cribl": {
        "_time": 1717228800.25,
        "host": "PC7",
        "source": "windows",
        "_raw": json.dumps(GET_WINEVENT | {"Properties": [{"Value": value} for value in PLACES]}),
    },
    "plaso": {
        "data_type": "windows:evtx:record",
        "event_identifier": 4688,
        "source_name": SECURITY,
        "computer_name": "PC7.corp.test",
        "strings": [str(value) for value in PLACES],
        "timestamp": 1717228800250000,
    },
    "Velociraptor": {
        "System": {
            "Provider": {"Name": SECURITY, "Guid": "x"},
            "EventID": {"Value": 4688},
            "TimeCreated": {"SystemTime": 1717228800.25},
            "Execution": {"ProcessID": 4, "ThreadID": 60},
            "Channel": "Security",
            "Computer": "PC7.corp.test",
        },
        "EventData": DATA,
        "Message": TEXT,
    },
}  # fmt: skip


def read(*records: dict[str, Any], **context: Any) -> list[LogRow]:
    raw = "\n".join(json.dumps(record) for record in records).encode()
    return list(SPEC.read([raw], LogContext(**context)))


def one(record: dict[str, Any]) -> LogRow:
    (found,) = read(record)
    return found


@pytest.mark.parametrize("exporter", EXPORTS)
def test_every_exporter_gives_the_events_own_process(exporter: str) -> None:
    found = one(EXPORTS[exporter])
    assert (found.parsed, found.timed, found.assumed) == (True, True, "")
    assert (found.provider, found.event_id, found.host) == (SECURITY, "4688", "pc7")
    assert (found.pid, found.ppid, found.exe, found.cmdline) == (7300, 3120, EXE, CMD)
    assert (found.user, found.sid) == (r"CORP\mia", SID)
    assert found.ts_ns == (WHOLE if exporter.startswith("fluent-bit") else NS)
    assert json.loads(found.fields_json) == EXPORTS[exporter], "no field is lost"
    assert "ThreadId" not in found.message


@pytest.mark.parametrize("exporter", EXPORTS)
def test_graphs_see_the_fields_of_every_exporter(exporter: str) -> None:
    fields = decode(json.dumps(EXPORTS[exporter]).encode())
    if not exporter.startswith("Splunk's fields"):
        assert fields.parent_process_name == PARENT
    assert str(fields.new_process_id) in {"0x1c84", "7300"} or exporter == "Sentinel"


@pytest.mark.parametrize(
    "payload",
    [
        None, "", "{}", "not JSON", '{"EventData":{"Data":"joined, texts","Binary":""}}', '{"EventData":null}',
        "[" * 9999, '{"UserData":{"X":{"A":"b"}}}',
    ],
)  # fmt: skip
def test_the_loggers_process_stands_in_for_nothing(payload: str | None) -> None:
    found = one(EVTXECMD | {"Payload": payload})
    assert (found.parsed, found.pid, found.ppid, found.tid, found.exe) == (True, -1, -1, -1, "")
    (alone,) = read({name: value for name, value in EVTXECMD.items() if name != "Payload"})
    assert (alone.pid, alone.timed) == (-1, True)


def test_one_data_element_and_user_data_are_fields_of_evtxecmd() -> None:
    single = {"EventData": {"Data": {"@Name": "NewProcessId", "#text": "0x10"}}}
    assert one(EVTXECMD | {"Payload": json.dumps(single)}).pid == 16
    cleared = {"UserData": {"LogFileCleared": {"@xmlns": "x", "SubjectUserName": "mia", "SubjectDomainName": "CORP"}}}
    found = one(EVTXECMD | {"EventId": 1102, "Payload": json.dumps(cleared)})
    assert (found.event_id, found.user) == ("1102", r"CORP\mia")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_in_any_encoding_is_recognised_and_read(encoding: str, indent: int | None) -> None:
    raw = json.dumps([EXPORTS["Get-WinEvent by place"]] * 3, indent=indent).encode(encoding)
    assert [row.pid for row in SPEC.read([raw], LogContext())] == [7300] * 3


@pytest.mark.parametrize("how", ["{}", "{{\n{}", "{{ \t\n{}"])
def test_objects_that_go_on_behind_their_first_line_are_read_whole(how: str) -> None:
    text = json.dumps(EXPORTS["Velociraptor"], indent=1)
    text = text if how == "{}" else how.format(text.lstrip("{\n"))
    opened = text.replace('{\n "System": {', '{ "System": {', 1)
    for each in (text, opened):
        found = list(SPEC.read([f"{each}\n{each}\n".encode()], LogContext()))
        assert [(row.parsed, row.pid) for row in found] == [(True, 7300)] * 2


def strict(text: str) -> dict[str, Any] | None:
    """The object in a text by Python's reader, without repeated keys and NaN; None where it is none."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a repeated key")
        return found

    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        found = json.loads(text, object_pairs_hook=once, parse_constant=refuse)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def mutated(text: str, chance: random.Random) -> str:
    """A text with a piece of it gone, doubled or replaced by what JSON and its events are made of."""
    start = chance.randrange(len(text))
    end = min(len(text), start + chance.choice([0, 1, 1, 2, 8, 40]))
    words = ["", '"', ",", "{", "}", "[]", "null", "7", "-1", '"x"', '\\"', "\\u0041", " ", text[start:end] * 2]
    return text[:start] + chance.choice(words) + text[end:]


def numbers_in(value: object) -> set[int]:
    """Every number that a record says anywhere, in its texts too."""
    if isinstance(value, dict):
        return set().union(*(numbers_in(each) for each in value.values()), *map(numbers_in, value))
    if isinstance(value, list):
        return set().union(*map(numbers_in, value))
    words = re.findall(r"0[xX][0-9a-fA-F]+|[0-9][0-9,]*", str(value))
    return {int(word.replace(",", ""), 16 if word[:2] in ("0x", "0X") else 10) for word in words}


def test_mutated_json_is_read_as_pythons_json_reads_it() -> None:
    chance = random.Random(12)
    originals = [json.dumps(record) for record in EXPORTS.values()]
    n_read = n_broken = 0
    for _ in range(300):
        text = mutated(chance.choice(originals), chance)
        if chance.random() < 0.3:
            text = mutated(text, chance)
        expected = strict(text)
        found = list(SPEC.read([text.encode()], LogContext()))
        if expected is None:
            n_broken += 1
            assert not found or not all(row.parsed for row in found), text
            continue
        (row,) = found
        if row.parsed:
            n_read += 1
            assert json.loads(row.fields_json) == expected, text
            assert {row.pid, row.ppid, row.tid} <= {-1} | numbers_in(expected), text
            assert row.event_id in text
    assert n_read > 60 and n_broken > 60
