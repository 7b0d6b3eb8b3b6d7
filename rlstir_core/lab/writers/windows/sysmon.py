"""Sysmon's events 1 to 26, with the fields of Sysmon 14 in their order.

`RuleName` is always a dash: what it holds elsewhere is the name of a detection. What does not belong here: other
providers, and the record around the fields (`frame.py`).
"""

from __future__ import annotations

from typing import Any

from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.writers.windows.desk import NO_GUID, SYSTEM_SID, Desk
from rlstir_core.lab.writers.windows.frame import SYSMON_CHANNEL, EventKind, utc_time
from rlstir_core.lab.writers.windows.images import hashes, resource, sha256_of, signer

_BROWSERS = frozenset({"chrome.exe", "msedge.exe", "firefox.exe", "iexplore.exe", "outlook.exe"})
_ATTRIBUTE_TOOLS = frozenset({"attrib.exe", "icacls.exe", "cacls.exe", "takeown.exe"})
_PORTS = {
    53: "domain", 80: "http", 88: "kerberos", 135: "epmap", 137: "netbios-ns", 138: "netbios-dgm", 139: "netbios-ssn",
    389: "ldap", 443: "https", 445: "microsoft-ds", 3389: "ms-wbt-server",
}  # fmt: skip
_TERMINATE, _ALL_ACCESS, _USUAL_ACCESS = 0x1, 0x1FFFFF, 0x1410
_NO_SUCH_NAME = "9003"


def _kind(event_id: int, version: int, title: str, rule: str) -> EventKind:
    return EventKind(
        provider="Microsoft-Windows-Sysmon",
        guid="5770385f-c22a-43e0-bf4c-06f5698ffbd9",
        channel=SYSMON_CHANNEL,
        event_id=event_id,
        version=version,
        task=event_id,
        title=title,
        action=f"{title} (rule: {rule})",
    )


_CREATE = _kind(1, 5, "Process Create", "ProcessCreate")
_TIME = _kind(2, 5, "File creation time changed", "FileCreateTime")
_NETWORK = _kind(3, 5, "Network connection detected", "NetworkConnect")
_END = _kind(5, 3, "Process terminated", "ProcessTerminate")
_DRIVER = _kind(6, 4, "Driver loaded", "DriverLoad")
_IMAGE = _kind(7, 3, "Image loaded", "ImageLoad")
_THREAD = _kind(8, 2, "CreateRemoteThread detected", "CreateRemoteThread")
_ACCESS = _kind(10, 3, "Process accessed", "ProcessAccess")
_FILE = _kind(11, 2, "File created", "FileCreate")
_KEY = _kind(12, 2, "Registry object added or deleted", "RegistryEvent")
_VALUE = _kind(13, 2, "Registry value set", "RegistryEvent")
_STREAM = _kind(15, 2, "File stream created", "FileCreateStreamHash")
_PIPE_MADE = _kind(17, 1, "Pipe Created", "PipeEvent")
_PIPE_USED = _kind(18, 1, "Pipe Connected", "PipeEvent")
_QUERY = _kind(22, 5, "Dns query", "DnsQuery")
_DELETE = _kind(23, 5, "File Delete archived", "FileDelete")
_DELETE_SEEN = _kind(26, 5, "File Delete logged", "FileDeleteDetected")


def _put(desk: Desk, kind: EventKind, t_ns: int, data: dict[str, Any]) -> None:
    desk.frame.put(kind, t_ns, data, desk.sysmon_pid, SYSTEM_SID)


def _begin(desk: Desk, event: ev.Event) -> dict[str, Any]:
    actor = desk.actor(event.who)
    return {
        "RuleName": "-",
        "UtcTime": utc_time(event.t_ns),
        "ProcessGuid": actor.guid,
        "ProcessId": actor.pid,
        "Image": actor.image,
    }


def started(desk: Desk, event: ev.Started) -> None:
    """Event 1."""
    who, parent = event.who, event.who.parent
    actor = desk.actor(who)
    image = resource(who.exe, who.build, desk.file_version)
    above = desk.actor(parent) if parent is not None else None
    data = {
        "RuleName": "-",
        "UtcTime": utc_time(event.t_ns),
        "ProcessGuid": actor.guid,
        "ProcessId": actor.pid,
        "Image": actor.image,
        "FileVersion": image.version,
        "Description": image.description,
        "Product": image.product,
        "Company": image.company,
        "OriginalFileName": image.original,
        "CommandLine": who.cmdline,
        "CurrentDirectory": who.cwd if who.cwd.endswith("\\") else f"{who.cwd}\\",
        "User": actor.user,
        "LogonGuid": desk.logon_guid(who),
        "LogonId": actor.subject.logon,
        "TerminalSessionId": desk.terminal(who.session),
        "IntegrityLevel": actor.integrity,
        "Hashes": hashes(who.exe, who.build, desk.version),
        "ParentProcessGuid": above.guid if above is not None else desk.frame.guid(NO_GUID),
        "ParentProcessId": above.pid if above is not None else 0,
        "ParentImage": above.image if above is not None else "-",
        "ParentCommandLine": parent.cmdline if parent is not None else "-",
        "ParentUser": above.user if above is not None else "-",
    }
    _put(desk, _CREATE, event.t_ns, data)


