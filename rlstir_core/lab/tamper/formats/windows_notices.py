"""The events that Windows and Sysmon themselves write when a log is cleared, auditing changes, the clock steps, the
machine sleeps or the sensor restarts, in the dialect of the log.

What does not belong here: when that happens.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from rlstir_core.lab.tamper.records.clocks import at, fraction
from rlstir_core.lab.tamper.records.entry import MADE_UP, Entry, wording
from rlstir_core.lab.tamper.records.json_text import EditedLine, JsonRecord

_EVENTLOG = ("Microsoft-Windows-Eventlog", "{fc65ddd8-d6ef-4962-83d5-6e5cfe9ce148}")
_AUDITING = ("Microsoft-Windows-Security-Auditing", "{54849625-5478-4994-a5ba-3e3b0328c30d}")
_GENERAL = ("Microsoft-Windows-Kernel-General", "{a68ca8b7-004f-d7b6-a698-07e2de0f1f5d}")
_POWER = ("Microsoft-Windows-Kernel-Power", "{331c3b3a-2005-44c2-ac5e-77220c37d6b4}")
_SYSMON = ("Microsoft-Windows-Sysmon", "{5770385f-c22a-43e0-bf4c-06f5698ffbd9}")


class _Kind(NamedTuple):
    provider: tuple[str, str]
    event_id: int
    channel: str
    task: int
    keywords: str
    row_channel: str
    text: str
    data: dict[str, Any]


_ACCOUNT = {
    "SubjectUserSid": "S-1-5-18",
    "SubjectUserName": "SYSTEM",
    "SubjectDomainName": "NT AUTHORITY",
    "SubjectLogonId": "0x3e7",
}
_POLICY = {**_ACCOUNT, "CategoryId": "{category}", "SubcategoryId": "{sub}", "SubcategoryGuid": "{guid}"}
_AUDIT_WORDS = "0x8020000000000000"
_KINDS: dict[str, _Kind] = {
    "cleared": _Kind(
        _EVENTLOG, 1102, "Security", 104, "0x4020000000000000", "evtx", "The audit log was cleared.", _ACCOUNT
    ),
    "cleared_other": _Kind(
        _EVENTLOG,
        104,
        "System",
        104,
        "0x8000000000000000",
        "evtx",
        "The {channel} log file was cleared.",
        {"SubjectUserName": "SYSTEM", "SubjectDomainName": "NT AUTHORITY", "Channel": "{channel}", "BackupPath": ""},
    ),
    "off": _Kind(
        _AUDITING,
        4719,
        "Security",
        13568,
        _AUDIT_WORDS,
        "evtx",
        "System audit policy was changed.",
        {**_POLICY, "AuditPolicyChanges": "%%8448, %%8450"},
    ),
    "on": _Kind(
        _AUDITING,
        4719,
        "Security",
        13568,
        _AUDIT_WORDS,
        "evtx",
        "System audit policy was changed.",
        {**_POLICY, "AuditPolicyChanges": "%%8449, %%8451"},
    ),
    "stopped": _Kind(
        _SYSMON,
        4,
        "Microsoft-Windows-Sysmon/Operational",
        4,
        "0x8000000000000000",
        "sysmon",
        "Sysmon service state changed:\nUtcTime: {utc}\nState: Stopped\nVersion: 15.0\nSchemaVersion: 4.90",
        {"UtcTime": "{utc}", "State": "Stopped", "Version": "15.0", "SchemaVersion": "4.90"},
    ),
    "started": _Kind(
        _SYSMON,
        4,
        "Microsoft-Windows-Sysmon/Operational",
        4,
        "0x8000000000000000",
        "sysmon",
        "Sysmon service state changed:\nUtcTime: {utc}\nState: Started\nVersion: 15.0\nSchemaVersion: 4.90",
        {"UtcTime": "{utc}", "State": "Started", "Version": "15.0", "SchemaVersion": "4.90"},
    ),
    "stepped": _Kind(
        _GENERAL,
        1,
        "System",
        5,
        "0x8000000000000010",
        "evtx",
        "The system time has changed to {new} from {old}.",
        {"NewTime": "{new}", "OldTime": "{old}", "Reason": "2"},
    ),
    "suspended": _Kind(
        _POWER,
        42,
        "System",
        64,
        "0x8000000000000404",
        "evtx",
        "The system is entering sleep.",
        {"TargetState": "4", "EffectiveState": "4", "Reason": "4", "Flags": "0"},
    ),
    "resumed": _Kind(
        _POWER,
        107,
        "System",
        102,
        "0x8000000000000404",
        "evtx",
        "The system has resumed from sleep.",
        {"TargetState": "4", "EffectiveState": "4", "WakeFromState": "1"},
    ),
}
NOTICES = frozenset(_KINDS)
# the same said otherwise, as other hosts say it: by a person, with more text, of another version
_PERSON = {
    "SubjectUserSid": "S-1-5-21-{lan}-500",
    "SubjectUserName": "Administrator",
    "SubjectDomainName": "{domain}",
    "SubjectLogonId": "0x{logon}",
}
_SUBJECT = (
    "\r\nSubject:\r\n\tSecurity ID:\tS-1-5-21-{lan}-500\r\n\tAccount Name:\tAdministrator\r\n\tDomain Name:\t{domain}"
    "\r\n\tLogon ID:\t0x{logon}"
)
_OTHERWISE: dict[str, _Kind] = {
    "cleared": _KINDS["cleared"]._replace(text="The audit log was cleared." + _SUBJECT, data=_PERSON),
    "cleared_other": _KINDS["cleared_other"]._replace(
        data={"SubjectUserName": "Administrator", "SubjectDomainName": "{domain}", "Channel": "{channel}"}
    ),
    "off": _KINDS["off"]._replace(
        text="System audit policy was changed.\r\n" + _SUBJECT,
        data={**_POLICY, **_PERSON, "AuditPolicyChanges": "%%8448"},
    ),
    "on": _KINDS["on"]._replace(
        text="System audit policy was changed.\r\n" + _SUBJECT,
        data={**_POLICY, **_PERSON, "AuditPolicyChanges": "%%8449"},
    ),
    "stopped": _KINDS["stopped"]._replace(
        data={"RuleName": "-", "UtcTime": "{utc}", "State": "Stopped", "Version": "13.33", "SchemaVersion": "4.81"},
    ),
    "started": _KINDS["started"]._replace(
        data={"RuleName": "-", "UtcTime": "{utc}", "State": "Started", "Version": "13.33", "SchemaVersion": "4.81"},
    ),
}
# fields of flat records that speak of the record, and stay
_ENVELOPE_WORDS = (
    "@timestamp @version EventReceivedTime EventTime TimeCreated SystemTime timestamp Hostname Computer MachineName "
    "host EventRecordID RecordNumber RecordId Channel LogName SourceModuleName SourceModuleType port tags EventID Id "
    "EventId SourceName ProviderName ProviderGuid Task Keywords Message SeverityValue Severity EventType Version "
    "OpcodeValue Level ProcessID ThreadID ExecutionProcessID"
)
_ENVELOPE = frozenset(_ENVELOPE_WORDS.split())


def notice(what: str, like: Entry, ts_ns: int, number: int, **given: object) -> Entry | None:
    """The event at `ts_ns`; None where Windows writes none."""
    host = like.log.partition(" ")[0]
    lot = wording(host)
    kind = _OTHERWISE.get(what, _KINDS.get(what)) if lot % 2 else _KINDS.get(what)
    if kind is None:
        return None
    line = EditedLine(like.payload[0])
    like_ns = like.ts_ns - like.edits.get("shift_ns", 0)
    # moved with the record's other times
    words = {"utc": f"{at(like_ns):%Y-%m-%d %H:%M:%S}.{fraction(like_ns, 3)}"}
    words |= {"domain": host.upper() or "WORKGROUP", "lan": f"{lot}-{lot % 997 * 3}-{lot % 8191}", "logon": f"{lot:x}"}
    words |= {key: str(value) for key, value in given.items()}
    data = {key: _filled(value, words) for key, value in kind.data.items()}
    line.record = _record(copy.deepcopy(line.record), kind, data, _filled(kind.text, words), number)
    raw_number = like.number - like.edits.get("number", 0)
    by_ns = round((ts_ns - like_ns) / like.grain_ns) * like.grain_ns
    return Entry(
        place=MADE_UP,
        ts_ns=like_ns + by_ns,
        grain_ns=like.grain_ns,
        number=number if raw_number >= 0 else -1,
        header=like.header - like.edits.get("header", 0),
        event_id=str(kind.event_id),
        channel=kind.row_channel,
        log=f"{like.log.partition(' ')[0]} {kind.channel}",
        source=f"{like.log.partition(' ')[0]} {kind.channel}",
        payload=[line.text()],
        edits={"shift_ns": by_ns} if by_ns else {},
    )


def _filled(text: str, words: dict[str, str]) -> str:
    for key, value in words.items():
        text = text.replace("{" + key + "}", value)
    return text


def _record(record: JsonRecord, kind: _Kind, data: JsonRecord, text: str, number: int) -> JsonRecord:
    for wrapper in ("_source", "result"):
        if isinstance(record.get(wrapper), dict):
            record[wrapper] = _record(record[wrapper], kind, data, text, number)
            return record
    event = record.get("Event", record)
    if isinstance(event, dict) and isinstance(event.get("System"), dict):
        _fill_nested(event, kind, data, number)
        return record
    if isinstance(record.get("winlog"), dict):
        return _filled_beat(record, kind, data, text, number)
    return _filled_flat(record, kind, data, text, number)


def _fill_nested(event: JsonRecord, kind: _Kind, data: JsonRecord, number: int) -> None:
    system = event["System"]
    provider = system.get("Provider")
    name, guid = kind.provider
    if isinstance(provider, dict):
        inner = provider["#attributes"] if isinstance(provider.get("#attributes"), dict) else provider
        for key in inner:
            if key.removeprefix("@") == "Name":
                inner[key] = name
            elif key.removeprefix("@") == "Guid":
                inner[key] = guid
    elif isinstance(system.get("Provider_attributes"), dict):
        system["Provider_attributes"] |= {"Name": name, "Guid": guid}
    for key, value in (("EventID", kind.event_id), ("Task", kind.task), ("Version", 0), ("Level", 4), ("Opcode", 0)):
        if key in system:
            system[key] = str(value) if isinstance(system[key], str) else value
    system |= {"Keywords": kind.keywords, "Channel": kind.channel}
    if number >= 0 and "EventRecordID" in system:
        system["EventRecordID"] = str(number) if isinstance(system["EventRecordID"], str) else number
    for key in ("EventData", "UserData", "RenderingInfo"):
        event.pop(key, None)
    if kind.provider is _EVENTLOG:
        space = {"#attributes": {"xmlns": "http://manifests.microsoft.com/win/2004/08/windows/eventlog"}}
        event["UserData"] = {"LogFileCleared": {**space, **data}}
    else:
        event["EventData"] = data


def _filled_beat(record: JsonRecord, kind: _Kind, data: JsonRecord, text: str, number: int) -> JsonRecord:
    log = record["winlog"]
    old = log.get("event_id")
    for key in ("event_data", "user_data", "user", "opcode", "activity_id", "keywords", "task"):
        log.pop(key, None)
    log |= {
        "event_id": str(kind.event_id) if isinstance(old, str) else kind.event_id,
        "provider_name": kind.provider[0],
        "provider_guid": kind.provider[1],
        "channel": kind.channel,
        "user_data" if kind.provider is _EVENTLOG else "event_data": data,
    }
    if number >= 0 and "record_id" in log:
        log["record_id"] = str(number) if isinstance(log["record_id"], str) else number
    if isinstance(event := record.get("event"), dict):
        event |= {"code": str(kind.event_id), "provider": kind.provider[0]}
        event.pop("action", None)
    if "message" in record:
        record["message"] = text
    return record


def _filled_flat(record: JsonRecord, kind: _Kind, data: JsonRecord, text: str, number: int) -> JsonRecord:
    kept = {key: value for key, value in record.items() if key in _ENVELOPE}
    known: JsonRecord = {
        "EventID": kind.event_id,
        "Id": kind.event_id,
        "EventId": kind.event_id,
        "SourceName": kind.provider[0],
        "ProviderName": kind.provider[0],
        "ProviderGuid": kind.provider[1],
        "Channel": kind.channel,
        "LogName": kind.channel,
        "Task": kind.task,
        "Message": text,
    }
    if number >= 0:
        known |= dict.fromkeys(("EventRecordID", "RecordNumber", "RecordId"), number)
    for key, value in known.items():
        if key in kept:
            kept[key] = str(value) if isinstance(kept[key], str) else value
    # nxlog writes keywords as a signed number
    if type(kept.get("Keywords")) is int:
        kept["Keywords"] = int(kind.keywords, 16) - (1 << 64 if int(kind.keywords, 16) >= 1 << 63 else 0)
    if "UtcTime" in record and "UtcTime" not in data:
        data = {"UtcTime": record["UtcTime"], **data}
    elif "UtcTime" in data and "UtcTime" in record:
        data = {**data, "UtcTime": record["UtcTime"]}
    return {**kept, **{key: value for key, value in data.items() if key not in kept or key == "UtcTime"}}
