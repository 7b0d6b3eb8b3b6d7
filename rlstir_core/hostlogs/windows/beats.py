"""Events as winlogbeat, Elastic Agent and others write them: `winlog`, and what their modules move to ECS names.

A module renames the fields of `event_data` to the Elastic Common Schema; each goes back to the name that the event
itself has for it, where the event does not say it already. `winlog.process` is the logger's and `process` the event's;
so is `user`, while `winlog.user` is the logger's account. What does not belong here: other exporters (`exporters.py`).
"""

from __future__ import annotations

from typing import Any

from rlstir_core.hostlogs.windows.event import Envelope, WindowsEvent, event_id_text, flatten, provider_named
from rlstir_core.hostlogs.windows.field_names import SECURITY, SYSMON_PROVIDERS
from rlstir_core.hostlogs.windows.record import (
    CHANNELS,
    COMPUTERS,
    IDS,
    PROVIDERS,
    Told,
    account,
    first_said,
    plain,
    stamps,
)
from rlstir_core.hostlogs.windows.rendered import fields_of_text
from rlstir_core.hostlogs.windows.signs import is_event, is_number

_ROOTS = frozenset(
    {
        "agent", "destination", "dll", "dns", "ecs", "event", "file", "hash", "host", "log", "network", "powershell",
        "process", "registry", "related", "rule", "source", "user", "winlog",
    }
)  # fmt: skip
_DEPTH = 8
_SYSMON = {
    "ProcessGuid": "process.entity_id",
    "ProcessId": "process.pid",
    "Image": "process.executable",
    "CommandLine": "process.command_line",
    "CurrentDirectory": "process.working_directory",
    "ParentProcessGuid": "process.parent.entity_id",
    "ParentProcessId": "process.parent.pid",
    "ParentImage": "process.parent.executable",
    "ParentCommandLine": "process.parent.command_line",
    "QueryName": "dns.question.name",
    "TargetObject": "registry.path",
    "Protocol": "network.transport",
    "SourceIp": "source.ip",
    "SourcePort": "source.port",
    "SourceHostname": "source.domain",
    "DestinationIp": "destination.ip",
    "DestinationPort": "destination.port",
    "DestinationHostname": "destination.domain",
}
_SOURCE = {
    "SourceProcessId": "process.pid",
    "SourceImage": "process.executable",
    "SourceThreadId": "process.thread.id",
}
_ON_FILE = _SYSMON | {"TargetFilename": "file.path"}
_OF_SYSMON: dict[str, dict[str, str]] = {
    **dict.fromkeys(("2", "11", "15", "23", "26", "27", "28", "29"), _ON_FILE),
    "6": {"ImageLoaded": "file.path"},
    "7": _SYSMON | {"ImageLoaded": "dll.path"},
    "8": _SOURCE | {"SourceProcessGuid": "process.entity_id"},
    "9": _SYSMON | {"Device": "file.path"},
    "10": _SOURCE | {"SourceProcessGUID": "process.entity_id"},
    "17": _SYSMON | {"PipeName": "file.name"},
    "18": _SYSMON | {"PipeName": "file.name"},
}
_PROCESS = {
    "ProcessId": "process.pid",
    "ProcessName": "process.executable",
    "CommandLine": "process.command_line",
    "IpAddress": "source.ip",
    "IpPort": "source.port",
    "ScriptBlockText": "powershell.file.script_block_text",
    "ScriptBlockId": "powershell.file.script_block_id",
    "ObjectName": "file.path",
}
_CREATED = {
    "NewProcessId": "process.pid",
    "NewProcessName": "process.executable",
    "CommandLine": "process.command_line",
    "ProcessId": "process.parent.pid",
    "ParentProcessName": "process.parent.executable",
}
_FILTERED = {
    "ProcessID": "process.pid",
    "Application": "process.executable",
    "SourceAddress": "source.ip",
    "SourcePort": "source.port",
    "DestAddress": "destination.ip",
    "DestPort": "destination.port",
    "Protocol": "network.iana_number",
}
_OF_SECURITY = {"4688": _CREATED, **dict.fromkeys(("5156", "5157"), _FILTERED)}
_OUTBOUND, _INBOUND = ("egress", "outbound"), ("ingress", "inbound")


def is_beat(record: dict[str, Any]) -> bool:
    """Whether a record has the keys of one of these, nested or dotted."""
    event = record.get("event")
    return (
        "winlog" in record
        or "event.code" in record
        or (isinstance(event, dict) and "code" in event)
        or any(key.startswith("winlog.") for key in record)
    )


def undotted(record: dict[str, Any]) -> dict[str, Any]:
    """`{"process.pid": 1}` as `{"process": {"pid": 1}}`; a value that stands in a list alone stands without it."""
    found: dict[str, Any] = {}
    for key, said in record.items():
        value = said[0] if isinstance(said, list) and len(said) == 1 else said
        *parents, last = key.split(".", _DEPTH)
        if not parents or parents[0] not in _ROOTS:
            found[key] = value
            continue
        node = found
        for parent in parents:
            inner = node.setdefault(parent, {})
            if not isinstance(inner, dict):
                break
            node = inner
        else:
            if value not in ("", "-", None) and not isinstance(node.get(last), dict):
                node[last] = value
    return found


