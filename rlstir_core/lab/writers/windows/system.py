"""Events of services, scheduled tasks, accounts, scripts, cleared logs, and what programs say in words of their own.

What does not belong here: Sysmon (`sysmon.py`), the rest of Security (`security.py`), and the record around the
fields (`frame.py`).
"""

from __future__ import annotations

from typing import Any, Final
from xml.sax.saxutils import escape

from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.machine.events import Account
from rlstir_core.lab.writers.windows.desk import SYSTEM_SID, Desk, user_of
from rlstir_core.lab.writers.windows.frame import FAILURE, SECURITY_GUID, EventKind, iso_seconds
from rlstir_core.lab.writers.windows.security import audit, subject_fields

_NS = 1_000_000_000
_SCRIPT_CHARS: Final = 15_000  # of a script in one record
_SYSLOG_ERROR: Final = 3
_QUALIFIERS = {"information": 16384, "error": 49152}


def _service(event_id: int, title: str, *, failed: bool = False) -> EventKind:
    return EventKind(
        provider="Service Control Manager",
        guid="555908d1-a6d7-4695-8e1e-26931d2012f4",
        channel="System",
        event_id=event_id,
        level=2 if failed else 4,
        keywords="0x8080000000000000",
        title=title,
        qualifiers=_QUALIFIERS["error" if failed else "information"],
        braces=True,
    )


def _scheduler(event_id: int, title: str, action: str, opcode: int = 0) -> EventKind:
    return EventKind(
        provider="Microsoft-Windows-TaskScheduler",
        guid="de7b24ea-73c8-4a09-985d-5bdadcfa9017",
        channel="Microsoft-Windows-TaskScheduler/Operational",
        event_id=event_id,
        task=event_id,
        opcode=opcode,
        title=title,
        action=action,
    )


def _eventlog(event_id: int, channel: str, keywords: str, title: str) -> EventKind:
    return EventKind(
        provider="Microsoft-Windows-Eventlog",
        guid="fc65ddd8-d6ef-4962-83d5-6e5cfe9ce148",
        channel=channel,
        event_id=event_id,
        task=104,
        keywords=keywords,
        title=title,
        action="Log clear",
        user_data="LogFileCleared",
        braces=True,
    )


_INSTALLED = _service(7045, "A service was installed in the system.")
_STATE = _service(7036, "The service entered a new state.")
_CRASHED = _service(7034, "The service terminated unexpectedly.", failed=True)
_INSTALLED_AUDIT = audit(4697, 12289, "A service was installed in the system.", "Security System Extension", version=1)

_OTHER_OBJECTS = "Other Object Access Events"
_TASKS = {
    "created": (
        audit(4698, 12804, "A scheduled task was created.", _OTHER_OBJECTS, version=1),
        _scheduler(106, "Task registered", "Task registered"),
    ),
    "changed": (
        audit(4702, 12804, "A scheduled task was updated.", _OTHER_OBJECTS, version=1),
        _scheduler(140, "Task registration updated", "Task registration updated"),
    ),
    "deleted": (
        audit(4699, 12804, "A scheduled task was deleted.", _OTHER_OBJECTS, version=1),
        _scheduler(141, "Task registration deleted", "Task registration deleted"),
    ),
}
_TASK_BEGAN = _scheduler(200, "Action started", "Action started", 1)
_TASK_ENDED = _scheduler(201, "Action completed", "Action completed", 2)

_ACCOUNTS = {
    "created": audit(4720, 13824, "A user account was created.", "User Account Management"),
    "deleted": audit(4726, 13824, "A user account was deleted.", "User Account Management"),
    "password": audit(4724, 13824, "An attempt was made to reset an account's password.", "User Account Management"),
    "group": audit(4732, 13826, "A member was added to a security-enabled local group.", "Security Group Management"),
}
_GROUPS = {
    "administrators": 544, "users": 545, "guests": 546, "backup operators": 551, "remote desktop users": 555,
    "event log readers": 573, "remote management users": 580,
}  # fmt: skip

