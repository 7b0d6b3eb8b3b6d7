"""Windows events as JSON, one per line, in an array or printed over many lines, to log rows.

A line is read by the fast decoder; whatever that one does not take, or might take though strict JSON forbids it, goes
to the careful one. What does not belong here: dialects (`dialects.py`) and what events mean (`event.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec

from rlstir_core.episodes.reading.strict import parse_line
from rlstir_core.hostlogs.opening.json_frames import OBJECTS_A_LINE, frames
from rlstir_core.hostlogs.opening.lines import Line, lines
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.spec import ParserSpec
from rlstir_core.hostlogs.times.date_orders import DateOrders
from rlstir_core.hostlogs.times.dates import local_time_of_numbers
from rlstir_core.hostlogs.times.reading import LogEvidence, LogReading
from rlstir_core.hostlogs.times.spelled import int64_time
from rlstir_core.hostlogs.times.zones import LearntZone, Zones
from rlstir_core.hostlogs.unparsed import to_json, unparsed
from rlstir_core.hostlogs.windows.dialects import Dialect, dialect_of, flat_provider, nested_event
from rlstir_core.hostlogs.windows.event import Envelope, RowPlan, complete, event_id_text, plan_of, plan_row, to_row
from rlstir_core.hostlogs.windows.flat_blocks import FLAT, FlatBlocks, blocks
from rlstir_core.hostlogs.windows.record import EventTime, account, stamps

NESTING = 32
_ANY = msgspec.json.Decoder(dict[str, Any])
_UINT64_MAX = 2**64 - 1  # Windows writes such numbers: a filter's weight, `no limit`
_KINDS = 4096  # sets of keys, and plans of them, kept at a time
_HELD = 256  # rows without a zone that wait for one
_NUMBERS = re.compile(rb'"\s?:\s?\\?"\d{1,2}[./-]\d{1,2}[./-]\d{4}[ ,T]')  # a date of numbers as a value
_DATE_BYTES = 24
_RECORD = re.compile(rb"Record [0-9]{1,20}\s*")  # what evtx_dump prints above each event
_UNKNOWN: Any = object()  # a plan that was not made yet


def rows(chunks: Iterable[bytes], context: LogContext) -> Iterator[LogRow]:
    """The rows of a log of Windows events; what is no event becomes a row with `parsed` False."""
    found = _rows(chunks, context)
    return _of_an_order(found) if context.reading.order_assumed else found


def _of_an_order(rows: Iterable[LogRow]) -> Iterator[LogRow]:
    """The rows, where nothing tells day from month: those with a date of numbers say so."""
    for row in rows:
        if row.timed and _NUMBERS.search(row.fields_json.encode("utf-8", "replace")):
            row.assumed = f"order {row.assumed}".rstrip()
        yield row


def _rows(chunks: Iterable[bytes], context: LogContext) -> Iterator[LogRow]:
    reader, limit = _Reader(context), context.line_bytes
    by_line, source = _opened(chunks, limit)
    if by_line:
        flat = FlatBlocks()
        for block in blocks(source, limit):
            if len(block) <= limit and (found := flat.read(block)):
                yield from _clean(reader, *found)
            else:
                yield from _unsure(reader, lines(iter((block,)), limit))
            reader.n_lines += block.count(b"\n")
    else:
        yield from _unsure(reader, (line for line in frames(source, limit) if not _RECORD.fullmatch(line.raw)))
    yield from reader.release()


def _clean(reader: _Reader, texts: list[str], records: list[dict[str, Any]]) -> list[LogRow]:
    """The rows of lines whose records are known to be what strict JSON gives."""
    made: list[LogRow] = []
    read = reader.row
    for number, (record, text) in enumerate(zip(records, texts, strict=True), 1):
        row = read(record, text.rstrip())
        if row is not None and not reader.waits and not reader.held:
            made.append(row)
        elif row is not None:
            made.extend(reader.hold(row))
        else:
            for other in reader.carefully(Line(number, text.removesuffix("\r").encode()), record):
                made.extend(reader.hold(other))
    return made


def _unsure(reader: _Reader, values: Iterable[Line]) -> Iterator[LogRow]:
    """The rows of lines each of which must prove itself."""
    for line in values:
        record = _decode(line.raw) if line.whole else None
        row = reader.row(record, line.raw.strip().decode()) if record is not None else None
        if row is not None:
            yield from reader.hold(row)
        elif line.raw.strip():
            for other in reader.carefully(line, record):
                yield from reader.hold(other)


class _Kind(msgspec.Struct):
    """A set of keys: its dialect, and the plans of the events that were met in it."""

    shape: Dialect
    plans: dict[tuple[Any, Any], RowPlan | None]  # None where it is another program's event


class _Reader:
    """One log's state: the sets of keys met, the zone of its times and the time of the last row."""

    def __init__(self, context: LogContext) -> None:
        self.held: list[tuple[LogRow, bool]] = []  # with whether the row's time wants the zone
        self.waits = False  # so does that of the row just made
        self.n_lines = 0  # before the block that is read
        self._context = context
        self._order = context.reading.order
        self._kinds: dict[tuple[str, ...], _Kind] = {}
        self._n_plans = 0
        self._zone = LearntZone()
        self._zones = Zones(context.reading)  # where the log does not tell its zone
        self._gave_up = False  # waiting for it
        self._last_ns = context.near_ns or 0
        self._last_waits = False
        self._stamp: object = None  # as a time, and what it was read as
        self._parsed: tuple[int, bool] | None = None

    def hold(self, row: LogRow) -> Iterator[LogRow]:
        """Keeps a row back while the log's zone is not known, but not too many."""
        self.held.append((row, self.waits))
        self.waits = False
        if self._zone.offset_ns is not None or len(self.held) >= _HELD or not any(waits for _, waits in self.held):
            yield from self.release(at_end=False)

    def release(self, at_end: bool = True) -> Iterator[LogRow]:
        """The rows that were held; a log that does not tell its zone is in the user's, or taken as UTC."""
        self._gave_up = self._gave_up or at_end or len(self.held) >= _HELD
        for row, waits in self.held:
            if waits:
                self._to_utc(row)
            yield row
        self.held = []
        self._last_waits = False

    def _to_utc(self, row: LogRow) -> None:
        if self._zone.offset_ns is not None:
            row.ts_ns -= self._zone.offset_ns
            return
        row.ts_ns, assumed = self._zones.utc(row.ts_ns, row.host)
        if assumed and row.timed:
            row.assumed = "zone"

    def carefully(self, line: Line, record: dict[str, Any] | None) -> Iterator[LogRow]:
        """The rows of a line that the fast decoder refused, or (`record`) that is no event."""
        if record is not None or not line.whole:
            yield self._unparsed(line, "no Windows event")
            return
        found = parse_line(line.raw, NESTING, most=OBJECTS_A_LINE)
        fault = found.fault
        whole = not fault and len(found.objects) == 1  # then its text stands as it was written
        for one in found.objects:
            row = self.row(one, line.raw.strip().decode() if whole else to_json(one))
            if row is not None:
                yield row
            else:
                fault = fault or "no Windows event"
        if fault or not found.objects:
            yield self._unparsed(line, fault or "not JSON")

    def _unparsed(self, line: Line, why: str) -> LogRow:
        line = line._replace(number=self.n_lines + line.number)
        return unparsed(line, "evtx", "", self._context, self._last_ns, why)

    def row(self, record: dict[str, Any], fields_json: str) -> LogRow | None:
        """The row of a record; None where it is no event. `waits` then says whether its time wants a zone."""
        self.waits = False
        keys = tuple(record)
        kind = self._kinds.get(keys)
        if kind is None:
            kind = self._new_kind(keys, record)
        shape = kind.shape
        if shape.kind == "flat":
            return self._flat_row(kind, shape, record, fields_json)
        told = nested_event(record) if shape.kind else None
        if told is None:
            return None
        timed = self._timed(told.times)
        row = to_row(told.event, self._last_ns, fields_json, self._context.host)
        return self._finished(row, timed)

    def _flat_row(self, kind: _Kind, shape: Dialect, record: dict[str, Any], fields_json: str) -> LogRow | None:
        plan_key = (record[shape.event_id], record[shape.source] if shape.source else None)
        try:
            plan = kind.plans.get(plan_key, _UNKNOWN)
        except TypeError:  # an object where a name should be
            plan, plan_key = _UNKNOWN, (None, None)
        if plan is _UNKNOWN:
            plan = self._new_plan(kind, plan_key, record)
        if plan is None:
            return None
        parsed = None
        if shape.time:
            stamp = record[shape.time]
            if type(stamp) is not str or stamp != self._stamp:  # many events of one second follow each other
                self._stamp, self._parsed = stamp, int64_time(stamp, self._order)
            parsed = self._parsed
        timed = True
        if parsed is not None:
            if parsed[1] or shape.in_utc:
                self._last_ns, self._last_waits = parsed[0], False
            else:
                zone = self._zone
                if shape.local and type(local := record[shape.local]) is str and zone.wants(local):
                    zone.learn(local, record[shape.utc], self._order)
                # written out, for most logs go this way with every event
                self._last_waits = zone.offset_ns is None
                self._last_ns = parsed[0] - (zone.offset_ns or 0)
        else:
            timed = self._timed(stamps(record))
        computer = record[shape.computer] if shape.computer else ""
        if type(computer) is not str or not computer:
            computer = self._context.host
        row = plan_row(plan, record, self._last_ns, computer, fields_json)
        names = plan.names
        if names.text or row.pid < 0 or (names.envelope_user and (shape.user or shape.sid)):
            complete(row, plan, record, _flat_envelope(shape, record))
        return self._finished(row, timed) if self._last_waits or not timed else row

    def _timed(self, times: Iterable[EventTime]) -> bool:
        """Whether one of an event's times can be read; it is the last one's then."""
        for stamp in times:
            parsed = int64_time(stamp.text, self._order)
            if parsed is not None:
                if parsed[1] or stamp.utc:
                    self._last_ns, self._last_waits = parsed[0], False
                else:
                    self._local(parsed[0])
                return True
        return False

    def _local(self, ns: int) -> None:
        """A time that names no zone."""
        offset = self._zone.offset_ns
        self._last_waits = offset is None
        self._last_ns = ns - (offset or 0)

    def _finished(self, row: LogRow, timed: bool) -> LogRow:
        """A row whose time is not its own, or waits for the log's zone."""
        row.timed = timed
        if self._last_waits:
            if self._gave_up:
                self._to_utc(row)
            else:
                self.waits = True
        return row

    def _new_kind(self, keys: tuple[str, ...], record: dict[str, Any]) -> _Kind:
        if self._n_plans >= _KINDS:
            self._kinds.clear()
            self._n_plans = 0
        self._n_plans += 1
        kind = _Kind(dialect_of(record), {})
        if sum(map(len, keys)) <= _KINDS:
            self._kinds[keys] = kind
        return kind

    def _new_plan(self, kind: _Kind, plan_key: tuple[Any, Any], record: dict[str, Any]) -> RowPlan | None:
        shape = kind.shape
        provider = flat_provider(shape, record)
        event_id = event_id_text(record[shape.event_id])
        plan = None if provider is None else plan_of(provider, event_id, True, record)
        self._n_plans += 1
        if self._n_plans < _KINDS and plan_key != (None, None) and len(str(plan_key)) <= _KINDS:
            kind.plans[plan_key] = plan
        return plan


