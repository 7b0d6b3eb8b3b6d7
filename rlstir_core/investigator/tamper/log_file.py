"""The rows of one log file in the order of the file, and the logs that count within it.

Rules speak of places: 0 is the file's first row. Numbers and both clocks come from the fields of a row. What does not
belong here: any rule.
"""

# N rows of a file, M rows of a log in it
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlstir_core.arrays import Ints
from rlstir_core.hostlogs.record_ids import IDS, Ids
from rlstir_core.hostlogs.windows.field_names import SYSMON_PROVIDERS

ROWS_AT_MOST = 200_000  # of a file at a time: their fields are held as texts
_MOST = 2**62
# what hosts say when their clock is set, and when records are lost for want of room
_CLOCK_SET = r"System clock was stepped|Time has been changed|time reset|step time server|clock wrong|clock was stepped"
_LOST = r"audit_lost=[1-9]|backlog limit exceeded|^Suppressed [0-9]+ messages|imuxsock lost|messages lost|rate.?limit"
_KERNEL_GENERAL = "Microsoft-Windows-Kernel-General"
_COLUMNS = ("host", "channel", "provider", "event_id", "parsed", "timed", "fields_json")
_TEXTS = ("exe", "cmdline", "user", "message")

Marks = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Log:
    """The rows of one log of a file (a host's Windows channel, an audit log) in the order of the file."""

    name: str
    channel: str  # whatever host it is of
    at_M: Ints  # places in the file
    ts_M: Ints
    number_M: Ints  # -1 where there is none
    header_M: Ints
    written_M: Ints  # the header's clock, 0 where there is none

    def __len__(self) -> int:
        return len(self.at_M)


@dataclass(frozen=True, kw_only=True, eq=False)
class LogFile:
    """One member of an episode, or a stretch of a long one."""

    member: str
    begins: bool  # with the member's first row
    row_N: Ints  # of the table
    seq_N: Ints
    ts_N: Ints
    log_N: Ints  # of `logs`; -1 where the line could not be read
    logs: tuple[Log, ...]
    host: list[str]
    channel: list[str]
    provider: list[str]
    event_id: list[str]
    fields: list[str]
    exe: list[str]
    cmdline: list[str]
    user: list[str]
    message: list[str]
    pid_N: Ints
    ppid_N: Ints
    clock_set_ns: Ints  # when any log of the episode says that the clock was set
    lost_ns: Ints  # when any says that records were lost

    def __len__(self) -> int:
        return len(self.row_N)

    def told_near(self, times_ns: Ints, ts_ns: int, within_ns: int) -> bool:
        """Whether one of the times lies near this one."""
        place = int(np.searchsorted(times_ns, ts_ns - within_ns))
        return place < len(times_ns) and int(times_ns[place]) <= ts_ns + within_ns

    @property
    def system(self) -> str:
        """Whose log it is: windows, audit, journal or text."""
        if any(name in ("evtx", "sysmon") for name in self.channel[:50]):
            return "windows"
        if "auditd" in self.channel[:50]:
            return "audit"
        return "journal" if "journald" in self.channel[:50] else "text"

    def is_sysmon(self, at: int) -> bool:
        """Whether Sysmon wrote the row."""
        return self.provider[at] in SYSMON_PROVIDERS


def log_files(table: pa.Table, most: int = ROWS_AT_MOST) -> Iterator[LogFile]:
    """The files of an episode, one at a time and at most so many rows of it; no column that the truth fills is read."""
    member = table["member"].cast(pa.string()).combine_chunks().dictionary_encode()
    codes, seq_N, notes = member.indices.to_numpy(), table["seq"].to_numpy(), _notes(table)
    for code, name in sorted(enumerate(member.dictionary.to_pylist()), key=lambda each: each[1]):
        row_N = np.flatnonzero(codes == code)
        row_N = row_N[np.argsort(seq_N[row_N], kind="stable")].astype(np.int64)
        for start in range(0, len(row_N), most):
            yield _file(table, name, row_N[start : start + most], notes, begins=start == 0)


def _notes(table: pa.Table) -> tuple[Ints, Ints]:
    """When the episode's logs say that the clock was set, and that records were lost."""
    ts_N = np.clip(table["ts_ns"].to_numpy(), -_MOST, _MOST)
    provider, event_id = (table[name].cast(pa.string()) for name in ("provider", "event_id"))
    by_windows = pc.or_(
        pc.and_(pc.equal(provider, _KERNEL_GENERAL), pc.equal(event_id, "1")), pc.equal(event_id, "4616")
    )
    said = pc.or_(by_windows, pc.match_substring_regex(table["message"], _CLOCK_SET))
    lost = pc.match_substring_regex(table["message"], _LOST)
    clock, room = (pc.fill_null(each, False).to_numpy() for each in (said, lost))
    return np.sort(ts_N[clock]), np.sort(ts_N[room])


def _file(table: pa.Table, member: str, row_N: Ints, notes: tuple[Ints, Ints], *, begins: bool) -> LogFile:
    part = table.select([*_COLUMNS, *_TEXTS, "seq", "ts_ns", "pid", "ppid"]).take(row_N)
    texts = {name: [each or "" for each in part[name].to_pylist()] for name in (*_COLUMNS[:4], "fields_json", *_TEXTS)}
    host, channel, provider, event_id = (texts[name] for name in _COLUMNS[:4])
    parsed, timed = part["parsed"].to_pylist(), part["timed"].to_pylist()
    ts_N = np.clip(part["ts_ns"].to_numpy(), -_MOST, _MOST)
    log_N = np.full(len(row_N), -1, np.int64)
    numbers: Ints = np.full((len(row_N), 3), -1, np.int64)
    numbers[:, 2] = 0
    names: dict[tuple[str, str, str], int] = {}
    for at, fields in enumerate(texts["fields_json"]):
        if not parsed[at] or not timed[at]:
            continue
        read = IDS.get(channel[at])
        # the audit daemon counts its own records
        counted = read is not None and not (channel[at] == "auditd" and event_id[at].startswith("DAEMON_"))
        ids = read(fields) if read is not None and counted else Ids()
        of = (ids.log or provider[at]) if channel[at] in ("sysmon", "evtx") else ids.log
        log_N[at] = names.setdefault((host[at], channel[at], of.lower()), len(names))
        written = 0 if ids.written_ns is None else min(max(ids.written_ns, -_MOST), _MOST)
        numbers[at] = min(ids.number, _MOST), min(ids.header, _MOST), written
    logs = []
    for key, code in names.items():
        at_M = np.flatnonzero(log_N == code).astype(np.int64)
        logs.append(
            Log(
                name=" ".join(word for word in key if word),
                channel=" ".join(key[1:]),
                at_M=at_M,
                ts_M=ts_N[at_M],
                number_M=numbers[at_M, 0],
                header_M=numbers[at_M, 1],
                written_M=numbers[at_M, 2],
            )
        )
    return LogFile(
        member=member,
        begins=begins,
        row_N=row_N,
        seq_N=part["seq"].to_numpy(),
        ts_N=ts_N,
        log_N=log_N,
        logs=tuple(logs),
        host=host,
        channel=channel,
        provider=provider,
        event_id=event_id,
        fields=texts["fields_json"],
        exe=texts["exe"],
        cmdline=texts["cmdline"],
        user=texts["user"],
        message=texts["message"],
        pid_N=part["pid"].to_numpy(),
        ppid_N=part["ppid"].to_numpy(),
        clock_set_ns=notes[0],
        lost_ns=notes[1],
    )
