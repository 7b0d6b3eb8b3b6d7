"""Linux audit logs for operators: events of several lines, in the order in which the parser gives their rows.

Only what an operator asks for is read of a line; which lines are one event is decided by the parser's own assembler.
What does not belong here: changing a line (`audit_edit.py`), and which events are touched (operators).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from rlstir_core.hostlogs.auditd import parser as audit
from rlstir_core.hostlogs.auditd.event import Assembler, AuditEvent
from rlstir_core.hostlogs.auditd.pairs import PairReader
from rlstir_core.hostlogs.auditd.record import AuditRecord, parse
from rlstir_core.hostlogs.times.locales import LocalClock
from rlstir_core.lab.tamper.formats.audit_edit import movable, render, values
from rlstir_core.lab.tamper.formats.audit_notices import NOTICES, notice
from rlstir_core.lab.tamper.records.clocks import grain_of
from rlstir_core.lab.tamper.records.entry import NONE, Entry, LoggedProcess
from rlstir_core.lab.tamper.records.pieces import NOBODY, SplitLog, bare, cut

_HEAD = re.compile(
    rb"(?:node=([!-~]+) )?type=([A-Z][!-~]*) msg=audit\(([0-9]{1,10})\.([0-9]{1,9}):([0-9]{1,10})\)(?=[ :])"
)
_NOISE = b"----", b"time->", b"<no matches>", b"#"
_LAST_S = 9_223_372_035
_LAST_SERIAL = 0xFFFFFFFF
_ARGUMENT = re.compile(rb' a[0-9]+=(?:"([^"]*)"|((?:[0-9A-F]{2})+)(?= |\r?\n))')
_STARTED = re.compile(rb" (ver|kernel|format|pid)=([!-~]+)")
_PID = re.compile(rb" pid=([0-9]{1,9})(?![0-9])")
_PPID = re.compile(rb" ppid=([0-9]{1,9})(?![0-9])")
_EXE = re.compile(rb'[ \']exe=("[^"]*"|[^\s\']+)')
_SESSION = re.compile(rb" tty=(\S+) ses=(\S+) ")
_DESCRIBING = "SYSCALL PATH CWD PROCTITLE SOCKADDR EXECVE FD_PAIR IPC SOCKETCALL BPRM_FCAPS MMAP"
_DESCRIBES = frozenset(_DESCRIBING.split())
_NO_TTY = (b"(none)", b"?")
_FRACTION = re.compile(rb"audit\([^()]*?\.([0-9]{1,9}):")

_Group = tuple[int | AuditEvent, list[int]]  # an event, or NOBODY for a line that is none, and its lines


class AuditForm:
    """Audit text: raw, enriched, and what ausearch prints."""

    name = "audit"
    notices = NOTICES

    def split(self, data: bytes, near_ns: int | None) -> SplitLog:
        """The log's lines and events."""
        pieces = cut(data)
        owner = [NOBODY] * len(pieces)
        entries: list[Entry] = []
        for event, lines in _groups(pieces, near_ns):
            for line in lines:
                owner[line] = len(entries)
            payload = [pieces[line] for line in lines]
            entries.append(_entry(len(entries), event, payload))
        last_ns = near_ns or 0
        for entry in entries:
            if entry.fixed and not entry.ts_ns:
                entry.ts_ns = last_ns
            last_ns = entry.ts_ns
        return SplitLog(pieces, owner, entries, _is_plain(owner, entries))

    def order(self, pieces: Sequence[bytes]) -> list[list[int]] | None:
        """The lines of each row that the parser would give."""
        return [lines for _, lines in _groups(pieces)]

    def render(self, entry: Entry) -> Sequence[bytes]:
        """The lines of a record, with its edits carried out."""
        return render(entry) if entry.edits else entry.payload

    def values(self, entry: Entry) -> dict[str, str]:
        """What `rewrite_field` may replace."""
        return values(entry)

    def process(self, entry: Entry) -> LoggedProcess:
        """The process that the record speaks of."""
        return LoggedProcess(pid=entry.pid, exe=entry.exe, cmdline=entry.cmdline)

    def words(self, entries: Sequence[Entry]) -> dict[str, object]:
        """Version and kernel, where the log says when its daemon was started."""
        for entry in entries:
            if entry.event_id == "DAEMON_START":
                return {key.decode(): value.decode() for key, value in _STARTED.findall(entry.payload[-1])}
        return {}

    def notice(self, what: str, like: Entry, ts_ns: int, number: int, **words: object) -> Entry | None:
        """The record that the host itself writes when this happens; None where it writes none."""
        return notice(what, like, ts_ns, number, **words)


def _is_plain(owner: Sequence[int], entries: Sequence[Entry]) -> bool:
    """Whether the lines of every event stand together, each event has a name of its own, and every line was read."""
    named = {(entry.log, entry.number) for entry in entries if entry.number >= 0}
    return (
        len(named) == len(entries)
        and not any(entry.fixed for entry in entries)
        and all(0 <= other - one <= 1 for one, other in pairwise(owner))
    )


