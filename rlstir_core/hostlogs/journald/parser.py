"""The systemd journal to log rows: every JSON output of `journalctl`, `-o export`, and what shippers make of them.

Fields that begin with `_` are the journal's own word, the others the program's. A value that is no UTF-8 is kept
as `{"hex": …}`. What does not belong here: where an entry begins and ends (`framing.py`, `export_format.py`), how
others shape it (`shapes.py`), and what a message says of users (`syslog/messages.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from rlstir_core.hostlogs.journald.clocks import time_of
from rlstir_core.hostlogs.journald.export_format import ExportEntry, entries
from rlstir_core.hostlogs.journald.framing import objects_in, opened, values
from rlstir_core.hostlogs.journald.shapes import JournalFields, entry_of, lost_fields
from rlstir_core.hostlogs.journald.values import integer, json_value, shown_bytes, text
from rlstir_core.hostlogs.opening.lines import Line
from rlstir_core.hostlogs.schema import LogContext, LogRow, short_host
from rlstir_core.hostlogs.spec import ParserSpec
from rlstir_core.hostlogs.syslog.messages import message_parts
from rlstir_core.hostlogs.times.zones import Zones
from rlstir_core.hostlogs.unparsed import to_json, unparsed
from rlstir_core.text import one_line

CHANNEL = "journald"
MAX_FIELDS = 1000  # of one entry; the journal allows 1024
_LOST = re.compile(r"(?:Suppressed|Missed) ([0-9]{1,9}) (?:kernel )?messages")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def rows(chunks: Iterable[bytes], context: LogContext) -> Iterator[LogRow]:
    """One row per entry, in the order of the journal; the first entry shows how they are framed."""
    framing, source = opened(chunks, context.line_bytes)
    reader = _Reader(context)
    if framing == "export":
        for entry in entries(source, context.line_bytes):
            yield reader.exported(entry)
        return
    for line in values(source, framing, context.line_bytes):
        found = _object(line.raw) if line.whole else "no JSON object"
        if not isinstance(found, str):
            yield reader.row(found, line)
        elif several := objects_in(line, context.line_bytes):
            for each in several:
                one = _object(each.raw)
                yield reader.refused(each, one) if isinstance(one, str) else reader.row(one, each)
        else:
            yield reader.refused(line, found)


def _object(raw: bytes) -> JournalFields | str:
    try:
        fields = _decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        return f"not a JSON object: {error}"[:200]
    if len(fields) > MAX_FIELDS:
        return f"{len(fields)} fields"
    for key, value in fields.items():
        if type(value) is list:
            fields[key] = json_value(value)
    return fields


class _Reader:
    """One log's state: the time of the last row."""

    def __init__(self, context: LogContext) -> None:
        self._context = context
        self._zones = Zones(context.reading)
        self._last_ns = context.near_ns or 0

    def exported(self, entry: ExportEntry) -> LogRow:
        """The row of an entry of the export format."""
        if entry.fault:
            return self.refused(_as_line(entry, self._context.line_bytes), entry.fault)
        fields: JournalFields = {}
        for key, each in entry.fields:
            value = shown_bytes(each)
            if key in fields:
                before = fields[key]
                fields[key] = [*before, value] if isinstance(before, list) else [before, value]
            else:
                fields[key] = value
        return self.row(fields, entry, entry.cut)

    def refused(self, line: Line, why: str) -> LogRow:
        """The row of what is no entry."""
        return unparsed(line, CHANNEL, "", self._context, self._last_ns, why)

    def row(self, record: JournalFields, source: Line | ExportEntry, cut: list[str] | None = None) -> LogRow:
        """The row of an entry; without a time of its own it has that of the row before."""
        fields = entry_of(record)
        if fields is None:
            line = source if isinstance(source, Line) else _as_line(source, self._context.line_bytes)
            return self.refused(line, "no entry of the journal")
        message = text(fields.get("MESSAGE"))
        provider = text(fields.get("SYSLOG_IDENTIFIER") or fields.get("_COMM") or fields.get("_SYSTEMD_UNIT"))
        host = text(fields.get("_HOSTNAME")) or self._context.host
        short = short_host(host)
        told = time_of(fields, self._zones, short)
        if told is not None:
            self._last_ns = told[0]
        parts = message_parts(provider.lower(), message)
        added: JournalFields = {"said": parts} if parts else {}
        if "messages" in message[:60] and (match := _LOST.match(message)):
            added["lost"] = int(match[1])
        if lost := cut or lost_fields(record):
            added["cut"] = lost
        return LogRow(
            ts_ns=self._last_ns,
            channel=CHANNEL,
            host=short,
            host_said=host,
            pid=integer(fields.get("_PID") or fields.get("SYSLOG_PID")),
            exe=text(fields.get("_EXE")),
            cmdline=text(fields.get("_CMDLINE")) or parts.get("command", ""),
            user=parts.get("user") or text(fields.get("_UID")),
            provider=provider,
            event_id=text(fields.get("_AUDIT_TYPE_NAME") or fields.get("MESSAGE_ID")),
            message=one_line(message),
            fields_json=to_json(record | added if added else record),
            timed=told is not None,
            assumed="" if told is None else told[1],
            cut=bool(lost),
        )


def _as_line(entry: ExportEntry, limit: int) -> Line:
    raw = b"\n".join(key.encode() + b"=" + value for key, value in entry.fields)
    return Line(entry.line, raw[:limit])


SPEC = ParserSpec(format="journald", rows=rows)
