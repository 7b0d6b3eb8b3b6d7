"""Changes carried out in a Windows record of any dialect, in every place where it says the same thing.

What does not belong here: lines (`records/json_text.py`) and what is changed why.
"""

from __future__ import annotations

import ntpath
import re
from typing import Any

from rlstir_core.lab.tamper.records.clocks import grain_in, moved
from rlstir_core.lab.tamper.records.entry import MILLISECOND_NS, Entry, LoggedProcess
from rlstir_core.lab.tamper.records.json_text import JsonRecord

_TIMES = frozenset(
    {"SystemTime", "TimeCreated", "EventTime", "UtcTime", "@timestamp", "TimeWritten", "EventReceivedTime"}
    | {"EventTimeWritten", "TimeGenerated", "time_created", "timestamp", "created"}
)
_NUMBERS = frozenset({"EventRecordID", "RecordNumber", "RecordId", "record_id"})
_APART = frozenset({"EventData", "UserData", "event_data", "user_data", "RecordHeader"})
_COMMANDS = ("CommandLine", "ProcessCommandLine", "HostApplication", "ScriptBlockText", "Payload", "ContextInfo")
_ELSEWHERE = frozenset({"MapDescription", "Properties", "StringInserts", "System"})
_DEPTH = 12
USERS = ("User", "SubjectUserName", "TargetUserName", "AccountName", "SourceUser", "TargetUser")
PROGRAMS = ("Image", "NewProcessName", "ProcessName", "SourceImage", "TargetImage", "Application")
ADDRESSES = ("SourceIp", "DestinationIp", "IpAddress", "SourceAddress", "DestAddress")
_NOTHING = ("", "-", "?")
# how the rendered text names a field, where it is not the field's own name
_SAID_AS = {
    "ProcessId": "Creator Process ID",
    "ParentProcessName": "Creator Process Name",
    "CommandLine": "Process Command Line",
    "SubjectUserName": "Account Name",
    "TargetUserName": "Account Name",
    "NewProcessName": "New Process Name",
    "ProcessName": "Process Name",
    "Application": "Application Name",
    "SourceAddress": "Source Address",
    "DestAddress": "Destination Address",
    "IpAddress": "Source Network Address",
}


def change(record: JsonRecord, entry: Entry) -> None:
    """Carries the entry's edits out in its record, in place."""
    edits = entry.edits
    header = record.get("RecordHeader")
    if by_ns := edits.get("shift_ns", 0):
        before = event_fields(record).get("UtcTime")
        written = header.get("TimeWritten") if isinstance(header, dict) else None
        _move(record, by_ns, _DEPTH)
        if isinstance(header, dict) and edits.get("header_stays"):
            header["TimeWritten"] = written
        after = event_fields(record).get("UtcTime")
        _say(record, {"UtcTime": (before, after)})
    if number := edits.get("number", 0):
        _number(record, number, _DEPTH)
    if isinstance(header, dict):
        _number(header, edits.get("header", 0), 1)
        if "written" in edits and "TimeWritten" in header:
            header["TimeWritten"] = edits["written"]
    fields = event_fields(record)
    wanted: dict[str, Any] = {}
    if isinstance(parent := edits.get("parent"), LoggedProcess):
        wanted |= _parent(fields, parent)
    if edits.get("blank"):
        wanted |= {key: "" for key in _COMMANDS if fields.get(key)}
    wanted |= {key: value for key, value in edits.get("fields", {}).items() if key in fields}
    if wanted:
        _say(record, {key: (fields.get(key), value) for key, value in wanted.items()})
        fields.update(wanted)


def event_fields(record: JsonRecord) -> JsonRecord:
    """The event's own fields, where the dialect keeps them: they may be changed in place."""
    for wrapper in ("_source", "result", "Event", "winlog"):
        inner = record.get(wrapper)
        if isinstance(inner, dict):
            return event_fields(inner)
    for key in ("EventData", "UserData", "event_data", "user_data"):
        data = record.get(key)
        if isinstance(data, dict):
            return data
    # at the top of a record of these the logger's process stands, and the event's fields in a text or by place
    return {} if _ELSEWHERE & record.keys() else record


