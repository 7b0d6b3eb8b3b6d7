"""What a JSON object says as a Windows event: which dialect it is of, and the dialects of `Event` and of wrappers.

A dialect is told by the object's keys alone, so that this is decided once for each set of keys. What does not belong
here: bytes and lines (`json_events.py`), what an event's fields mean (`event.py`), and the dialects of beats
(`beats.py`) and of exporters that keep an event's data apart (`exporters.py`).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from rlstir_core.hostlogs.windows.beats import beat_event, is_beat, undotted
from rlstir_core.hostlogs.windows.event import Envelope, WindowsEvent, event_id_text, flatten, provider_named
from rlstir_core.hostlogs.windows.exporters import data_of, exported_event, is_exported
from rlstir_core.hostlogs.windows.record import (
    CHANNELS,
    COMPUTERS,
    IDS,
    IN_UTC,
    LOGGERS,
    PROVIDERS,
    RENDERED,
    THREADS,
    TIMES,
    EventTime,
    Told,
    first_key,
    plain,
    stamps,
)
from rlstir_core.hostlogs.windows.rendered import fields_of_text
from rlstir_core.hostlogs.windows.signs import is_event, is_number, is_something_else, provider_by_fields

_NESTED = frozenset(
    {"Event", "EventData", "System", "_index", "_raw", "_source", "event.code", "event_data", "result", "user_data"}
    | {"winlog"}
)
_TEXTS = ("message", "log", "event.original")  # of a shipper that knows nothing of events
_WRAPPERS = ("_source", "result", "fields")
_HEADER = re.compile(r"(?P<name>[A-Za-z]{1,40})=(?P<value>.*)")
_CHARS = 1 << 20


class Dialect(msgspec.Struct, frozen=True):
    """Which keys of a flattened record hold what; empty where none does."""

    kind: str  # flat, nested, or empty where it is no event
    event_id: str = ""
    source: str = ""  # the provider, or the channel where there is none
    provider: str = ""
    channel: str = ""
    computer: str = ""
    time: str = ""
    in_utc: bool = False  # the time is UTC whether it says so or not
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
    if is_something_else(keys):
        return Dialect("")
    if _NESTED & keys or any(key.startswith("winlog.") for key in keys):
        return Dialect("nested")
    event_id = first_key(IDS, keys)
    if not event_id:
        return Dialect("nested" if "event" in keys or first_key(_TEXTS, keys) else "")
    if is_exported(keys, event_id):
        return Dialect("nested")
    time = first_key(TIMES, keys)
    local, utc = "", ""
    if time in {"EventTime", "TimeCreated"}:
        if {"EventReceivedTime", "@timestamp"} <= keys:
            local, utc = "EventReceivedTime", "@timestamp"
        elif "UtcTime" in keys:
            local, utc = time, "UtcTime"
    resolved = {"AccountName", "AccountType"} <= keys
    provider, channel = first_key(PROVIDERS, keys), first_key(CHANNELS, keys)
    return Dialect(
        "flat",
        event_id=event_id,
        source=provider or channel,
        provider=provider,
        channel=channel,
        computer=first_key(COMPUTERS, keys),
        time=time,
        in_utc=time in IN_UTC,
        utc=utc,
        local=local,
        execution=first_key(LOGGERS, keys),
        thread=first_key(THREADS, keys),
        user="AccountName" if resolved else "",
        domain="Domain" if resolved and "Domain" in keys else "",
        sid=first_key(("UserID",), keys),
        rendered=first_key(RENDERED, keys),
    )


def flat_provider(shape: Dialect, record: dict[str, Any]) -> str | None:
    """The provider of a flattened record, None where it is no Windows event.

    One that names neither provider nor channel is known by its fields.
    """
    provider = record[shape.provider] if shape.provider else ""
    if isinstance(provider, dict):
        provider = _attribute(record, shape.provider, "Name")
    channel = record[shape.channel] if shape.channel else ""
    if not is_number(event_id_text(record[shape.event_id])) or not is_event(record, shape.event_id, provider, channel):
        return None
    found = provider_named(provider, channel)
    return found or provider_by_fields(record)


def nested_event(record: dict[str, Any], most: int = 3) -> Told | None:
    """The event of a record of any dialect, flat ones too, and its times; None where the record holds none."""
    if is_something_else(record):
        return None
    event = record.get("Event", record)
    if isinstance(event, dict) and isinstance(system := event.get("System"), dict):
        return _event_dump(event, system)
    for wrapper in _WRAPPERS:
        if isinstance(inner := record.get(wrapper), dict) and (wrapper != "fields" or "_index" in record):
            return _outside(nested_event(inner, most - 1), record) if most else None
    return _plain_event(record, most)


def _plain_event(record: dict[str, Any], most: int) -> Told | None:
    """The event of a record that is no wrapper of another record."""
    if any("." in key for key in record):
        record = undotted(record)
    if is_beat(record) or "event_data" in record or "user_data" in record:
        return beat_event(record)
    if found := _of_text(record.get("_raw"), record, most):
        return found
    if found := exported_event(record):
        return found
    for name in _TEXTS:
        if found := _of_text(record.get(name), record, most):
            return found
    return None


def _event_dump(event: dict[str, Any], system: dict[str, Any]) -> Told | None:
    """`{"System": …, "EventData": …}`: Windows' own XML as JSON, attributes in one of four spellings."""
    event_id = event_id_text(system.get("EventID"))
    if not is_number(event_id):
        return None
    data = event.get("EventData")
    if not data:
        data = event.get("UserData")
    rendering = event.get("RenderingInfo")
    rendered = plain(rendering.get("Message") if isinstance(rendering, dict) else event.get("Message"))
    provider = provider_named(_attribute(system, "Provider", "Name"), system.get("Channel"))
    if not data:
        known = {"System", "EventData", "UserData", "RenderingInfo", "#attributes", "Message", "RecordHeader"}
        data = {key: value for key, value in event.items() if key not in known and not key.startswith("@")}
        data = data or fields_of_text(provider, event_id, rendered)
    found = WindowsEvent(
        provider=provider,
        event_id=event_id,
        fields=flatten(data),
        computer=plain(system.get("Computer")),
        envelope=Envelope(
            execution_pid=_attribute(system, "Execution", "ProcessID"),
            execution_tid=_attribute(system, "Execution", "ThreadID"),
            sid=plain(_attribute(system, "Security", "UserID")),
            rendered=rendered,
        ),
    )
    return Told(found, (EventTime(_attribute(system, "TimeCreated", "SystemTime"), utc=True),))


