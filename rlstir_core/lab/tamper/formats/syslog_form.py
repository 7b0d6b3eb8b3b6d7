"""Syslog text for operators: a record is a line with the indented lines after it.

Audit records that syslog carries stay as they are: they are joined, and their times stand in each of their lines.
What does not belong here: which lines are touched (operators).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.syslog import parser as syslog
from rlstir_core.lab.tamper.records.clocks import MONTHS, at, fraction, grain_of, moved
from rlstir_core.lab.tamper.records.entry import MADE_UP, Entry, LoggedProcess, wording
from rlstir_core.lab.tamper.records.pieces import NOBODY, SplitLog, bare, cut, end_of

NOTICES = frozenset({"cleared", "stopped", "started", "rotated", "suspended", "resumed", "stepped"})
_PRIORITY = rb"(?:\xef\xbb\xbf)?(?:<[0-9]{1,3}>)?"
_OLD = re.compile(
    rb"(" + _PRIORITY + rb")([A-Z][a-z]{2})( {1,2})([0-9]{1,2})( [0-9]{4})? ([0-9:]{8})(?:\.([0-9]{1,9}))?(?= )"
)
_ISO = re.compile(rb"(" + _PRIORITY + rb"(?:(?<=>)1 )?)([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(?:[.,][0-9]{1,9})?)")
_HOST = re.compile(rb"\S* (\S+) ")
_COMMAND = re.compile(rb"(COMMAND=).*")
_NAMED = re.compile(r'"(user|src_ip)":"((?:[^"\\]|\\.){1,200})"')
_ORIGIN = re.compile(rb'\[origin software="rsyslogd"[ -Z^-~]*\]')
_TTY = re.compile(rb" : (?:.* ; )?TTY=(\S+) ")
_WORD = frozenset(bytes([c]) for c in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-")
_WORD_BEFORE = _WORD | {b".", b":"}
_TAIL = re.compile(rb"(?:Z|[+-][0-9]{2}:?[0-9]{2})?")


class SyslogForm:
    """Syslog text: RFC 3164, RFC 5424 and rsyslog's ISO lines. Its records have no numbers."""

    name = "syslog"
    notices = NOTICES

    def split(self, data: bytes, near_ns: int | None) -> SplitLog:
        """The log's lines and records, in the order of the parser's rows."""
        pieces = cut(data)
        owner = [NOBODY] * len(pieces)
        entries: list[Entry] = []
        for row, numbers in syslog.placed([data], LogContext(near_ns=near_ns)):
            # of two rows in one line, which NULs part, the first has it
            mine = [number - 1 for number in numbers if owner[number - 1] == NOBODY]
            for i in mine:
                owner[i] = len(entries)
            payload = [pieces[i] for i in mine]
            raw = bare(payload[0]) if payload else b""
            match = _OLD.match(raw) or _ISO.match(raw)
            found = re.search(rb"[.,]([0-9]+)$", match[0]) if match else None
            entries.append(
                Entry(
                    place=len(entries),
                    ts_ns=row.ts_ns,
                    grain_ns=grain_of(len(found[1]) if found else 0),
                    pid=row.pid,
                    cmdline=row.cmdline,
                    channel=row.channel,
                    source=row.provider,
                    session=_session(row.cmdline, raw),
                    fixed=not row.parsed or match is None or row.channel != syslog.CHANNEL,
                    payload=payload or [b""],
                    fields=row.fields_json,
                )
            )
        return SplitLog(pieces, owner, entries)

    def order(self, pieces: Sequence[bytes]) -> list[list[int]] | None:
        """None: rows come in the order of the records."""
        return None

    def render(self, entry: Entry) -> Sequence[bytes]:
        """The lines of a record, with its edits carried out."""
        if not entry.edits:
            return entry.payload
        line, end = bare(entry.payload[0]), end_of(entry.payload[0])
        by_ns = entry.edits.get("shift_ns", 0)
        if by_ns:
            line = _moved(line, entry.ts_ns, by_ns)
        if entry.edits.get("blank"):
            line = _COMMAND.sub(rb"\1", line)
        for key, value in entry.edits.get("fields", {}).items():
            line = _replaced(line, self.values(entry).get(key, ""), value)
        return [line + end, *entry.payload[1:]]

    def values(self, entry: Entry) -> dict[str, str]:
        """What `rewrite_field` may replace: the user and the address that the message names."""
        line = bare(entry.payload[0])
        found = dict(_NAMED.findall(entry.fields))
        plain = {key: msgspec.json.decode(f'"{value}"', type=str) for key, value in found.items()}
        return {key: value for key, value in plain.items() if _place(line, value)}

    def process(self, entry: Entry) -> LoggedProcess:
        """The process that the record speaks of."""
        return LoggedProcess(pid=entry.pid, exe=entry.source)

    def words(self, entries: Sequence[Entry]) -> dict[str, object]:
        """How rsyslog names itself, where the log has a line of it."""
        for entry in entries:
            if entry.source == "rsyslogd" and (match := _ORIGIN.search(entry.payload[0])):
                return {"origin": match[0].decode("ascii", "replace")}
        return {}

    def notice(self, what: str, like: Entry, ts_ns: int, number: int, **words: object) -> Entry | None:
        """The line that rsyslog or the kernel writes when this happens."""
        raw = bare(like.payload[0])
        match = _OLD.match(raw) or _ISO.match(raw)
        if what not in NOTICES or match is None:
            return None
        tail = _TAIL.match(raw, match.end())
        end = tail.end() if tail else match.end()
        host = _HOST.match(raw, end)
        grain = like.grain_ns
        ts_ns = ts_ns // grain * grain
        head = _moved(raw[:end] + b" ", ts_ns, ts_ns - like.ts_ns)[:-1]
        name = host[1] if host and not host[1].endswith(b":") else b"localhost"
        program, message = _texts(name, words)[what]
        if head.partition(b">")[2].startswith(b"1 "):
            plain, _, pid = program.rstrip("]").partition("[")
            line = b"%s %s %s %s - - %s" % (head, name, plain.encode(), (pid or "-").encode(), message.encode())
        else:
            line = b"%s %s %s: %s" % (head, name, program.encode(), message.encode())
        return Entry(
            place=MADE_UP,
            ts_ns=ts_ns,
            grain_ns=grain,
            channel=like.channel,
            log=like.log,
            source=program.partition("[")[0],
            payload=[line + b"\n"],
        )


