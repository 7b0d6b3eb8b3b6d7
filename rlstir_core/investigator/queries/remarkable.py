"""Rows that number, rarity or rhythm makes remarkable within the log that they stand in; no label and no other host.

What does not belong here: what an event id or a word says (`row_kinds.py`).
"""

# N log rows, P processes, M pairs of a row and something
from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from rlstir_core.arrays import Bools, Ints
from rlstir_core.investigator.queries.columns import GraphUse, LogColumns
from rlstir_core.investigator.queries.entities import LogEntities
from rlstir_core.provenance.processes import base_name

_S = 1_000_000_000
_FEW = 2  # times that something rare occurs
_BURST, _BURST_S = 8, 20.0  # files of one process in so many seconds
_FAILS, _FAILS_S = 3, 300.0  # failed logons
_BEATS, _REGULAR = 4, 0.6  # connections, and how much their intervals vary
_SUSPECT = 0.05  # of the rules, that a row stands in tampering
_ADDRESS = re.compile(r"[0-9a-f.:]+").fullmatch
_WRITES = ("create", "write", "delete", "rename", "attributes", "truncate", "link")


def writes(files: GraphUse) -> Bools:
    """Which uses of files change something. (M,)"""
    return np.array([op.startswith(_WRITES) for op in files.op_M.tolist()], np.bool_)


def rare_parents(columns: LogColumns) -> Bools:
    """Starts of programs whose parent started such a program once in this log. (N,)"""
    base_P = _bases(columns)
    pair_P = [(base_P[p], base_P[c]) if p >= 0 else None for c, p in enumerate(columns.parent_P.tolist())]
    times = Counter(pair_P)
    return _starts_of(columns, [pair is not None and times[pair] == 1 for pair in pair_P])


def rare_programs(columns: LogColumns) -> Bools:
    """Starts of programs that began at most twice in this log. (N,)"""
    base_P = _bases(columns)
    process_M = columns.created[1]
    times = Counter(base_P[process] for process in np.unique(process_M).tolist())
    return _starts_of(columns, [bool(base) and times[base] <= _FEW for base in base_P])


def _bases(columns: LogColumns) -> list[str]:
    return [base_name(exe or "") for exe in columns.graph["proc_nodes"]["exe"].to_pylist()]


def _starts_of(columns: LogColumns, chosen: Iterable[bool]) -> Bools:
    chosen_P = np.array(list(chosen), np.bool_)
    row_M, process_M = columns.created
    found_N = np.zeros(len(columns), np.bool_)
    if len(chosen_P):
        found_N[row_M[chosen_P[process_M]]] = True
    return found_N


def file_bursts(columns: LogColumns, files: GraphUse) -> Bools:
    """Writes of a process to many files within seconds. (N,)"""
    found_N = np.zeros(len(columns), np.bool_)
    wrote = np.flatnonzero(writes(files))
    order = wrote[np.lexsort((columns.ts_N[files.row_M[wrote]], files.process_M[wrote]))]
    for first, last in _runs(files.process_M[order]):
        at = order[first:last]
        ts, used = columns.ts_N[files.row_M[at]], files.used_M[at]
        ends = np.searchsorted(ts, ts + int(_BURST_S * _S), side="right")
        for start, end in enumerate(ends.tolist()):
            if end - start >= _BURST and len(np.unique(used[start:end])) >= _BURST:
                found_N[files.row_M[at[start:end]]] = True
    return found_N


