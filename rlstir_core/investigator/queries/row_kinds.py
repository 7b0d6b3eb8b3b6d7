"""What kind of event a row is, by its event id, its program and its words: alike for Windows and Linux.

None of it is learnt, and none of it says whether something is an attack. What does not belong here: which entity a row
names (`entities.py`), and rows that only their number or their times make remarkable (`remarkable.py`).
"""

# N log rows
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from rlstir_core.arrays import Bools
from rlstir_core.investigator.queries.columns import LogColumns
from rlstir_core.investigator.queries.entities import LogEntities


def _ids(*spans: int | range) -> frozenset[str]:
    return frozenset(str(each) for span in spans for each in ([span] if isinstance(span, int) else span))


_LOGON: Final = _ids(4624, 4648, 4768, 4769, 4778)
_FAILED: Final = _ids(4625, 4740, 4771, 4777)
_RIGHTS: Final = _ids(4672, 4673, 4674, 4703, 4704, 4705, 4717, 4718, range(4720, 4768), range(4780, 4800), 5136)
_SERVICE: Final = _ids(4697)
_TASK: Final = _ids(range(4698, 4703))
_SHARE: Final = _ids(5140, 5142, 5143, 5145)
_LOGGING: Final = _ids(1100, 1101, 1102, 1104, 1105, 104, 4719, 4616, 4902, 4906, 4907, 4912)
_SYSTEM_LOGGING: Final = _ids(6005, 6006, 6008)
_DEFENCE: Final = _ids(5001, 5007, 5010, 5012)
_SYSMON: Final = {"logging_N": _ids(4, 16, 255), "autorun_N": _ids(19, 20, 21)}
_SECURITY: Final = {
    "logon_N": _LOGON, "failed_N": _FAILED, "rights_N": _RIGHTS, "service_N": _SERVICE, "task_N": _TASK,
    "remote_N": _SHARE, "logging_N": _LOGGING,
}  # fmt: skip
_PROVIDERS: Final = (
    ("Service Control Manager", ["service_N"]),
    ("TaskScheduler", ["task_N"]),
    ("PowerShell", ["script_N"]),
    ("TerminalServices", ["logon_N", "remote_N"]),
    ("WinRM", ["logon_N", "remote_N"]),
    ("WMI-Activity", ["autorun_N"]),
    ("Kernel-General", ["logging_N"]),
    ("Time-Service", ["logging_N"]),
)
_OVER_NETWORK = re.compile(r'"LogonType":\s*"?(?:3|10)\b')
_LOGON_RECORDS: Final = frozenset({"USER_LOGIN", "USER_AUTH", "USER_START", "LOGIN", "USER_ERR"})
_RIGHTS_RECORDS: Final = frozenset(
    {"USER_CMD", "USER_MGMT", "ADD_USER", "DEL_USER", "ADD_GROUP", "DEL_GROUP", "USER_CHAUTHTOK", "GRP_MGMT",
     "ACCT_LOCK", "CHUSER_ID", "CHGRP_ID", "USER_ROLE_CHANGE", "CAPSET", "ROLE_ASSIGN"}
)  # fmt: skip
_RIGHTS_PROGRAMS: Final = frozenset(
    {"sudo", "su", "pkexec", "useradd", "userdel", "usermod", "groupadd", "groupdel", "groupmod", "gpasswd", "passwd",
     "chpasswd", "chage", "visudo", "adduser", "deluser"}
)  # fmt: skip
_CRON: Final = frozenset({"cron", "crond", "crontab", "anacron", "atd", "at", "run-parts"})
_FAILS = re.compile(r"failed password|authentication failure|invalid user|failed (?:none|publickey)|failure;", re.I)
_ACCEPTS = re.compile(r"^accepted |session opened for user|new session", re.I)
_REMOTE = re.compile(r"^accepted \S+ for \S+ from|connection from|connect from|session setup", re.I)
_AUTORUN = re.compile(
    r"\\currentversion\\(?:run|runonce|policies\\explorer\\run)|\\winlogon(?:\\|$)|\\image file execution options\\"
    r"|\\start menu\\programs\\startup|appinit_dlls|\\userinit|\\active setup\\|\\control\\lsa\\|\\shell folders"
    r"|/etc/rc\.local|/etc/profile|/\.bashrc|/\.profile|/\.bash_profile|/\.zshrc|/etc/bash\.bashrc|/etc/init\.d/"
    r"|/systemd/(?:system|user)/|ld\.so\.preload|authorized_keys|/autostart/|/etc/udev/|update-motd|/etc/pam\.d/"
    r"|/etc/modules|/etc/xdg/",
    re.I,
)
_TASKED = re.compile(
    r"\bschtasks|scheduledtask|\\system32\\tasks\\|\\taskcache\\|crontab|/etc/cron|/var/spool/cron|/etc/anacron"
    r"|(?:^|[\s/])at(?:\.exe)? (?:-f|now|\d)|\.timer\b|systemd-run --on",
    re.I,
)
_SERVED = re.compile(
    r"\bsc(?:\.exe)?\"? (?:\\\\\S+ )?(?:create|config|start|stop|delete|sdset|failure|query)"
    r"|\bnet1?(?:\.exe)?\"? (?:start|stop)\b"
    r"|-service\b|\bsystemctl\b|\bservice \S+ (?:start|stop|restart)|\\currentcontrolset\\services\\|\.service\b"
    r"|\bupdate-rc\.d\b|\bchkconfig\b",
    re.I,
)
_LOGS = re.compile(
    r"\bwevtutil|clear-eventlog|limit-eventlog|\bauditpol|\bauditctl|--vacuum|\blogrotate|/var/log/|\\winevt\\|\.evtx\b"
    r"|\bfsutil usn|\bhistory -c|_history\b|\beventlog\b|backlog limit|suppressed \d+ messages|clock was stepped"
    r"|exiting on signal|\[origin software|journal (?:started|stopped)|rotat|set-date|\btimedatectl\b"
    r"|time has been changed",
    re.I,
)
_INLINE = re.compile(
    r"(?:powershell(?:_ise)?|pwsh|wscript|cscript|mshta|(?:^|[\\/ ])(?:python[\d.]*|perl|ruby|php[\d.]*|node|bash|dash"
    r"|sh|zsh|ksh|cmd|osascript))(?:\.exe)?\"? +\S",
    re.I,
)
ADMIN_PORTS: Final = frozenset({22, 23, 135, 139, 445, 3389, 5900, 5985, 5986})


