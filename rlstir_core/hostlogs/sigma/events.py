"""A log row as Sigma's taxonomy names it: the service that it belongs to, its event id, its fields.

What does not belong here: rules (`rules.py`).
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final, NamedTuple

import msgspec

from rlstir_core.hostlogs.windows.dialects import dialect_of, nested_event
from rlstir_core.hostlogs.windows.event import event_id_text
from rlstir_core.hostlogs.windows.record import CHANNELS

COLUMNS: Final = ("channel", "provider", "event_id", "exe", "cmdline", "user", "message", "fields_json")
WINDOWS, LINUX = "windows", "linux"
TEXT: Final = ""  # under this name stands everything that the row says, for keywords
_ANY = msgspec.json.Decoder(dict[str, Any])
_CHARS = 32_768  # of a value that a rule is shown
_OF_PROVIDER = {  # the service of rows that name no channel
    "microsoft-windows-sysmon": "sysmon",
    "microsoft-windows-security-auditing": "security",
    "microsoft-windows-powershell": "powershell",
    "powershell": "powershell-classic",
    "service control manager": "system",
}
_CREATED = {  # what Security 4688 calls the fields of a process's creation
    "Image": "NewProcessName",
    "ParentImage": "ParentProcessName",
    "ProcessId": "NewProcessId",
    "ParentProcessId": "ProcessId",
    "User": "SubjectUserName",
    "LogonId": "SubjectLogonId",
    "IntegrityLevel": "MandatoryLabel",
}


class SigmaEvent(NamedTuple):
    """One row."""

    system: str  # `windows` or `linux`
    services: tuple[str, ...]
    event_id: str  # of Windows
    fields: Mapping[str, str]


def event_of(row: Mapping[str, str]) -> SigmaEvent:
    """The event of a row, which has the columns of `COLUMNS`."""
    if row["channel"] in ("sysmon", "evtx"):
        return _windows(row)
    fields = {"Image": row["exe"], "CommandLine": row["cmdline"], "User": row["user"], "exe": row["exe"]}
    of: tuple[str, ...] = (row["channel"], row["provider"].lower())
    if row["channel"] == "auditd":
        fields |= {"type": row["event_id"]}
        for record in _decoded(row["fields_json"]).get("records") or ():
            if isinstance(record, dict):
                for part in ("fields", "msg", "names"):
                    fields |= _texts(record.get(part), fields)
    else:
        of = (*of, "syslog")
    fields[TEXT] = "\n".join((row["message"], row["cmdline"], row["exe"]))[:_CHARS]
    return SigmaEvent(LINUX, of, "", {name: value for name, value in fields.items() if value})


def _windows(row: Mapping[str, str]) -> SigmaEvent:
    record = _decoded(row["fields_json"])
    event, channel = record.get("Event"), ""
    system = event.get("System") if isinstance(event, dict) else record.get("System")
    if isinstance(system, dict):
        channel = str(system.get("Channel") or "")
    own: Mapping[str, Any] = record
    if isinstance(system, dict) or dialect_of(record).kind != "flat":
        told = nested_event(record)
        own = told.event.fields if told is not None else {}
    channel = channel or next((name for key in CHANNELS if isinstance(name := record.get(key), str)), "")
    fields = _texts(own, {})
    if not channel and row["channel"] == "sysmon":
        channel = "Microsoft-Windows-Sysmon/Operational"
    provider = row["provider"].lower()
    service = services().get(channel.lower()) or _OF_PROVIDER.get(provider) or channel.lower() or provider
    event_id = event_id_text(row["event_id"])
    if service == "security" and event_id == "4688":
        fields = {name: fields[own] for name, own in _CREATED.items() if own in fields} | fields | _swapped(fields)
    fields |= {"EventID": event_id, "Provider_Name": row["provider"], "Channel": channel}
    fields[TEXT] = "\n".join(fields.values())[:_CHARS]
    return SigmaEvent(WINDOWS, (service,), event_id, fields)


def _swapped(fields: Mapping[str, str]) -> dict[str, str]:
    """`ProcessId` of a 4688 is the parent's, which Sigma's taxonomy calls otherwise."""
    return {"ProcessId": fields["NewProcessId"]} if "NewProcessId" in fields else {}


def _texts(fields: object, known: Mapping[str, str]) -> dict[str, str]:
    """Plain values as texts; those that are known stay."""
    found: dict[str, str] = {}
    if isinstance(fields, Mapping):
        for name, value in fields.items():
            if name in known or value is None or isinstance(value, (dict, list)):
                continue
            found[name] = value[:_CHARS] if isinstance(value, str) else str(value).lower()
    return found


def _decoded(raw: str) -> dict[str, Any]:
    try:
        return _ANY.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}


@functools.cache
def services() -> dict[str, str]:
    """{channel in lower case: the service that it is of}"""
    return {row["channel"].lower(): row["service"] for row in table("services.csv")}


def table(name: str) -> list[dict[str, str]]:
    """A table beside this module."""
    text = (resources.files(__package__) / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
