"""The journal as `journalctl -o json` prints it, and auth.log, to which rsyslog copies the entries of two facilities.

An entry is collected with the process that wrote it; order, cursors and sequence numbers are given at the end. What
does not belong here: what programs say when (`logins.py`, `logs.py`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter

import msgspec

from rlstir_core.lab.machine.events import GuestProcess
from rlstir_core.lab.writers.linux.numbers import UNSET
from rlstir_core.lab.writers.linux.scene import LinuxScene, comm_of, stable_hex

KERN, DAEMON, AUTH, SYSLOG, CRON, AUTHPRIV = 0, 3, 4, 5, 9, 10
_IN_AUTH_LOG = (AUTH, AUTHPRIV)
_NO_PID = ("sudo", "kernel")  # they open the log without LOG_PID
_LONGEST = 4096  # characters of a field that journalctl prints without --all
_ALL_CAPS = "1ffffffffff"
_QUOTED = re.compile(r"[\s\"\\`$*?\[\]'()<>|&;!]")
_ESCAPED = re.compile(r'(["\\`$])')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNITS = {"sshd": "ssh", "cron": "cron", "rsyslogd": "rsyslog", "dbus-daemon": "dbus", "chronyd": "chrony"}
_SUFFIXES = (".service", ".timer", ".socket", ".scope", ".mount", ".target", ".slice", ".path", ".device")


class JournalEntry(msgspec.Struct, gc=False):
    """One entry in the making."""

    who: GuestProcess | None  # None: the kernel
    text: str
    identifier: str
    facility: int
    priority: int
    transport: str
    unit: str
    login: tuple[int, int]  # of the process, then
    more: str  # further fields, as JSON, each with a comma before it


class Journal:
    """Collects entries; `finish` gives both files."""

    def __init__(self, scene: LinuxScene) -> None:
        self._scene = scene
        self._entries: list[tuple[int, JournalEntry]] = []
        self._processes: dict[tuple[GuestProcess, tuple[int, int], str], str] = {}

    def say(
        self,
        t_ns: int,
        who: GuestProcess | None,
        text: str,
        *,
        identifier: str = "",
        facility: int = DAEMON,
        priority: int = 6,
        transport: str = "syslog",
        unit: str = "",
        more: Mapping[str, object] | None = None,
    ) -> None:
        """An entry; `identifier` is the process's name where it is not given."""
        identifier = identifier or (who.name if who is not None else "kernel")
        fields = "".join(f',"{key}":{value_of(str(value))}' for key, value in more.items()) if more else ""
        login = self._scene.login_of(who) if who is not None else (UNSET, UNSET)
        entry = JournalEntry(who, text, identifier, facility, priority, transport, unit, login, fields)
        self._entries.append((max(t_ns, self._scene.boot.start_ns), entry))

    def finish(self, until_ns: int) -> tuple[bytes, bytes]:
        """The journal and auth.log, up to a time."""
        self._entries.sort(key=itemgetter(0))
        scene, draw = self._scene, self._scene.draw
        boot, host = scene.boot, scene.host
        seqnum_id = stable_hex(scene.guest.name, "seqnum")[:32]
        boot_us, seq, last_us = boot.boot_ns // 1000, boot.journal_seq, 0
        tail = f'"_BOOT_ID":"{boot.boot_id}","_MACHINE_ID":"{scene.machine_id}","_HOSTNAME":"{host}"'
        tail += ',"_RUNTIME_SCOPE":"system"'
        journal, auth = [], []
        for t_ns, entry in self._entries:
            if t_ns > until_ns:
                break
            t_us = t_ns // 1000
            number = draw()
            last_us = max(last_us + 1, t_us + 6 + number % 50)
            mono_us = last_us - boot_us
            cursor = f"s={seqnum_id};i={seq:x};b={boot.boot_id};m={mono_us:x};t={last_us:x};x={draw():08x}{number:08x}"
            journal.append(
                f'{{"__CURSOR":"{cursor}","__REALTIME_TIMESTAMP":"{last_us}","__MONOTONIC_TIMESTAMP":"{mono_us}",'
                f'"__SEQNUM":"{seq}","__SEQNUM_ID":"{seqnum_id}",{tail},{self._body(entry, t_us)}}}\n'
            )
            seq += 1
            if entry.facility in _IN_AUTH_LOG:
                auth.append(f"{_stamp(t_us // 1_000_000)} {host} {_tag(entry)}: {_one_line(entry.text)}\n")
        return "".join(journal).encode(), "".join(auth).encode("utf-8", "surrogateescape")

    def _body(self, entry: JournalEntry, t_us: int) -> str:
        who, transport = entry.who, entry.transport
        parts = [
            f'"_TRANSPORT":"{transport}","PRIORITY":"{entry.priority}","SYSLOG_FACILITY":"{entry.facility}",'
            f'"SYSLOG_IDENTIFIER":{value_of(entry.identifier)}'
        ]
        if transport == "syslog":
            if who is not None and entry.identifier not in _NO_PID:
                parts.append(f'"SYSLOG_PID":"{who.pid}"')
            parts.append(f'"SYSLOG_TIMESTAMP":"{_stamp(t_us // 1_000_000)} "')
        if transport == "stdout":
            parts.append(f'"_STREAM_ID":"{stable_hex(entry.identifier, self._scene.boot.boot_id)[:32]}"')
        else:
            parts.append(f'"_SOURCE_REALTIME_TIMESTAMP":"{t_us}"')
        parts.append(f'"MESSAGE":{value_of(entry.text)}')
        if who is not None:
            parts.append(self._process(who, entry))
        return ",".join(parts) + entry.more

    def _process(self, who: GuestProcess, entry: JournalEntry) -> str:
        """What journald adds of the process that spoke."""
        key = who, entry.login, entry.unit
        found = self._processes.get(key)
        if found is None:
            found = self._processes[key] = self._read_process(who, entry.unit, *entry.login)
        return found

    def _read_process(self, who: GuestProcess, unit: str, auid: int, ses: int) -> str:
        uid = str(who.account.uid)
        fields = {
            "_PID": str(who.pid),
            "_UID": uid,
            "_GID": uid,
            "_COMM": comm_of(who),
            "_EXE": who.exe,
            "_CMDLINE": " ".join(map(quoted, who.argv)),
            "_CAP_EFFECTIVE": _ALL_CAPS if uid == "0" else "0",
            "_SELINUX_CONTEXT": "unconfined\n",
        }
        if ses != UNSET and who.name != "cron":
            fields |= {
                "_AUDIT_SESSION": str(ses),
                "_AUDIT_LOGINUID": str(auid),
                "_SYSTEMD_CGROUP": f"/user.slice/user-{auid}.slice/session-{ses}.scope",
                "_SYSTEMD_SESSION": str(ses),
                "_SYSTEMD_OWNER_UID": str(auid),
                "_SYSTEMD_UNIT": f"session-{ses}.scope",
                "_SYSTEMD_SLICE": f"user-{auid}.slice",
                "_SYSTEMD_USER_SLICE": "-.slice",
            }
        elif who.pid == 1:
            fields |= {"_SYSTEMD_CGROUP": "/init.scope", "_SYSTEMD_UNIT": "init.scope", "_SYSTEMD_SLICE": "-.slice"}
        else:
            if ses != UNSET:
                fields |= {"_AUDIT_SESSION": str(ses), "_AUDIT_LOGINUID": str(auid)}
            unit = unit_name(unit) if unit else _unit_of(who)
            fields |= {
                "_SYSTEMD_CGROUP": f"/system.slice/{unit}",
                "_SYSTEMD_UNIT": unit,
                "_SYSTEMD_SLICE": "system.slice",
                "_SYSTEMD_INVOCATION_ID": stable_hex(unit, self._scene.boot.boot_id)[:32],
            }
        return ",".join(f'"{key}":{value_of(value)}' for key, value in fields.items())