def _groups(pieces: Sequence[bytes], near_ns: int | None = None) -> list[_Group]:
    """Events and unreadable lines in the order of the parser's rows, each with its lines; noise goes with the event
    that follows it."""
    assembler, reader, clock = Assembler(), PairReader(), LocalClock("", near_ns=near_ns)
    line_of: dict[int, int] = {}
    ends: list[tuple[tuple[str, int, int], int]] = []
    before: dict[int, list[int]] = {}
    found: list[_Group] = []
    alive: list[AuditRecord] = []  # an identity is a record's own only while the record is there
    pending: list[int] = []
    events: list[AuditEvent] = []
    places: list[int] = []  # of events in `found`

    def take(done: list[AuditEvent]) -> None:
        for event in done:
            places.append(len(found))
            events.append(event)
            found.append((event, [line for record in event.records for line in lines_of(record)]))

    def lines_of(record: AuditRecord) -> list[int]:
        line = line_of[id(record)]
        return [*before.get(line, ()), line]

    for at, piece in enumerate(pieces):
        raw = bare(piece)
        if len(piece.removesuffix(b"\n")) > audit.MAX_LINE:
            found.append((NOBODY, [at]))
            continue
        record = _light(raw) or parse(raw, reader, clock)
        if isinstance(record, str):
            if raw.strip().startswith(_NOISE):
                pending.append(at)
            elif raw.strip():
                found.append((NOBODY, [at]))
            continue
        if pending:
            before[at], pending = pending, []
        line_of[id(record)] = at
        alive.append(record)
        if record.type == "EOE":
            ends.append(((record.node, record.ts_ns, record.serial), at))
        take(assembler.feed(record, len(raw)))
    take(assembler.finish())
    if ends:
        _add_ends(found, events, places, ends, before)
    return [(event, sorted(lines)) for event, lines in found]


def _add_ends(
    found: list[_Group],
    events: list[AuditEvent],
    places: list[int],
    ends: list[tuple[tuple[str, int, int], int]],
    before: dict[int, list[int]],
) -> None:
    """Gives end-of-event records to the last event of their name that began before them."""
    named: dict[tuple[str, int, int], list[int]] = {}
    for event, place in zip(events, places, strict=True):
        named.setdefault((event.node, event.ts_ns, event.serial), []).append(place)
    for key, line in ends:
        earlier = [place for place in named.get(key, ()) if found[place][1] and min(found[place][1]) < line]
        if earlier:
            found[earlier[-1]][1].extend([*before.get(line, ()), line])


@lru_cache(maxsize=256)
def _stamp(seconds: bytes, digits: bytes, serial: bytes) -> tuple[int, int] | None:
    whole, number = int(seconds), int(serial)
    if whole > _LAST_S or number > _LAST_SERIAL:
        return None
    nanos = int(digits) * 1_000_000 if len(digits) <= 3 else int(digits.ljust(9, b"0"))
    return whole * 1_000_000_000 + nanos, number


def _light(raw: bytes) -> AuditRecord | None:
    """The head of a plain record; None where only the whole parser can tell."""
    head = _HEAD.match(raw)
    if head is None or b"msg='" in raw:
        return None
    node, kind, seconds, digits, serial = head.groups()
    stamp = _stamp(seconds, digits, serial)
    if stamp is None:
        return None
    record = AuditRecord(kind.decode(), stamp[0], stamp[1])
    if node:
        record.node = node.decode()
    return record


def _entry(place: int, event: AuditEvent | int, payload: list[bytes]) -> Entry:
    if isinstance(event, int):
        return Entry(place=place, ts_ns=0, channel=audit.CHANNEL, fixed=True, payload=payload)
    kinds = [record.type for record in event.records]
    main = next((kind for kind in kinds if kind not in _DESCRIBES), "SYSCALL" if "SYSCALL" in kinds else kinds[0])
    actor = next((line for line in payload if b"type=SYSCALL " in line), payload[-1])
    pid, ppid, exe = _PID.search(actor), _PPID.search(actor), _EXE.search(actor)
    creates = "EXECVE" in kinds
    session = ""
    cmdline = ""
    if creates:
        if (found := _SESSION.search(actor)) and found[1] not in _NO_TTY:
            session = f"{found[2].decode('utf-8', 'replace')} {found[1].decode('utf-8', 'replace')}"
        cmdline = _arguments(payload)
    elif main == "USER_CMD":
        session, cmdline = "sudo", "?"
    text = exe[1].decode("utf-8", "replace").strip('"') if exe else ""
    digits = _FRACTION.search(payload[-1])
    return Entry(
        place=place,
        ts_ns=event.ts_ns if event.records[0].timed else 0,
        grain_ns=grain_of(3 if digits is None or len(digits[1]) <= 3 else len(digits[1])),
        number=NONE if main.startswith("DAEMON_") else event.serial,  # the daemon counts its own
        pid=int(pid[1]) if pid else NONE,
        ppid=int(ppid[1]) if ppid else NONE,
        exe=text,
        cmdline=cmdline,
        event_id=main,
        channel=audit.CHANNEL,
        log=event.node,
        source=main,
        session=session,
        creates=creates,
        fixed=not all(map(movable, payload)),
        payload=payload,
    )


def _arguments(payload: Sequence[bytes]) -> str:
    """The command line, arguments of several records included, parts of long ones not."""
    words = [
        quoted if quoted or not encoded else bytes.fromhex(encoded.decode())
        for line in payload
        if b"type=EXECVE " in line
        for quoted, encoded in _ARGUMENT.findall(line)
    ]
    return b" ".join(words).decode("utf-8", "replace")
