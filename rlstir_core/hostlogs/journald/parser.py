"""The systemd journal to log rows: `journalctl -o json` (also json-seq and json-sse) and `-o export`.

Fields that begin with `_` are the journal's own word, the others the program's. A value that is no UTF-8 is kept
as `{"hex": …}`. What does not belong here: the framing of the export format (`export_format.py`) and what a
message says of users (`syslog/messages.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec

from rlstir_core.hostlogs.journald.export_format import ExportEntry, entries
from rlstir_core.hostlogs.opening.lines import Line, lines
from rlstir_core.hostlogs.schema import MISSING, LogContext, LogRow, short_host
from rlstir_core.hostlogs.spec import ParserSpec
from rlstir_core.hostlogs.syslog.messages import message_parts
from rlstir_core.hostlogs.unparsed import to_json, unparsed
from rlstir_core.text import decoded, one_line

CHANNEL = "journald"
MAX_FIELDS = 1000  # of one entry; the journal allows 1024
_LAST_US = (2**63 - 1) // 1000
_LOST = re.compile(r"(?:Suppressed|Missed) ([0-9]{1,9}) (?:kernel )?messages")
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_SKIPPED = (b"event: ", b"id: ", b"-- ")  # of json-sse, and journalctl's own remarks
_EXPORT = re.compile(rb"(?m)^__(?:CURSOR|REALTIME_TIMESTAMP)=", re.ASCII)
_KEYS = {b"__REALTIME_TIMESTAMP", b"__CURSOR", b"_BOOT_ID", b"SYSLOG_IDENTIFIER", b"__MONOTONIC_TIMESTAMP"}
_WINDOWS_KEYS = {b"EventID", b"winlog"}  # of an agent that forwards both

JournalFields = dict[str, Any]


def rows(chunks: Iterable[bytes], context: LogContext) -> Iterator[LogRow]:
    """One row per entry, in the order of the journal; the format shows itself by its first byte."""
    first, rest = _first(chunks)
    start = first.lstrip(b"\xef\xbb\xbf \t\r\n\x1e")[:1]
    both = chain((first,), rest)
    if (start.isalpha() or start == b"_") and not first.lstrip().startswith((b"data: ", b"event: ", b"id: ")):
        return _export_rows(both, context)
    return _json_rows(both, context)


def _first(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Chunks up to the first byte that says something."""
    rest = iter(chunks)
    held = b""
    for chunk in rest:
        held = held.lstrip() + chunk
        if len(held.lstrip()) >= 8:
            break
    return held, rest


def _json_rows(chunks: Iterable[bytes], context: LogContext) -> Iterator[LogRow]:
    ts_ns = context.near_ns or 0
    for line in lines(chunks, context.line_bytes):
        raw = line.raw
        if raw[:1] != b"{":
            raw = raw.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\x1e").removeprefix(b"data: ")
            if not raw or raw.startswith(_SKIPPED):
                continue
        found = _object(raw) if line.whole else ""
        if isinstance(found, str):
            yield unparsed(line, CHANNEL, "", context, ts_ns, found)
            continue
        made = row(found, context, ts_ns)
        ts_ns = made.ts_ns
        yield made


def _object(raw: bytes) -> JournalFields | str:
    try:
        fields = _decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        return f"not a JSON object: {error}"[:200]
    if len(fields) > MAX_FIELDS:
        return f"{len(fields)} fields"
    for key, value in fields.items():
        if type(value) is not str:
            fields[key] = _value(value)
    return fields


def _value(value: object) -> object:
    """A value of the JSON export: null, an array of bytes, or an array of values."""
    if not isinstance(value, list):
        return value
    if value and all(type(item) is int and 0 <= item < 256 for item in value):
        return _shown_bytes(bytes(value))
    if all(not isinstance(item, list) or all(type(part) is int for part in item) for item in value):
        return [_value(item) for item in value]
    return value


def _shown_bytes(raw: bytes) -> object:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"hex": raw.hex()}


def _export_rows(chunks: Iterable[bytes], context: LogContext) -> Iterator[LogRow]:
    ts_ns = context.near_ns or 0
    for entry in entries(chunks, context.line_bytes):
        if entry.fault:
            yield _damaged(entry, context, ts_ns)
            continue
        fields: JournalFields = {}
        for key, raw in entry.fields:
            value = _shown_bytes(raw)
            if key in fields:
                before = fields[key]
                fields[key] = [*before, value] if isinstance(before, list) else [before, value]
            else:
                fields[key] = value
        if entry.cut:
            fields["cut"] = entry.cut
        made = row(fields, context, ts_ns)
        ts_ns = made.ts_ns
        yield made


def _damaged(entry: ExportEntry, context: LogContext, ts_ns: int) -> LogRow:
    raw = b"\n".join(key.encode() + b"=" + value for key, value in entry.fields)
    return unparsed(Line(entry.line, raw[: context.line_bytes]), CHANNEL, "", context, ts_ns, entry.fault)


def row(fields: JournalFields, context: LogContext, before_ns: int) -> LogRow:
    """The row of an entry. Its time is the source's, else that of the journal's receipt, else the row's before."""
    message = _text(fields.get("MESSAGE"))
    provider = _text(fields.get("SYSLOG_IDENTIFIER") or fields.get("_COMM") or fields.get("_SYSTEMD_UNIT"))
    host = _text(fields.get("_HOSTNAME")) or context.host
    ts_ns = _ns(fields.get("_SOURCE_REALTIME_TIMESTAMP"))
    if ts_ns is None:
        ts_ns = _ns(fields.get("__REALTIME_TIMESTAMP"))
    parts = message_parts(provider.lower(), message)
    added: JournalFields = {"said": parts} if parts else {}
    if "messages" in message[:60] and (match := _LOST.match(message)):
        added["lost"] = int(match[1])
    return LogRow(
        ts_ns=before_ns if ts_ns is None else ts_ns,
        channel=CHANNEL,
        host=short_host(host),
        host_said=host,
        pid=_integer(fields.get("_PID") or fields.get("SYSLOG_PID")),
        exe=_text(fields.get("_EXE")),
        cmdline=_text(fields.get("_CMDLINE")) or parts.get("command", ""),
        user=parts.get("user") or _text(fields.get("_UID")),
        provider=provider,
        event_id=_text(fields.get("_AUDIT_TYPE_NAME") or fields.get("MESSAGE_ID")),
        message=one_line(message),
        fields_json=to_json(fields | added if added else fields),
    )


def _text(value: object) -> str:
    """A field as text: the first of several values, and what is no UTF-8 with `\\\\xNN`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _text(value[0]) if value and not isinstance(value[0], list) else ""
    if isinstance(value, dict):
        hex_text = value.get("hex")
        try:
            return decoded(bytes.fromhex(hex_text)) if isinstance(hex_text, str) else ""
        except ValueError:
            return ""
    return "" if value is None else str(value)


def _ns(value: object) -> int | None:
    """Nanoseconds of a field in microseconds."""
    us_text = _text(value)
    if not us_text.isdecimal() or not us_text.isascii() or len(us_text) > 17:
        return None
    us = int(us_text)
    return us * 1000 if us <= _LAST_US else None


def _integer(value: object) -> int:
    number = _text(value)
    return int(number) if number.isdecimal() and number.isascii() and len(number) < 10 else MISSING


SPEC = ParserSpec(format="journald", rows=rows)
