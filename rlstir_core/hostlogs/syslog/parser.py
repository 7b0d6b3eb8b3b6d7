"""Syslog text to log rows: RFC 3164 with and without a year, RFC 5424, ISO 8601 lines, and what devices make of them.

A row is a line, with the indented lines after it; audit records that syslog carries are events of several lines
(`audit_lines.py`). What a line begins with is in `header.py`, who wrote it in `origin.py`, what it says of users,
addresses and commands in `messages.py`, and its year is in `times/`. What does not belong here: kernel audit records in
files of their own (`auditd/`), and the journal (`journald/`).
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from rlstir_core.hostlogs.opening.lines import Line, lines
from rlstir_core.hostlogs.schema import MISSING, LogContext, LogRow, short_host
from rlstir_core.hostlogs.spec import ParserSpec
from rlstir_core.hostlogs.syslog.audit_lines import AuditLines, Placed, record_in
from rlstir_core.hostlogs.syslog.header import COMMON, COMMON_ISO, NEW, NEW_BARE, HeaderTime, is_firm, stamp_of
from rlstir_core.hostlogs.syslog.messages import message_parts
from rlstir_core.hostlogs.syslog.octets import uncounted
from rlstir_core.hostlogs.syslog.origin import FACILITIES, SEVERITIES, Origin, Origins, host_of, solaris_id, tells
from rlstir_core.hostlogs.syslog.survey import survey
from rlstir_core.hostlogs.times.spelled import int64_time
from rlstir_core.hostlogs.times.years import YearGuess, in_year
from rlstir_core.hostlogs.times.zones import Zones
from rlstir_core.hostlogs.unparsed import to_json, unparsed
from rlstir_core.text import MESSAGE_CHARS, decoded, one_line

CHANNEL = "auth"
MAX_CONTINUED = 500  # lines that belong to one row
_S = 1_000_000_000
_NO_HEADER = "no syslog header"
_BEGINS = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:<[0-9]{1,3}>)?(?:(?P<old>[A-Z][a-z]{2})|(?P<iso>[0-9]{4}[-/])"
    rb"|(?P<rare>[*.][A-Z]|[0-9]+: |[0-9]{4} [A-Z])|(?P<new>1 |[0-9]+ <))"
)
_NO_TIME = "a time that does not exist"
_DATA = re.compile(r'\[([^\s=\]"]++)((?: [^\s=\]"]++="(?:[^"\\]|\\.)*+")*+)\]')
_PARAMETER = re.compile(r' ([^\s=\]"]++)="((?:[^"\\]|\\.)*+)"')
_ESCAPE = re.compile(r'\\(["\\\]])')
_BARE_NEW = re.compile(r" (\S+) (\S+) (-|[0-9]{1,9}) (\S{1,32}) (?=-(?: |$)|\[[^\s=\]\"]+[ \]])")
_ESCAPED_END = re.compile(r"(?:#0[0-3][0-7])+$")  # a line end or NUL of the sender, as rsyslog writes it
_UPTIME = re.compile(r"\[ *([0-9]+\.[0-9]+)\] ?")
_REPEATED = re.compile(r"message repeated ([0-9]{1,9}) times?: \[ ?(.*?)\]?$", re.DOTALL)
_LAST_REPEATED = re.compile(r"(?:-+ )?(?:last|above) message repeat(?:ed|s) ([0-9]{1,9}) times?")


def rows(chunks: Iterable[bytes], context: LogContext) -> Iterator[LogRow]:
    """One row per message, in the order of the file."""
    return (row for row, _ in placed(uncounted(chunks), context))


def placed(chunks: Iterable[bytes], context: LogContext) -> Iterator[Placed]:
    """The rows, each with the numbers of the lines that it is made of."""
    reader = _Reader(context)
    audit = AuditLines(context)
    queue = audit.queue
    open_row: LogRow | None = None
    numbers: list[int] = []
    continued: list[str] = []
    for line in lines(chunks, context.line_bytes):
        raw = line.raw
        if open_row is not None:
            if raw[:1] in (b" ", b"\t") and line.whole and len(continued) < MAX_CONTINUED:
                continued.append(decoded(raw))
                numbers.append(line.number)
                continue
            done = (_closed(open_row, continued), numbers)
            open_row, continued = None, []
            if queue:
                yield from audit.behind(done)
            else:
                yield done
        if not raw.strip():
            continue
        row = reader.row(line)
        numbers = [line.number]
        if reader.audit is not None:
            record, reader.audit = reader.audit, None
            yield from audit.feed(record, row, line)
        elif row.parsed:
            open_row = row
        elif queue:
            yield from audit.behind((row, numbers))
        else:
            yield row, numbers
    if open_row is not None:
        yield from audit.behind((_closed(open_row, continued), numbers))
    yield from audit.finish()


class _Reader:
    """Makes the row of each line of one log."""

    def __init__(self, context: LogContext) -> None:
        reading = context.reading
        self._context = context
        self._years = YearGuess(context.near_ns, reading)
        self._zones = Zones(reading) if reading.zone or reading.zones else None
        self._origins = Origins()
        self._ts_ns = context.near_ns or 0
        self._host = ""  # of the line before
        self.audit: str | None = None  # the audit record that the last row's message holds

    def row(self, line: Line) -> LogRow:
        """The row of a line. A line that says no time has that of the line before."""
        if not line.whole:
            return self._unparsed(line, "")
        raw = line.raw
        begins = _BEGINS.match(raw)
        if begins is None:
            return self._unparsed(line, _NO_HEADER)
        whole = decoded(raw.removeprefix(BOM_UTF8))
        kind = begins.lastgroup
        if kind == "new":
            if match := NEW.match(whole) or NEW_BARE.match(whole):
                return self._new(line, whole, match)
        elif kind == "iso":
            if match := COMMON_ISO.match(whole):
                return self._common_iso(line, whole, match)
        elif match := COMMON.match(whole):
            return self._common(line, whole, match)
        return self._other(line, whole)

    def _common(self, line: Line, whole: str, match: re.Match[str]) -> LogRow:
        """`<86>Aug 13 07:36:32 host sshd[1]: message`."""
        priority, month, day, clock, fraction, host, program, pid = match.groups()
        short = host_of(host)
        if not short:
            return self._other(line, whole)
        ns = self._years.at(month, day, clock, fraction, whole)
        if ns is None:
            return self._unparsed(line, _NO_TIME)
        fields: dict[str, Any] = {"time": whole[match.start(2) : match.start(6) - 1]}
        assumed = "zone"
        if self._zones is None:
            self._ts_ns = ns
        else:
            assumed = self._settle(ns, None, short)
        if self._years.assumed:
            assumed = _without_year(fields, assumed)
        if priority:
            _add_priority(fields, priority)
        if host != self._host:
            self._host = host
            self._origins.seen(host)
        return self._made(short, host, program, pid or "", whole[match.end() :], fields, assumed)

    def _common_iso(self, line: Line, whole: str, match: re.Match[str]) -> LogRow:
        """`2024-05-01T12:00:00.123456+02:00 host sshd[1]: message`."""
        priority, at, host, program, pid = match.groups()
        short = host_of(host)
        if not short or not (pid or is_firm(at)):
            return self._other(line, whole)
        told = int64_time(at)
        if told is None:
            return self._unparsed(line, _NO_TIME)
        self._ts_ns = told[0]
        self._years.told(self._ts_ns)
        fields: dict[str, Any] = {"time": at}
        if priority:
            _add_priority(fields, priority)
        if host != self._host:
            self._host = host
            self._origins.seen(host)
        return self._made(short, host, program, pid or "", whole[match.end() :], fields, "")

    def _other(self, line: Line, whole: str) -> LogRow:
        """The row of a line that neither of the common patterns fits."""
        stamp = stamp_of(whole)
        if stamp is None:
            return self._unparsed(line, _NO_HEADER)
        if isinstance(stamp, str):
            return self._unparsed(line, stamp)
        if (
            stamp.iso_ns is not None
            and (stamp.firm or stamp.priority)
            and (match := _BARE_NEW.match(whole, stamp.end))
            and host_of(match[1])
        ):
            host, program, pid, event_id = (_text_or_nothing(part) for part in match.groups())
            origin: Origin | str = Origin(match.end(), host=host, program=program, pid=pid)
        else:
            match, event_id = None, ""
            origin = self._origins.of(whole, stamp)
        fields: dict[str, Any] = {"time": stamp.text}
        yearless = stamp.iso_ns is None and stamp.year is None
        ns = self._local_ns(stamp, whole)
        if ns is None:
            return self._unparsed(line, _NO_TIME)
        if isinstance(origin, str):
            return self._unparsed(line, origin)
        if not yearless and tells(stamp, origin):
            self._years.told(ns)
        short = short_host(origin.host or self._context.host)
        assumed = self._settle(ns, stamp.shift_s, short)
        if yearless and self._years.assumed:
            assumed = _without_year(fields, assumed)
        message = whole[origin.end :] if match is None else _data_in(whole, origin.end, fields)
        if stamp.priority:
            _add_priority(fields, stamp.priority)
        for name in ("facility", "severity", "msgid", "relay"):
            if value := getattr(origin, name):
                fields.setdefault(name, value)
        row = self._made(short, origin.host, origin.program, origin.pid, message, fields, assumed)
        row.event_id = event_id
        return row

    def _local_ns(self, stamp: HeaderTime, whole: str) -> int | None:
        """Nanoseconds of what the line's clock says."""
        if stamp.iso_ns is not None:
            return stamp.iso_ns
        if stamp.year is None:
            return self._years.at(stamp.month, stamp.day, stamp.clock, stamp.fraction, whole)
        return in_year(int(stamp.year), stamp.month, stamp.day, stamp.clock, stamp.fraction)

    def _settle(self, local_ns: int, shift: int | None, host: str) -> str:
        """Takes a line's local time for the time of its row; gives what nobody says of it."""
        if shift is not None:
            self._ts_ns = local_ns - shift * _S
            return ""
        if self._zones is None:
            self._ts_ns = local_ns
            return "zone"
        self._ts_ns, assumed = self._zones.utc(local_ns, host)
        return "zone" if assumed else ""

    def _new(self, line: Line, whole: str, match: re.Match[str]) -> LogRow:
        """RFC 5424: `<165>1 2003-10-11T22:14:15.003Z host app 123 ID47 [id key="value"] message`."""
        priority, at, host, program, pid, event_id = (_text_or_nothing(part) for part in match.groups(""))
        short = short_host(host or self._context.host)
        assumed = ""
        if at:
            told = int64_time(at)
            if told is None:
                return self._unparsed(line, _NO_TIME)
            ns, named = told
            self._years.told(ns)
            assumed = self._settle(ns, 0 if named else None, short)
        fields: dict[str, Any] = {"time": at}
        if priority:
            _add_priority(fields, priority)
        message = _data_in(whole, match.end(), fields)
        row = self._made(short, host, program, pid, message, fields, assumed)
        row.event_id, row.timed = event_id, bool(at)
        return row

    def _made(
        self, short: str, host: str, program: str, pid: str, message: str, fields: dict[str, Any], assumed: str
    ) -> LogRow:
        name, lower, audits = _program(program)
        if name != program:
            fields["tag"] = program
        number = MISSING
        if pid.isdecimal() and len(pid) < 10:
            number = int(pid)
        elif pid:
            fields["pid"] = pid
        if message[:1] == "[":
            message = _taken_in(name, message, fields)
        if message[-4:-2] == "#0" and (ends := _ESCAPED_END.search(message)):
            fields["raw"], message = message, message[: ends.start()]
        inner = _repeated(message, fields) if "repeat" in message[:30] else message
        if audits:
            self.audit = record_in(lower, message)
        parts = message_parts(lower, inner)
        if parts:
            fields.update(parts)
        kept = message
        if len(kept) > MESSAGE_CHARS or not kept.isprintable():
            kept = one_line(kept)
            fields.setdefault("raw", message)
        return LogRow(
            ts_ns=self._ts_ns,
            channel=CHANNEL,
            host=short,
            host_said=host or self._context.host,
            pid=number,
            cmdline=parts.get("command", ""),
            user=parts.get("user", ""),
            provider=name,
            message=kept,
            fields_json=to_json(fields),
            assumed=assumed,
        )

    def _unparsed(self, line: Line, why: str) -> LogRow:
        return unparsed(line, CHANNEL, "", self._context, self._ts_ns, why)