def _of_text(text: object, record: dict[str, Any], most: int) -> Told | None:
    """The event in a text that a shipper passed on: JSON, XML, or Splunk's lines of `Name=value`."""
    if not isinstance(text, str) or len(text) > _CHARS or not most:
        return None
    inner = data_of(text)
    if inner is not None:
        return _outside(nested_event(inner, most - 1), record)
    if "\nEventCode=" not in text[:512] or "\nLogName=" not in f"\n{text[:512]}":
        return None
    told = exported_event(_lines(text))
    if told is None:
        return None
    # the first of the lines is a time of the host's zone, the shipper's says its own
    return _outside(told._replace(times=(*stamps(record), *told.times)), record)


def _lines(text: str) -> dict[str, Any]:
    """`05/01/2024 10:00:01 AM`, then a line a name, of which `Message` goes on to the end."""
    found: dict[str, Any] = {}
    head, mark, message = text.partition("\nMessage=")
    for place, line in enumerate(head.split("\n")):
        if match := _HEADER.fullmatch(line.rstrip("\r")):
            found.setdefault(match["name"], match["value"])
        elif not place:
            found["TimeCreated"] = line.strip()
    if mark:
        found["Message"] = message
    return found


def _outside(told: Told | None, record: dict[str, Any]) -> Told | None:
    """The event with what its wrapper knows: a time and a host, where it says none itself."""
    if told is None:
        return None
    if not told.event.computer:
        told.event.computer = plain(record.get("ComputerName") or record.get("host"))
    return told._replace(times=(*told.times, *stamps(record)))


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
