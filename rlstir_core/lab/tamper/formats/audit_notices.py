"""What auditd and the kernel themselves write in the audit log when auditing stops, starts, rotates.

What does not belong here: when that happens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rlstir_core.lab.tamper.records.entry import MADE_UP, NONE, SECOND_NS, Entry, wording

_START = (
    "op=start ver={ver} format={format} kernel={kernel} auid=4294967295 pid={pid} uid=0 ses=4294967295 "
    "subj=unconfined res=success"
)
_DAEMON = {
    "started": ("DAEMON_START", _START),
    "stopped": ("DAEMON_END", "op=terminate auid=0 uid=0 ses=4294967295 pid=1 subj=unconfined res=success"),
    "rotated": ("DAEMON_ROTATE", "op=rotate-logs auid=0 uid=0 ses=4294967295 pid=1 subj=unconfined res=success"),
}
_KERNEL = {
    "off": ("CONFIG_CHANGE", "op=set audit_enabled=0 old=1 auid={auid} ses={ses} subj=unconfined res=1"),
    "on": ("CONFIG_CHANGE", "op=set audit_enabled=1 old=0 auid={auid} ses={ses} subj=unconfined res=1"),
}
# as older kernels and daemons say it
_OTHERWISE = {
    "off": ("CONFIG_CHANGE", "audit_enabled=0 old=1 auid={auid} ses={ses} res=1"),
    "on": ("CONFIG_CHANGE", "audit_enabled=1 old=0 auid={auid} ses={ses} res=1"),
    "stopped": ("DAEMON_END", "op=terminate auid=0 pid=1 subj=? res=success"),
    "started": (
        "DAEMON_START",
        "op=start ver=2.8.5 format={format} kernel={kernel} auid=4294967295 pid={pid} subj=? res=success",
    ),
}
NOTICES = frozenset({"cleared", *_DAEMON, *_KERNEL})
_NODE = re.compile(rb"(node=\S+ )?type=")
_HEX = re.compile(rb"audit\([0-9]+\.([0-9]+):")


def notice(what: str, like: Entry, ts_ns: int, number: int, **given: object) -> Entry | None:
    """The record, in the manner of the log that `like` stands in. `number` counts for the kernel's records only."""
    # a log that was emptied goes on when the daemon opens it anew
    what = "started" if what == "cleared" else what
    enriched = any(b"\x1d" in line for line in like.payload)
    if what in _DAEMON:
        kind, body = _DAEMON[what]
        serial = int(str(given.get("daemon", 7431)))
        number = NONE
    elif what in _KERNEL:
        kind, body = _KERNEL[what]
        serial = max(number, 0)
    else:
        return None
    node = next((match[1] or b"" for line in like.payload if (match := _NODE.match(line))), b"")
    # one host words all its notices alike, and such a record seldom names the host
    lot = wording(like.log) + int(str(given.get("ses", 0))) + int(str(given.get("daemon", 0))) // 64
    if lot % 2:
        kind, body = _OTHERWISE.get(what, (kind, body))
    words: Mapping[str, object] = {
        "ver": "3.0.7",
        "format": "enriched" if enriched else "raw",
        "kernel": "5.15.0-91-generic",
        "pid": 712,
        "auid": 0,
        "ses": 3,
        **given,
    }
    if like.payload and not any(_HEX.search(line) for line in like.payload):
        return None  # `ausearch -i`: its dates have no zone that is known
    stamp = f"audit({ts_ns // SECOND_NS}.{ts_ns % SECOND_NS // 1_000_000:03d}:{serial})"
    line = f"type={kind} msg={stamp}: {body.format(**words)}"
    if enriched:
        names = {"0": "root", "4294967295": "unset"}
        auid = re.search(r"auid=(\S+)", line)
        line += "\x1dAUID=" + f'"{names.get(auid[1] if auid else "", "unknown")}"'
    return Entry(
        place=MADE_UP,
        ts_ns=ts_ns // 1_000_000 * 1_000_000,
        number=number,
        event_id=kind,
        channel=like.channel,
        log=like.log,
        source=kind,
        payload=[node + line.encode() + b"\n"],
    )