_SECURITY_CLEARED = _eventlog(1102, "Security", "0x4020000000000000", "The audit log was cleared.")
_LOG_CLEARED = _eventlog(104, "System", "0x8000000000000000", "The log file was cleared.")
_SCRIPT = EventKind(
    provider="Microsoft-Windows-PowerShell",
    guid="a0c1853b-5c40-4b15-8766-3cf1c58f985a",
    channel="Microsoft-Windows-PowerShell/Operational",
    event_id=4104,
    version=1,
    level=5,
    task=2,
    opcode=15,
    keywords="0x0",
    title="Creating Scriptblock text",
    action="Execute a Remote Command",
)
_GUIDS = {
    "Microsoft-Windows-Security-Auditing": SECURITY_GUID,
    "Microsoft-Windows-PowerShell": _SCRIPT.guid,
    "Microsoft-Windows-Eventlog": _LOG_CLEARED.guid,
    "Service Control Manager": _INSTALLED.guid,
    "Microsoft-Windows-TaskScheduler": _TASK_BEGAN.guid,
    "Microsoft-Windows-WMI-Activity": "1418ef04-b0b4-4623-bf7e-d74ab47bbdaa",
    "Microsoft-Windows-Windows Defender": "11cd958a-c507-4ef3-b3f2-5fd9dfbd2c78",
    "Microsoft-Windows-Bits-Client": "ef1cc15b-46c1-414e-bb95-e76b077bd51e",
    "Microsoft-Windows-WinRM": "a7975c8f-ac13-49f1-87da-5a984a4ab417",
    "Microsoft-Windows-GroupPolicy": "aea1b4fa-97d1-45f2-a64c-4d69fffd92c9",
    "Microsoft-Windows-TerminalServices-LocalSessionManager": "5d896912-022d-40aa-a3a8-4fa5515c76d7",
    "Microsoft-Windows-WindowsUpdateClient": "945a8954-c147-4acd-923f-40c45405a658",
    "Microsoft-Windows-Kernel-General": "a68ca8b7-004f-d7b6-a698-07e2de0f1f5d",
    "Microsoft-Windows-Time-Service": "06edcfeb-0fd0-4e53-acca-a6f8bbf81bcb",
}


def on_service(desk: Desk, event: ev.OnService) -> None:
    """7045 and 4697 for a new service, 7036 for a start or stop, 7034 where it broke."""
    pid, sid = desk.services_pid, event.who.account.sid
    title = event.title or event.service
    if event.what == "installed":
        driver = event.exe.lower().endswith(".sys")
        data: dict[str, Any] = {
            "ServiceName": title,
            "ImagePath": event.exe,
            "ServiceType": "kernel mode driver" if driver else "user mode service",
            "StartType": "demand start" if driver else "auto start",
            "AccountName": "" if driver else "LocalSystem",
        }
        desk.frame.put(_INSTALLED, event.t_ns, data, pid, sid)
        who = desk.actor(event.who)
        data = {
            **subject_fields(who.subject),
            "ServiceName": event.service,
            "ServiceFileName": event.exe,
            "ServiceType": "0x1" if driver else "0x10",
            "ServiceStartType": 3 if driver else 2,
            "ServiceAccount": "LocalSystem",
            **_client(desk, event.who),
        }
        desk.frame.put(_INSTALLED_AUDIT, desk.late(event.t_ns), data, desk.lsass_pid)
        return
    failed, started = event.what == "failed", event.what == "started"
    state = "1" if failed or not started else "4"
    data = {"param1": title, "param2": "1" if failed else "running" if started else "stopped"}
    data["Binary"] = f"{event.service}/{state}\0".encode("utf-16-le").hex().upper()
    desk.frame.put(_CRASHED if failed else _STATE, event.t_ns, data, pid)


def _client(desk: Desk, who: ev.GuestProcess) -> dict[str, Any]:
    """The process that asked a service to do it, as Windows says since 2019."""
    return {
        "ClientProcessStartKey": desk.start_key(who),
        "ClientProcessId": who.pid,
        "ParentProcessId": who.ppid,
    }