@dataclass(frozen=True, kw_only=True, eq=False)
class RowKinds:
    """Which rows are of which kind; a row can be of several. (N,) each."""

    logon_N: Bools
    failed_N: Bools
    rights_N: Bools
    service_N: Bools
    task_N: Bools
    autorun_N: Bools
    script_N: Bools
    remote_N: Bools
    logging_N: Bools


def kinds_of(columns: LogColumns, entities: LogEntities, ports: dict[int, set[int]]) -> RowKinds:
    """The kinds of every row; `ports` are those that a row's connections go to."""
    found = {name: np.zeros(len(columns), np.bool_) for name in RowKinds.__dataclass_fields__}
    for row, (channel, provider, event, message, command) in enumerate(
        zip(columns.channel, columns.provider, columns.event_id, columns.message, columns.cmdline, strict=True)
    ):
        if channel in ("evtx", "sysmon"):
            names = _windows(provider, event, columns.fields_json[row])
        elif channel == "auditd":
            names = _auditd(event, message, columns.exe[row].rpartition("/")[2])
        else:
            names = _syslog(provider.lower(), message)
        for name in names:
            found[name][row] = True
        words = f"{command[:2_000]} {message[:400]}" if channel in ("auth", "journald") else command[:2_000]
        if words:
            _by_words(found, row, words, _INLINE.search(command[:2_000]) is not None and channel != "journald")
    _by_paths(found, columns, entities)
    for row, its in ports.items():
        if its & ADMIN_PORTS:
            found["remote_N"][row] = True
    return RowKinds(**found)


def _windows(provider: str, event: str, fields: str) -> list[str]:
    if "Sysmon" in provider:
        return [name for name, ids in _SYSMON.items() if event in ids]
    if "Security-Auditing" in provider or provider in ("", "Microsoft-Windows-Eventlog"):
        names = [name for name, ids in _SECURITY.items() if event in ids]
        if event == "4776" and '"0x0"' not in fields:
            names.append("failed_N")
        if event in _LOGON and (event != "4624" or _OVER_NETWORK.search(fields)):
            names.append("remote_N")
        return names
    found = [name for word, names in _PROVIDERS for name in names if word in provider]
    if "Defender" in provider and event in _DEFENCE:
        found.append("service_N")
    if event in _SYSTEM_LOGGING:
        found.append("logging_N")
    return found


def _auditd(record: str, message: str, program: str) -> list[str]:
    names = []
    if record in _LOGON_RECORDS:
        names.append("failed_N" if "res=failed" in message or "res=0" in message else "logon_N")
        if record == "USER_LOGIN" or " addr=" in message:
            names.append("remote_N")
    if record in _RIGHTS_RECORDS or (record.startswith(("USER_", "CRED_")) and program in _RIGHTS_PROGRAMS):
        names.append("rights_N")
    if record in ("SERVICE_START", "SERVICE_STOP"):
        names.append("service_N")
    if record.startswith(("DAEMON_", "CONFIG_CHANGE", "FEATURE_CHANGE")):
        names.append("logging_N")
    if record != "SYSCALL" and program in _CRON:
        names.append("task_N")
    return names


def _syslog(provider: str, message: str) -> list[str]:
    names = []
    if _FAILS.search(message[:300]):
        names.append("failed_N")
    elif _ACCEPTS.search(message[:300]):
        names.append("logon_N")
    if _REMOTE.search(message[:300]):
        names.append("remote_N")
    if provider in _RIGHTS_PROGRAMS:
        names.append("rights_N")
    if provider == "systemd":
        names.append("service_N")
    if provider in _CRON:
        names.append("task_N")
    if provider in ("rsyslogd", "systemd-journald", "auditd", "kernel"):
        names.append("logging_N")
    return names


def _by_words(found: dict[str, Bools], row: int, words: str, inline: bool) -> None:
    for name, pattern in (
        ("autorun_N", _AUTORUN), ("task_N", _TASKED), ("service_N", _SERVED), ("logging_N", _LOGS),
    ):  # fmt: skip
        if pattern.search(words):
            found[name][row] = True
    if inline:
        found["script_N"][row] = True


def _by_paths(found: dict[str, Bools], columns: LogColumns, entities: LogEntities) -> None:
    """Rows that touch such a file or key; each path is looked at once."""
    files = entities.kinds["file"]
    for name, pattern in (
        ("autorun_N", _AUTORUN), ("task_N", _TASKED), ("service_N", _SERVED), ("logging_N", _LOGS),
    ):  # fmt: skip
        such = np.array([pattern.search(path[:400]) is not None for path in files.names], np.bool_)
        if such.any():
            found[name][files.row_M[such[files.entity_M]]] = True
