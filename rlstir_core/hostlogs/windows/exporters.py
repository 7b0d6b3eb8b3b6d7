"""Records that keep what surrounds an event at their top and its data elsewhere: EvtxECmd, Get-WinEvent and others.

The data stand in a text (`Payload`, `EventData`), by place (`Properties`, insertion strings), beside the rest as in
Sentinel, or in the rendered text alone. `ProcessId` at the top is the logger's where a `ThreadId` stands beside it.
What does not belong here: flat records whose fields are the event's own (`dialects.py`), and beats (`beats.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rlstir_core.hostlogs.unparsed import json_object
from rlstir_core.hostlogs.windows.event import Envelope, WindowsEvent, event_id_text, flatten, provider_named
from rlstir_core.hostlogs.windows.event_xml import parameters, within, xml_object
from rlstir_core.hostlogs.windows.field_names import ENVELOPE, SECURITY, SYSMON
from rlstir_core.hostlogs.windows.places import CUT, by_place, plain_values
from rlstir_core.hostlogs.windows.record import (
    CHANNELS,
    COMPUTERS,
    IDS,
    LOGGERS,
    PROVIDERS,
    RENDERED,
    SIDS,
    THREADS,
    Told,
    first_key,
    first_said,
    plain,
    sid_in,
    stamps,
)
from rlstir_core.hostlogs.windows.rendered import field_of_label, fields_of_text
from rlstir_core.hostlogs.windows.signs import has_own_fields, is_event, is_number, provider_by_fields

_BY_PLACE = ("Properties", "StringInserts", "InsertionStrings", "ReplacementStrings", "strings", "string_inserts")
_IN_TEXT = ("Payload", "EventData", "UserData", "event_data", "user_data")
_EVTXECMD = frozenset(
    {"ChunkNumber", "ExtraDataOffset", "HiddenRecord", "MapDescription", "PayloadData1", "SourceFile"}
)
_SENTINEL = frozenset({"TenantId", "SourceSystem", "EventSourceName", "MG", "ManagementGroupName", "_ResourceId"})
# around an event; what is left at the top is the event's own
_OUTSIDE = ENVELOPE | _EVTXECMD | _SENTINEL | {
    *IDS, *PROVIDERS, *CHANNELS, *COMPUTERS, *THREADS, *SIDS, *RENDERED, "ExecutionProcessID", "process_id",
    "Activity", "ActivityId", "AzureDeploymentID", "Bookmark", "Category", "CategoryNumber", "Container",
    "ContainerLog", "Data", "EntryType", "EventCategory", "EventData", "EventLevel", "EventLevelName", "EventOriginId",
    "EventRecordId", "EventType", "ExecutableInfo", "ExecutionProcessId", "Index", "InstanceId", "KeywordsDisplayNames",
    "MatchedQueryIds", "OpCode", "OpcodeDisplayName", "ParameterXml", "PartitionKey", "Payload", "PayloadData2",
    "PayloadData3", "PayloadData4", "PayloadData5", "PayloadData6", "ProviderId", "Qualifiers", "RawEventData",
    "RecordID", "RelatedActivityId", "RemoteHost", "RowKey", "Site", "SourceComputerId", "SystemProcessId",
    "TaskCategory", "TimeGenerated", "TimeGenerated [Local Time]", "TimeGenerated [UTC]", "TimeWritten", "Timestamp",
    "Type", "UserData", "UserName", "_ItemId", "_SubscriptionId", "_bkt", "_cd", "_indextime", "_raw", "_serial", "_si",
    "_sourcetype", "_time", "__REALTIME_TIMESTAMP", "datetime", "event_data", "eventtype", "index", "level",
    "linecount", "punct", "source", "sourcetype", "splunk_server", "time", "user_data",
}  # fmt: skip
_KINDS = frozenset(
    {*_BY_PLACE[1:4], "EventData", "EventSourceName", "ParameterXml", "TimeGenerated [UTC]", "string_inserts"}
)


def is_exported(keys: Collection[str], id_key: str) -> bool:
    """Whether a record with these keys keeps the event's data elsewhere than flat at its top."""
    if not _KINDS.isdisjoint(keys) or len(_EVTXECMD.intersection(keys)) > 1 or id_key == "event_identifier":
        return True
    if "ProcessId" in keys and "ThreadId" in keys and "ExecutionProcessID" not in keys:
        return True
    if has_own_fields(keys):
        return False
    if id_key in {"Id", "EventCode"} or "Properties" in keys:
        return True
    # nxlog takes the fields out of the text itself
    own = set(keys) - _OUTSIDE - {"ProcessId"} - ({"ProcessID"} if "ThreadID" in keys else set())
    return not own and "EventReceivedTime" not in keys and first_key(RENDERED, keys) != ""