def on_task(desk: Desk, event: ev.OnTask) -> None:
    """4698, 4702 or 4699 with the scheduler's 106, 140 or 141; 200 and later 201 where it ran."""
    account = event.account or event.who.account
    if event.what == "ran":
        _ran(desk, event)
        return
    told, registered = _TASKS[event.what]
    xml = _task_xml(event, account)
    data = {
        **subject_fields(desk.actor(event.who).subject),
        "TaskName": event.task,
        "TaskContentNew" if event.what == "changed" else "TaskContent": xml,
        **_client(desk, event.who),
        "RpcCallClientLocality": 0,
        "FQDN": desk.guest.name,
    }
    if event.what == "deleted":
        data["TaskContent"] = ""
    desk.frame.put(told, event.t_ns, data, desk.lsass_pid)
    user = user_of(event.who.account)
    fields = {"TaskName": event.task, "UserContext" if event.what == "created" else "UserName": user}
    desk.frame.put(registered, desk.late(event.t_ns), fields, desk.schedule_pid, SYSTEM_SID)


def _ran(desk: Desk, event: ev.OnTask) -> None:
    name = {"TaskName": event.task}
    instance = {"TaskInstanceId": desk.random_guid()}
    action = {"ActionName": _program(event.command)[0] or "Task Action"}
    engine = {"EnginePID": desk.schedule_pid}
    pid = desk.schedule_pid
    desk.frame.put(_TASK_BEGAN, event.t_ns, name | action | instance | engine, pid, SYSTEM_SID)
    ended = event.t_ns + 150_000_000 + desk.draw() % 4_000_000_000
    if ended < desk.boot.end_ns:
        data = name | instance | action | {"ResultCode": 0} | engine
        desk.frame.put(_TASK_ENDED, ended, data, pid, SYSTEM_SID)


def _program(command: str) -> tuple[str, str]:
    """Image and arguments of a command line."""
    if command.startswith('"'):
        program, _, rest = command[1:].partition('"')
        return program, rest.lstrip()
    program, _, rest = command.partition(" ")
    return program, rest


