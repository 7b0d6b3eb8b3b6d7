"""What a JSON object says as a Windows event: the dialects of evtx_dump, winlogbeat, nxlog, Get-WinEvent and others.

A dialect is told by the object's keys alone, so that this is decided once for each set of keys. What does not belong
here: bytes and lines (`json_events.py`), and what an event's fields mean (`event.py`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from rlstir_core.hostlogs.windows.event import Envelope, WindowsEvent, event_id_text, flatten, provider_named
from rlstir_core.hostlogs.windows.field_names import SYSMON

_IDS = ("EventID", "EventId", "event_id", "Id", "EventCode", "event.code")
_PROVIDERS = ("SourceName", "ProviderName", "Provider", "provider_name", "source_name")
_CHANNELS = ("Channel", "LogName", "log_name", "channel")
_COMPUTERS = ("Hostname", "Computer", "MachineName", "hostname", "ComputerName", "computer_name", "host.name")
_TIMES = ("TimeCreated", "EventTime", "SystemTime", "time_created", "timestamp", "@timestamp", "UtcTime")
_EXECUTION = ("ExecutionProcessID", "ProcessID", "ExecutionProcessId", "process_id")
_RENDERED = ("Message", "message")


class Dialect(msgspec.Struct, frozen=True):
    """Which keys of a flattened record hold what; empty where none does."""

    kind: str  # flat, nested, or empty where it is no event
    event_id: str = ""
    provider: str = ""
    channel: str = ""
    computer: str = ""
    time: str = ""
    utc: str = ""  # a time in UTC of the same moment as `local`
    local: str = ""
    execution: str = ""
    thread: str = ""
    user: str = ""
    domain: str = ""
    sid: str = ""
    rendered: str = ""


def dialect_of(record: dict[str, Any]) -> Dialect:
    """The dialect of a record with these keys."""
    keys = record.keys()
    if {"Event", "winlog", "System", "event_data", "user_data", "EventData", "_source", "result"} & keys or any(
        key.startswith("winlog.") for key in keys
    ):
        return Dialect("nested")
    event_id = _first(_IDS, keys)
    if not event_id:
        return Dialect("")
    time = _first(_TIMES, keys)
    local, utc = "", ""
    if time in {"EventTime", "TimeCreated"}:
        if {"EventReceivedTime", "@timestamp"} <= keys:
            local, utc = "EventReceivedTime", "@timestamp"
        elif "UtcTime" in keys:
            local, utc = time, "UtcTime"
    resolved = {"AccountName", "AccountType"} <= keys
    return Dialect(
        "flat",
        event_id=event_id,
        provider=_first(_PROVIDERS, keys),
        channel=_first(_CHANNELS, keys),
        computer=_first(_COMPUTERS, keys),
        time=time,
        utc=utc,
        local=local,
        execution=_first(_EXECUTION, keys),
        thread=_first(("ThreadID", "ExecutionThreadID", "thread_id"), keys),
        user="AccountName" if resolved else "",
        domain="Domain" if resolved and "Domain" in keys else "",
        sid=_first(("UserID",), keys),
        rendered=_first(_RENDERED, keys),
    )


def flat_provider(shape: Dialect, record: dict[str, Any]) -> str:
    """The provider of a flattened record; one that names neither provider nor channel but a UtcTime is Sysmon's."""
    provider = record[shape.provider] if shape.provider else ""
    if isinstance(provider, dict):
        provider = _attribute(record, shape.provider, "Name")
    found = provider_named(provider, record[shape.channel] if shape.channel else "")
    return found or (SYSMON if "UtcTime" in record else "")


def nested_event(record: dict[str, Any], most: int = 3) -> tuple[WindowsEvent, object] | None:
    """The event of a nested record and its time as written; None where the record holds none."""
    for wrapper in ("_source", "result"):
        inner = record.get(wrapper)
        if isinstance(inner, dict) and most:
            return nested_event(inner, most - 1)
    event = record.get("Event", record)
    if isinstance(event, dict) and isinstance(event.get("System"), dict):
        return _event_dump(event, event["System"])
    return _beat(record)


