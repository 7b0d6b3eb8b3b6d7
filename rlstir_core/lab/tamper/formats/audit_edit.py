"""Changes carried out in the lines of an audit event, the same in each of them.

What does not belong here: which lines are one event (`audit_form.py`) and what is changed why.
"""

from __future__ import annotations

import re

from rlstir_core.hostlogs.times.date_orders import LocalTime
from rlstir_core.hostlogs.times.locales import BUDDHIST, LAST_YEAR, local_time
from rlstir_core.lab.tamper.records.clocks import DAYS, MONTHS, at, fraction
from rlstir_core.lab.tamper.records.entry import MILLISECOND_NS, SECOND_NS, Entry, LoggedProcess
from rlstir_core.lab.tamper.records.pieces import bare, end_of

_HEAD = re.compile(rb"((?:node=\S+ )?(?:type=\S+ )(?:msg=)?audit\()([^()]+?)\.([0-9]{1,9}):([0-9]{1,10})(?=\))")
_NUMBERS = re.compile(rb"[0-9]+")
_AUSEARCH = re.compile(rb"time->.*")
_PPID = re.compile(rb"( ppid=)[0-9]+")
_BODY = re.compile(rb"(.*?audit\([^()]*\)(?: ?: ?| ))(.*)", re.DOTALL)
_COMMAND = re.compile(rb"([ ']cmd=)\S+")
# a value, and what auditd says it means, change together
_FIELDS = {
    "exe": re.compile(rb"([ ']exe=)(\"[^\"]*\"|[^\s']+)"),
    "auid": re.compile(rb"( auid=)([^\s'\x1d]+)"),
    "uid": re.compile(rb"( uid=)([^\s'\x1d]+)"),
    "acct": re.compile(rb"([ ']acct=)(\"[^\"]*\"|[^\s']+)"),
    "addr": re.compile(rb"([ ']addr=)([^\s']+)"),
}
_NAMES = {
    "auid": re.compile(rb"((?<=\s)|(?<=\x1d))(AUID=)(\"[^\"]*\")"),
    "uid": re.compile(rb"((?<=\s)|(?<=\x1d))(UID=)(\"[^\"]*\")"),
}
_NOTHING = (b"?", b"(null)", b"4294967295", b"unset")


def render(entry: Entry) -> list[bytes]:
    """The lines of an event with its edits carried out."""
    edits = entry.edits
    lines = [bytes(line) for line in entry.payload]
    if "shift_ns" in edits or "number" in edits:
        lines = [_stamped(line, entry.ts_ns, edits.get("number", 0), edits.get("shift_ns")) for line in lines]
    if isinstance(parent := edits.get("parent"), LoggedProcess):
        lines = [_PPID.sub(rb"\g<1>%d" % parent.pid, line, 1) if _is(line, b"SYSCALL") else line for line in lines]
    if edits.get("blank"):
        lines = [_blank(line) for line in lines]
    for key, value in edits.get("fields", {}).items():
        lines = [_with_field(line, key, value) for line in lines]
    return lines


def values(entry: Entry) -> dict[str, str]:
    """The values of user, program and address fields; for a user with the name that auditd gave it."""
    found: dict[str, str] = {}
    for line in entry.payload:
        for key, pattern in _FIELDS.items():
            if key in found or not (match := pattern.search(line)) or match[2] in _NOTHING:
                continue
            name = _NAMES[key].search(line) if key in _NAMES else None
            found[key] = _text(match[2]) + ("\0" + _text(name[3]) if name else "")
    return found


def _with_field(line: bytes, key: str, value: str) -> bytes:
    raw, _, name = value.partition("\0")
    line = _FIELDS[key].sub(lambda match: match[1] + _raw(raw), line)
    if name:
        line = _NAMES[key].sub(lambda match: match[1] + match[2] + _raw(name), line)
    return line


def _stamped(line: bytes, ts_ns: int, number: int, by_ns: int | None) -> bytes:
    match = _HEAD.match(line)
    moved = by_ns is not None
    if match is None:
        if moved and line.startswith(b"time->"):
            when = at(ts_ns)
            stamp = f"time->{DAYS[when.weekday()]} {MONTHS[when.month - 1]} {when.day:>2} {when:%H:%M:%S} {when.year}"
            return _AUSEARCH.sub(stamp.encode(), bare(line), 1) + end_of(line)
        return line
    seconds, digits = match[2], match[3]
    if moved:
        if len(digits) <= 3:
            digits = str(ts_ns % SECOND_NS // MILLISECOND_NS).zfill(len(digits)).encode()
        else:
            digits = fraction(ts_ns, len(digits)).encode()
        seconds = (
            str(ts_ns // SECOND_NS).encode() if seconds.isdigit() else _local(seconds, ts_ns, ts_ns - (by_ns or 0))
        )
    return b"%s%s.%s:%d%s" % (match[1], seconds, digits, int(match[4]) + number, line[match.end() :])


def movable(line: bytes) -> bool:
    """Whether the time of a record can be written anew: a local one must be of numbers alone."""
    head = _HEAD.match(line)
    return head is None or head[2].isdigit() or (_said(head[2]) is not None and len(_NUMBERS.findall(head[2])) == 6)


def _said(stamp: bytes) -> LocalTime | None:
    return local_time(stamp.decode("utf-8", "backslashreplace"))


def _local(stamp: bytes, ts_ns: int, before_ns: int) -> bytes:
    """A date of `ausearch -i`, in the layout and the order of day and month that it had."""
    said = _said(stamp)
    if said is None:
        return stamp
    before = before_ns // SECOND_NS * SECOND_NS
    order = next((order for order in said.days if said.ns(order) == before), "ymd")
    when = at(ts_ns)
    parts = {"y": when.year, "m": when.month, "d": when.day}
    numbers = iter([*(parts[part] for part in order), when.hour, when.minute, when.second])

    def put(match: re.Match[bytes]) -> bytes:
        number = next(numbers)
        if number == when.year:
            buddhist = BUDDHIST if int(match[0]) > LAST_YEAR else 0
            return str(number + buddhist)[-len(match[0]) :].encode()
        return str(number).zfill(len(match[0])).encode()

    return _NUMBERS.sub(put, stamp)


def _blank(line: bytes) -> bytes:
    match = _BODY.match(bare(line))
    if match is None:
        return line
    if _is(line, b"EXECVE"):
        return match[1] + b"argc=0" + end_of(line)
    if _is(line, b"PROCTITLE"):
        return match[1] + b'proctitle=""' + end_of(line)
    return _COMMAND.sub(rb'\1""', line)


def _is(line: bytes, kind: bytes) -> bool:
    return b"type=%s " % kind in line[:300]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