def _task_xml(event: ev.OnTask, account: Account) -> str:
    """The task's definition; it runs `event.command` as `account`."""
    program, rest = _program(event.command)
    arguments = f"      <Arguments>{escape(rest)}</Arguments>\r\n" if rest else ""
    since = iso_seconds(event.t_ns // _NS)
    lines = (
        '<?xml version="1.0" encoding="UTF-16"?>',
        '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">',
        "  <RegistrationInfo>",
        f"    <Date>{since}</Date>",
        f"    <Author>{escape(user_of(event.who.account))}</Author>",
        f"    <URI>{escape(event.task)}</URI>",
        "  </RegistrationInfo>",
        "  <Triggers>",
        "    <CalendarTrigger>",
        f"      <StartBoundary>{since}</StartBoundary>",
        "      <Enabled>true</Enabled>",
        "      <ScheduleByDay>\r\n        <DaysInterval>1</DaysInterval>\r\n      </ScheduleByDay>",
        "    </CalendarTrigger>",
        "  </Triggers>",
        "  <Principals>",
        '    <Principal id="Author">',
        f"      <UserId>{escape(account.sid or user_of(account))}</UserId>",
        "      <LogonType>InteractiveToken</LogonType>",
        "    </Principal>",
        "  </Principals>",
        "  <Settings>",
        "    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>",
        "    <Enabled>true</Enabled>",
        "    <Hidden>false</Hidden>",
        "    <ExecutionTimeLimit>PT72H</ExecutionTimeLimit>",
        "    <Priority>7</Priority>",
        "  </Settings>",
        '  <Actions Context="Author">',
        "    <Exec>",
        f"      <Command>{escape(program)}</Command>",
        f"{arguments}    </Exec>",
        "  </Actions>",
        "</Task>",
    )
    return "\r\n".join(lines)


def on_account(desk: Desk, event: ev.OnAccount) -> None:
    """4720, 4726, 4732 or 4724."""
    target, subject = event.target, subject_fields(desk.actor(event.who).subject)
    whose = {"TargetUserName": target.name, "TargetDomainName": target.domain or "-", "TargetSid": target.sid}
    data: dict[str, Any] = {**whose, **subject}
    if event.what == "group":
        known = _GROUPS.get(event.group.lower())
        data = {
            "MemberName": "-",
            "MemberSid": target.sid,
            "TargetUserName": event.group,
            "TargetDomainName": "Builtin" if known else desk.machine[:-1],
            "TargetSid": f"S-1-5-32-{known}" if known else f"{target.sid.rpartition('-')[0]}-1001",
            **subject,
            "PrivilegeList": "-",
        }
    elif event.what == "created":
        data |= _new_account(target)
    elif event.what == "deleted":
        data["PrivilegeList"] = "-"
    desk.frame.put(_ACCOUNTS[event.what], event.t_ns, data, desk.lsass_pid)


def _new_account(target: Account) -> dict[str, Any]:
    empty = ("HomeDirectory", "HomePath", "ScriptPath", "ProfilePath", "UserWorkstations")
    return {
        "PrivilegeList": "-",
        "SamAccountName": target.name,
        "DisplayName": "%%1793",
        "UserPrincipalName": "-",
        **dict.fromkeys(empty, "%%1793"),
        "PasswordLastSet": "%%1794",
        "AccountExpires": "%%1794",
        "PrimaryGroupId": "513",
        "AllowedToDelegateTo": "-",
        "OldUacValue": "0x0",
        "NewUacValue": "0x15",
        "UserAccountControl": "\r\n\t\t%%2080\r\n\t\t%%2082\r\n\t\t%%2084",
        "UserParameters": "%%1793",
        "SidHistory": "-",
        "LogonHours": "%%1797",
    }


def cleared(desk: Desk, event: ev.Cleared) -> None:
    """1102 for Security, 104 for any other log."""
    subject = subject_fields(desk.actor(event.who).subject)
    security = event.log.lower() == "security"
    data: dict[str, Any] = {}
    if desk.frame.dump:
        data["#attributes"] = {"xmlns": "http://manifests.microsoft.com/win/2004/08/windows/eventlog"}
    if security:
        data |= subject
    else:
        data |= {key: subject[key] for key in ("SubjectUserName", "SubjectDomainName")}
        data |= {"Channel": event.log, "BackupPath": None if desk.frame.dump else ""}
    if desk.recent:
        data |= {"ClientProcessId": event.who.pid, "ClientProcessStartKey": desk.start_key(event.who)}
    kind = _SECURITY_CLEARED if security else _LOG_CLEARED
    desk.frame.put(kind, event.t_ns, data, desk.eventlog_pid, "" if security else event.who.account.sid)


def ran_script(desk: Desk, event: ev.RanScript) -> None:
    """4104, in parts where the script is long; PowerShell logs it itself."""
    script = desk.random_guid().strip("{}").lower()
    parts = [event.text[at : at + _SCRIPT_CHARS] for at in range(0, len(event.text), _SCRIPT_CHARS)] or [""]
    for number, part in enumerate(parts, 1):
        data = {
            "MessageNumber": number,
            "MessageTotal": len(parts),
            "ScriptBlockText": part,
            "ScriptBlockId": script,
            "Path": "",
        }
        desk.frame.put(_SCRIPT, event.t_ns, data, event.who.pid, event.who.account.sid)


def message(desk: Desk, event: ev.Wrote) -> None:
    """Any other event, as the program worded it."""
    provider = event.provider or event.identifier or event.who.name
    failed = event.fields.get("Keywords") == FAILURE
    kind = EventKind(
        provider=provider,
        guid=_GUIDS.get(provider, ""),
        channel=event.channel or "Application",
        event_id=event.event_id or 1,
        level=0 if event.channel == "Security" else 2 if event.priority <= _SYSLOG_ERROR else 4,
        keywords=FAILURE if failed else "0x8020000000000000" if event.channel == "Security" else "0x8000000000000000",
        title=event.text or provider,
        qualifiers=None if provider in _GUIDS and provider != _INSTALLED.provider else 0,
    )
    data: dict[str, Any] = dict(event.fields)
    if not data and event.text:
        data = {"Data": event.text} if desk.frame.dump else {"param1": event.text}
    security = event.channel == "Security"
    pid = desk.lsass_pid if security else event.who.pid
    desk.frame.put(kind, event.t_ns, data, pid, "" if security else event.who.account.sid)
