"""Which field of a Windows event is its process, program, command line and user: a table of names, as data.

Most events follow the defaults; a line of the table says where one differs. What does not belong here: code.
"""

from __future__ import annotations

from typing import NamedTuple

SYSMON = "Microsoft-Windows-Sysmon"
SYSMON_PROVIDERS = frozenset({SYSMON, "Linux-Sysmon"})
SECURITY = "Microsoft-Windows-Security-Auditing"
POWERSHELL = "Microsoft-Windows-PowerShell"
CLASSIC_POWERSHELL = "PowerShell"
AUDIT_LOG = "Microsoft-Windows-Eventlog"  # says that a log was cleared

# what wrote the events of a channel, where the record names only the channel
PROVIDER_OF_CHANNEL = {
    "Security": SECURITY,
    "Windows PowerShell": CLASSIC_POWERSHELL,
    "PowerShellCore/Operational": "PowerShellCore",
}
# what the event viewer shows of a provider, and collectors with it
PROVIDER_SAID_AS = {"Microsoft Windows security auditing.": SECURITY, "Sysmon": SYSMON}


class AccountFields(NamedTuple):
    """The fields that name one account; empty where there is none."""

    name: str
    domain: str = ""
    sid: str = ""


_SUBJECT = AccountFields("SubjectUserName", "SubjectDomainName", "SubjectUserSid")
_TARGET = AccountFields("TargetUserName", "TargetDomainName", "TargetUserSid")
_TARGET_SID = AccountFields("TargetUserName", "TargetDomainName", "TargetSid")
_PLAIN = (
    AccountFields("User"),
    AccountFields("SourceUser"),
    AccountFields("UserName", "", "UserSid"),
    AccountFields("AccountName", "AccountDomain"),
    AccountFields("Detection User"),
    AccountFields("jobOwner"),
    AccountFields("ModifyingUser"),
    AccountFields("UserContext"),
)


class FieldNames(NamedTuple):
    """Field names in the order in which they are tried."""

    pid: tuple[str, ...] = (
        "ProcessId",
        "ProcessID",
        "processId",
        "SourceProcessId",
        "ClientProcessId",
        "ClientProcessID",
        "CallerProcessId",
        "NewProcessId",
        "EnginePID",
    )
    exe: tuple[str, ...] = (
        "Image",
        "ProcessName",
        "Application",
        "SourceImage",
        "CallerProcessName",
        "NewProcessName",
        "Process Name",
        "processPath",
        "ProcessPath",
        "HostProcess",
        "ModifyingApplication",
        "process",
    )
    ppid: tuple[str, ...] = ("ParentProcessId", "ParentProcessID")
    tid: tuple[str, ...] = ("SourceThreadId", "ThreadId")
    cmdline: tuple[str, ...] = ("CommandLine", "ProcessCommandLine", "HostApplication")
    accounts: tuple[AccountFields, ...] = (_SUBJECT, *_PLAIN, _TARGET, _TARGET_SID)
    text: tuple[str, ...] = ()  # lines `Host Application = …` stand in these
    self_logged: bool = False  # the process of the event is the one that wrote it: Execution names it
    envelope_user: bool = True  # System/Security/UserID is the event's user, not only the logger's


DEFAULT = FieldNames()
_SYSMON = FieldNames(envelope_user=False, accounts=_PLAIN)
_SOURCE = _SYSMON._replace(pid=("SourceProcessId",), exe=("SourceImage",))
_CALLER = DEFAULT._replace(pid=("CallerProcessId", "ProcessId"), exe=("CallerProcessName", "ProcessName"))
_CLIENT = DEFAULT._replace(pid=("ClientProcessId", "ClientProcessID", "ProcessId"))
_LOGON = DEFAULT._replace(accounts=(_TARGET, _TARGET_SID, _SUBJECT, *_PLAIN))
_SESSION = DEFAULT._replace(accounts=(AccountFields("AccountName", "AccountDomain"), _TARGET, _SUBJECT))
_SHELL = DEFAULT._replace(text=("ContextInfo",), self_logged=True)
_REMOTE = DEFAULT._replace(accounts=(AccountFields("Param1", "Param2"), *_PLAIN))
_CLASSIC_SHELL = DEFAULT._replace(
    text=("param3", "param2", "param1"), cmdline=("HostApplication",), envelope_user=False
)
_ESENT = DEFAULT._replace(pid=("param2",), exe=("param1",))