def exited(desk: Desk, event: ev.Exited) -> None:
    """Event 5."""
    data = _begin(desk, event)
    data["User"] = desk.actor(event.who).user
    _put(desk, _END, event.t_ns, data)


def created_file(desk: Desk, event: ev.OnFile, path: str) -> None:
    """Event 11, and 15 for what a browser fetched."""
    utc, user = utc_time(event.t_ns), desk.actor(event.who).user
    data = _begin(desk, event)
    _put(desk, _FILE, event.t_ns, {**data, "TargetFilename": path, "CreationUtcTime": utc, "User": user})
    if "\\Downloads\\" not in path or event.who.name.lower() not in _BROWSERS:
        return
    late = desk.late(event.t_ns)
    data["UtcTime"] = utc_time(late)
    mark = {
        "TargetFilename": f"{path}:Zone.Identifier",
        "CreationUtcTime": utc,
        "Hash": f"SHA256={sha256_of(f'{path}:Zone.Identifier', '', '')}",
        "Contents": "[ZoneTransfer]  ZoneId=3",
        "User": user,
    }
    _put(desk, _STREAM, late, data | mark)


def deleted_file(desk: Desk, event: ev.OnFile, build: str) -> None:
    """Event 23 where Sysmon keeps what is deleted, else 26; `build` is the file's content."""
    begun, actor = _begin(desk, event), desk.actor(event.who)
    image = begun.pop("Image")
    program = bool(build) or event.path.lower().endswith((".exe", ".dll", ".sys", ".scr"))
    data = {
        **begun,
        "User": actor.user,
        "Image": image,
        "TargetFilename": event.path,
        "Hashes": hashes(event.path, build, desk.version),
        "IsExecutable": program,
    }
    if desk.keeps_deleted:
        data["Archived"] = "true"
    _put(desk, _DELETE if desk.keeps_deleted else _DELETE_SEEN, event.t_ns, data)


def changed_times(desk: Desk, event: ev.OnFile) -> None:
    """Event 2: a file got another time of creation."""
    data = _begin(desk, event)
    data["TargetFilename"] = event.path
    data["CreationUtcTime"] = utc_time(desk.boot.boot_ns - desk.draw() * 40_000_000)
    data["PreviousCreationUtcTime"] = utc_time(event.t_ns - desk.draw() % 2_000_000_000 - 1_000_000)
    data["User"] = desk.actor(event.who).user
    _put(desk, _TIME, event.t_ns, data)


def sets_attributes(who: ev.GuestProcess) -> bool:
    """Whether this program changes a file's flags or rights, and not its times."""
    return who.name.lower() in _ATTRIBUTE_TOOLS


def connected(desk: Desk, event: ev.Connected) -> None:
    """Event 3."""
    guest, begun = desk.guest, _begin(desk, event)
    ours, far = guest.name, event.name or "-"
    there = far if not event.inbound else ours
    data = {
        **begun,
        "User": desk.actor(event.who).user,
        "Protocol": event.l4,
        "Initiated": not event.inbound,
        "SourceIsIpv6": ":" in event.src_ip,
        "SourceIp": event.src_ip,
        "SourceHostname": ours if event.src_ip == guest.ip else far if event.inbound else "-",
        "SourcePort": event.src_port,
        "SourcePortName": _PORTS.get(event.src_port, "-"),
        "DestinationIsIpv6": ":" in event.dst_ip,
        "DestinationIp": event.dst_ip,
        "DestinationHostname": there,
        "DestinationPort": event.dst_port,
        "DestinationPortName": _PORTS.get(event.dst_port, "-"),
    }
    _put(desk, _NETWORK, event.t_ns, data)


def queried(desk: Desk, event: ev.Queried) -> None:
    """Event 22."""
    data = _begin(desk, event)
    image = data.pop("Image")
    answer = event.answer if ":" in event.answer else f"::ffff:{event.answer}"
    data["QueryName"] = event.name
    data["QueryStatus"] = "0" if event.answer else _NO_SUCH_NAME
    data["QueryResults"] = f"{answer};" if event.answer else "-"
    data["Image"] = image
    data["User"] = desk.actor(event.who).user
    _put(desk, _QUERY, event.t_ns, data)


def on_registry(desk: Desk, event: ev.OnRegistry, is_value: bool) -> None:
    """Event 13 for a value that is set, else 12."""
    set_ = event.op == "set"
    what = "SetValue" if set_ else "CreateKey" if event.op == "create" else "DeleteValue" if is_value else "DeleteKey"
    actor = desk.actor(event.who)
    data = {
        "RuleName": "-",
        "EventType": what,
        "UtcTime": utc_time(event.t_ns),
        "ProcessGuid": actor.guid,
        "ProcessId": actor.pid,
        "Image": actor.image,
        "TargetObject": event.key,
    }
    if set_:
        data["Details"] = _details(event.value)
    data["User"] = actor.user
    _put(desk, _VALUE if set_ else _KEY, event.t_ns, data)


