"""Two plain rules for gaps in logs, to be beaten: any gap and any step back, and the rule of Chainsaw's `analyse gaps`.

Both look at the rows of one episode and say which rows made them speak. Honest logs make them speak too: a filtered
export leaves gaps in the events' own ids. The second is written anew from its description: a gap in the ids of the
record headers, or half an hour of silence inside a log. What does not belong here: detectors that learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlstir_core.hostlogs.record_ids import IDS, Ids

QUIET_NS = 1_800_000_000_000
_KEPT = 1000  # reasons of one episode
_MOST = 2**63 - 1


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a rule spoke: between these two rows of the table."""

    why: str  # id-gap, time-back, quiet
    log: str
    rows: tuple[int, int]
    size: int  # ids that are missing, or nanoseconds


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says of an episode; at most the first thousand reasons are kept."""

    flagged: bool
    reasons: tuple[Reason, ...] = ()


def naive_rule(rows: pa.Table) -> Flag:
    """Any gap in the events' own numbers, and any step back of the file's clock: the header's where there is one."""
    return _naive(_logs(rows))


def chainsaw_rule(rows: pa.Table, quiet_ns: int = QUIET_NS) -> Flag:
    """A gap in the numbers of the record headers (of the events where there are none), or silence inside a log."""
    return _chainsaw(_logs(rows), quiet_ns)


def both_rules(rows: pa.Table) -> tuple[Flag, Flag]:
    """What `naive_rule` and `chainsaw_rule` say, from one reading of the rows."""
    logs = _logs(rows)
    return _naive(logs), _chainsaw(logs, QUIET_NS)


def _naive(logs: list[_Log]) -> Flag:
    found: list[Reason] = []
    for log in logs:
        found += _gaps(log, log.number_N)
        clock_N = np.where(log.has_written_N, log.written_N, log.ts_N)
        found += _steps(log, "time-back", -np.diff(clock_N), 1)
    return _flag(found)


def _chainsaw(logs: list[_Log], quiet_ns: int) -> Flag:
    found: list[Reason] = []
    for log in logs:
        found += _gaps(log, np.where(log.header_N >= 0, log.header_N, log.number_N))
        found += _steps(log, "quiet", np.diff(log.ts_N), quiet_ns)
    return _flag(found)


class _Log(NamedTuple):
    """The rows of one log (a member, a host, a channel) in the order of the file."""

    name: str
    row_N: NDArray[np.int64]
    ts_N: NDArray[np.int64]
    number_N: NDArray[np.int64]
    header_N: NDArray[np.int64]
    written_N: NDArray[np.int64]
    has_written_N: NDArray[np.bool_]


def _logs(rows: pa.Table) -> list[_Log]:
    columns = ("member", "host", "channel", "provider", "event_id", "fields_json", "parsed", "seq", "ts_ns")
    member, host, channel, provider, event_id, fields, parsed, seq, ts = (rows[name].to_pylist() for name in columns)
    places: dict[tuple[str, str, str, str], list[tuple[int, Ids]]] = {}
    for row in sorted(range(len(rows)), key=lambda each: (member[each], seq[each])):
        read = IDS.get(channel[row])
        # the audit daemon counts its own records
        own = channel[row] == "auditd" and event_id[row].startswith("DAEMON_")
        if not parsed[row] or own:
            continue
        ids = read(fields[row]) if read else Ids()
        of = ids.log or (provider[row] if channel[row] in ("sysmon", "evtx") else "")
        places.setdefault((member[row], host[row], channel[row], of), []).append((row, ids))
    return [
        _Log(
            name=" ".join(word for word in key[1:] if word),
            row_N=np.array([row for row, _ in each], np.int64),
            ts_N=np.array([ts[row] for row, _ in each], np.int64),
            number_N=np.array([ids.number for _, ids in each], np.int64),
            header_N=np.array([ids.header for _, ids in each], np.int64),
            written_N=np.array([_bounded(ids.written_ns) for _, ids in each], np.int64),
            has_written_N=np.array([ids.written_ns is not None for _, ids in each], bool),
        )
        for key, each in sorted(places.items())
    ]


def _gaps(log: _Log, number_N: NDArray[np.int64]) -> list[Reason]:
    """Numbers that are missing between the log's smallest and largest; the order of the file does not matter."""
    there_N = np.flatnonzero(number_N >= 0)
    order_N = there_N[np.argsort(number_N[there_N], kind="stable")]
    missing_N = np.diff(number_N[order_N]) - 1
    return [
        Reason(
            why="id-gap",
            log=log.name,
            rows=(int(log.row_N[order_N[at]]), int(log.row_N[order_N[at + 1]])),
            size=int(missing_N[at]),
        )
        for at in np.flatnonzero(missing_N > 0)[:_KEPT]
    ]


def _steps(log: _Log, why: str, size_N: NDArray[np.int64], least: int) -> list[Reason]:
    return [
        Reason(why=why, log=log.name, rows=(int(log.row_N[at]), int(log.row_N[at + 1])), size=int(size_N[at]))
        for at in np.flatnonzero(size_N >= least)[:_KEPT]
    ]


def _flag(found: Sequence[Reason]) -> Flag:
    return Flag(flagged=bool(found), reasons=tuple(found[:_KEPT]))


def _bounded(ns: int | None) -> int:
    return 0 if ns is None else min(max(ns, -_MOST), _MOST)