BY_PROVIDER: dict[str, FieldNames] = {
    SYSMON: _SYSMON,
    "Linux-Sysmon": _SYSMON,
    POWERSHELL: _SHELL,
    "PowerShellCore": _SHELL,
    CLASSIC_POWERSHELL: _CLASSIC_SHELL,
    "Microsoft-Windows-TerminalServices-RemoteConnectionManager": _REMOTE,
    "ESENT": _ESENT,  # its first two texts are the program and its process id
    "OpenSSH": DEFAULT._replace(self_logged=True),
    "Microsoft-Windows-CAPI2": DEFAULT._replace(self_logged=True),
}

BY_EVENT: dict[tuple[str, str], FieldNames] = {
    (SYSMON, "8"): _SOURCE,
    (SYSMON, "10"): _SOURCE,
    (SECURITY, "4688"): _LOGON._replace(pid=("NewProcessId",), exe=("NewProcessName",), ppid=("ProcessId",)),
    (SECURITY, "4690"): DEFAULT._replace(pid=("SourceProcessId",)),
    # the command line of the service, which is what the event is about
    (SECURITY, "4697"): _CLIENT._replace(cmdline=("ServiceFileName",)),
    ("Service Control Manager", "7045"): DEFAULT._replace(
        cmdline=("ImagePath",), accounts=()
    ),  # AccountName is the one that the service will run as
    **dict.fromkeys(((SECURITY, str(n)) for n in (4698, 4699, 4700, 4701, 4702, 5058, 5059)), _CLIENT),
    **dict.fromkeys(((SECURITY, str(n)) for n in (4798, 4799)), _CALLER),
    # who logged on, not what reported it
    **dict.fromkeys(
        ((SECURITY, str(n)) for n in (4624, 4625, 4634, 4647, 4768, 4769, 4770, 4771, 4776, 4800, 4801)), _LOGON
    ),
    **dict.fromkeys(((SECURITY, str(n)) for n in (4778, 4779)), _SESSION),
    # the task's process; other events of the scheduler name only its engine
    ("Microsoft-Windows-TaskScheduler", "129"): DEFAULT._replace(pid=("ProcessID", "ProcessId"), exe=("Path",)),
    ("Microsoft-Windows-WMI-Activity", "5857"): DEFAULT._replace(pid=("ProcessID", "ProcessId"), exe=("HostProcess",)),
    **dict.fromkeys((("Microsoft-Windows-WMI-Activity", str(n)) for n in (5858, 5859, 5860, 5861)), _CLIENT),
}

# Fields of the record around an event, in flattened exports: they are no part of what the event says
ENVELOPE = frozenset(
    {
        "@timestamp", "@version", "AccountType", "ActivityID", "Category", "Channel", "Computer",
        "ERROR_EVT_UNRESOLVED", "EventID", "EventReceivedTime", "EventRecordID", "EventTime", "EventTimeWritten",
        "ExecutionProcessID", "ExecutionThreadID", "Hostname", "Id", "Keywords", "Level", "LevelDisplayName",
        "LogName", "MachineName", "Message", "Opcode", "OpcodeValue", "Provider", "ProviderGuid", "ProviderName",
        "RecordId", "RecordNumber", "RelatedActivityID", "Severity", "SeverityValue", "SourceModuleName",
        "SourceModuleType", "SourceName", "SystemTime", "Task", "TaskDisplayName", "ThreadID", "TimeCreated",
        "UserID", "Version", "_source", "agent", "beat", "ecs", "event", "host", "hostname", "input", "log",
        "message", "port", "tags", "timestamp", "winlog",
    }
)  # fmt: skip
# kept in fields_json, out of the text that templates are made of: a clock, and the name of a detection rule
NOT_IN_MESSAGE = frozenset({"UtcTime", "RuleName", "#attributes"})
# fields with few values, which say what kind of event it is; all others are parameters of its template
KINDS_IN_TEMPLATE = frozenset(
    {"AccessMask", "AuthenticationPackageName", "Direction", "EventType", "FailureReason", "GrantedAccess"}
    | {"Initiated", "IntegrityLevel", "LogonProcessName", "LogonType", "ObjectType", "Protocol", "Signed"}
    | {"ServiceStartType", "ServiceType", "SignatureStatus", "StartType", "Status", "SubStatus", "TokenElevationType"}
    | {"TicketEncryptionType", "TicketOptions", "MandatoryLabel", "ObjectServer", "KeyLength"}
)
# whose value is a program, or lies somewhere: what of it says what kind of event it is
PROGRAMS_IN_TEMPLATE = frozenset({"Image", "SourceImage", "NewProcessName", "ProcessName", "Application"})
PLACES_IN_TEMPLATE = frozenset({"TargetFilename", "TargetObject", "ObjectName", "ImageLoaded"})
# an exporter's name for a field whose own name it needed itself (its spelling)
RENAMED = {"EventTypeOrignal": "EventType"}