def _flat_envelope(shape: Dialect, record: dict[str, Any]) -> Envelope:
    rendered = record[shape.rendered] if shape.rendered else ""
    sid = record[shape.sid] if shape.sid else ""
    return Envelope(
        execution_pid=record[shape.execution] if shape.execution else None,
        execution_tid=record[shape.thread] if shape.thread else None,
        user=account(record[shape.domain] if shape.domain else "", record[shape.user]) if shape.user else "",
        sid=sid if isinstance(sid, str) else "",
        rendered=rendered if isinstance(rendered, str) else "",
    )


def _decode(raw: bytes) -> dict[str, Any] | None:
    """The object in `raw` if the fast decoder takes it and strict JSON certainly would; else None.

    The decoder checks all but repeated keys, of which it keeps the last. Those are excluded by counting: the quotes in
    the line are two for each text that came out and those inside texts, or texts were lost.
    """
    try:
        record: dict[str, Any] = FLAT.decode(raw)
        values = list(record.values())
        kinds: list[type | None] = list(map(type, values))
        n_texts = len(record) + kinds.count(str)
        for _ in range(kinds.count(list)):
            at = kinds.index(list)
            n_texts += len(values[at])
            kinds[at] = None
    except msgspec.ValidationError:
        try:
            record = _ANY.decode(raw)
            n_texts = _texts_within(record, NESTING)
        except (ValueError, RecursionError):
            return None
    except (ValueError, RecursionError):
        return None
    spare = raw.count(b'"') - 2 * n_texts
    if spare and (b"\\u0022" in raw or spare != _quotes_within(record)):
        return None
    return record