def _details(value: str) -> str:
    """A registry value as Sysmon shows it."""
    if value.isascii() and value.isdecimal() and len(value) <= 10:
        return f"DWORD (0x{int(value) & 0xFFFFFFFF:08x})"
    return value or "(Empty)"


def on_process(desk: Desk, event: ev.OnProcess) -> None:
    """Event 8 for a thread made in another process, else 10."""
    source, target = desk.actor(event.who), desk.actor(event.target)
    thread = event.op == "thread"
    spelled = "Guid" if thread else "GUID"
    data: dict[str, Any] = {
        "RuleName": "-",
        "UtcTime": utc_time(event.t_ns),
        f"SourceProcess{spelled}": source.guid,
        "SourceProcessId": source.pid,
    }
    if not thread:
        data["SourceThreadId"] = 4 * (desk.draw() % 2600 + 20)
    data["SourceImage"] = source.image
    data[f"TargetProcess{spelled}"] = target.guid
    data["TargetProcessId"] = target.pid
    data["TargetImage"] = target.image
    if thread:
        data["NewThreadId"] = 4 * (desk.draw() % 2600 + 20)
        data["StartAddress"] = f"0x{0x7FF800000000 + desk.draw() * 16:016X}"
        data["StartModule"] = "-"
        data["StartFunction"] = "-"
    else:
        rights = {"signal": _TERMINATE, "trace": _ALL_ACCESS}.get(event.op, event.mask)
        if event.op == "trace" and event.mask != _USUAL_ACCESS:
            rights = event.mask
        data["GrantedAccess"] = hex(rights)
        data["CallTrace"] = _call_trace(desk, event.who)
    data["SourceUser"] = source.user
    data["TargetUser"] = target.user
    _put(desk, _THREAD if thread else _ACCESS, event.t_ns, data)


def _call_trace(desk: Desk, who: ev.GuestProcess) -> str:
    """The usual way into the kernel; the offsets are those of the host's libraries and of the program."""
    own = int(sha256_of(who.exe, who.build, desk.version)[:5], 16)
    calls = (
        f"C:\\Windows\\SYSTEM32\\ntdll.dll+{0x9C000 + desk.offsets % 0x1000:x}",
        f"C:\\Windows\\System32\\KERNELBASE.dll+{0x20000 + desk.offsets:x}",
        f"{who.exe}+{0x1000 + own % 0x7F000:x}",
        f"C:\\Windows\\System32\\KERNEL32.DLL+{0x17000 + desk.offsets % 0xFFF:x}",
        f"C:\\Windows\\SYSTEM32\\ntdll.dll+{0x4C000 + desk.offsets % 0xFFB:x}",
    )
    return "|".join(calls)


def loaded(desk: Desk, event: ev.Loaded) -> None:
    """Event 7; 6 for a driver, which names no process."""
    signature = {
        "Hashes": hashes(event.path, event.build, desk.version),
        "Signed": "true" if event.signed else "false",
        "Signature": signer(event.path) if event.signed else "-",
        "SignatureStatus": "Valid" if event.signed else "Unavailable",
    }
    if event.driver:
        head = {"RuleName": "-", "UtcTime": utc_time(event.t_ns), "ImageLoaded": event.path}
        _put(desk, _DRIVER, event.t_ns, head | signature)
        return
    image = resource(event.path, event.build, desk.file_version)
    data = {
        **_begin(desk, event),
        "ImageLoaded": event.path,
        "FileVersion": image.version,
        "Description": image.description,
        "Product": image.product,
        "Company": image.company,
        "OriginalFileName": image.original,
        **signature,
        "User": desk.actor(event.who).user,
    }
    _put(desk, _IMAGE, event.t_ns, data)


def on_pipe(desk: Desk, event: ev.OnPipe) -> None:
    """Event 17 for a pipe that is made, 18 for one that is opened."""
    made, actor = event.op == "create", desk.actor(event.who)
    data = {
        "RuleName": "-",
        "EventType": "CreatePipe" if made else "ConnectPipe",
        "UtcTime": utc_time(event.t_ns),
        "ProcessGuid": actor.guid,
        "ProcessId": actor.pid,
        "PipeName": pipe_name(event.name),
        "Image": actor.image,
        "User": actor.user,
    }
    _put(desk, _PIPE_MADE if made else _PIPE_USED, event.t_ns, data)


def pipe_name(name: str) -> str:
    """A pipe as Sysmon names it: `\\srvsvc`."""
    name = name.removeprefix("\\\\.\\pipe")
    return name if name[:1] in {"\\", "<"} else f"\\{name}"
