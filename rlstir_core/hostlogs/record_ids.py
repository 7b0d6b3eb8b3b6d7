"""The numbers that a record carries, and the clock of the file's header, from the fields of a log row.

A Windows event has a number of its own and, in EVTX, one that the writer of the file gave; audit events have serials,
journal entries sequence numbers. What does not belong here: what a gap in them means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from rlstir_core.hostlogs.times.spelled import parse_time
from rlstir_core.hostlogs.windows.record import plain

_MOST = 2**63 - 1


class Ids(NamedTuple):
    """The numbers of a record; -1 where it has none."""

    log: str = ""  # numbers count within it: a Windows channel, a journal
    number: int = -1  # the event's own
    header: int = -1  # of the file's record, EVTX only
    written_ns: int | None = None  # the header's clock


class _System(msgspec.Struct, gc=False):
    record_id: object = msgspec.field(default=None, name="EventRecordID")
    channel: object = msgspec.field(default=None, name="Channel")


class _Event(msgspec.Struct, gc=False):
    system: _System | None = msgspec.field(default=None, name="System")


class _Header(msgspec.Struct, gc=False):
    record_id: object = msgspec.field(default=None, name="EventRecordID")
    time: str = msgspec.field(default="", name="TimeWritten")


class _Beat(msgspec.Struct, gc=False):
    record_id: object = None
    channel: object = None


class _Windows(msgspec.Struct, gc=False):
    """The ids of a Windows record in every dialect that is read."""

    event: _Event | None = msgspec.field(default=None, name="Event")
    header: _Header | None = msgspec.field(default=None, name="RecordHeader")
    system: _System | None = msgspec.field(default=None, name="System")
    winlog: _Beat | None = None
    event_record_id: object = msgspec.field(default=None, name="EventRecordID")
    record_id_of_evtxecmd: object = msgspec.field(default=None, name="EventRecordId")
    record_number: object = msgspec.field(default=None, name="RecordNumber")
    id_of_record: object = msgspec.field(default=None, name="RecordId")
    record_id: object = None
    channel: object = msgspec.field(default=None, name="Channel")
    log_name: object = msgspec.field(default=None, name="LogName")


class _Audit(msgspec.Struct, gc=False):
    serial: int = -1


class _Journal(msgspec.Struct, gc=False):
    number: object = msgspec.field(default=None, name="__SEQNUM")
    of: object = msgspec.field(default=None, name="__SEQNUM_ID")
    cursor: object = msgspec.field(default=None, name="__CURSOR")


_WINDOWS = msgspec.json.Decoder(_Windows).decode
_AUDIT = msgspec.json.Decoder(_Audit).decode
_JOURNAL = msgspec.json.Decoder(_Journal).decode
_NOTHING = Ids()


def windows_ids(fields_json: str | bytes) -> Ids:
    """The channel and the numbers of a Windows record."""
    try:
        record = _WINDOWS(fields_json)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _NOTHING
    system = record.event.system if record.event is not None else record.system
    header, written = -1, None
    if record.header is not None:
        header, parsed = _whole(record.header.record_id), parse_time(record.header.time)
        written = parsed[0] if parsed else None
    if system is not None:
        return Ids(plain(system.channel), _whole(system.record_id), header, written)
    if record.winlog is not None:
        return Ids(plain(record.winlog.channel), _whole(record.winlog.record_id), header, written)
    spellings = (
        *(record.event_record_id, record.record_id_of_evtxecmd, record.record_number),
        *(record.id_of_record, record.record_id),
    )
    number = next((_whole(each) for each in spellings if each), -1)
    return Ids(plain(record.channel) or plain(record.log_name), number, header, written)


def audit_ids(fields_json: str | bytes) -> Ids:
    """The serial of an audit event."""
    try:
        return Ids(number=_AUDIT(fields_json).serial)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _NOTHING


def journal_ids(fields_json: str | bytes) -> Ids:
    """The sequence number of a journal entry and the journal that it counts in, of the field or of the cursor."""
    try:
        record = _JOURNAL(fields_json)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _NOTHING
    number, log = _whole(record.number), plain(record.of)
    if isinstance(record.cursor, str) and len(record.cursor) < 1000:
        parts = dict(part.partition("=")[::2] for part in record.cursor.split(";"))
        log = log or parts.get("s", "")
        place = parts.get("i", "")
        if number < 0 and 0 < len(place) <= 15 and all(digit in "0123456789abcdefABCDEF" for digit in place):
            number = int(place, 16)
    return Ids(log, number)


IDS: Mapping[str, Callable[[str | bytes], Ids]] = MappingProxyType(
    {"auditd": audit_ids, "journald": journal_ids, "sysmon": windows_ids, "evtx": windows_ids}
)


def _whole(value: Any) -> int:
    """A number, also one written as text; -1 for anything else."""
    if type(value) is str and value.isdecimal() and value.isascii() and len(value) <= 18:
        return int(value)
    return value if type(value) is int and 0 <= value <= _MOST else -1
