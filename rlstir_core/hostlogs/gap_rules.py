"""Two plain rules for gaps in logs, to be beaten: any gap and any step back, and the rule of Chainsaw's `analyse gaps`.

Both look at the rows of one episode and say which rows made them speak. Honest logs make them speak too: a filtered
export leaves gaps in the events' own ids. The second is written anew from its description: a gap in the ids of the
record headers, or half an hour of silence inside a log. What does not belong here: detectors that learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlstir_core.hostlogs.times.spelled import parse_time
from rlstir_core.hostlogs.windows.record import plain

QUIET_NS = 1_800_000_000_000
_KEPT = 1000  # reasons of one episode
_MOST = 2**63 - 1


class Ids(NamedTuple):
    """The numbers of a record; -1 where it has none."""

    log: str = ""  # numbers count within it: a Windows channel, a journal
    number: int = -1  # the event's own
    header: int = -1  # of the file's record, EVTX only
    written_ns: int | None = None  # the header's clock


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a rule spoke: between these two rows of the table."""

    why: str  # id-gap, time-back, quiet
    log: str
    rows: tuple[int, int]
    size: int  # ids that are missing, or nanoseconds


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says of an episode; at most the first thousand reasons are kept."""

    flagged: bool
    reasons: tuple[Reason, ...] = ()


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


_IDS = {"auditd": audit_ids, "journald": journal_ids, "sysmon": windows_ids, "evtx": windows_ids}


def naive_rule(rows: pa.Table) -> Flag:
    """Any gap in the events' own numbers, and any step back of the file's clock: the header's where there is one."""
    return _naive(_logs(rows))


def chainsaw_rule(rows: pa.Table, quiet_ns: int = QUIET_NS) -> Flag:
    """A gap in the numbers of the record headers (of the events where there are none), or silence inside a log."""
    return _chainsaw(_logs(rows), quiet_ns)


def both_rules(rows: pa.Table) -> tuple[Flag, Flag]:
    """What `naive_rule` and `chainsaw_rule` say, from one reading of the rows."""
    logs = _logs(rows)
    return _naive(logs), _chainsaw(logs, QUIET_NS)


def _naive(logs: list[_Log]) -> Flag:
    found: list[Reason] = []
    for log in logs:
        found += _gaps(log, log.number_N)
        clock_N = np.where(log.has_written_N, log.written_N, log.ts_N)
        found += _steps(log, "time-back", -np.diff(clock_N), 1)
    return _flag(found)


def _chainsaw(logs: list[_Log], quiet_ns: int) -> Flag:
    found: list[Reason] = []
    for log in logs:
        found += _gaps(log, np.where(log.header_N >= 0, log.header_N, log.number_N))
        found += _steps(log, "quiet", np.diff(log.ts_N), quiet_ns)
    return _flag(found)


class _Log(NamedTuple):
    """The rows of one log (a member, a host, a channel) in the order of the file."""

    name: str
    row_N: NDArray[np.int64]
    ts_N: NDArray[np.int64]
    number_N: NDArray[np.int64]
    header_N: NDArray[np.int64]
    written_N: NDArray[np.int64]
    has_written_N: NDArray[np.bool_]


def _logs(rows: pa.Table) -> list[_Log]:
    columns = ("member", "host", "channel", "provider", "event_id", "fields_json", "parsed", "seq", "ts_ns")
    member, host, channel, provider, event_id, fields, parsed, seq, ts = (rows[name].to_pylist() for name in columns)
    places: dict[tuple[str, str, str, str], list[tuple[int, Ids]]] = {}
    for row in sorted(range(len(rows)), key=lambda each: (member[each], seq[each])):
        read = _IDS.get(channel[row])
        # the audit daemon counts its own records
        own = channel[row] == "auditd" and event_id[row].startswith("DAEMON_")
        if not parsed[row] or own:
            continue
        ids = read(fields[row]) if read else _NOTHING
        of = ids.log or (provider[row] if channel[row] in ("sysmon", "evtx") else "")
        places.setdefault((member[row], host[row], channel[row], of), []).append((row, ids))
    return [
        _Log(
            name=" ".join(word for word in key[1:] if word),
            row_N=np.array([row for row, _ in each], np.int64),
            ts_N=np.array([ts[row] for row, _ in each], np.int64),
            number_N=np.array([ids.number for _, ids in each], np.int64),
            header_N=np.array([ids.header for _, ids in each], np.int64),
            written_N=np.array([_bounded(ids.written_ns) for _, ids in each], np.int64),
            has_written_N=np.array([ids.written_ns is not None for _, ids in each], bool),
        )
        for key, each in sorted(places.items())
    ]


def _gaps(log: _Log, number_N: NDArray[np.int64]) -> list[Reason]:
    """Numbers that are missing between the log's smallest and largest; the order of the file does not matter."""
    there_N = np.flatnonzero(number_N >= 0)
    order_N = there_N[np.argsort(number_N[there_N], kind="stable")]
    missing_N = np.diff(number_N[order_N]) - 1
    return [
        Reason(
            why="id-gap",
            log=log.name,
            rows=(int(log.row_N[order_N[at]]), int(log.row_N[order_N[at + 1]])),
            size=int(missing_N[at]),
        )
        for at in np.flatnonzero(missing_N > 0)[:_KEPT]
    ]


def _steps(log: _Log, why: str, size_N: NDArray[np.int64], least: int) -> list[Reason]:
    return [
        Reason(why=why, log=log.name, rows=(int(log.row_N[at]), int(log.row_N[at + 1])), size=int(size_N[at]))
        for at in np.flatnonzero(size_N >= least)[:_KEPT]
    ]


def _flag(found: Sequence[Reason]) -> Flag:
    return Flag(flagged=bool(found), reasons=tuple(found[:_KEPT]))


def _whole(value: Any) -> int:
    """A number, also one written as text; -1 for anything else."""
    if type(value) is str and value.isdecimal() and value.isascii() and len(value) <= 18:
        return int(value)
    return value if type(value) is int and 0 <= value <= _MOST else -1


def _bounded(ns: int | None) -> int:
    return 0 if ns is None else min(max(ns, -_MOST), _MOST)