def replaceable(record: JsonRecord) -> dict[str, str]:
    """Users, programs and addresses of an event."""
    fields = event_fields(record)
    return {
        key: fields[key]
        for key in (*USERS, *PROGRAMS, *ADDRESSES)
        if isinstance(fields.get(key), str) and fields[key] not in _NOTHING
    }


def grain(record: JsonRecord) -> int:
    """By what the times of a record can move: by whole steps of the coarsest."""
    found = [MILLISECOND_NS]
    _grains(record, found, _DEPTH)
    return max(found)


def _grains(node: object, found: list[int], depth: int) -> None:
    if depth <= 0:
        return
    if isinstance(node, list):
        for item in node:
            _grains(item, found, depth - 1)
    elif isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, (dict, list)):
                _grains(value, found, depth - 1)
            elif key in _TIMES and (step := grain_in(value)) is not None:
                found.append(step)


def _move(node: object, by_ns: int, depth: int) -> None:
    if depth <= 0:
        return
    if isinstance(node, list):
        for item in node:
            _move(item, by_ns, depth - 1)
    elif isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, (dict, list)):
                _move(value, by_ns, depth - 1)
            elif key in _TIMES:
                node[key] = moved(value, by_ns)


def _number(node: JsonRecord, by: int, depth: int) -> None:
    """The event's number; fields of the event itself are no numbers of the record."""
    if depth <= 0 or not by:
        return
    for key, value in node.items():
        if isinstance(value, dict) and key not in _APART:
            _number(value, by, depth - 1)
        elif key in _NUMBERS:
            if type(value) is int:
                node[key] = value + by
            elif isinstance(value, str) and value.isdecimal():
                node[key] = str(int(value) + by)


def _parent(fields: JsonRecord, parent: LoggedProcess) -> JsonRecord:
    """The fields that name the parent, in the spelling that the record has."""
    key = "ParentProcessId" if "ParentProcessId" in fields else "ParentProcessID"
    if key not in fields:
        key = "ProcessId"  # 4688: its own process is `NewProcessId`
    wanted: JsonRecord = {}
    if key in fields:
        before = fields[key]
        if isinstance(before, str) and before[:2] in ("0x", "0X"):
            wanted[key] = f"0x{parent.pid:x}"
        else:
            wanted[key] = str(parent.pid) if isinstance(before, str) else parent.pid
    for name, value in (
        ("ParentProcessGuid", parent.guid),
        ("ParentImage", parent.exe),
        ("ParentProcessName", parent.exe),
        ("ParentCommandLine", parent.cmdline or ntpath.basename(parent.exe)),
        ("ParentUser", parent.user),
    ):
        if name in fields and (value or name == "ParentProcessGuid"):
            wanted[name] = value or fields[name]
    return wanted


def _say(record: JsonRecord, changes: dict[str, tuple[Any, Any]]) -> None:
    """Changes the exporter's text as well, line by line: `Image: C:\\x.exe`, `Creator Process ID:\\t\\t0x1a4`."""
    for place in (record, record.get("winlog"), record.get("RenderingInfo")):
        for name in ("Message", "message"):
            if isinstance(place, dict) and isinstance(text := place.get(name), str):
                for key, (old, new) in changes.items():
                    if old is None or str(old) == str(new):
                        continue
                    label = rf"(?:{re.escape(key)}|{re.escape(_SAID_AS.get(key, key))})"
                    pattern = rf"(^[ \t]*{label}:[ \t]*){re.escape(str(old))}(?=[ \t]*\r?(?:$|\n))"
                    literal = str(new).replace("\\", "\\\\")
                    text = re.sub(pattern, rf"\g<1>{literal}", text, flags=re.MULTILINE)
                place[name] = text
