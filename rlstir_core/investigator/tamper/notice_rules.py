"""Rules on what a host itself says about its logs: cleared, auditing off and on, a daemon that starts without an end.

Windows 1102 and 104 say that a log was cleared; a change of the audit policy that takes events away, and the kernel's
`audit_enabled=0`, say since when nothing is written. A daemon that starts anew, though it never ended and the host was
not started either, stands where a log was emptied. What does not belong here: who may do so rightly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rlstir_core.hostlogs.windows.field_names import AUDIT_LOG, SECURITY
from rlstir_core.investigator.tamper.finding import Finding
from rlstir_core.investigator.tamper.log_file import LogFile

_SUBCATEGORY = re.compile(r'"Subcategory(?:Guid|Id)" ?: ?"([^"]{1,64})"')
_CLEARED = re.compile(r'"Channel" ?: ?"([^"]{1,128})"')
_REMOVED = ("%%8448", "%%8450")
_ADDED = ("%%8449", "%%8451")
_ENABLED = re.compile(r'"audit_enabled" ?: ?"([0-9])"')
_SERIAL = re.compile(r'^\{"serial":([0-9]{1,18})')
_STARTS = re.compile(r"(?: |\(re\))start$|Journal started$|: restart$|starting up|^System Journal .* is [0-9]")
_BOOT_SERIALS = 200  # of the kernel, until its daemon is there
_AROUND = 30
_END = ("DAEMON_END", "DAEMON_ABORT")


def notices(file: LogFile) -> Iterator[Finding]:
    """Every such notice, with the stretch that it opens."""
    if file.system == "windows":
        yield from _cleared(file)
        yield from _policy(file)
    elif file.system == "audit":
        yield from _kernel_switch(file)
        yield from _audit_starts(file)
    else:
        yield from _syslog_starts(file)


def _cleared(file: LogFile) -> Iterator[Finding]:
    for at, event_id in enumerate(file.event_id):
        if event_id not in ("1102", "104") or file.provider[at] != AUDIT_LOG or file.log_N[at] < 0:
            continue
        names = _CLEARED.findall(file.fields[at])
        of = "Security" if event_id == "1102" else (names[-1] if names else "")
        after = _next_of(file, at, of)
        yield Finding(
            rule="cleared",
            kind="clear_log_event",
            log=file.logs[int(file.log_N[at])].name,
            first=at,
            last=after if at < after <= at + 2 else at,
            gap=False,
            strength=1.0,
            reason=f"event {event_id} says that the log {of or 'of this channel'} was cleared here",
        )


def _next_of(file: LogFile, at: int, channel: str) -> int:
    """The next row of a channel of the same host; -1 where there is none."""
    wanted = channel.lower()
    for log in file.logs:
        if log.name.split(" ", 2)[-1] == wanted and file.host[int(log.at_M[0])] == file.host[at]:
            return next((int(each) for each in log.at_M if each > at), -1)
    return -1


def _policy(file: LogFile) -> Iterator[Finding]:
    off: dict[tuple[str, str], int] = {}
    for at, event_id in enumerate(file.event_id):
        if event_id != "4719" or file.provider[at] != SECURITY or file.log_N[at] < 0:
            continue
        fields = file.fields[at]
        of = _SUBCATEGORY.findall(fields)
        key = file.host[at], of[-1] if of else ""
        if any(word in fields for word in _REMOVED):
            off[key] = at
        elif any(word in fields for word in _ADDED) and key in off:
            yield _disabled(file, off.pop(key), at, "event 4719 takes events out of the audit policy", "4719")
    for at in off.values():
        yield _disabled(file, at, at, "event 4719 takes events out of the audit policy", "4719")


def _disabled(file: LogFile, first: int, last: int, why: str, how: str) -> Finding:
    until = f" until another {how} puts them back" if last > first else ", and nothing puts them back"
    return Finding(
        rule="audit-off",
        kind="audit_disabled",
        log=file.logs[int(file.log_N[first])].name,
        first=first,
        last=last,
        gap=False,
        strength=1.0 if last > first else 0.5,
        reason=why + until,
    )


def _kernel_switch(file: LogFile) -> Iterator[Finding]:
    off = -1
    for at, event_id in enumerate(file.event_id):
        if event_id != "CONFIG_CHANGE" or file.log_N[at] < 0:
            continue
        found = _ENABLED.search(file.fields[at])
        if found and found[1] == "0":
            off = at
        elif found and off >= 0:
            yield _disabled(file, off, at, "the kernel's auditing is switched off (audit_enabled=0)", "CONFIG_CHANGE")
            off = -1
    if off >= 0:
        yield _disabled(file, off, off, "the kernel's auditing is switched off (audit_enabled=0)", "CONFIG_CHANGE")


def _audit_starts(file: LogFile) -> Iterator[Finding]:
    ended = False
    for at, event_id in enumerate(file.event_id):
        if event_id in _END:
            ended = True
        if event_id != "DAEMON_START" or file.log_N[at] < 0:
            continue
        kinds = file.event_id[max(at - _AROUND, 0) : at + _AROUND]
        serial = next((n for n in map(_serial, range(at + 1, min(at + _AROUND, len(file))), [file] * _AROUND) if n), 0)
        if not ended and serial > _BOOT_SERIALS and "SYSTEM_BOOT" not in kinds:
            # a daemon that starts tells the kernel its pid, and the kernel says so
            silent = not any("CONFIG_CHANGE" in kind for kind in file.event_id[at + 1 : at + _AROUND])
            yield Finding(
                rule="start-without-end",
                kind="clear_log_event",
                log=file.logs[int(file.log_N[at])].name,
                first=at,
                last=min(at + 1, len(file) - 1),
                gap=False,
                strength=1.0 if silent else 0.3,
                reason=f"auditd starts here, nothing says that it ended, and the kernel's serials go on at {serial}: "
                "no start of the host" + (", and the kernel heard of no new daemon" if silent else ""),
            )
        ended = False


def _serial(at: int, file: LogFile) -> int:
    found = None if file.event_id[at].startswith("DAEMON_") else _SERIAL.match(file.fields[at])
    return int(found[1]) if found else 0


def _syslog_starts(file: LogFile) -> Iterator[Finding]:
    ended = False
    for at, provider in enumerate(file.provider):
        if provider not in ("rsyslogd", "syslogd", "systemd-journald", "syslog-ng"):
            continue
        message = file.message[at].rstrip(" .")
        if "exiting on signal" in message or message.endswith(("Journal stopped", "shutting down")):
            ended = True
            continue
        if not _STARTS.search(message):
            continue
        around = file.message[max(at - _AROUND, 0) : at + _AROUND]
        if not ended and not any("Linux version" in text or "Command line:" in text for text in around):
            yield Finding(
                rule="start-without-end",
                kind="clear_log_event",
                log=file.logs[int(file.log_N[at])].name,
                first=at,
                last=min(at + 1, len(file) - 1),
                gap=False,
                strength=0.5,
                reason=f"{provider} starts here, nothing says that it ended, and the host did not start either",
            )
        ended = False