def failure_bursts(columns: LogColumns, failed_N: Bools) -> Bools:
    """Failed logons of which several stand within minutes; those of one second are one, told by several logs. (N,)"""
    row_M = np.flatnonzero(failed_N)
    found_N = np.zeros(len(columns), np.bool_)
    ts = columns.ts_N[row_M]
    order = np.argsort(ts, kind="stable")
    row_M, ts = row_M[order], ts[order]
    ends = np.searchsorted(ts, ts + int(_FAILS_S * _S), side="right")
    for start, end in enumerate(ends.tolist()):
        if end - start >= _FAILS and len(np.unique(ts[start:end] // _S)) >= _FAILS:
            found_N[row_M[start:end]] = True
    return found_N


def beacons(columns: LogColumns, entities: LogEntities) -> Bools:
    """Rows of a program and a destination that meet again and again at regular intervals. (N,)"""
    programs, ends = entities.kinds["program"], entities.kinds["destination"]
    first_N = np.full(len(columns), -1, np.int64)
    first_N[programs.row_M[::-1]] = programs.entity_M[::-1]
    meet: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, end in zip(ends.row_M.tolist(), ends.entity_M.tolist(), strict=True):
        meet[int(first_N[row]), end].append(row)
    found_N = np.zeros(len(columns), np.bool_)
    for rows in meet.values():
        ts = np.unique(columns.ts_N[rows] // _S)  # several logs tell of one connection
        if len(ts) >= _BEATS:
            gaps = np.diff(ts)
            if gaps.mean() >= 2 and gaps.std() <= _REGULAR * gaps.mean():
                found_N[rows] = True
    return found_N


def rare_destinations(columns: LogColumns, entities: LogEntities) -> Bools:
    """Rows of names that occur at most twice in this log, of addresses where it holds no names. (N,)

    What one second says counts once.
    """
    ends = entities.kinds["destination"]
    is_name_E = np.array([_ADDRESS(name) is None for name in ends.names], np.bool_)
    second_M = columns.ts_N[ends.row_M] // _S
    once = np.unique(np.stack([ends.entity_M, second_M]), axis=1)[0] if len(ends.row_M) else ends.entity_M
    times_E = np.bincount(once, minlength=len(ends.names))
    found_N = np.zeros(len(columns), np.bool_)
    rare_E = (times_E <= _FEW) & (is_name_E | ~is_name_E.any())
    found_N[ends.row_M[rare_E[ends.entity_M]]] = True
    return found_N


def log_breaks(columns: LogColumns) -> Bools:
    """Rows where the rules find gaps, steps of clocks and forgeries. (N,)"""
    found_N: Bools = columns.p_tamper_N >= _SUSPECT
    return found_N


def one_sided(columns: LogColumns) -> Bools:
    """Rows that another log should repeat and does not: starts of processes, and logons in text logs. (N,)"""
    found_N = np.zeros(len(columns), np.bool_)
    channels = np.array(columns.channel, object)
    row_M, process_M = columns.created
    for one, other in (("sysmon", "evtx"), ("evtx", "sysmon")):
        here_M, there_M = channels[row_M] == one, channels[row_M] == other
        if here_M.any() and there_M.any():
            both = np.isin(process_M, process_M[there_M])
            found_N[row_M[here_M & ~both]] = True
    said = {channel: _told(columns, channel) for channel in ("auth", "journald")}
    shared = {provider for provider, _, _ in said["auth"]} & {provider for provider, _, _ in said["journald"]}
    for one, other in (("auth", "journald"), ("journald", "auth")):
        for key, rows in said[one].items():
            if key[0] in shared and key not in said[other]:
                found_N[rows] = True
    return found_N


def _told(columns: LogColumns, channel: str) -> dict[tuple[str, str, int], list[int]]:
    """{(program, words, half minute): rows} of a text log."""
    found: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for row in np.flatnonzero(np.array(columns.channel, object) == channel).tolist():
        found[columns.provider[row], columns.message[row].strip(), int(columns.ts_N[row] // (30 * _S))].append(row)
    return found


def _runs(key_M: Ints) -> Iterable[tuple[int, int]]:
    """Where equal neighbours begin and end."""
    if not len(key_M):
        return []
    edges = np.flatnonzero(np.diff(key_M)) + 1
    return list(zip([0, *edges.tolist()], [*edges.tolist(), len(key_M)], strict=True))
