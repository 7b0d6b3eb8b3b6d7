"""Security's events of processes, objects, connections and logons, as advanced auditing writes them.

What does not belong here: services, tasks and accounts (`system.py`), and the record around the fields (`frame.py`).
"""

from __future__ import annotations

from typing import Any, Final

from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.writers.windows.desk import KERNEL_PID, LOGON_TYPES, NO_GUID, NOBODY, Desk, Subject
from rlstir_core.lab.writers.windows.frame import FAILURE, SECURITY_GUID, EventKind

READ, WRITE, DELETE, ATTRIBUTES = 0x1, 0x2, 0x10000, 0x100
_ACCESSES = {READ: "%%4416", WRITE: "%%4417", DELETE: "%%1537", ATTRIBUTES: "%%4424"}
_SUCCESS: Final = "0x8020000000000000"
_LAYERS = {False: ("%%14593", "%%14611", 48), True: ("%%14592", "%%14610", 44)}  # outward, inbound
_PROTOCOLS = {"tcp": 6, "udp": 17}
_INDENT = "\r\n\t\t\t"
_PRIVILEGES = _INDENT.join(
    (
        "SeSecurityPrivilege", "SeBackupPrivilege", "SeRestorePrivilege", "SeTakeOwnershipPrivilege",
        "SeDebugPrivilege", "SeSystemEnvironmentPrivilege", "SeLoadDriverPrivilege", "SeImpersonatePrivilege",
        "SeDelegateSessionUserImpersonatePrivilege",
    )
)  # fmt: skip
_SYSTEM_PRIVILEGES = f"SeAssignPrimaryTokenPrivilege{_INDENT}SeTcbPrivilege{_INDENT}{_PRIVILEGES}"
_HOW = {"password": "ssh", "publickey": "ssh"}
# (LogonProcessName, AuthenticationPackageName) by the kind of logon
_LOGON_PROCESSES = {
    "console": ("User32 ", "Negotiate"),
    "rdp": ("User32 ", "Negotiate"),
    "service": ("Advapi  ", "Negotiate"),
    "ssh": ("Advapi  ", "Negotiate"),
    "network": ("NtLmSsp ", "NTLM"),
}


def audit(event_id: int, task: int, title: str, action: str, *, version: int = 0, failed: bool = False) -> EventKind:
    """A kind of Security's events."""
    return EventKind(
        provider="Microsoft-Windows-Security-Auditing",
        guid=SECURITY_GUID,
        channel="Security",
        event_id=event_id,
        version=version,
        level=0,
        task=task,
        keywords=FAILURE if failed else _SUCCESS,
        title=title,
        action=action,
    )


_CREATED = audit(4688, 13312, "A new process has been created.", "Process Creation", version=2)
_EXITED = audit(4689, 13313, "A process has exited.", "Process Termination")
_OBJECT = audit(4663, 12800, "An attempt was made to access an object.", "File System", version=1)
_ALLOWED = audit(
    5156,
    12810,
    "The Windows Filtering Platform has permitted a connection.",
    "Filtering Platform Connection",
    version=1,
)
_BLOCKED = audit(
    5157,
    12810,
    "The Windows Filtering Platform has blocked a connection.",
    "Filtering Platform Connection",
    version=1,
    failed=True,
)
_LOGON = audit(4624, 12544, "An account was successfully logged on.", "Logon", version=2)
_NO_LOGON = audit(4625, 12544, "An account failed to log on.", "Logon", failed=True)
_SPECIAL = audit(4672, 12548, "Special privileges assigned to new logon.", "Special Logon")
_LOGOFF = audit(4634, 12545, "An account was logged off.", "Logoff")


def subject_fields(subject: Subject) -> dict[str, Any]:
    """The four fields that many events begin with."""
    return {
        "SubjectUserSid": subject.sid,
        "SubjectUserName": subject.name,
        "SubjectDomainName": subject.domain,
        "SubjectLogonId": subject.logon,
    }


def started(desk: Desk, event: ev.Started) -> None:
    """4688: the subject is who created it; a target is named where that is another account's."""
    who, parent = event.who, event.who.parent
    actor = desk.actor(who)
    above = desk.actor(parent) if parent is not None else None
    creator = above.subject if above is not None else actor.subject
    other = creator.sid != actor.subject.sid or creator.logon != actor.subject.logon
    target = Subject(who.account.sid, who.account.name, who.account.domain or "-", actor.subject.logon)
    data = {
        **subject_fields(creator),
        "NewProcessId": actor.hex_pid,
        "NewProcessName": actor.image,
        "TokenElevationType": actor.elevation,
        "ProcessId": above.hex_pid if above is not None else "0x0",
        "CommandLine": who.cmdline,
        "TargetUserSid": target.sid if other else NOBODY,
        "TargetUserName": target.name if other else "-",
        "TargetDomainName": target.domain if other else "-",
        "TargetLogonId": target.logon if other else "0x0",
        "ParentProcessName": above.image if above is not None else "-",
        "MandatoryLabel": actor.label,
    }
    desk.frame.put(_CREATED, desk.late(event.t_ns), data, KERNEL_PID)


def exited(desk: Desk, event: ev.Exited) -> None:
    """4689."""
    actor = desk.actor(event.who)
    data = {
        **subject_fields(actor.subject),
        "Status": hex(event.code & 0xFFFFFFFF),
        "ProcessId": actor.hex_pid,
        "ProcessName": actor.image,
    }
    desk.frame.put(_EXITED, desk.late(event.t_ns), data, KERNEL_PID)


