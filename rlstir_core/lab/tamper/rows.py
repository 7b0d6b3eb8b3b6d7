"""Tampering with log rows that were parsed already: a list of rows in, rows and truth out.

Each row is written as the lines that it may have come from, changed as a log would be, and read again, so that columns
and fields stay of one piece. A row for which that does not give the row itself is left alone. What does not belong
here: the operators, and logs as bytes (`apply.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from rlstir_core.contract.members import LOGS
from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.attack.truth import TamperSpan
from rlstir_core.hostlogs.parsers import spec_of
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.syslog.origin import FACILITIES, SEVERITIES
from rlstir_core.lab.tamper.changes.operators import applied, check
from rlstir_core.lab.tamper.formats.forms import FORMS
from rlstir_core.lab.tamper.records.entry import MADE_UP, SECOND_NS, Entry
from rlstir_core.lab.tamper.spans import spans

# the format that rows of a channel are written as; Windows rows as JSON lines, which comes before EVTX
_FORMATS = {channel: log.format for log in reversed(LOGS) if log.format in FORMS for channel in log.channels}
# what follows from the events around this one, which a lone one cannot tell
_AROUND = re.compile(r'"(?:part|missing)":[0-9]+,|"restarted":true,')
_QUOTED_WORDS = "acct cmd comm cwd data dir exe file key name path proctitle vm"
_QUOTED = frozenset(_QUOTED_WORDS.split())


def tampered_rows(
    rows: Sequence[LogRow], operator: str, rng: np.random.Generator, *, strength: float = 0.5
) -> tuple[list[LogRow], tuple[TamperSpan, ...], list[int]]:
    """The rows of one log file after the operator, the spans (`seqs` are places in the new list) and where each row
    stood before, -1 where it was made up; ConfigError where it cannot apply."""
    check(operator, strength)
    kinds = sorted({_FORMATS[row.channel] for row in rows if row.channel in _FORMATS})
    why = f"{operator} finds no rows of a log to work on"
    for at in rng.permutation(len(kinds)):
        kind = kinds[int(at)]
        entries = [_entry(place, row, kind) for place, row in enumerate(rows)]
        try:
            outcome = applied(operator, entries, FORMS[kind], rng, strength)
            made = [_row(entry, rows, kind) for entry in outcome.entries]
        except (ValueError, RecursionError, OverflowError) as error:  # a refusal, or a record that means harm
            why = f"{operator} cannot apply to these rows: {error}"
            continue
        found = spans(operator, "", entries, outcome.entries, outcome.lane)
        return made, found, [entry.place for entry in outcome.entries]
    raise ConfigError(why)


def _entry(place: int, row: LogRow, kind: str) -> Entry:
    alone = Entry(place=place, ts_ns=row.ts_ns, channel=row.channel, fixed=True)
    if not row.parsed or _FORMATS.get(row.channel) != kind:
        return alone
    try:
        text = _text(row, kind)
    except (KeyError, TypeError, ValueError, msgspec.MsgspecError):
        return alone
    again = _read(text, kind, row)
    if again is None or again.fields_json != row.fields_json:
        return alone
    entries = FORMS[kind].split(text, row.ts_ns).entries
    if len(entries) != 1 or entries[0].fixed:
        return alone
    entry = entries[0]
    # what the row says counts: a lone line does not tell the zone of its log
    entry.place, entry.ts_ns = place, row.ts_ns
    return entry


def _row(entry: Entry, rows: Sequence[LogRow], kind: str) -> LogRow:
    if entry.place != MADE_UP and not entry.edits:
        return rows[entry.place]
    like = rows[entry.place] if entry.place != MADE_UP else next(row for row in rows if row.channel == entry.channel)
    made = _read(b"".join(FORMS[kind].render(entry)), kind, like)
    if made is None:
        raise ConfigError("a row cannot be read again after the change; name another operator")
    made.ts_ns = entry.ts_ns
    return made


def _read(text: bytes, kind: str, like: LogRow) -> LogRow | None:
    """The one row of these lines, with the host and the mark that the record around it gave."""
    found = list(spec_of(kind).rows([text], LogContext(host=like.host_said, near_ns=like.ts_ns)))
    if len(found) != 1 or not found[0].parsed:
        return None
    row = found[0]
    if not row.host_said:
        row.host, row.host_said = like.host, like.host_said
    row.clock_mismatch = like.clock_mismatch
    if kind == "audit" and (around := "".join(_AROUND.findall(like.fields_json.partition('"records":')[0]))):
        row.fields_json = row.fields_json.replace('"records":', f'{around}"records":', 1)
    return row


def _text(row: LogRow, kind: str) -> bytes:
    """The lines that such a row may have come from."""
    if kind == "windows_json":
        return row.fields_json.encode("utf-8", "surrogatepass") + b"\n"
    fields: dict[str, Any] = msgspec.json.decode(row.fields_json, type=dict[str, Any])
    if kind == "journald":
        kept = {key: value for key, value in fields.items() if key not in ("said", "lost")}
        return msgspec.json.encode(kept) + b"\n"
    lines = _audit_lines(row, fields) if kind == "audit" else _syslog_lines(row, fields)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")


def _audit_lines(row: LogRow, fields: dict[str, Any]) -> list[str]:
    stamp = f"audit({row.ts_ns // SECOND_NS}.{_digits(row.ts_ns)}:{fields['serial']})"
    lines = []
    for record in fields["records"]:
        body = [f"{key}={_value(record['type'], key, value)}" for key, value in record["fields"].items()]
        if "msg" in record:
            message = " ".join(f"{key}={_value(record['type'], key, value)}" for key, value in record["msg"].items())
            body.append(f"msg='{message}'")
        line = f"type={record['type']} msg={stamp}: {' '.join(body)}"
        if "names" in record:
            line += "\x1d" + " ".join(f'{key}="{value}"' for key, value in record["names"].items())
        lines.append(line)
    return lines


def _digits(ns: int) -> str:
    ms, rest = divmod(ns % SECOND_NS, 1_000_000)
    return f"{ns % SECOND_NS:09d}" if rest else f"{ms:03d}"


def _value(kind: str, key: str, value: str) -> str:
    """The value as the kernel writes it: text in quotes, or in hex where it holds what quotes cannot."""
    argument = kind == "EXECVE" and key[:1] == "a" and key[1:].isdecimal()
    if not argument and key not in _QUOTED:
        return value
    if value in ("(null)", "(none)", "?"):
        return value
    if any(c in '" ' or not " " < c < "\x7f" for c in value):
        return value.encode("utf-8", "surrogatepass").hex().upper()
    return f'"{value}"'


def _syslog_lines(row: LogRow, fields: dict[str, Any]) -> list[str]:
    tag = fields.get("tag", row.provider)
    pid = fields.get("pid", str(row.pid) if row.pid >= 0 else "")
    message = fields.get("raw", row.message)
    continued = fields.get("continued", [])
    if continued and "raw" not in fields:
        message = message.removesuffix(" " + " ".join(line.strip() for line in continued))
    if "uptime" in fields:
        message = f"[{fields['uptime']:>12}] {message}"
    priority = _priority(fields)
    if row.event_id or "data" in fields or (priority and fields["time"][10:11] == "T"):
        words = (fields["time"], row.host_said, tag, pid, row.event_id)
        head = " ".join(word or "-" for word in words)
        return [f"{priority}1 {head} {_data(fields)} {message}", *continued]
    name = f"{tag}[{pid}]: " if pid else f"{tag}: " if tag else ""
    return [f"{priority}{fields['time']} {row.host_said} {name}{message}", *continued]


def _priority(fields: dict[str, Any]) -> str:
    if "facility" not in fields:
        return ""
    facility = fields["facility"]
    number = FACILITIES.index(facility) if facility in FACILITIES else int(facility)
    return f"<{8 * number + SEVERITIES.index(fields['severity'])}>"


def _data(fields: dict[str, Any]) -> str:
    escape = str.maketrans({'"': '\\"', "\\": "\\\\", "]": "\\]"})
    parts = [
        f"[{name}{''.join(f' {key}={chr(34)}{value.translate(escape)}{chr(34)}' for key, value in pairs.items())}]"
        for name, pairs in fields.get("data", {}).items()
    ]
    return "".join(parts) or "-"