def _taken_in(name: str, message: str, fields: dict[str, Any]) -> str:
    """The message without the kernel's uptime or Solaris' id before it."""
    if name == "kernel" and (match := _UPTIME.match(message)):
        fields["uptime"] = match[1]
        return message[match.end() :]
    if message[:4] == "[ID " and (found := solaris_id(message)):
        said, end = found
        for key, value in said.items():
            fields.setdefault(key, value)
        return message[end:]
    return message


def _repeated(message: str, fields: dict[str, Any]) -> str:
    """The message that was repeated."""
    if match := _REPEATED.match(message):
        fields["repeated"] = int(match[1])
        return match[2]
    if match := _LAST_REPEATED.match(message):
        fields["repeated"] = int(match[1])
    return message


def _data_in(whole: str, place: int, fields: dict[str, Any]) -> str:
    """The message of RFC 5424 from `place` on, whose structured data go to the fields."""
    if whole.startswith("-", place):
        place += 1
    else:
        data: dict[str, Any] = {}
        while found := _DATA.match(whole, place):
            data[found[1]] = {key: _ESCAPE.sub(r"\1", value) for key, value in _PARAMETER.findall(found[2])}
            place = found.end()
        if data:
            fields["data"] = data
    return whole[place:].removeprefix(" ").removeprefix("\ufeff")


