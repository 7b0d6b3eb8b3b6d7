"""Numbers of log rows that words cannot tell: steps in time and in record numbers, clocks against each other, and
whether what a row names was seen to begin.

A row's features depend on the rows of its own log file up to it, in the order of the file, and on nothing else: no
position, no count, nothing that comes later. What does not belong here: rules (`number_rules.py` and its neighbours).
"""

# N rows of the table, F features
from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa

from rlstir_core.arrays import Array
from rlstir_core.investigator.tamper.finding import SECOND_NS
from rlstir_core.investigator.tamper.log_file import LogFile, log_files
from rlstir_core.investigator.tamper.text_rules import has_empty_command

NAMES = (
    "since_log",  # time since the row before of the same log, of a sign, in log seconds
    "since_any",  # the same since the row before of the file
    "behind_log",  # how far behind the latest time of its log
    "id_step",  # numbers left out since the row before of the log; below zero where they fall
    "id_known",
    "id_habit",  # how often the log's numbers went on by one, lately
    "header_step",  # numbers left out between headers of the file
    "header_known",
    "header_own",  # the header's clock minus the event's
    "header_before",  # the clock in the header of the row before of the log minus the event's
    "pace",  # the time since the row before of the log, by what was usual lately
    "process_begun",  # 1 seen to begin, -1 not, 0 none is named
    "parent_begun",
    "session_begun",
    "begins_again",  # a process that began before begins
    "command_empty",
)
_KEEP = 0.95  # of what was usual, at each row
_LOGON = re.compile(r'"(Subject|Target)?LogonId" ?: ?"(0x[0-9a-fA-F]{1,16})"')
_GUID = re.compile(r'"(Parent)?ProcessGuid" ?: ?"\{?([0-9A-Fa-f-]{36})\}?"')
_SES = re.compile(r'"ses":"([0-9]{1,10})"')
_EVERYONES = frozenset({"0x0", "0x3e3", "0x3e4", "0x3e5", "0x3e7", "4294967295"})
_OPENS = ("Accepted ", "session opened")
_SESSION_EVENTS = frozenset({"LOGIN", "USER_LOGIN", "USER_START", "4624"})
_KNOWN_AT_MOST = 100_000  # of one file; a file that names more loses the eldest


class RowFeatures(msgspec.Struct, frozen=True, kw_only=True):
    """Features of every row of a table, in the order of the table."""

    names: tuple[str, ...]
    values_NF: Array


@dataclass
class _LogState:
    ts: int | None = None
    latest: int = 0
    number: int = -1
    written: int = 0
    by_one: float = 0.5
    usual_s: float = -1.0


@dataclass
class _FileState:
    ts: int | None = None
    header: int = -1
    logs: dict[str, _LogState] = field(default_factory=dict)
    begun: dict[tuple[str, str], None] = field(default_factory=dict)


def row_features(table: pa.Table) -> RowFeatures:
    """The features of each of these log rows."""
    values_NF = np.zeros((len(table), len(NAMES)), np.float32)
    state = _FileState()
    for file in log_files(table):
        numbers = _numbers(file)
        state = _FileState() if file.begins else state
        for at in range(len(file)):
            if file.log_N[at] >= 0:
                values_NF[file.row_N[at]] = _row(file, at, numbers[at], state)
    return RowFeatures(names=NAMES, values_NF=values_NF)


def _numbers(file: LogFile) -> list[tuple[int, int, int]]:
    """(number, header, header's clock) of each row."""
    found = np.full((len(file), 3), -1, np.int64)
    for log in file.logs:
        found[log.at_M] = np.stack([log.number_M, log.header_M, log.written_M], axis=1)
    return [(int(number), int(header), int(written)) for number, header, written in found]