def _event_dump(event: dict[str, Any], system: dict[str, Any]) -> tuple[WindowsEvent, object]:
    """`{"System": …, "EventData": …}`: Windows' own XML as JSON, attributes in one of four spellings."""
    data = event.get("EventData")
    if not data:
        data = event.get("UserData")
    if not data:
        known = {"System", "EventData", "UserData", "RenderingInfo", "#attributes"}
        data = {key: value for key, value in event.items() if key not in known and not key.startswith("@")}
    rendering = event.get("RenderingInfo")
    found = WindowsEvent(
        provider=provider_named(_attribute(system, "Provider", "Name"), system.get("Channel")),
        event_id=event_id_text(system.get("EventID")),
        fields=flatten(data),
        computer=_text(system.get("Computer")),
        envelope=Envelope(
            execution_pid=_attribute(system, "Execution", "ProcessID"),
            execution_tid=_attribute(system, "Execution", "ThreadID"),
            sid=_text(_attribute(system, "Security", "UserID")),
            rendered=_text(rendering.get("Message")) if isinstance(rendering, dict) else "",
        ),
    )
    return found, _attribute(system, "TimeCreated", "SystemTime")


def _beat(record: dict[str, Any]) -> tuple[WindowsEvent, object] | None:
    """Winlogbeat: 7 and later under `winlog`, older beside it, or with dotted names."""
    log = record.get("winlog")
    if not isinstance(log, dict):
        log = {key[7:]: value for key, value in record.items() if key.startswith("winlog.")} or record
    event_id = next((log[key] for key in _IDS if key in log), None)
    if event_id is None:
        code = record.get("event")
        event_id = code.get("code") if isinstance(code, dict) else record.get("event.code")
    if event_id is None:
        return None
    data = next((log[key] for key in ("event_data", "user_data", "EventData", "UserData") if log.get(key)), None)
    if data is None:
        data = {key.partition(".")[2]: v for key, v in log.items() if key.startswith(("event_data.", "user_data."))}
    user = log.get("user")
    host = record.get("host")
    computer = next((log[key] for key in _COMPUTERS if key in log), None)
    if computer is None and isinstance(host, dict):
        computer = host.get("name")
    process = log.get("process")
    thread = process.get("thread") if isinstance(process, dict) else None
    found = WindowsEvent(
        provider=provider_named(
            next((log[key] for key in _PROVIDERS if isinstance(log.get(key), str)), None),
            next((log[key] for key in _CHANNELS if key in log), None),
        ),
        event_id=event_id_text(event_id),
        fields=flatten(data),
        computer=_text(computer or record.get("host.name")),
        envelope=Envelope(
            execution_pid=process.get("pid") if isinstance(process, dict) else log.get("process_id"),
            execution_tid=thread.get("id") if isinstance(thread, dict) else log.get("thread_id"),
            user=account(user.get("domain"), user.get("name")) if isinstance(user, dict) else "",
            sid=_text(user.get("identifier")) if isinstance(user, dict) else "",
            rendered=_text(record.get("message")),
        ),
    )
    time = next((place[key] for place in (log, record) for key in _TIMES if key in place), None)
    return found, time


def account(domain: object, name: object) -> str:
    """`DOMAIN\\user`, or what there is of it."""
    if not isinstance(name, str) or not name:
        return ""
    return f"{domain}\\{name}" if isinstance(domain, str) and domain not in {"", "-"} else name


def _attribute(system: dict[str, Any], element: str, name: str) -> Any:
    """An attribute of an element, in the spellings of evtx_dump (two), xmltodict and plain converters."""
    beside = system.get(f"{element}_attributes")
    if isinstance(beside, dict):
        return beside.get(name)
    node = system.get(element)
    if not isinstance(node, dict):
        return node
    inner = node.get("#attributes")
    if isinstance(inner, dict):
        return inner.get(name)
    return node.get(name, node.get(f"@{name}"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _first(names: tuple[str, ...], keys: Any) -> str:
    return next((name for name in names if name in keys), "")
