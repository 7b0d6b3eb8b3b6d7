"""A log row: what every parser makes of one event of a host's log, and what a parser is told beforehand.

What does not belong here: any format (one module each), templates, and where rows are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from rlstir_core.hostlogs.times.reading import LogEvidence, LogReading

MISSING = -1  # an integer that the event does not have


class LogRow(msgspec.Struct, kw_only=True, gc=False):
    """One event. Integers are -1 and texts are empty where the event does not say.

    `fields_json` keeps every field of the record as JSON, so nothing is lost; a line that cannot be parsed has
    `parsed` False and its text in `message`. `message` is what a template is made of.
    """

    ts_ns: int  # the event's own clock, UTC; where it has none, that of the row before
    channel: str
    host: str = ""  # short and in lower case
    host_said: str = ""  # as the event spells it
    pid: int = MISSING
    ppid: int = MISSING
    tid: int = MISSING
    exe: str = ""
    cmdline: str = ""
    user: str = ""
    sid: str = ""
    provider: str = ""  # what wrote the event: `Microsoft-Windows-Sysmon`, `sshd`, `auditd`
    event_id: str = ""  # `1`, `4688`, `SYSCALL`; empty where the format has none
    message: str = ""
    template: str = ""  # structured: where the event's form alone gives it; elsewhere it is mined from messages
    fields_json: str = "{}"
    clock_mismatch: bool = False  # EVTX: header and event name other times or other ids
    parsed: bool = True
    timed: bool = True  # the event says its time, and it could be read
    assumed: str = ""  # what of its time nobody says: `year`, `zone`, `order` (of day and month); several with blanks
    cut: bool = False  # a field is lost that was too long, for whoever exported it or here; `fields_json` names it

    @property
    def bare(self) -> bool:
        """Whether no column but time, host and kind is filled: a shipper may have put the fields elsewhere.

        A text of the log's own counts as filled; what stands in `message` of a Windows event is made here.
        """
        if self.pid >= 0 or self.exe or self.cmdline or self.user or self.sid:
            return False
        return bool(self.template) or not self.message


class LogContext(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a log before it is read."""

    name: str = ""  # of the file, for messages
    host: str = ""  # where the events name none
    near_ns: int | None = None  # a time of the episode: where rows lie that say none
    reading: LogReading = LogReading()  # what the whole log told of its times, before any of its rows is made
    line_bytes: int = 1 << 20  # a longer line becomes a row that is not parsed, cut to this


Parser = Callable[[Iterable[bytes], LogContext], Iterator[LogRow]]
Survey = Callable[[Iterable[bytes], LogEvidence], LogReading]


def short_host(name: str) -> str:
    """The host's short name in lower case: `DC01.lab.local` and `dc01` are one host; an address stays whole.

    syslog-ng writes `source@host/relay`.
    """
    name = name.strip().rstrip(".").lower()
    if "@" in name or "/" in name:
        name = name.rpartition("@")[2].partition("/")[0]
    if ":" in name or name.replace(".", "").isdigit():
        return name
    return name.partition(".")[0]