def beat_event(record: dict[str, Any]) -> Told | None:
    """The event of a record of `winlog`, its older form beside it, or ECS alone; None where it is none."""
    log = record.get("winlog")
    known = isinstance(log, dict)
    if not isinstance(log, dict):
        log = record
    event, host, user = _part(record, "event"), _part(record, "host"), _part(log, "user")
    id_key = next((key for key in IDS if log.get(key) is not None), "")
    event_id = event_id_text(log[id_key] if id_key else event.get("code"))
    if not is_number(event_id):
        return None
    said = next((log[key] for key in PROVIDERS if isinstance(log.get(key), str)), None) or event.get("provider")
    channel = first_said(CHANNELS, log)
    if not known and not is_event(record, id_key or "EventCode", said, channel):
        return None
    provider = provider_named(said, channel)
    data = first_said(("event_data", "user_data", "EventData", "UserData"), log)
    fields = _ecs(record, provider, event_id) | (flatten(data) if isinstance(data, (dict, list)) else {})
    rendered = plain(record.get("message"))
    if not fields:
        fields = fields_of_text(provider, event_id, rendered)
    process = _part(log, "process") if known else {}
    told = _user(record) if provider not in SYSMON_PROVIDERS else ("", "")
    found = WindowsEvent(
        provider=provider,
        event_id=event_id,
        fields=fields,
        computer=plain(first_said(COMPUTERS, log) or host.get("name") or host.get("hostname")),
        envelope=Envelope(
            execution_pid=process.get("pid", log.get("process_id")),
            execution_tid=_part(process, "thread").get("id", log.get("thread_id")),
            user=told[0] or (account(user.get("domain"), user.get("name")) if known else ""),
            sid=told[1] or (plain(user.get("identifier")) if known and not told[0] else ""),
            rendered=rendered,
        ),
    )
    inner = stamps(log) if log is not record else ()
    return Told(found, (*inner, *stamps(record)))


def _ecs(record: dict[str, Any], provider: str, event_id: str) -> dict[str, Any]:
    """What ECS names say of the event, under the event's own names."""
    sysmon = provider in SYSMON_PROVIDERS
    if not any(isinstance(record.get(root), dict) for root in ("process", "file", "registry", "dns", "source", "user")):
        return {}
    if sysmon:
        names = _OF_SYSMON.get(event_id, _SYSMON)
    else:
        names = _OF_SECURITY.get(event_id, _PROCESS) if provider == SECURITY else _PROCESS
    found = {name: value for name, place in names.items() if (value := _at(record, place)) is not None}
    if sysmon:
        if event_id == "7" and "ImageLoaded" not in found and (path := _at(record, "file.path")) is not None:
            found["ImageLoaded"] = path
        if (user := _user(record)[0]) and event_id not in {"8", "10"}:
            found["User"] = user
        if hashes := _hashes(record):
            found["Hashes"] = hashes
    direction = _at(record, "network.direction")
    if isinstance(direction, str) and direction in (*_OUTBOUND, *_INBOUND):
        out = direction in _OUTBOUND
        if sysmon:
            found["Initiated"] = "true" if out else "false"
        elif names is _FILTERED:
            found["Direction"] = "%%14593" if out else "%%14592"
    return found


def _user(record: dict[str, Any]) -> tuple[str, str]:
    """Account and SID of ECS' `user`; the SID that some modules put there is the logger's."""
    user = _part(record, "user")
    logger = _part(_part(record, "winlog"), "user")
    sid = plain(user.get("id"))
    same = logger.get("name") == user.get("name")
    return account(user.get("domain"), user.get("name")), sid if same or sid != logger.get("identifier") else ""


def _hashes(record: dict[str, Any]) -> str:
    for root in ("process.hash", "file.hash", "dll.hash", "hash"):
        found = _at(record, root)
        if isinstance(found, dict):
            return ",".join(f"{kind.upper()}={value}" for kind, value in found.items() if isinstance(value, str))
    return ""


def _part(record: dict[str, Any], name: str) -> dict[str, Any]:
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def _at(record: dict[str, Any], place: str) -> Any:
    """The value at a dotted place; numbers as some spreadsheets print them, `6,701`, as numbers."""
    node: Any = record
    for name in place.split("."):
        if not isinstance(node, dict):
            return None
        node = node.get(name)
    if isinstance(node, list) and len(node) == 1:
        node = node[0]
    if isinstance(node, str) and place.endswith((".pid", ".port")) and node.replace(",", "").isdecimal():
        return node.replace(",", "")
    if isinstance(node, float) and node.is_integer():
        return int(node)
    return None if node in ("", "-") else node