def _texts_within(value: Any, depth: int) -> int:
    """Keys and texts in a decoded value; ValueError where strict JSON, with 64 unsigned bits, would refuse it."""
    if depth <= 0:
        raise ValueError("nesting is too deep")
    if isinstance(value, dict):
        n, items = len(value), value.values()
    else:
        n, items = 0, value
    for item in items:
        if type(item) is str:
            n += 1
        elif isinstance(item, (dict, list)):
            n += _texts_within(item, depth - 1)
        elif type(item) is int and not -(2**63) <= item <= _UINT64_MAX:
            raise ValueError("an integer beyond 64 bits")
    return n


def _quotes_within(value: dict[str, Any] | list[Any]) -> int:
    """Quotes inside the keys and texts of a decoded value."""
    if isinstance(value, dict):
        n, items = "".join(value).count('"'), list(value.values())
    else:
        n, items = 0, value
    n += "".join([item for item in items if type(item) is str]).count('"')
    return n + sum(_quotes_within(item) for item in items if isinstance(item, (dict, list)))


def _opened(chunks: Iterable[bytes], limit: int) -> tuple[bool, Iterable[bytes]]:
    """Whether values go by lines; by braces where an array begins, or a value that goes on behind its first line."""
    source, parts, n = iter(chunks), [], 0
    begun = False
    for chunk in source:
        parts.append(chunk)
        n += len(chunk)
        body = chunk if begun else chunk.lstrip()
        begun = begun or bool(body)
        if b"\n" in body or n > limit:
            break
    head = b"".join(parts)
    first, end, _ = head.lstrip().partition(b"\n")
    printed = first[:1] == b"{" and end and not first.rstrip().endswith((b"}", b"\0"))
    by_line = first[:1] != b"[" and not printed and not _RECORD.fullmatch(first)
    return by_line, chain([head], source)


