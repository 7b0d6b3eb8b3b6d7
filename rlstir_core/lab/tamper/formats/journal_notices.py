"""What journald, systemd, the kernel and time daemons themselves write in the journal.

What does not belong here: when that happens.
"""

from __future__ import annotations

from rlstir_core.lab.tamper.records.entry import MADE_UP, NONE, Entry, wording
from rlstir_core.lab.tamper.records.json_text import EditedLine, JsonRecord

_US = 1000
# program, its fields, MESSAGE_ID, text
_JOURNALD = ("systemd-journald", "301", "/usr/lib/systemd/systemd-journald", "systemd-journald.service", "driver")
_KERNEL = ("kernel", "", "", "", "kernel")
_TEXTS: dict[str, tuple[tuple[str, str, str, str, str], str, str]] = {
    "cleared": (_JOURNALD, "f77379a8490b408bbe5f6940505a777b", "Journal started"),
    "stopped": (_JOURNALD, "d93fb3c9c24d451a97cea615ce59c00b", "Journal stopped"),
    "started": (_JOURNALD, "f77379a8490b408bbe5f6940505a777b", "Journal started"),
    "suppressed": (_JOURNALD, "a596d6fe7bfa4994828e72309e95d61e", "Suppressed {n} messages from {unit}"),
    "suspended": (_KERNEL, "", "PM: suspend entry (s2idle)"),
    "resumed": (_KERNEL, "", "PM: suspend exit"),
    "lost": (_KERNEL, "", "audit: audit_lost={n} audit_rate_limit=0 audit_backlog_limit=64"),
    "backlog": (_KERNEL, "", "audit: backlog limit exceeded"),
    "stepped": (
        ("chronyd", "741", "/usr/sbin/chronyd", "chrony.service", "syslog"),
        "",
        "System clock was stepped by {step_s:.6f} seconds",
    ),
}
# as older versions say it, or others of the same moment
_OTHERWISE = {
    "cleared": (
        _JOURNALD,
        "ec387f577b844b8fa948f33cad9a75e6",
        "System Journal (/var/log/journal) is 8.0M, max 4.0G, 3.9G free.",
    ),
}
NOTICES = frozenset(_TEXTS)
_KEPT = (
    *("__CURSOR", "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP", "__SEQNUM", "__SEQNUM_ID", "_BOOT_ID"),
    *("_MACHINE_ID", "_HOSTNAME", "_RUNTIME_SCOPE"),
)


def notice(what: str, like: Entry, ts_ns: int, number: int, **words: object) -> Entry | None:
    """The entry, with such fields as the entries of the log have; `like` gives boot, host and clocks."""
    if what not in _TEXTS:
        return None
    said = _OTHERWISE.get(what, _TEXTS[what]) if wording(like.log) % 2 else _TEXTS[what]
    (program, pid, exe, unit, transport), message_id, text = said
    if program == "systemd-journald":
        pid = str(words.get("pid", pid))
    line = EditedLine(like.payload[0])
    before = line.record
    record: JsonRecord = {key: before[key] for key in before if key in _KEPT}
    record["PRIORITY"] = "4" if transport == "kernel" else "6"
    record["_TRANSPORT"] = transport
    record["SYSLOG_IDENTIFIER"] = program
    if pid:
        record |= {"_PID": pid, "_UID": "0", "_GID": "0", "_COMM": program[:15], "_EXE": exe, "_SYSTEMD_UNIT": unit}
    if message_id:
        record["MESSAGE_ID"] = message_id
    record["MESSAGE"] = text.format(**words)
    line.record = record
    return Entry(
        place=MADE_UP,
        ts_ns=ts_ns // _US * _US,
        number=number if like.number >= 0 else NONE,
        event_id=message_id,
        channel=like.channel,
        log=like.log,
        source=program,
        payload=[line.text()],
        # clocks and cursor are those of the other entry until this one is written
        edits={"shift_ns": ts_ns // _US * _US - _wall_ns(record, like), "number": number - like.number},
    )


def _wall_ns(record: JsonRecord, like: Entry) -> int:
    value = str(record.get("__REALTIME_TIMESTAMP", ""))
    return int(value) * _US if value.isdecimal() and len(value) < 18 else like.ts_ns
