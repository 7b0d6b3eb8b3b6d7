"""One record of a log as an operator sees it, and the changes that an operator can make to it.

A change is noted in `edits` and carried out by the record's form (`formats/forms.py`) when the log is written again, so
that what nobody changed keeps its bytes. What does not belong here: any format, and what is changed why.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import msgspec

MADE_UP = -1
NONE = -1
MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000


class Entry(msgspec.Struct, kw_only=True):
    """A record. Integers are -1 and texts empty where it does not say."""

    place: int  # in the log as it was, or `MADE_UP`
    ts_ns: int
    grain_ns: int = MILLISECOND_NS  # times of the record can move by multiples of it
    number: int = NONE  # audit serial, EventRecordID, sequence number of the journal
    header: int = NONE  # the number of the file's record, where that is another (EVTX)
    pid: int = NONE
    ppid: int = NONE
    exe: str = ""
    cmdline: str = ""
    event_id: str = ""
    channel: str = ""  # as in log rows: auditd, auth, journald, sysmon, evtx
    log: str = ""  # records of one host and log count together: `web1 Security`
    source: str = ""  # what wrote it: a Windows channel, a program, a type of audit record
    session: str = ""  # of the shell that it belongs to, where the record says so
    creates: bool = False  # it says that a process began
    fixed: bool = False  # it could not be read, so nobody touches it
    payload: Sequence[bytes] = ()  # its lines with their ends, as they stand in the log
    fields: str = ""  # what the parser read, as JSON
    edits: dict[str, Any] = {}
    marked: bool = False  # altered or forged by whoever tampered


class LoggedProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process as a record names it."""

    pid: int
    exe: str
    cmdline: str = ""
    guid: str = ""
    user: str = ""


def wording(host: str) -> int:
    """A number that tells how this host words things: the same for all that it writes, without a draw."""
    return zlib.crc32(host.encode("utf-8", "backslashreplace")) >> 8


def shifted(entry: Entry, by_ns: int, *, steady: bool = False, marked: bool = True) -> Entry:
    """The record at another time. With `steady` the clock that counts from the boot stays as it is."""
    by_ns = round(by_ns / entry.grain_ns) * entry.grain_ns
    if not by_ns:
        return entry
    edits = {**entry.edits, "shift_ns": entry.edits.get("shift_ns", 0) + by_ns, "steady": steady}
    return msgspec.structs.replace(entry, ts_ns=entry.ts_ns + by_ns, edits=edits, marked=entry.marked or marked)


def renumbered(entry: Entry, by: int, header_by: int = 0, *, marked: bool) -> Entry:
    """The record with other numbers; an unmarked one is what the host itself would have written."""
    by, header_by = by if entry.number >= 0 else 0, header_by if entry.header >= 0 else 0
    if not by and not header_by:
        return entry
    edits = dict(entry.edits)
    edits["number"] = edits.get("number", 0) + by
    edits["header"] = edits.get("header", 0) + header_by
    return msgspec.structs.replace(
        entry, number=entry.number + by, header=entry.header + header_by, edits=edits, marked=entry.marked or marked
    )


def with_parent(entry: Entry, parent: LoggedProcess) -> Entry:
    """The record of a creation under another parent."""
    return _edited(msgspec.structs.replace(entry, ppid=parent.pid), "parent", parent)


def blanked(entry: Entry) -> Entry:
    """The record without its command text."""
    return _edited(msgspec.structs.replace(entry, cmdline=""), "blank", True)


def rewritten(entry: Entry, key: str, value: str) -> Entry:
    """The record with another value of one field, as the form's `values` names it."""
    return _edited(entry, "fields", {**entry.edits.get("fields", {}), key: value})


def copied(entry: Entry) -> Entry:
    """A forged copy."""
    return msgspec.structs.replace(entry, place=MADE_UP, marked=True)


def _edited(entry: Entry, key: str, value: object) -> Entry:
    return msgspec.structs.replace(entry, edits={**entry.edits, key: value}, marked=True)
