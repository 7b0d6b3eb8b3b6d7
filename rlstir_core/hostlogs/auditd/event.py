"""Audit records to events: all records with one node, time and serial are one event.

Records of several events interleave and come late, so events wait: until an end-of-event record, until the log's
clock is two seconds from theirs and others have begun, or until too many wait. Events leave in the order in which
they began. What does not belong here: the text of a record (`record.py`) and the row (`parser.py`).
"""

from __future__ import annotations

from collections import deque

import msgspec

from rlstir_core.hostlogs.auditd.record import AuditRecord

WAIT_NS = 2_000_000_000  # as in libaudit, by the log's clock
_LATE_NS = 60_000_000_000  # a smaller serial from longer ago is no late event: a reboot, or files out of order
_BEHIND = 4  # that many began after it: in a quiet log two seconds are the next line
MAX_WAITING = 256  # events
MAX_RECORDS = 4096  # of one event; the kernel writes a few hundred at most
MAX_WAITING_BYTES = 4 << 20  # of lines; read, they can take fifty times as much
_RESET = 1 << 24  # a larger step of the serial is no gap
_RECORD_COST = 1000  # bytes that a record occupies beside its text

_SERIALS = 0xFFFFFFFF

_Key = tuple[str, int, int]
_NONE: list[AuditEvent] = []  # never added to


class AuditEvent(msgspec.Struct, gc=False):
    """Records of one event, in the order of the file."""

    node: str
    ts_ns: int
    serial: int
    records: list[AuditRecord]
    n_bytes: int = 0
    ended: bool = False
    part: int = 0  # records that came too late or were too many make a further event: 1, 2, …
    missing: int = 0  # serials between the event before and this one that never came
    gap: int = 0  # the same before late ones came
    restarted: bool = False  # the serial began anew: a reboot, or files out of order


class _Node(msgspec.Struct):
    """Where a node's log stands."""

    now_ns: int
    serial: int = -1  # the last in order
    begun_ns: int = 0


class Assembler:
    """Joins records: `feed` gives the events that are complete, `finish` the rest."""

    def __init__(self, wait_ns: int = WAIT_NS, max_waiting: int = MAX_WAITING) -> None:
        self._wait_ns = wait_ns
        self._max_waiting = max_waiting
        self._waiting: dict[_Key, AuditEvent] = {}
        self._order: deque[AuditEvent] = deque()
        self._n_bytes = 0
        self._left: dict[_Key, int] = {}  # events that left lately, and in how many parts
        self._nodes: dict[str, _Node] = {}
        self.n_missing = 0

    def feed(self, record: AuditRecord, n_bytes: int) -> list[AuditEvent]:
        """Takes the next record, whose line has `n_bytes`."""
        key = (record.node, record.ts_ns, record.serial)
        node = self._nodes.get(record.node) or self._add_node(record)
        node.now_ns = record.ts_ns
        event = self._waiting.get(key)
        n_bytes += _RECORD_COST
        if record.type == "EOE":
            if event is not None:
                event.ended = True
        elif event is None or event.ended:
            part = self._left.get(key, 0) if event is None else event.part + 1
            event = AuditEvent(record.node, record.ts_ns, record.serial, [record], n_bytes, part=part)
            # a program's or the daemon's record is an event; the other types are too many to tell
            daemon = record.type.startswith("DAEMON_")
            event.ended = daemon or bool(record.message_fields)
            if not part and not daemon:  # the daemon counts its own events
                self._count(event, node)
            self._waiting[key] = event
            self._order.append(event)
            self._n_bytes += n_bytes
        else:
            event.records.append(record)
            event.ended = len(event.records) >= MAX_RECORDS
            event.n_bytes += n_bytes
            self._n_bytes += n_bytes
        if not self._order or (len(self._order) <= _BEHIND and not self._order[0].ended):
            return _NONE
        return self._leave()

    def finish(self) -> list[AuditEvent]:
        """The events that still wait."""
        return [self._pop() for _ in range(len(self._order))]

    def _due(self) -> bool:
        if not self._order:
            return False
        head = self._order[0]
        return (
            head.ended
            or (len(self._order) > _BEHIND and abs(self._nodes[head.node].now_ns - head.ts_ns) > self._wait_ns)
            or len(self._order) > self._max_waiting
            or self._n_bytes > MAX_WAITING_BYTES
        )

    def _leave(self) -> list[AuditEvent]:
        if not self._due():
            return _NONE
        events = [self._pop()]
        while self._due():
            events.append(self._pop())
        return events

    def _pop(self) -> AuditEvent:
        event = self._order.popleft()
        key = (event.node, event.ts_ns, event.serial)
        if self._waiting.get(key) is event:
            del self._waiting[key]
        self._n_bytes -= event.n_bytes
        self._left[key] = event.part + 1
        if len(self._left) > 4 * self._max_waiting:
            del self._left[next(iter(self._left))]
        self.n_missing += event.missing
        return event

    def _add_node(self, record: AuditRecord) -> _Node:
        if len(self._nodes) > self._max_waiting:
            # names without end are no network of hosts: all but those with events in flight are forgotten
            kept = {event.node for event in self._order}
            self._nodes = {name: node for name, node in self._nodes.items() if name in kept}
        node = self._nodes[record.node] = _Node(record.ts_ns)
        return node

    def _count(self, event: AuditEvent, node: _Node) -> None:
        """Counts the serials that are missing before this event, and takes back those that came late."""
        last, begun_ns = node.serial, node.begun_ns
        step = (event.serial - last) & _SERIALS  # it rolls over
        if last >= 0 and step >= _RESET:
            if -_LATE_NS < event.ts_ns - begun_ns <= self._wait_ns:
                for other in self._order:
                    if other.node == event.node and 0 < (other.serial - event.serial) & _SERIALS <= other.gap:
                        other.missing -= 1
                        return
                return
            event.restarted = True
        elif last >= 0 and step > 1:
            event.gap = event.missing = step - 1
        node.serial, node.begun_ns = event.serial, event.ts_ns
