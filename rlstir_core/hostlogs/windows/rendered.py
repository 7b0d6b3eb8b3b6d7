"""The text that Windows or an exporter made of an event, back to its fields: where nothing else kept them.

Sysmon's text is never localised. Security's is read in English only, by section and label. What an event's process
chose itself (a command line may hold line ends) cannot pass for another field: a name that comes twice is believed
only where its first place lies before such a text. What does not belong here: values by place (`places.py`).
"""

from __future__ import annotations

import re
from typing import Any

from rlstir_core.hostlogs.windows.field_names import AUDIT_LOG, SECURITY, SYSMON_PROVIDERS
from rlstir_core.hostlogs.windows.places import names_of

_CHARS = 1 << 16
_LINE = re.compile(r"[ \t]*([A-Za-z][\w ./()-]{0,60}?):[ \t]*(.*)")
_END = re.compile(r"\r\n|\n|\r")
_FREE = frozenset(  # what a process can write line ends into
    {"CommandLine", "ParentCommandLine", "Details", "QueryResults", "Contents", "Query", "Consumer", "Destination"}
)
_SUBJECT = ("SubjectUserSid", "SubjectUserName", "SubjectDomainName", "SubjectLogonId")
_TARGET = ("TargetUserSid", "TargetUserName", "TargetDomainName", "TargetLogonId")
_ACCOUNT = ("Security ID", "Account Name", "Account Domain", "Logon ID")
_SECTIONS = {
    **dict.fromkeys(("Subject", "Creator Subject", "User"), _SUBJECT),
    **dict.fromkeys(
        (
            *("New Logon", "Target Subject", "Target Account", "Account For Which Logon Failed", "New Account"),
            *("Account Whose Credentials Were Used", "Account Information", "Account That Was Locked Out"),
        ),
        _TARGET,
    ),
}
_LABELS = {
    "Accesses": "AccessList",
    "Access Mask": "AccessMask",
    "Application Name": "Application",
    "Authentication Package": "AuthenticationPackageName",
    "Caller Process ID": "ProcessId",
    "Caller Process Name": "ProcessName",
    "Creator Process ID": "ProcessId",
    "Creator Process Name": "ParentProcessName",
    "Destination Address": "DestAddress",
    "Destination Port": "DestPort",
    "Direction": "Direction",
    "Handle ID": "HandleId",
    "Logon Process": "LogonProcessName",
    "Logon Type": "LogonType",
    "New Process ID": "NewProcessId",
    "New Process Name": "NewProcessName",
    "Object Name": "ObjectName",
    "Object Server": "ObjectServer",
    "Object Type": "ObjectType",
    "Process Command Line": "CommandLine",
    "Process ID": "ProcessId",
    "Process Name": "ProcessName",
    "Protocol": "Protocol",
    "Relative Target Name": "RelativeTargetName",
    "Service File Name": "ServiceFileName",
    "Service Name": "ServiceName",
    "Share Name": "ShareName",
    "Share Path": "ShareLocalPath",
    "Source Address": "SourceAddress",
    "Source Network Address": "IpAddress",
    "Source Port": "SourcePort",
    "Source Process ID": "SourceProcessId",
    "Target Process ID": "TargetProcessId",
    "Task Name": "TaskName",
    "Client Process ID": "ClientProcessId",
    "Workstation Name": "WorkstationName",
}
_OF_LOGONS = {"Source Port": "IpPort"}  # beside an `IpAddress`
# what stands behind these in a text of Security's is explanation, or the process's own
_LAST = frozenset({"CommandLine", "ServiceFileName"})
_FILTER_EVENTS = frozenset({"5156", "5157"})  # spell it `ProcessID`
_CALLERS = frozenset({"4798", "4799"})
_SERVICE = {
    "Service Name": "ServiceName",
    "Service File Name": "ImagePath",
    "Service Type": "ServiceType",
    "Service Start Type": "StartType",
    "Service Account": "AccountName",
}


def fields_of_text(provider: str, event_id: str, text: str) -> dict[str, Any]:
    """The fields that a rendered text names; empty for providers, languages and forms that are not known."""
    text = text[:_CHARS]
    if provider in SYSMON_PROVIDERS:
        return _sysmon(provider, event_id, text)
    if provider in {SECURITY, AUDIT_LOG}:
        return _security(event_id, text)
    if (provider, event_id) == ("Service Control Manager", "7045"):
        return _flat(text, _SERVICE)
    return {}


def field_of_label(label: str, event_id: str) -> str:
    """The name of the field that Security's text calls so, outside of accounts; empty where there is none."""
    if event_id in _CALLERS and label in {"Process ID", "Process Name"}:
        return "Caller" + label.replace(" ID", "Id").replace(" ", "")
    if event_id in _FILTER_EVENTS and label == "Process ID":
        return "ProcessID"
    return _LABELS.get(label, "")


def _sysmon(provider: str, event_id: str, text: str) -> dict[str, Any]:
    known = names_of(provider, event_id)
    found: dict[str, Any] = {}
    doubted: set[str] = set()
    free, last = False, ""
    early: set[str] = set()  # named before anything that a process can choose
    for line in _END.split(text)[1:] if known else ():
        name, mark, value = line.partition(":")
        if mark and name in known and value[:1] in {" ", ""}:
            if name not in found:
                found[name] = value.strip(" ")
                last = name
                if not free:
                    early.add(name)
            elif name not in early:
                doubted.add(name)
            free = free or name in _FREE
        elif last in _FREE:
            found[last] = f"{found[last]}\n{line}"
    for name in _FREE & found.keys():
        found[name] = found[name].rstrip("\n ")
    return {name: value for name, value in found.items() if name not in doubted}


def _security(event_id: str, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    section = ""
    for line in _END.split(text)[1:]:
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        label, value = match[1], match[2].strip()
        if not value and not line[:1].isspace():
            section = label
            continue
        label = "Account Domain" if label == "Domain Name" else label
        if label in _ACCOUNT and (names := _SECTIONS.get(section)):
            name = names[_ACCOUNT.index(label)]
        elif label == "Source Port" and "IpAddress" in found:
            name = _OF_LOGONS[label]
        else:
            name = field_of_label(label, event_id)
        if name and name not in found:
            found[name] = value
        if name in _LAST:
            break
    return found


def _flat(text: str, names: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in _END.split(text)[1:]:
        match = _LINE.fullmatch(line)
        if match is not None and (name := names.get(match[1])):
            found.setdefault(name, match[2].strip())
    return found