def _text_or_nothing(part: str) -> str:
    """RFC 5424 writes `-` for nothing."""
    return "" if part == "-" else part


def _without_year(fields: dict[str, Any], assumed: str) -> str:
    """What is assumed of a time whose year is; the fields say so too."""
    fields["year"] = "assumed"
    return f"year {assumed}" if assumed else "year"


def _closed(row: LogRow, continued: list[str]) -> LogRow:
    """A row with the indented lines after it."""
    if continued:
        row.message = one_line(" ".join([row.message, *(line.strip() for line in continued)]))
        row.fields_json = (
            f'{row.fields_json[:-1]}{"," if len(row.fields_json) > 2 else ""}"continued":{to_json(continued)}}}'
        )
    return row


def _add_priority(fields: dict[str, Any], priority: str) -> None:
    fields["facility"], fields["severity"] = _said_by(priority)


@lru_cache(maxsize=1024)
def _said_by(priority: str) -> tuple[str, str]:
    facility = int(priority) >> 3
    known = FACILITIES[facility] if facility < len(FACILITIES) else str(facility)
    return known, SEVERITIES[int(priority) & 7]


@lru_cache(maxsize=1024)
def _program(tag: str) -> tuple[str, str, bool]:
    """`sshd` of `sshd(pam_unix)` and of `/usr/sbin/sshd`; in lower case; whether it may pass audit records on."""
    if tag.startswith("/"):
        tag = tag.rpartition("/")[2] or tag
    name, mark, _ = tag.partition("(")
    name = name if mark and name else tag
    return name, name.lower(), "audi" in name.lower() or name == "kernel"


SPEC = ParserSpec(format="syslog", rows=rows, survey=survey)
