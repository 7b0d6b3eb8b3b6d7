"""One line of a Linux audit log to a typed record: auditd's own lines, enriched lines, `ausearch` raw and `-i` output.

A record begins only at the beginning of a line, and what a program wrote (`msg='…'`) stays apart from what the
kernel vouches for. What does not belong here: which records make an event (`event.py`) and what a field
means to a reader (`parser.py`, `sockaddr.py`).
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from rlstir_core.hostlogs.auditd.pairs import Odd, PairReader
from rlstir_core.hostlogs.auditd.tables import RECORD_TYPES
from rlstir_core.hostlogs.times.locales import LocalClock
from rlstir_core.text import decoded

_S = 1_000_000_000
_EPOCH_S = 9_223_372_035  # later seconds do not fit in int64 nanoseconds
_HEAD = re.compile(
    r"(?:node=(\S+) )?(?:type=(\S+) )(?:msg=)?audit\(([0-9]{1,10})\.([0-9]{1,9}):([0-9]{1,10})\)\s?:?\s*"
)
_LOCAL_HEAD = re.compile(  # a date in anybody's language; a long one overruns ausearch's buffer and loses its clock
    r"(?:node=(\S+) )?type=(\S+) msg=audit\((?![0-9.:]+\))([^)]{1,200})\.([0-9]{1,9}):([0-9]{1,10})\)\s?:?\s*"
)
_PRINTED = re.compile(r"(?:<[0-9]{1,3}>)?(?:\[ *[0-9]+\.[0-9]+\] ?)?audit: (?=type=)")  # by the kernel, without syslog
_NAME = re.compile(r'(?<!\S)([\w-]++)=("[^"]*+"|\S*+)')
_SPLIT = re.compile(r"(?:^|\s)([A-Za-z][\w\[\]-]*+)=")
_GLUED = ("ARCH=", "OUID=")  # the first interpreted field, where a copy lost the separator before it

_NAMES_AGAIN = 400  # characters of interpreted fields that are worth remembering
_ONE_FIELD = {"PROCTITLE": "proctitle", "CWD": "cwd", "SOCKADDR": "saddr"}
_SYSCALL_KEYS = (
    "arch syscall per success exit a0 a1 a2 a3 items ppid pid auid uid gid euid suid fsuid egid sgid fsgid tty ses "
    "comm exe subj key"
)
_SYSCALL_ORDER = {key: at for at, key in enumerate(_SYSCALL_KEYS.split())}


class AuditRecord(msgspec.Struct, gc=False):
    """One record. A duplicate key keeps its first value, so that appended text cannot replace it."""

    type: str
    ts_ns: int
    serial: int
    node: str = ""
    fields: dict[str, str] = {}  # decoded: no quotes, no hex; parts of a long argument (`a1[0]`) stay as written
    message_fields: dict[str, str] = {}  # the fields of msg='…', which a program wrote
    names: dict[str, str] = {}  # what auditd interpreted: UID, ARCH, SYSCALL, SADDR
    text: str = ""  # words that are no pairs
    encoded: dict[str, str] = {}  # the hex of values that are not UTF-8
    repeated: list[tuple[str, str]] = []  # further values of a key
    raw_hex: str = ""  # the line, where it is not UTF-8
    local: bool = False  # `ausearch -i`: names instead of numbers, and a local clock, here as if it were UTC
    timed: bool = True  # its time could be read
    assumed: str = ""  # what of its time nobody says

    def get(self, key: str) -> str:
        """The kernel's value of a field, else the program's, else nothing."""
        return self.fields.get(key) or self.message_fields.get(key, "")


def parse(raw: bytes, reader: PairReader, clock: LocalClock | None = None) -> AuditRecord | str:
    """The record that a line holds, or why it holds none. Reader and clock are one for all lines of a log."""
    try:
        line, raw_hex = raw.decode(), ""
    except UnicodeDecodeError:
        line, raw_hex = decoded(raw), raw.hex()
    head = _HEAD.match(line)
    if head is None:
        local = _LOCAL_HEAD.match(line)
        if local is not None:
            return _parse_local(line, local, raw_hex, reader, clock or LocalClock(""))
        printed = _PRINTED.match(line)
        head = None if printed is None else _HEAD.match(line, printed.end())
        if head is None:
            return "no audit record"
    node, kind, seconds, fraction, serial = head.groups()
    stamp = _stamp(seconds, fraction, serial)
    return stamp if isinstance(stamp, str) else _record(line[head.end() :], kind, stamp, node, raw_hex, reader, False)


def _parse_local(
    line: str, head: re.Match[str], raw_hex: str, reader: PairReader, clock: LocalClock
) -> AuditRecord | str:
    node, kind, date, fraction, serial = head.groups()
    at = clock.at(date)
    stamp = _stamp("0" if at is None else str(at[0] // _S), fraction, serial)
    if isinstance(stamp, str):
        return stamp
    record = _record(line[head.end() :], kind, stamp, node, raw_hex, reader, True)
    if at is None:
        record.timed = False
    elif at[1]:
        record.assumed = "order"
    return record


@lru_cache(maxsize=256)  # the records of an event share it
def _stamp(seconds: str, fraction: str, serial: str) -> tuple[int, int] | str:
    """Time and serial, or what is wrong with them."""
    whole, number = int(seconds), int(serial)
    if not -_EPOCH_S < whole <= _EPOCH_S:
        return "a time beyond int64"
    if number > 0xFFFFFFFF:
        return "a serial beyond 32 bits"
    # a fraction of three digits is milliseconds, and so is auditd's `.5`, which is not half a second
    nanos = int(fraction) * 1_000_000 if len(fraction) <= 3 else int(fraction.ljust(9, "0"))
    return whole * 1_000_000_000 + nanos, number


def _record(
    body: str, kind: str, stamp: tuple[int, int], node: str | None, raw_hex: str, reader: PairReader, local: bool
) -> AuditRecord:
    if not kind[0].isalpha() and kind.isdecimal() and len(kind) < 6:
        kind = RECORD_TYPES.get(int(kind), kind)
    record = AuditRecord(kind, stamp[0], stamp[1])
    if node:
        record.node = node
    if local or raw_hex:
        record.local, record.raw_hex = local, raw_hex
    if "\x1d" in body or "ARCH=" in body or "OUID=" in body:
        body = _take_names(record, body)
    if kind == "LOGIN" and " old " in body:  # `old auid=1 new auid=2` of old kernels
        body = body.replace(" old ", " old_").replace(" new ", " new_")
    start = body.find("msg='")
    if start >= 0:
        body = _take_message(record, body, start, reader)
    if local:
        record.fields = _interpreted(record, body)
        return record
    record.fields, odd = reader.read(kind, body)
    if odd is not None:
        _add_odd(record, odd)
    return record


def _take_names(record: AuditRecord, body: str) -> str:
    """Takes auditd's interpretation off the end of the record."""
    if "\x1d" in body:
        front, _, names = body.rpartition("\x1d")
        # a separator inside msg='…' was written by the program
        if not (names.rstrip().endswith("'") and "msg='" in front):
            record.names = _names(names)
            return front
    else:
        for mark in _GLUED:
            at = body.rfind(mark) if mark in body else -1
            if at > 0 and not body[at - 1].isspace() and not body.count('"', 0, at) % 2 and "msg='" not in body:
                record.names = _names(body[at:])
                return body[:at]
    return body