def accessed(desk: Desk, event: ev.OnFile, rights: int, t_ns: int) -> None:
    """4663 of a file."""
    actor = desk.actor(event.who)
    data = {
        **subject_fields(actor.subject),
        "ObjectServer": "Security",
        "ObjectType": "File",
        "ObjectName": event.path,
        "HandleId": hex(4 * (desk.draw() % 1200 + 30)),
        "AccessList": f"{_ACCESSES[rights]}\r\n\t\t\t\t",
        "AccessMask": hex(rights),
        "ProcessId": actor.hex_pid,
        "ProcessName": actor.image,
        "ResourceAttributes": "S:AI",
    }
    desk.frame.put(_OBJECT, t_ns, data, KERNEL_PID)


def connected(desk: Desk, event: ev.Connected) -> None:
    """5156, or 5157 where the connection came to nothing."""
    actor = desk.actor(event.who)
    direction, layer, run_time_id = _LAYERS[event.inbound]
    data = {
        "ProcessID": actor.pid,
        "Application": actor.device_path,
        "Direction": direction,
        "SourceAddress": event.src_ip,
        "SourcePort": str(event.src_port),
        "DestAddress": event.dst_ip,
        "DestPort": str(event.dst_port),
        "Protocol": _PROTOCOLS[event.l4],
        "FilterRTID": 65_000 + desk.offsets % 9000 + 7 * event.inbound + 31 * event.failed,
        "LayerName": layer,
        "LayerRTID": run_time_id,
        "RemoteUserID": NOBODY,
        "RemoteMachineID": NOBODY,
    }
    # the only record of a connection that failed
    t_ns = event.t_ns if event.failed else desk.late(event.t_ns)
    desk.frame.put(_BLOCKED if event.failed else _ALLOWED, t_ns, data, KERNEL_PID)


def logged_on(desk: Desk, event: ev.LoggedOn) -> None:
    """4624 and, for those who administer, 4672; 4625 where it failed."""
    account, kind = event.account, _HOW.get(event.how, event.how)
    process, package = _LOGON_PROCESSES[kind]
    network = kind == "network"
    local = event.src_ip or ("127.0.0.1" if kind == "console" else "-")
    far = {
        "IpAddress": local,
        "IpPort": str(event.src_port) if event.src_port else "0" if kind == "console" else "-",
    }
    workstation = "-" if network or kind == "service" else desk.machine[:-1]
    # lsass does it for the process that asked
    asks = {"console": desk.winlogon, "rdp": desk.winlogon, "service": desk.services}.get(kind) or event.who
    who = desk.actor(asks)
    subject = subject_fields(Subject(NOBODY, "-", "-", "0x0") if network else who.subject)
    caller = {"ProcessId": "0x0" if network else who.hex_pid, "ProcessName": "-" if network else who.image}
    level = LOGON_TYPES[kind]
    if not event.ok:
        data = {
            **subject,
            "TargetUserSid": NOBODY,
            "TargetUserName": account.name,
            "TargetDomainName": account.domain or "-",
            "Status": "0xc000006d",
            "FailureReason": "%%2313",
            "SubStatus": "0xc000006a" if event.known else "0xc0000064",
            "LogonType": level,
            "LogonProcessName": process,
            "AuthenticationPackageName": package,
            "WorkstationName": workstation,
            "TransmittedServices": "-",
            "LmPackageName": "-",
            "KeyLength": 0,
            **caller,
            **far,
        }
        desk.frame.put(_NO_LOGON, event.t_ns, data, desk.lsass_pid)
        return
    logon = hex(desk.logon_id(account, event.session))
    admin = account.sid in desk.administrators or account.sid == desk.guest.root.sid
    data = {
        **subject,
        "TargetUserSid": account.sid or NOBODY,
        "TargetUserName": account.name,
        "TargetDomainName": account.domain or "-",
        "TargetLogonId": logon,
        "LogonType": level,
        "LogonProcessName": process,
        "AuthenticationPackageName": package,
        "WorkstationName": workstation,
        "LogonGuid": desk.frame.guid(NO_GUID),
        "TransmittedServices": "-",
        "LmPackageName": "NTLM V2" if network else "-",
        "KeyLength": 128 if network else 0,
        **caller,
        **far,
        "ImpersonationLevel": "%%1833",
        "RestrictedAdminMode": "-",
        "TargetOutboundUserName": "-",
        "TargetOutboundDomainName": "-",
        "VirtualAccount": "%%1843",
        "TargetLinkedLogonId": "0x0",
        "ElevatedToken": "%%1842" if admin else "%%1843",
    }
    desk.frame.put(_LOGON, event.t_ns, data, desk.lsass_pid)
    if admin:
        logged_on = Subject(account.sid, account.name, account.domain or "-", logon)
        privileges = _PRIVILEGES if account.sid in desk.administrators else _SYSTEM_PRIVILEGES
        late = desk.late(event.t_ns)
        desk.frame.put(_SPECIAL, late, {**subject_fields(logged_on), "PrivilegeList": privileges}, desk.lsass_pid)


def logged_off(desk: Desk, event: ev.LoggedOff) -> None:
    """4634."""
    session = event.session
    data = {
        "TargetUserSid": session.account.sid or NOBODY,
        "TargetUserName": session.account.name,
        "TargetDomainName": session.account.domain or "-",
        "TargetLogonId": hex(desk.logon_id(session.account, session)),
        "LogonType": LOGON_TYPES.get(session.kind, 3),
    }
    desk.frame.put(_LOGOFF, event.t_ns, data, desk.lsass_pid)
