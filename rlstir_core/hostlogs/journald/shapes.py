"""Entries as those who pass the journal on shape them, under the journal's own names again.

vector, fluent-bit, fluentd, Elastic's agents, Loki, Splunk, GELF and others rename, strip, nest or wrap its fields. An
entry shows itself by two signs: fields of the journal in its own spelling, or in one that nothing else has. What does
not belong here: what a field means (`parser.py`).
"""

from __future__ import annotations

import re
from typing import Any

from rlstir_core.hostlogs.journald.clocks import SHIPPED
from rlstir_core.hostlogs.journald.values import json_value
from rlstir_core.hostlogs.unparsed import json_object

JournalFields = dict[str, Any]

# systemd.journal-fields(7)
_OWN_WORDS = (
    "__CURSOR __REALTIME_TIMESTAMP __MONOTONIC_TIMESTAMP __SEQNUM __SEQNUM_ID _SOURCE_REALTIME_TIMESTAMP "
    "_SOURCE_MONOTONIC_TIMESTAMP _SOURCE_BOOTTIME_TIMESTAMP _BOOT_ID _MACHINE_ID _HOSTNAME _TRANSPORT _PID _UID _GID "
    "_COMM _EXE _CMDLINE _CAP_EFFECTIVE _AUDIT_SESSION _AUDIT_LOGINUID _AUDIT_TYPE _AUDIT_TYPE_NAME _AUDIT_ID "
    "_SELINUX_CONTEXT _SYSTEMD_CGROUP _SYSTEMD_SLICE _SYSTEMD_UNIT _SYSTEMD_USER_UNIT _SYSTEMD_USER_SLICE "
    "_SYSTEMD_SESSION _SYSTEMD_OWNER_UID _SYSTEMD_INVOCATION_ID _STREAM_ID _RUNTIME_SCOPE _NAMESPACE _LINE_BREAK "
    "_KERNEL_DEVICE _KERNEL_SUBSYSTEM _UDEV_SYSNAME _UDEV_DEVNODE _UDEV_DEVLINK SYSLOG_IDENTIFIER SYSLOG_FACILITY "
    "SYSLOG_PID SYSLOG_TIMESTAMP SYSLOG_RAW MESSAGE_ID CODE_FILE CODE_LINE CODE_FUNC"
)
_OWN = frozenset(_OWN_WORDS.split())
_LONG = re.compile(r"[A-Z_][A-Z0-9_]{0,63}").fullmatch  # how fields of the journal are spelled
_SHORT = _OWN - {"_CMDLINE", "_EXE", "_SELINUX_CONTEXT", "_SYSTEMD_CGROUP", "SYSLOG_RAW", "CODE_FILE", "CODE_FUNC"}
_SHARED = frozenset({"MESSAGE", "PRIORITY"})  # syslog-ng's JSON has both: together they are one sign
# words that stay the journal's in any spelling; `pid`, `hostname`, `exe` … are anybody's
_TELLING_WORDS = (
    "realtimetimestamp sourcerealtimetimestamp monotonictimestamp bootid machineid syslogidentifier syslogfacility "
    "capeffective selinuxcontext systemdcgroup systemdslice systemdunit systemduserunit systemduserslice "
    "systemdsession systemdowneruid systemdinvocationid runtimescope auditloginuid"
)
_TELLING = frozenset(_TELLING_WORDS.split())
_RESPELLED = {name.replace("_", "").lower(): name for name in (*_OWN, *_SHARED)}
# where others put what the journal says: of several the first counts
_PLACES: dict[str, tuple[str, ...]] = {
    "MESSAGE": ("message", "msg", "full_message", "short_message", "log", "line", "body"),
    "_HOSTNAME": ("host.hostname", "host", "host.name", "instance"),
    "_PID": ("journald.pid", "process.pid"),
    "_UID": ("journald.uid", "user.id"),
    "_EXE": ("journald.process.executable", "process.executable"),
    "_CMDLINE": ("journald.process.command_line", "process.command_line"),
    "_COMM": ("journald.process.name", "process.name"),
    "_BOOT_ID": ("journald.host.boot_id", "host.boot_id"),
    "_MACHINE_ID": ("host.id",),
    "_TRANSPORT": ("systemd.transport",),
    "_SYSTEMD_UNIT": ("systemd.unit", "unit"),
    "SYSLOG_IDENTIFIER": ("syslog.identifier", "log.syslog.identifier", "log.syslog.appname"),
    "SYSLOG_PID": ("syslog.pid", "log.syslog.pid", "log.syslog.procid"),
    "MESSAGE_ID": ("event.code",),
    SHIPPED: ("@timestamp", "timestamp", "date", "time", "_time", "datetime"),
}
_PLACED = {place: (rank, name) for name, places in _PLACES.items() for rank, place in enumerate(places, 2)}
_ENTRY_PREFIXES = ("", "journald.", "_journald.", "journal.", "systemd.")
_WRAPPERS = frozenset(
    {"_source", "result", "jsonpayload", "body", "labels", "stream", "fields", "$!", "record", "attributes"}
)
_TELLING_GROUPS = frozenset({"journald", "_journald", "systemd"})
_TRANSPORTS = frozenset({"audit", "driver", "syslog", "journal", "stdout", "kernel"})
_WINDOWS = frozenset({"winlog", "EventID", "EventData", "EventRecordID"})  # of an agent that forwards both
_TEXTS = ("line", "_raw", "log", "message", "MESSAGE")  # that may hold an entry as JSON
_DEPTH = 4


