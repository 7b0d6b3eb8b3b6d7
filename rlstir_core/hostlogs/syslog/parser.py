"""Syslog text to log rows: RFC 3164 with and without a year, RFC 5424, and rsyslog's ISO 8601 lines.

A row is a line, with the indented lines after it. What the message says of users, addresses and commands comes
from `messages.py`, the year from `times/`. What does not belong here: kernel audit records in files of
their own (`auditd/`), and the journal (`journald/`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from rlstir_core.hostlogs.opening.lines import Line, lines
from rlstir_core.hostlogs.schema import MISSING, LogContext, LogRow, short_host
from rlstir_core.hostlogs.spec import ParserSpec
from rlstir_core.hostlogs.syslog.messages import message_parts
from rlstir_core.hostlogs.times.years import YearGuess, in_year, iso_ns
from rlstir_core.hostlogs.unparsed import to_json, unparsed
from rlstir_core.text import MESSAGE_CHARS, decoded, one_line

CHANNEL = "auth"
_FACILITY_WORDS = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock "
    "local0 local1 local2 local3 local4 local5 local6 local7"
)
FACILITIES = tuple(_FACILITY_WORDS.split())
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
MAX_CONTINUED = 500  # lines that belong to one row
_OLD = re.compile(
    r"\ufeff?(?:<([0-9]{1,3})>)?([A-Z][a-z]{2}) {1,2}([0-9]{1,2})(?: ([0-9]{4}))? ([0-2][0-9]:[0-5][0-9]:[0-6][0-9])"
    r"(?:\.([0-9]{1,9}))? (\S+) ?"
)
_ISO = re.compile(
    r"\ufeff?(?:<([0-9]{1,3})>)?([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?) (\S+) ?"
)
_NEW = re.compile(r"\ufeff?<([0-9]{1,3})>1 (\S+) (\S+) (\S+) (\S+) (\S+) ?")
_TAG = re.compile(r"([^\s\[:]+)(?:\[([^\]\s]{0,64})\])?:(?: |$)")
_DATA = re.compile(r'\[([^\s=\]"]++)((?: [^\s=\]"]++="(?:[^"\\]|\\.)*+")*+)\]')
_PARAMETER = re.compile(r' ([^\s=\]"]++)="((?:[^"\\]|\\.)*+)"')
_ESCAPE = re.compile(r'\\(["\\\]])')
_UPTIME = re.compile(r"\[ *([0-9]+\.[0-9]+)\] ?")
_REPEATED = re.compile(r"message repeated ([0-9]{1,9}) times?: \[ ?(.*?)\]?$", re.DOTALL)
_LAST_REPEATED = re.compile(r"last message repeated ([0-9]{1,9}) times?")

_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_LINE = re.compile(
    rb"(?:<\d{1,3}>)?(?:"
    rb"1 (?:-|\d{4}-\d\d-\d\dT\S+) \S+ \S+ \S+ \S+ "  # RFC 5424
    rb"|" + _MONTH + rb" [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)? "  # RFC 3164
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d) \S+ \S+?(?:\[\d+\])?: "  # rsyslog's ISO form
    rb")",
    re.ASCII,
)


def rows(chunks: Iterable[bytes], context: LogContext) -> Iterator[LogRow]:
    """One row per message, in the order of the file."""
    years = YearGuess(context.near_ns)
    ts_ns = context.near_ns or 0
    open_row: LogRow | None = None
    continued: list[str] = []
    for line in lines(chunks, context.line_bytes):
        if open_row is not None:
            if line.raw[:1] in (b" ", b"\t") and line.whole and len(continued) < MAX_CONTINUED:
                continued.append(decoded(line.raw))
                continue
            yield _closed(open_row, continued)
            open_row, continued = None, []
        if not line.raw.strip():
            continue
        row = parse_line(line, context, years, ts_ns)
        ts_ns = row.ts_ns
        if row.parsed:
            open_row = row
        else:
            yield row
    if open_row is not None:
        yield _closed(open_row, continued)


def parse_line(line: Line, context: LogContext, years: YearGuess, before_ns: int) -> LogRow:
    """The row of one line. A line that says no time has that of the line before."""
    if not line.whole:
        return unparsed(line, CHANNEL, "", context, before_ns, "")
    whole = decoded(line.raw)
    fields: dict[str, Any] = {}
    if match := _OLD.match(whole):
        priority, month, day, year, clock, fraction, host = match.groups()
        if year:
            ts_ns = in_year(int(year), month, day, clock, fraction)
        else:
            ts_ns = years.at(month, day, clock, fraction)
            if years.assumed:
                fields["year"] = "assumed"
    elif match := _ISO.match(whole):
        priority, at, host = match.groups()
        ts_ns = iso_ns(at)
    elif match := _NEW.match(whole):
        return _parse_new(line, whole, match, context, years, before_ns)
    else:
        return unparsed(line, CHANNEL, "", context, before_ns, "no syslog header")
    if ts_ns is None:
        return unparsed(line, CHANNEL, "", context, before_ns, "a time that does not exist")
    years.seen(ts_ns)
    fields["time"] = whole[match.start(2) : match.start(match.lastindex or 0) - 1]
    if priority:
        _add_priority(fields, int(priority))
    end = match.end()
    tag = _TAG.match(whole, end)
    if host[-1] == ":" and "::" not in host:  # `kernel: …` of a line without a host
        end, host = match.start(match.lastindex or 0), ""
        tag = _TAG.match(whole, end)
    program, pid, message = "", "", whole[end:]
    if tag is not None:
        program, pid, message = tag[1], tag[2] or "", whole[tag.end() :]
    return _row(context, ts_ns, host, program, pid, message, fields)


def _parse_new(
    line: Line, whole: str, match: re.Match[str], context: LogContext, years: YearGuess, before_ns: int
) -> LogRow:
    """RFC 5424: `<165>1 2003-10-11T22:14:15.003Z host app 123 ID47 [id key="value"] message`."""
    priority, at, host, program, pid, event_id = (text_or_nothing(part) for part in match.groups())
    ts_ns = before_ns if not at else iso_ns(at)
    if ts_ns is None:
        return unparsed(line, CHANNEL, "", context, before_ns, "a time that does not exist")
    if at:
        years.seen(ts_ns)
    fields: dict[str, Any] = {"time": at}
    _add_priority(fields, int(priority))
    place = match.end()
    if whole.startswith("-", place):
        place += 1
    else:
        data: dict[str, Any] = {}
        while found := _DATA.match(whole, place):
            data[found[1]] = {key: _ESCAPE.sub(r"\1", value) for key, value in _PARAMETER.findall(found[2])}
            place = found.end()
        if data:
            fields["data"] = data
    message = whole[place:].removeprefix(" ").removeprefix("\ufeff")
    row = _row(context, ts_ns, host, program, pid, message, fields)
    row.event_id = event_id
    return row


def text_or_nothing(part: str) -> str:
    """RFC 5424 writes `-` for nothing."""
    return "" if part == "-" else part


def _row(
    context: LogContext, ts_ns: int, host: str, program: str, pid: str, message: str, fields: dict[str, Any]
) -> LogRow:
    name = _program(program)
    if name != program:
        fields["tag"] = program
    number = MISSING
    if pid.isdecimal() and len(pid) < 10:
        number = int(pid)
    elif pid:
        fields["pid"] = pid
    if name == "kernel" and (match := _UPTIME.match(message)):
        fields["uptime"] = match[1]
        message = message[match.end() :]
    inner = message
    if "repeated " in message[:30]:
        if match := _REPEATED.match(message):
            fields["repeated"] = int(match[1])
            inner = match[2]
        elif match := _LAST_REPEATED.match(message):
            fields["repeated"] = int(match[1])
    parts = message_parts(name.lower(), inner)
    if parts:
        fields.update(parts)
    kept = message
    if len(kept) > MESSAGE_CHARS or not kept.isprintable():
        kept = one_line(kept)
        fields["raw"] = message
    return LogRow(
        ts_ns=ts_ns,
        channel=CHANNEL,
        host=_short(host or context.host),
        host_said=host or context.host,
        pid=number,
        cmdline=parts.get("command", ""),
        user=parts.get("user", ""),
        provider=name,
        message=kept,
        fields_json=to_json(fields),
    )


def _closed(row: LogRow, continued: list[str]) -> LogRow:
    """A row with the indented lines after it."""
    if continued:
        row.message = one_line(" ".join([row.message, *(line.strip() for line in continued)]))
        row.fields_json = (
            f'{row.fields_json[:-1]}{"," if len(row.fields_json) > 2 else ""}"continued":{to_json(continued)}}}'
        )
    return row


def _add_priority(fields: dict[str, Any], priority: int) -> None:
    facility = priority >> 3
    fields["facility"] = FACILITIES[facility] if facility < len(FACILITIES) else str(facility)
    fields["severity"] = SEVERITIES[priority & 7]


_short = lru_cache(maxsize=1024)(short_host)


@lru_cache(maxsize=1024)
def _program(tag: str) -> str:
    """`sshd` of `sshd(pam_unix)` and of `/usr/sbin/sshd`; `CRON` stays as it is."""
    if tag.startswith("/"):
        tag = tag.rpartition("/")[2] or tag
    name, mark, _ = tag.partition("(")
    return name if mark and name else tag


SPEC = ParserSpec(format="syslog", rows=rows)