def _texts(host: bytes, words: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    """What programs of this host say; older ones say some of it otherwise."""
    older = bool(wording(host.decode("utf-8", "replace")) % 2)
    origin, step_s = words.get("origin", _OLDER if older else _RSYSLOG), float(str(words.get("step_s", 0)))
    start = "(re)start" if older else "start"
    return {
        "stopped": ("rsyslogd", f"{origin} exiting on signal 15."),
        "started": ("rsyslogd", f"{origin} {start}"),
        "cleared": ("rsyslogd", f"{origin} {start}"),
        "rotated": ("rsyslogd", f"{origin} rsyslogd was HUPed"),
        "suspended": ("systemd-logind[700]", "The system will suspend now!"),
        "resumed": ("systemd-logind[700]", "Operation 'suspend' finished."),
        "stepped": ("chronyd[741]", f"System clock was stepped by {step_s:.6f} seconds"),
    }


_OLDER = '[origin software="rsyslogd" swVersion="4.6.4" x-pid="1182" x-info="http://www.rsyslog.com"]'
_RSYSLOG = '[origin software="rsyslogd" swVersion="8.2112.0" x-pid="690" x-info="https://www.rsyslog.com"]'


def _session(cmdline: str, raw: bytes) -> str:
    if not cmdline:
        return ""
    tty = _TTY.search(raw)
    return f"sudo {tty[1].decode('ascii', 'replace')}" if tty else "sudo" if b"COMMAND=" in raw else ""


def _moved(line: bytes, ts_ns: int, by_ns: int) -> bytes:
    """The line at `ts_ns`, in the layout that it has; `by_ns` is the way there from what it says."""
    if match := _OLD.match(line):
        head, _, gap, day, year, _, digits = match.groups()
        local = at(ts_ns)
        padded = len(gap + day) > 2
        shown = f"{local.day:02d}" if day.startswith(b"0") else f"{local.day:>2}" if padded else str(local.day)
        made = f"{MONTHS[local.month - 1]} {shown}{f' {local.year}' if year else ''} {local:%H:%M:%S}"
        if digits:
            made += "." + fraction(ts_ns, len(digits))
        return head + made.encode() + line[match.end() :]
    if match := _ISO.match(line):
        return match[1] + str(moved(match[2].decode(), by_ns)).encode() + line[match.end() :]
    return line


def _place(line: bytes, value: str) -> tuple[int, int] | None:
    """Where a value stands in the message, as a word of its own."""
    raw = value.encode("utf-8", "backslashreplace")
    start = line.find(raw, line.find(b": ") + 1) if raw else -1
    while start >= 0:
        end = start + len(raw)
        if line[start - 1 : start] not in _WORD_BEFORE and line[end : end + 1] not in _WORD:
            return start, end
        start = line.find(raw, start + 1)
    return None


def _replaced(line: bytes, old: str, new: str) -> bytes:
    found = _place(line, old)
    if found is None:
        return line
    return line[: found[0]] + new.encode("utf-8", "backslashreplace") + line[found[1] :]
