"""Whether a JSON object is a Windows event at all: by several signs, for many programs count their events too.

A record names an event by a number and, beside it, a provider, channel or field that is certainly Windows' own, or
several names that Windows and its exporters use. A list of detections is no log: it holds the names of rules. What does
not belong here: where a record's fields stand (`dialects.py` and what it names).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from rlstir_core.hostlogs.windows.field_names import (
    BY_PROVIDER,
    PROVIDER_OF_CHANNEL,
    PROVIDER_SAID_AS,
    SECURITY,
    SYSMON,
)

_PROVIDER = re.compile(r"Microsoft-(?:Windows|AzureADPasswordProtection|Exchange|SharePoint)|Microsoft Windows ")
_PROVIDERS = frozenset(
    {
        *BY_PROVIDER, *PROVIDER_OF_CHANNEL.values(), *PROVIDER_SAID_AS,
        ".NET Runtime", "Application Error", "Application Hang", "Application Popup", "Directory Synchronization",
        "DCOM", "DistributedCOM", "EventLog", "LsaSrv", "MSExchangeIS", "MSSQLSERVER", "MsiInstaller", "NETLOGON",
        "Outlook", "SCHANNEL", "Schannel", "SecurityCenter", "Service Control Manager", "SideBySide", "Sysmon",
        "TermService", "USER32", "User32", "VSS", "W3SVC", "WAS", "WinRM", "WinDefend", "Windows Error Reporting",
        "ADSync", "Wow64 Emulation Layer", "volsnap", "Ntfs", "Disk", "disk", "Tcpip", "Print",
    }
)  # fmt: skip
_CHANNEL = re.compile(r".+/(?:Operational|Admin|Analytic|Debug|Diagnostic)$|Microsoft-(?:Windows|Client).+")
_CHANNELS = frozenset(
    {
        *PROVIDER_OF_CHANNEL, "Application", "DFS Replication", "DNS Server", "Directory Service", "ForwardedEvents",
        "File Replication Service", "HardwareEvents", "Internet Explorer", "Key Management Service", "Active Directory "
        "Web Services", "OAlerts", "Security", "Setup", "System", "Windows PowerShell", "security", "system",
        "application",
    }
)  # fmt: skip
_OWN_FIELDS = frozenset(
    {
        "LogonGuid", "NewProcessId", "NewProcessName", "ProcessGuid", "ScriptBlockId", "ScriptBlockText",
        "SourceProcessGUID", "SourceProcessGuid", "SubjectDomainName", "SubjectLogonId", "SubjectUserName",
        "SubjectUserSid", "TargetLogonId", "TargetUserSid", "UtcTime",
    }
)  # fmt: skip
_OF_SECURITY = frozenset({"NewProcessId", "NewProcessName", "SubjectLogonId", "TargetLogonId"})
_NAMES = frozenset(
    {
        "Channel", "Computer", "ComputerName", "EventRecordID", "EventRecordId", "ExecutionProcessID", "Hostname",
        "Keywords", "KeywordsDisplayNames", "LevelDisplayName", "LogName", "Logfile", "MachineName", "OpcodeValue",
        "ProviderGuid", "ProviderId", "ProviderName", "RecordId", "RecordNumber", "SourceName", "TaskDisplayName",
        "computer_name", "log_name", "provider_guid", "provider_name", "record_id", "record_number", "source_name",
    }
)  # fmt: skip
_SHOWN = frozenset({"TimeCreated", "LevelDisplayName", "Message"})  # what Get-WinEvent shows of an event, and its `Id`
_SURE_IDS = frozenset({"EventID", "EventCode"})
_ENOUGH = 3  # names of which none is certain
# what lists of detections and other programs' logs have, and no Windows event
_NO_EVENT = frozenset(
    {
        "@mt", "@r", "MessageTemplate", "MitreTactics", "RenderedMessage", "RuleAuthor", "RuleFile", "RuleID",
        "RuleTitle", "SourceContext", "LogLevel", "awsRegion", "detections", "eventSource", "hostIdentifier",
        "kibana.alert.rule.name", "kibana.alert.uuid", "matched_rules", "ruleTitle", "rule_level", "rule_title",
        "search_name", "sigma", "sigmafile", "signal",
    }
)  # fmt: skip


def is_number(event_id: str) -> bool:
    """Whether it is a number that an event can have; those of old carry a severity in the upper bits."""
    return 0 < len(event_id) <= 10 and event_id.isascii() and event_id.isdecimal()


def is_something_else(keys: Collection[str]) -> bool:
    """Whether an object with these keys is a detection, or another program's record."""
    return not _NO_EVENT.isdisjoint(keys)


def is_event(record: dict[str, Any], id_key: str, provider: object, channel: object) -> bool:
    """Whether a record that has an event's number under `id_key` is a Windows event."""
    sure = _known(provider, _PROVIDERS, _PROVIDER) + _known(channel, _CHANNELS, _CHANNEL)
    sure += not _OWN_FIELDS.isdisjoint(record)
    others = len(_NAMES.intersection(record))
    if id_key == "Id" and record.keys() >= _SHOWN:
        return True
    if id_key not in _SURE_IDS:
        return sure > 0 and sure + others > 1
    return sure > 0 or (others >= _ENOUGH and bool(provider or channel))


def has_own_fields(keys: Collection[str]) -> bool:
    """Whether fields of an event stand among these keys, and not only what surrounds one."""
    return not _OWN_FIELDS.isdisjoint(keys)


def provider_by_fields(keys: Collection[str]) -> str:
    """The provider that alone has such fields; empty where there is none of them."""
    if "UtcTime" in keys:
        return SYSMON
    return "" if _OF_SECURITY.isdisjoint(keys) else SECURITY


def _known(name: object, names: frozenset[str], pattern: re.Pattern[str]) -> bool:
    return isinstance(name, str) and (name in names or pattern.match(name[:256]) is not None)
