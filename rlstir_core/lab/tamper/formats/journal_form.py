"""The journal's JSON lines for operators: cursor, sequence number and both clocks change together.

What does not belong here: which entries are touched (operators), and the export format, which is not written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.journald import parser as journald
from rlstir_core.hostlogs.record_ids import journal_ids
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.lab.tamper.formats.journal_notices import NOTICES, notice
from rlstir_core.lab.tamper.records.clocks import MONTHS, at
from rlstir_core.lab.tamper.records.entry import NONE, Entry, LoggedProcess
from rlstir_core.lab.tamper.records.json_text import EditedLine, JsonRecord
from rlstir_core.lab.tamper.records.pieces import NOBODY, SplitLog, bare, cut, next_row, no_more

_WALL = ("__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP")
_STEADY = ("__MONOTONIC_TIMESTAMP", "_SOURCE_MONOTONIC_TIMESTAMP", "_SOURCE_BOOTTIME_TIMESTAMP")
_COMMAND = re.compile(r"(COMMAND=).*", re.DOTALL)
_OLD = re.compile(r"[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}")
_ADDRESS = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w.])")
_NAMED = re.compile(r"(?<= for )(?:(?:invalid )?user )?([\w.-]+)")
_US = 1000


class JournalForm:
    """`journalctl -o json`."""

    name = "journald"
    notices = NOTICES

    def split(self, data: bytes, near_ns: int | None) -> SplitLog:
        """The log's lines and entries; ConfigError for the export format."""
        head = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n\x1e")
        named = head[:1].isalpha() or head[:1] == b"_"
        if named and not head.startswith((b"data: ", b"event: ", b"id: ")):
            raise ConfigError("the journal is in the export format; write it with journalctl -o json")
        rows = iter(journald.rows([data], LogContext(near_ns=near_ns)))
        pieces = cut(data)
        owner = [NOBODY] * len(pieces)
        entries: list[Entry] = []
        for i, piece in enumerate(pieces):
            raw = bare(piece)
            if raw[:1] != b"{":
                raw = raw.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\x1e").removeprefix(b"data: ")
                if not raw or raw.startswith((b"event: ", b"id: ", b"-- ")):
                    continue
            row = next_row(rows)
            owner[i] = len(entries)
            ids = journal_ids(row.fields_json) if row.parsed else None
            entries.append(
                Entry(
                    place=len(entries),
                    ts_ns=row.ts_ns,
                    number=ids.number if ids else NONE,
                    pid=row.pid,
                    exe=row.exe,
                    cmdline=row.cmdline,
                    event_id=row.event_id,
                    channel=row.channel,
                    log=ids.log if ids else "",
                    source=row.provider,
                    session=_session(row.message),
                    fixed=not row.parsed,
                    payload=[piece],
                )
            )
        no_more(rows)
        return SplitLog(pieces, owner, entries)

    def order(self, pieces: Sequence[bytes]) -> list[list[int]] | None:
        """None: rows come in the order of the entries."""
        return None

    def render(self, entry: Entry) -> Sequence[bytes]:
        """The line of an entry, with its edits carried out."""
        if not entry.edits:
            return entry.payload
        line = EditedLine(entry.payload[0])
        record, edits = line.record, entry.edits
        _move(record, edits.get("shift_ns", 0), edits.get("number", 0), bool(edits.get("steady")))
        if edits.get("blank"):
            if "_CMDLINE" in record:
                record["_CMDLINE"] = ""
            if isinstance(record.get("MESSAGE"), str):
                record["MESSAGE"] = _COMMAND.sub(r"\1", record["MESSAGE"])
        for key, value in edits.get("fields", {}).items():
            _put(record, key, value)
        return [line.text()]

    def values(self, entry: Entry) -> dict[str, str]:
        """What `rewrite_field` may replace: program, user id, and what the message names."""
        record = EditedLine(entry.payload[0]).record
        found = {key: record[key] for key in ("_EXE", "_UID") if isinstance(record.get(key), str) and record[key]}
        message = record.get("MESSAGE")
        if isinstance(message, str):
            if match := _ADDRESS.search(message):
                found["address"] = match[0]
            if match := _NAMED.search(message):
                found["name"] = match[1]
        return found

    def process(self, entry: Entry) -> LoggedProcess:
        """The process that wrote the entry."""
        return LoggedProcess(pid=entry.pid, exe=entry.exe, cmdline=entry.cmdline)

    def words(self, entries: Sequence[Entry]) -> dict[str, object]:
        """The journal's own process, where it has written something."""
        return next(({"pid": entry.pid} for entry in entries if entry.source == "systemd-journald"), {})

    def notice(self, what: str, like: Entry, ts_ns: int, number: int, **words: object) -> Entry | None:
        """The entry that systemd, the kernel or a daemon writes when this happens."""
        return notice(what, like, ts_ns, number, **words)


def _session(message: str) -> str:
    """sudo's terminal; the command line of a daemon is no shell's."""
    if "COMMAND=" in message and (match := re.search(r"TTY=(\S+)", message)):
        return f"sudo {match[1]}"
    return ""


def _put(record: JsonRecord, key: str, value: str) -> None:
    if key in record:
        record[key] = value
        return
    pattern = _ADDRESS if key == "address" else _NAMED
    message = record["MESSAGE"]
    if match := pattern.search(message):
        group = 0 if key == "address" else 1
        record["MESSAGE"] = message[: match.start(group)] + value + message[match.end(group) :]


def _move(record: JsonRecord, by_ns: int, number: int, steady: bool) -> None:
    """Moves every clock and number of an entry, its cursor included."""
    by_us = by_ns // _US
    boot_us = 0 if steady else by_us
    for keys, more in ((_WALL, by_us), (_STEADY, boot_us), (("__SEQNUM",), number)):
        for key in keys:
            record.update(_added(record, key, more))
    stamp = record.get("SYSLOG_TIMESTAMP")
    if by_us and isinstance(stamp, str) and (match := _OLD.match(stamp)):
        when = at((_whole(record, "_SOURCE_REALTIME_TIMESTAMP") or _whole(record, "__REALTIME_TIMESTAMP")) * _US)
        record["SYSLOG_TIMESTAMP"] = f"{MONTHS[when.month - 1]} {when.day:>2} {when:%H:%M:%S}{stamp[match.end() :]}"
    cursor = record.get("__CURSOR")
    if isinstance(cursor, str):
        moves = {"i": number, "t": by_us, "m": boot_us}
        parts = []
        for part in cursor.split(";"):
            key, _, value = part.partition("=")
            by = moves.get(key, 0)
            parts.append(f"{key}={max(int(value, 16) + by, 0):x}" if by and _is_hex(value) else part)
        record["__CURSOR"] = ";".join(parts)


def _added(record: JsonRecord, key: str, by: int) -> dict[str, Any]:
    value = record.get(key)
    if not by or not isinstance(value, (str, int)) or not str(value).isdecimal():
        return {}
    return {key: type(value)(max(int(value) + by, 0))}


def _whole(record: JsonRecord, key: str) -> int:
    value = str(record.get(key, ""))
    return int(value) if value.isdecimal() and len(value) < 18 else 0


def _is_hex(value: str) -> bool:
    return bool(value) and len(value) <= 16 and all(digit in "0123456789abcdefABCDEF" for digit in value)
