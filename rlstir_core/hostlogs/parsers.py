"""The parser of each format, and the format of each member of an episode.

What does not belong here: any parsing.
"""

from __future__ import annotations

from rlstir_core.hostlogs.auditd import parser as audit
from rlstir_core.hostlogs.journald import parser as journald
from rlstir_core.hostlogs.recognise import Format
from rlstir_core.hostlogs.schema import Parser
from rlstir_core.hostlogs.syslog import parser as syslog
from rlstir_core.hostlogs.windows import evtx
from rlstir_core.hostlogs.windows import json_events as windows_json

PARSERS: dict[Format, Parser] = {
    "audit": audit.rows,
    "syslog": syslog.rows,
    "journald": journald.rows,
    "windows_json": windows_json.rows,
    "evtx": evtx.rows,
}
MEMBERS: dict[Format, str] = {
    "audit": "logs/audit.log",
    "syslog": "logs/auth.log",
    "journald": "logs/journal.jsonl",
    "windows_json": "logs/sysmon.jsonl",
    "evtx": "logs/events.evtx",
}


def format_of(member: str) -> Format | None:
    """The format that a member of an episode has by its name; None where it is no log."""
    if member.startswith("logs/") and member.endswith(".evtx"):
        return "evtx"
    return next((kind for kind, name in MEMBERS.items() if name == member), None)