def _names(text: str) -> dict[str, str]:
    return _names_again(text) if len(text) <= _NAMES_AGAIN else _read_names(text)


def _read_names(text: str) -> dict[str, str]:
    text, mark, address = text.partition("SADDR={")
    names = {key: value.strip('"') for key, value in _NAME.findall(text)}
    if mark:
        names["SADDR"] = address.rpartition("}")[0].strip() or address.strip()
    return names


_names_again = lru_cache(maxsize=1024)(_read_names)  # few users make most records; the dict is shared, never changed


def _take_message(record: AuditRecord, body: str, start: int, reader: PairReader) -> str:
    """Takes msg='…' out. It ends at the record's last quote: the kernel writes that one, whatever came before."""
    end = body.rfind("'")
    inner = body[start + 5 : end] if end > start + 4 else body[start + 5 :]
    after = body[end + 1 :] if end > start + 4 else ""
    if after and not record.names:
        record.names = _names(after)
    old = " (hostname=" in inner
    if old:
        inner = inner.replace(" (hostname=", " hostname=").rstrip(")")
    if record.local:
        found, odd = _interpreted(record, inner), None
    else:
        found, odd = reader.read(record.type, inner)
    if odd is not None:
        _add_odd(record, odd)
    record.message_fields = {key: value.rstrip(",") for key, value in found.items()} if old else found
    return body[:start]


def _add_odd(record: AuditRecord, odd: Odd) -> None:
    if odd.words:
        record.text = " ".join([record.text, *odd.words] if record.text else odd.words)
    if odd.repeated:
        record.repeated = record.repeated + odd.repeated
    if odd.encoded:
        record.encoded = record.encoded | odd.encoded


def _interpreted(record: AuditRecord, body: str) -> dict[str, str]:
    """The pairs of `ausearch -i`, whose values hold blanks: a value ends where a key that may follow begins."""
    kind = record.type
    only = _ONE_FIELD.get(kind)
    if only and body.startswith(only + "="):
        return {only: body[len(only) + 1 :].rstrip()}
    fields: dict[str, str] = {}
    if kind == "PATH":
        body = _take_path(fields, body)
    key, start, last = "", 0, -1
    n_arguments = 0
    for match in _SPLIT.finditer(body):
        found = match[1]
        if kind == "SYSCALL":
            at = _SYSCALL_ORDER.get(found, -1)
            if at <= last:
                continue
            last = at
        elif kind == "EXECVE" and found != "argc":
            if found.partition("[")[0].removesuffix("_len") not in (f"a{n_arguments}", f"a{n_arguments - 1}"):
                continue
            n_arguments += found == f"a{n_arguments}" or found.startswith(f"a{n_arguments}[")
        elif found in fields or found == key:
            continue
        _put(record, fields, key, body[start : match.start()])
        key, start = found, match.end()
    _put(record, fields, key, body[start:])
    return fields


def _take_path(fields: dict[str, str], body: str) -> str:
    """Takes the name out of a PATH record: it may hold anything that looks like a field, so it ends at the last."""
    start = body.find("name=")
    end = body.rfind(" inode=")
    if end < 0:
        end = max(body.rfind(" nametype="), body.rfind(" objtype="))
    if not 0 <= start < end or (start and not body[start - 1].isspace()):
        return body
    fields["name"] = body[start + 5 : end]
    return body[:start] + body[end + 1 :]


def _put(record: AuditRecord, fields: dict[str, str], key: str, value: str) -> None:
    value = value.strip()
    if key:
        fields[key] = value
    elif value:
        record.text = f"{record.text} {value}".strip()
