"""Windows events as JSON lines for operators: nested, winlogbeat's and nxlog's, and EVTX written as such lines.

What does not belong here: changing a record (`windows_edit.py`) and which records are touched (operators).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.record_ids import windows_ids
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.windows import evtx
from rlstir_core.hostlogs.windows import json_events as windows_json
from rlstir_core.hostlogs.windows.field_names import SECURITY, SYSMON_PROVIDERS
from rlstir_core.lab.tamper.formats.windows_edit import change, event_fields, grain, replaceable
from rlstir_core.lab.tamper.formats.windows_notices import NOTICES, notice
from rlstir_core.lab.tamper.records.entry import NONE, SECOND_NS, Entry, LoggedProcess
from rlstir_core.lab.tamper.records.json_text import EditedLine
from rlstir_core.lab.tamper.records.pieces import NOBODY, SplitLog, bare, cut

# a record that is surely one, so that what follows is read line by line
_SURE = b'{"EventID":1,"UtcTime":"2024-01-01 00:00:00.000"}\n'
_PARENT = re.compile(r'"Parent(?:Image|ProcessName)" ?: ?"((?:[^"\\]|\\.)*)"')
_SHELLS = frozenset({"cmd.exe", "powershell.exe", "pwsh.exe", "bash.exe", "bash", "sh", "zsh"})
_SCRIPT = re.compile(r'"(?:ScriptBlockText|HostApplication)" ?: ?"(?!")')
_TIME = r'"(?:TimeCreated|EventTime|SystemTime|UtcTime|@timestamp|TimeWritten)" ?: ?"[^".,]{19}'
_WHOLE = re.compile(_TIME + '[Z"+]')
_PARTS = re.compile(_TIME + "[.,]([0-9]{1,2})(?![0-9])")


class WindowsForm:
    """JSON lines of Windows events."""

    name = "windows_json"
    notices = NOTICES

    def split(self, data: bytes, near_ns: int | None) -> SplitLog:
        """The log's lines and events; ConfigError for an array, printed JSON or UTF-16."""
        start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:2]
        if data[:2] in (b"\xff\xfe", b"\xfe\xff") or start[:1] == b"[" or (start[:1] == b"{" and not start[1:].strip()):
            raise ConfigError("the Windows events are not one per line in UTF-8; write them as JSON lines")
        pieces = cut(data)
        rows = list(windows_json.rows([data], LogContext(near_ns=near_ns)))
        lines = [i for i, piece in enumerate(pieces) if piece.strip()]
        counts = [1] * len(lines) if len(rows) == len(lines) else [_count(pieces[i]) for i in lines]
        owner = [NOBODY] * len(pieces)
        entries: list[Entry] = []
        if sum(counts) != len(rows):
            raise ConfigError("the log's lines cannot be told from each other; mend the lines that are no JSON")
        for line, n in zip(lines, counts, strict=True):
            owner[line] = len(entries) if n else NOBODY
            for which in range(n):
                row = rows[len(entries)]
                # of a line with several events none is touched, and the first stands for it
                entries.append(_entry(len(entries), row, [pieces[line]] if not which else [], n > 1))
        return SplitLog(pieces, owner, entries)

    def order(self, pieces: Sequence[bytes]) -> list[list[int]] | None:
        """None: rows come in the order of the lines."""
        return None

    def render(self, entry: Entry) -> Sequence[bytes]:
        """The line of an event, with its edits carried out."""
        if not entry.edits:
            return entry.payload
        line = EditedLine(entry.payload[0])
        change(line.record, entry)
        return [line.text()]

    def values(self, entry: Entry) -> dict[str, str]:
        """What `rewrite_field` may replace: users, programs and addresses."""
        return replaceable(json.loads(bare(entry.payload[0]).removeprefix(b"\xef\xbb\xbf")))

    def process(self, entry: Entry) -> LoggedProcess:
        """The process that the event speaks of, with its GUID."""
        fields = event_fields(json.loads(bare(entry.payload[0]).removeprefix(b"\xef\xbb\xbf")))
        guid, user = (value if isinstance(value := fields.get(key), str) else "" for key in ("ProcessGuid", "User"))
        return LoggedProcess(pid=entry.pid, exe=entry.exe, cmdline=entry.cmdline, guid=guid, user=user)

    def words(self, entries: Sequence[Entry]) -> dict[str, object]:
        """Nothing: an event says little of the service that wrote it."""
        return {}

    def notice(self, what: str, like: Entry, ts_ns: int, number: int, **words: object) -> Entry | None:
        """The event that Windows itself writes when this happens."""
        return notice(what, like, ts_ns, number, **words)


def evtx_lines(data: bytes) -> bytes:
    """An EVTX file as JSON lines, each with both ids and both clocks, as log rows keep them."""
    rows = evtx.rows([data], LogContext())
    return b"".join(row.fields_json.encode("utf-8", "backslashreplace") + b"\n" for row in rows)


def _count(piece: bytes) -> int:
    """How many rows the parser makes of one line."""
    return sum(1 for _ in windows_json.rows([_SURE + bare(piece) + b"\n"], LogContext())) - 1


def _entry(place: int, row: LogRow, payload: list[bytes], fixed: bool) -> Entry:
    if not row.parsed or fixed:
        return Entry(place=place, ts_ns=row.ts_ns, channel=row.channel, fixed=True, payload=payload)
    ids = windows_ids(row.fields_json)
    creates = (row.event_id == "1" and row.provider in SYSMON_PROVIDERS) or (
        row.event_id == "4688" and row.provider == SECURITY
    )
    session, cmdline = "", row.cmdline
    if creates and (match := _PARENT.search(row.fields_json)):
        parent = match[1].replace("\\\\", "/").replace("\\", "/").rpartition("/")[2].lower()
        session = f"{row.host} {row.ppid}" if parent in _SHELLS else ""
    elif not creates and _SCRIPT.search(row.fields_json):
        session, cmdline = f"{row.host} powershell {row.pid}", cmdline or "?"
    return Entry(
        place=place,
        ts_ns=row.ts_ns,
        grain_ns=_grain(row.fields_json),
        number=ids.number if ids.number >= 0 else NONE,
        header=ids.header if ids.header >= 0 else NONE,
        pid=row.pid,
        ppid=row.ppid,
        exe=row.exe,
        cmdline=cmdline,
        event_id=row.event_id,
        channel=row.channel,
        log=f"{row.host} {ids.log or row.provider}",
        source=f"{row.host} {ids.log or row.provider}",
        session=session,
        creates=creates,
        payload=payload,
    )


def _grain(fields_json: str) -> int:
    if _WHOLE.search(fields_json):
        return SECOND_NS
    if _PARTS.search(fields_json):
        return grain(json.loads(fields_json))
    return 1_000_000