def survey(chunks: Iterable[bytes], evidence: LogEvidence) -> LogReading:
    """The order of day and month, where the times are dates of numbers; without such dates nothing is decoded."""
    found = LogReading(zone=evidence.zone, zones=evidence.zones)
    source, tail = iter(chunks), b""
    for chunk in source:
        if _NUMBERS.search(tail + chunk):
            break
        tail = chunk[-_DATE_BYTES:]
    else:
        return found
    orders = DateOrders()
    for line in frames(chain((tail + chunk,), source), evidence.line_bytes):
        for record in parse_line(line.raw, NESTING, most=OBJECTS_A_LINE).objects if line.whole else ():
            if (told := nested_event(record)) and told.times:
                time = local_time_of_numbers(told.times[0].text)
                if time is not None:
                    orders.saw(time, beside_ns=_sure_time(told.times[1:]))
    order, assumed = orders.decide(evidence.modified_ns)
    return msgspec.structs.replace(found, order=order, order_assumed=assumed)


def _sure_time(times: Iterable[EventTime]) -> int | None:
    """The first of an event's times that is read the same in any order of day and month."""
    said = (int64_time(stamp.text) for stamp in times if local_time_of_numbers(stamp.text) is None)
    return next((found[0] for found in said if found is not None), None)


SPEC = ParserSpec(format="windows_json", rows=rows, survey=survey)
