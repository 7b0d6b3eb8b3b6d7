"""Audit records that syslog carries, as audisp, the kernel and rsyslog pass them on: events among the lines.

The records of one serial are one row, in the place of the first of them, and the lines behind it wait for its end. What
does not belong here: what a record says (`auditd/`) and the lines around it (`parser.py`).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

import msgspec

from rlstir_core.hostlogs.auditd.event import Assembler, AuditEvent
from rlstir_core.hostlogs.auditd.pairs import PairReader
from rlstir_core.hostlogs.auditd.parser import row as event_row
from rlstir_core.hostlogs.auditd.record import parse
from rlstir_core.hostlogs.opening.lines import Line
from rlstir_core.hostlogs.schema import LogContext, LogRow, short_host
from rlstir_core.hostlogs.syslog.origin import host_of, is_address
from rlstir_core.hostlogs.unparsed import to_json

MAX_WAITING = 512  # rows behind an event that is not whole yet
_RECORD = re.compile(r"(?:node=\S+ )?type=\S+ (?:msg=)?audit\([0-9]{1,10}\.[0-9]{1,9}:[0-9]{1,10}\)")
_ESCAPED = re.compile(r"#035(?=[A-Z]+=)")  # rsyslog's way to write the separator that auditd puts before names

_Key = tuple[str, int, int]
Placed = tuple[LogRow, list[int]]  # a row, and the numbers of the lines that it is made of


class _Place(msgspec.Struct):
    """Where an event stands in the file; its row comes when it is whole."""

    numbers: list[int]
    header: str  # the syslog side of its first line, as JSON
    host_said: str
    row: LogRow | None = None


def record_in(program: str, message: str) -> str | None:
    """The audit record that a message is, None where it is none."""
    if program == "kernel":
        message = message.removeprefix("audit: ")
    if message[:5] not in ("type=", "node=") or _RECORD.match(message) is None:
        return None
    return _ESCAPED.sub("\x1d", message) if "#035" in message else message


class AuditLines:
    """Joins the records among a log's lines. Rows that come behind an unfinished event wait for it."""

    def __init__(self, context: LogContext) -> None:
        self._context = context
        self._assembler, self._reader = Assembler(), PairReader()
        self.queue: deque[_Place | Placed] = deque()  # while anything waits, every further row must
        self._open: dict[_Key, _Place] = {}

    def behind(self, row: Placed) -> Iterator[Placed]:
        """Takes a row that is no audit record; gives the rows whose turn it is."""
        self.queue.append(row)
        if len(self.queue) > MAX_WAITING:
            self._whole(self._assembler.finish())
        return self._ready()

    def feed(self, text: str, row: LogRow, line: Line) -> Iterator[Placed]:
        """Takes the record of a line, and the row that it would be without."""
        record = parse(text.encode("utf-8", "backslashreplace"), self._reader)
        if isinstance(record, str):
            return self.behind((row, [line.number]))
        # of two hosts in one file, each counts its own serials
        said, record.node = record.node, row.host or record.node
        key = (record.node, record.ts_ns, record.serial)
        place = self._open.get(key)
        if place is not None:
            place.numbers.append(line.number)
        elif record.type != "EOE":
            by = {"host": row.host_said} if said and short_host(said) != row.host else {}
            header = to_json({"program": row.provider, **by, **msgspec.json.decode(row.fields_json)})
            # the record's own word, where it is a name: the line's may be that of whoever collects for many
            host_said = said if host_of(said) and not is_address(said) else row.host_said
            place = self._open[key] = _Place([line.number], header, host_said)
            self.queue.append(place)
        else:  # the end of an event that left already
            return self.behind((row, [line.number]))
        self._whole(self._assembler.feed(record, len(line.raw)))
        return self._ready()

    def finish(self) -> Iterator[Placed]:
        """The rows that still wait."""
        self._whole(self._assembler.finish())
        return self._ready()

    def _whole(self, events: list[AuditEvent]) -> None:
        for event in events:
            place = self._open.pop((event.node, event.ts_ns, event.serial), None)
            row = event_row(event, self._context)
            if place is None:  # a further part of an event, whose records came too late
                self.queue.append((row, []))
                continue
            row.host, row.host_said = short_host(place.host_said), place.host_said
            row.fields_json = f'{row.fields_json[:-1]},"syslog":{place.header}}}'
            place.row = row

    def _ready(self) -> Iterator[Placed]:
        queue = self.queue
        while queue:
            head = queue[0]
            if isinstance(head, _Place):
                if head.row is None:
                    return
                queue.popleft()
                yield head.row, head.numbers
            else:
                queue.popleft()
                yield head