def value_of(text: str) -> str:
    """A field's value in JSON: bytes as numbers where a terminal should not see them, null where it is long."""
    if len(text) > _LONGEST:
        return "null"
    if not text.isprintable() and not text.replace("\n", "").replace("\t", "").isprintable():
        return msgspec.json.encode(list(text.encode("utf-8", "surrogateescape"))).decode()
    return msgspec.json.encode(text).decode()


def quoted(arg: str) -> str:
    """An argument in a `_CMDLINE`: in double quotes where a shell would need them."""
    if arg and not _QUOTED.search(arg):
        return arg
    return '"' + _ESCAPED.sub(r"\\\1", arg) + '"'


def unit_name(service: str) -> str:
    """A unit's full name."""
    return service if service.endswith(_SUFFIXES) else f"{service}.service"


def _unit_of(who: GuestProcess) -> str:
    """The unit of a daemon: that of its ancestor which init started."""
    while who.parent is not None and who.parent.pid != 1:
        who = who.parent
    return unit_name(_UNITS.get(who.name, who.name))


@lru_cache(maxsize=64)
def _stamp(seconds: int) -> str:
    at = time.gmtime(seconds)
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * at.tm_mon - 3 : 3 * at.tm_mon]
    return f"{month} {at.tm_mday:2d} {at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"


def _tag(entry: JournalEntry) -> str:
    if entry.who is None or entry.identifier in _NO_PID:
        return entry.identifier
    return f"{entry.identifier}[{entry.who.pid}]"


def _one_line(text: str) -> str:
    """A message as rsyslog writes it to a file."""
    return _CONTROL.sub(lambda found: f"#{ord(found[0]):03o}", text)
