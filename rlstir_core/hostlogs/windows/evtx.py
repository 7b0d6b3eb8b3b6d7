"""EVTX files to log rows, with both ids and both clocks of every record; damage costs its own records only.

A record has a header, which the writer of the *file* fills, and an event, which the writer of the event filled: a
filtered export renumbers and restamps the headers. `ts_ns` is the event's; both stay in `fields_json`, the header's
as `RecordHeader`. What does not belong here: what events mean (`event.py`).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from evtx import PyEvtxParser

from rlstir_core.hostlogs.opening.lines import Line
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.spec import ParserSpec
from rlstir_core.hostlogs.times.spelled import fits, parse_time
from rlstir_core.hostlogs.unparsed import unparsed
from rlstir_core.hostlogs.windows.event import (
    Envelope,
    complete,
    event_id_text,
    flatten,
    plan_of,
    plan_row,
    provider_named,
)

MAX_BYTES = 256 << 20
MAGIC = b"ElfFile\0"
_HEADER = 4096
_CHUNK = 65536
_CHUNK_HEADER = 512
_RECORD_HEADER = 24
_RECORD_MAGIC = b"**\0\0"
_APART_NS = 1_000_000_000
_FAULTS = 10_000  # more than a damaged file of the largest size has chunks


class _Attributes(msgspec.Struct, gc=False):
    name: str = msgspec.field(default="", name="Name")
    time: str = msgspec.field(default="", name="SystemTime")
    process: int | str | None = msgspec.field(default=None, name="ProcessID")
    thread: int | str | None = msgspec.field(default=None, name="ThreadID")
    user: str | None = msgspec.field(default=None, name="UserID")


class _Element(msgspec.Struct, gc=False):
    attributes: _Attributes = msgspec.field(name="#attributes", default_factory=_Attributes)


class _System(msgspec.Struct, gc=False):
    provider: _Element | None = msgspec.field(default=None, name="Provider")
    event_id: int | str | dict[str, Any] | None = msgspec.field(default=None, name="EventID")
    time: _Element | None = msgspec.field(default=None, name="TimeCreated")
    record_id: int | str | None = msgspec.field(default=None, name="EventRecordID")
    execution: _Element | None = msgspec.field(default=None, name="Execution")
    channel: str | None = msgspec.field(default=None, name="Channel")
    computer: str | None = msgspec.field(default=None, name="Computer")
    security: _Element | None = msgspec.field(default=None, name="Security")


class _Event(msgspec.Struct, gc=False):
    system: _System = msgspec.field(name="System")
    data: dict[str, Any] | None = msgspec.field(default=None, name="EventData")
    user_data: dict[str, Any] | None = msgspec.field(default=None, name="UserData")


class _Record(msgspec.Struct, gc=False):
    event: _Event = msgspec.field(name="Event")


_RECORD = msgspec.json.Decoder(_Record)
_NOTHING = _Element()


def rows(chunks: Iterable[bytes], context: LogContext, limit: int = MAX_BYTES) -> Iterator[LogRow]:
    """The rows of an EVTX file that arrives in chunks; it is held in memory, and refused beyond `limit` bytes."""
    parts, n = [], 0
    for chunk in chunks:
        n += len(chunk)
        if n > limit:
            yield _fault(context, 0, f"the file is larger than {limit} bytes; split it", context.near_ns or 0)
            return
        parts.append(chunk)
    missing = (_HEADER - n) % _CHUNK
    data = b"".join(parts)
    parts.clear()
    if n > _HEADER and missing:
        data = _whole_records(data, n - (_CHUNK - missing))
    last_ns = context.near_ns or 0
    for row in _read(io.BytesIO(data), context):
        last_ns = row.ts_ns
        yield row
    if n > _HEADER and missing:
        yield _fault(context, 0, f"the file ends inside a chunk, {missing} bytes early", last_ns)


def _whole_records(data: bytes, chunk: int) -> bytes:
    """The file with its cut last chunk, which begins at `chunk`, filled up: the library reads whole chunks only.

    The record that the cut goes through is left out: zeros in its place would pass for empty fields.
    """
    at = chunk + _CHUNK_HEADER
    while data[at : at + 4] == _RECORD_MAGIC:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if size < _RECORD_HEADER or at + size > len(data):
            break
        at += size
    kept = data[: min(at, len(data))]
    return kept + bytes(chunk + _CHUNK - len(kept))


def _read(source: io.BytesIO, context: LogContext) -> Iterator[LogRow]:
    last_ns = context.near_ns or 0
    try:
        records = PyEvtxParser(source).records_json()
    except Exception as error:  # the library raises RuntimeError and OSError by its own rules
        yield _fault(context, 0, str(error), last_ns)
        return
    n = n_faults = 0
    while True:
        n += 1
        try:
            record: Any = next(records)
        except StopIteration:
            return
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in Rust is no Exception
            yield _fault(context, n, str(error), last_ns)
            n_faults += 1
            if not isinstance(error, Exception) or n_faults >= _FAULTS:
                yield _fault(context, n, "the rest of the file is not read", last_ns)
                return
            continue
        row = _row(record["data"], record["event_record_id"], record["timestamp"], last_ns, context)
        last_ns = row.ts_ns
        yield row


def _row(data: str, record_id: int, written: str, last_ns: int, context: LogContext) -> LogRow:
    try:
        event = _RECORD.decode(data).event
    except (ValueError, RecursionError) as error:
        return _fault(context, record_id, f"{error}: {data[:4096]}", last_ns)
    system = event.system
    written = written.removesuffix(" UTC")
    stamp = (system.time or _NOTHING).attributes.time
    parsed = parse_time(stamp)
    fields = _fields(event.data or event.user_data)
    provider, event_id = (system.provider or _NOTHING).attributes.name, system.event_id
    plan = plan_of(
        provider or provider_named(provider, system.channel),
        event_id if type(event_id) is str else event_id_text(event_id),
        False,
        fields,
    )
    row = plan_row(
        plan,
        fields,
        parsed[0] if parsed is not None and fits(parsed[0]) else last_ns,
        system.computer or context.host,
        f'{{"RecordHeader":{{"EventRecordID":{record_id},"TimeWritten":"{written}"}},{data[1:]}',
    )
    if not row.user or not row.sid or row.pid < 0 or plan.names.text:
        execution, security = (system.execution or _NOTHING).attributes, (system.security or _NOTHING).attributes
        complete(
            row,
            plan,
            fields,
            Envelope(execution_pid=execution.process, execution_tid=execution.thread, sid=security.user or ""),
        )
    row.clock_mismatch = (system.record_id is not None and str(system.record_id) != str(record_id)) or (
        stamp[:19] != written[:19] and _apart(parsed, written)
    )
    return row


def _fields(data: dict[str, Any] | None) -> dict[str, Any]:
    if not data:
        return {}
    kinds = set(map(type, data.values()))
    if dict in kinds or list in kinds or "Data" in data:
        return flatten(data)
    return data


def _apart(ours: tuple[int, bool] | None, written: str) -> bool:
    theirs = parse_time(written)
    return ours is not None and theirs is not None and abs(ours[0] - theirs[0]) > _APART_NS


def _fault(context: LogContext, n: int, why: str, ts_ns: int) -> LogRow:
    """A record, a chunk or a file that cannot be read: its text is the reason, for it has no other."""
    return unparsed(Line(n, why.encode("utf-8", "backslashreplace")), "evtx", "", context, ts_ns, why)


SPEC = ParserSpec(format="evtx", rows=rows, magic=b"ElfFile\x00")