def exported_event(record: dict[str, Any]) -> Told | None:
    """The event of such a record, or of a flat one; None where it is no Windows event."""
    id_key = first_key(IDS, record)
    event_id = event_id_text(record[id_key]) if id_key else ""
    if not is_number(event_id):
        return None
    said, channel = first_said(PROVIDERS, record), first_said(CHANNELS, record)
    if isinstance(said, dict):
        said = first_said(("Name", "@Name"), said)
    if not is_event(record, id_key, said, channel):
        return None
    provider = provider_named(said, channel) or provider_by_fields(record)
    rendered = plain(first_said(RENDERED, record))
    if not provider and not channel:
        provider = _by_text(event_id, rendered)
    evtxecmd = len(_EVTXECMD.intersection(record)) > 1
    logger = _logger(record, id_key, evtxecmd)
    fields = _own(record, event_id, logger)
    data = _data(record, provider, event_id)
    if not data and not has_own_fields(fields):
        data = fields_of_text(provider, event_id, rendered) or _unnamed(record)
    found = WindowsEvent(
        provider=provider,
        event_id=event_id,
        fields=fields | data,
        computer=plain(first_said(COMPUTERS, record)),
        envelope=Envelope(
            execution_pid=record.get("ProcessId") if logger else first_said(LOGGERS, record),
            execution_tid=record.get("ThreadId") if logger else first_said(THREADS, record),
            sid=sid_in(first_said(SIDS, record)),
            rendered=rendered,
        ),
    )
    return Told(found, stamps(record, utc=evtxecmd or not _SENTINEL.isdisjoint(record)))


def _by_text(event_id: str, rendered: str) -> str:
    """The provider whose fields a text holds; empty where it is neither of those that are read."""
    for provider in (SECURITY, SYSMON) if rendered else ():
        if has_own_fields(fields_of_text(provider, event_id, rendered)):
            return provider
    return ""


def data_of(text: object) -> dict[str, Any] | None:
    """The object in a text of JSON or XML; None where there is none."""
    if not isinstance(text, str):
        return None
    return xml_object(text.strip()) if text.lstrip()[:1] == "<" else json_object(text)


def _logger(record: dict[str, Any], id_key: str, evtxecmd: bool) -> bool:
    """Whether `ProcessId` at the top is that of the process that wrote the event."""
    value = record.get("ProcessId")
    if isinstance(value, str) and value[:2] in {"0x", "0X"}:
        return False  # as events spell their own
    if evtxecmd or "ThreadId" in record:
        return True
    if has_own_fields(record):
        return False
    # beside a text that holds the event's fields, a number alone is the record's
    alone = type(value) is int and not (set(record) - _OUTSIDE - {"ProcessId"})
    return id_key == "Id" or alone or any(key in record for key in _BY_PLACE)


def _own(record: dict[str, Any], event_id: str, logger: bool) -> dict[str, Any]:
    """The event's fields that stand beside what surrounds it; wide tables have a column for each field of any event."""
    found: dict[str, Any] = {}
    sysmon = "UtcTime" in record  # it has an `EventType` of its own
    skipped = {"ProcessId", "ThreadId"} if logger else {"ProcessID"} if "ThreadID" in record else set()
    for key, value in record.items():
        if value is None or value in ("", "-") or key in skipped:
            continue
        if key in (_BY_PLACE if isinstance(value, list) else _OUTSIDE) and not (key == "EventType" and sysmon):
            continue
        if key in _BY_PLACE and isinstance(value, str) and value.startswith(CUT):
            continue
        if "_" in key and (name := field_of_label(key.replace("_", " "), event_id)):
            found[name] = value
        elif key in {"Account_Name", "Account_Domain", "Security_ID"}:
            found |= _accounts(key, value)
        elif not isinstance(value, (dict, list)):
            found[key] = value
        elif key not in found:
            found |= flatten({key: value, "#attributes": None}) if isinstance(value, list) else {key: value}
    return found


def _accounts(key: str, value: object) -> dict[str, Any]:
    """Splunk's lists of both accounts of a text: the subject's, then the other's."""
    what = {"Account_Name": "UserName", "Account_Domain": "DomainName", "Security_ID": "UserSid"}[key]
    values = value if isinstance(value, list) else [value]
    return {f"{whose}{what}": each for whose, each in zip(("Subject", "Target"), values, strict=False)}


def _data(record: dict[str, Any], provider: str, event_id: str) -> dict[str, Any]:
    for key in _IN_TEXT:
        value = record.get(key)
        data = value if isinstance(value, dict) else data_of(value)
        if data is None:
            continue
        for name in ("EventData", "UserData"):
            inner = within(data, name)
            if inner:
                return flatten(inner if isinstance(inner, dict) else {"Data": inner})
        if data and not {"EventData", "UserData"} & data.keys():
            return flatten(data)
    for key in _BY_PLACE:
        if found := by_place(provider, event_id, record.get(key)):
            return found
    text = record.get("ParameterXml")
    return by_place(provider, event_id, parameters(text)) if isinstance(text, str) and text else {}


def _unnamed(record: dict[str, Any]) -> dict[str, Any]:
    """The values by place without names, as classic events have them."""
    values = next((found for key in _BY_PLACE if (found := plain_values(record.get(key)))), [])
    return {f"param{place}": value for place, value in enumerate(values, 1)}