def entry_of(record: JournalFields) -> JournalFields | None:
    """The entry that a record holds, by the journal's names; None where it holds none."""
    if "MESSAGE" in record and "_HOSTNAME" in record and "__REALTIME_TIMESTAMP" in record:
        return record
    found = _found_in(record)
    if found is not None:
        return found
    for key in _TEXTS:
        inner = json_object(record.get(key))
        if inner is not None:
            return _found_in(inner)
    return None


def lost_fields(record: JournalFields) -> list[str]:
    """The fields whose values `journalctl` left out, because they were long and `--all` was not given."""
    if None not in record.values():
        return []
    return [key for key, value in record.items() if value is None and _LONG(key) and key not in _SHORT]


def _found_in(record: JournalFields) -> JournalFields | None:
    search = _Search()
    search.look(record, "", 0)
    return {name: value for name, (_, value) in search.found.items()} if search.n_signs >= 2 else None


class _Search:
    """What was found of an entry, and how much of it is the journal's for certain."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[int, Any]] = {}
        self._signs: set[str] = set()
        self._windows = False

    @property
    def n_signs(self) -> int:
        return 0 if self._windows else len(self._signs)

    def look(self, record: JournalFields, prefix: str, depth: int) -> None:
        for key, value in record.items():
            if type(value) is dict and "hex" not in value:
                self._into(key, value, prefix, depth)
            elif prefix in _ENTRY_PREFIXES and key in _OWN:
                self._keep(key, 0, value)
                self._signs.add(key)
            elif prefix in _ENTRY_PREFIXES and key in _SHARED:
                self._keep(key, 0, value)
                self._signs.add("MESSAGE")
            else:
                self._respelled(key, value, prefix)

    def _into(self, key: str, value: JournalFields, prefix: str, depth: int) -> None:
        if depth >= _DEPTH:
            return
        self._windows = self._windows or key in _WINDOWS
        low = key.lower()
        if not prefix and low in _TELLING_GROUPS:
            self._signs.add(low)
        wraps = low in _WRAPPERS or (low == "event" and not _OWN.isdisjoint(value))
        self.look(value, prefix if wraps else f"{prefix}{low}.", depth + 1)

    def _respelled(self, key: str, value: object, prefix: str) -> None:
        self._windows = self._windows or (key in _WINDOWS and not prefix)
        low = key.lower()
        path = prefix + low
        group, dot, _ = path.partition(".")
        if dot and group in _TELLING_GROUPS:
            self._signs.add(group)
        if placed := _PLACED.get(path):
            self._keep(placed[1], placed[0], value)
            return
        dotted, _, last = path.rpartition(".")
        if dotted and f"{dotted}." not in _ENTRY_PREFIXES:
            if path == "input.type" and value == "journald":
                self._signs |= {path, value}  # filebeat's own word
            return
        if last.startswith("__journal_"):  # promtail's
            last = last.removeprefix("__journal_")
            self._signs.add(last)
        squeezed = last.replace("_", "")
        telling = squeezed == "transport" and value in _TRANSPORTS
        if telling or squeezed in _TELLING or (squeezed == "sourcetype" and value == "journald"):
            self._signs.add(squeezed)
        if name := _RESPELLED.get(squeezed):
            self._keep(name, 1, value)

    def _keep(self, name: str, rank: int, value: object) -> None:
        """Of several values the one that is nearest to the journal's own counts, and any before none."""
        if value is None:
            return
        before = self.found.get(name)
        if before is None or rank < before[0]:
            self.found[name] = rank, json_value(value)