def _row(file: LogFile, at: int, numbers: tuple[int, int, int], state: _FileState) -> list[float]:
    number, header, written = numbers
    ts = int(file.ts_N[at])
    log = state.logs.setdefault(file.logs[int(file.log_N[at])].name, _LogState())
    first = log.ts is None
    since = 0.0 if log.ts is None else (ts - log.ts) / SECOND_NS
    since_any = 0.0 if state.ts is None else (ts - state.ts) / SECOND_NS
    step = number - log.number - 1 if number >= 0 and log.number >= 0 else 0
    header_step = header - state.header - 1 if header >= 0 and state.header >= 0 else 0
    pace = np.log((abs(since) + 1e-3) / (log.usual_s + 1e-3)) if log.usual_s >= 0 else 0.0
    process, parent, session, again = _begun(file, at, state)
    values = [
        _signed(since),
        _signed(since_any),
        _signed(max(log.latest - ts, 0) / SECOND_NS if not first else 0.0),
        _signed(step),
        float(number >= 0),
        log.by_one if number >= 0 else 0.0,
        _signed(header_step),
        float(header >= 0),
        _signed((written - ts) / SECOND_NS) if written > 0 else 0.0,
        _signed((log.written - ts) / SECOND_NS) if log.written > 0 else 0.0,
        float(pace),
        process,
        parent,
        session,
        again,
        float(has_empty_command(file, at)),
    ]
    if number >= 0 and log.number >= 0:
        log.by_one = _KEEP * log.by_one + (1 - _KEEP) * (step == 0)
    if not first:
        log.usual_s = abs(since) if log.usual_s < 0 else _KEEP * log.usual_s + (1 - _KEEP) * abs(since)
    log.latest = ts if first else max(log.latest, ts)
    log.ts, log.written = ts, written
    log.number = number if number >= 0 else log.number
    state.ts, state.header = ts, header if header >= 0 else state.header
    return values


def _begun(file: LogFile, at: int, state: _FileState) -> tuple[float, float, float, float]:
    """Whether the row's process, its parent and its session were seen to begin, and whether it begins one again."""
    host, event_id, fields = file.host[at], file.event_id[at], file.fields[at]
    creates = (event_id == "1" and file.is_sysmon(at)) or event_id == "4688" or '"type":"EXECVE"' in fields
    guids = {bool(parent): guid.lower() for parent, guid in _GUID.findall(fields)} if "ProcessGuid" in fields else {}
    pid, ppid = int(file.pid_N[at]), int(file.ppid_N[at])
    own = guids.get(False) or (str(pid) if pid >= 0 else "")
    parent = guids.get(True) or (str(ppid) if ppid >= 0 else "")
    again = 0.0
    if creates and own:
        again = float(bool(guids.get(False)) and (host, own) in state.begun)
        _note(state, host, own)
        if pid >= 0:
            _note(state, host, str(pid))
    session, opens = _session(file, at)
    if session and opens:
        _note(state, host, f"session {session}")
    return (
        _seen(state, host, own),
        _seen(state, host, parent),
        _seen(state, host, f"session {session}") if session else 0.0,
        again,
    )


def _session(file: LogFile, at: int) -> tuple[str, bool]:
    """The session that a row names, and whether it begins there."""
    channel, event_id = file.channel[at], file.event_id[at]
    found = ""
    if channel in ("evtx", "sysmon"):
        named = dict(_LOGON.findall(file.fields[at]))
        found = (named.get("Target", "") if event_id == "4624" else "") or named.get("Subject") or named.get("") or ""
    elif channel == "auditd":
        match = _SES.search(file.fields[at])
        found = match[1] if match else ""
    elif file.pid_N[at] >= 0 and file.provider[at] == "sshd":
        return f"sshd {int(file.pid_N[at])}", any(word in file.message[at] for word in _OPENS)
    return ("", False) if found.lower() in _EVERYONES else (found.lower(), event_id in _SESSION_EVENTS)


def _note(state: _FileState, host: str, what: str) -> None:
    state.begun.pop((host, what), None)
    state.begun[host, what] = None
    if len(state.begun) > _KNOWN_AT_MOST:
        del state.begun[next(iter(state.begun))]


def _seen(state: _FileState, host: str, what: str) -> float:
    if not what:
        return 0.0
    return 1.0 if (host, what) in state.begun else -1.0


def _signed(value: float) -> float:
    """log(1 + |value|) with the sign of the value."""
    return float(np.copysign(np.log1p(abs(value)), value))
