"""Rules on clocks: the header's against the event's, and the order of events against the order of the file.

When Windows exports a log, the header of a record carries the time of the record that followed it in the log that was
exported; in a log on its host, the time of the record itself. Which of the two holds is seen from the log. What does
not belong here: numbers (`number_rules.py`) and silence (`silence_rules.py`).
"""

# M rows of a log
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rlstir_core.arrays import Ints
from rlstir_core.investigator.tamper.finding import SECOND_NS, Finding, clock, counted, spelled_ns
from rlstir_core.investigator.tamper.log_file import Bools, Log, LogFile

_SAME_NS = 2_000_000
_FIRST_NS = 0  # headers that were never written say 1601
_HABIT = 0.25  # of the pairs of a file that must show how its headers are written
_LIVE, _LIVE_LEAST = 0.8, 20  # of so many rows, with the same time in header and event
_WILD = 0.2  # from this share of steps back on a log is in no order of time
_REST = 0.1  # of a log must stand in the order of time, for a stretch that does not to be seen
_NEAR = 8  # rows between two marks of one stretch


def header_clocks(file: LogFile) -> Iterator[Finding]:
    """Records whose header time is not the one that their neighbours in the log give it."""
    logs = [log for log in file.logs if len(log) and (log.written_M > _FIRST_NS).all()]
    after = sum(int(_followed(log).sum()) for log in logs)
    pairs = sum(int(_next(log).sum()) for log in logs)
    own = sum(int((np.abs(log.written_M - log.ts_M) <= _SAME_NS).sum()) for log in logs)
    rows = sum(map(len, logs))
    if pairs and after >= max(1.0, _HABIT * pairs) and own < 0.9 * rows:
        for log in logs:
            yield from _exported(log, alone=len(logs) == 1)
    elif rows >= _LIVE_LEAST and own >= _LIVE * rows:
        for log in logs:
            yield from _live(log)


def _next(log: Log) -> Bools:
    """Which rows are followed by the event that came next, by their numbers."""
    found: Bools = np.diff(log.number_M) == 1
    return found & (log.number_M[:-1] >= 0)


def _followed(log: Log) -> Bools:
    """Which of these have the time of the next event in their header."""
    found: Bools = _next(log) & (np.abs(log.written_M[:-1] - log.ts_M[1:]) <= _SAME_NS)
    return found


def _exported(log: Log, *, alone: bool) -> Iterator[Finding]:
    if len(log) < 2:
        return
    written_M, ts_M, next_M = log.written_M[:-1], log.ts_M, _next(log)
    early_M = np.maximum(ts_M[:-1] - written_M, 0)
    late_M = np.maximum(written_M - ts_M[1:], 0)
    outside_M = np.maximum(early_M, late_M)
    off_M = np.abs(written_M - ts_M[1:])
    for place in np.flatnonzero((outside_M > _SAME_NS) | (next_M & (off_M > _SAME_NS))):
        outside = bool(outside_M[place] > _SAME_NS)
        off = int(off_M[place]) if next_M[place] else int(outside_M[place])
        if outside:
            rule, kind = "header-clock", "clock_step"
            why = f"the record's header says {clock(int(written_M[place]))}, which does not lie between its own time "
            why += f"and that of the next, {clock(int(ts_M[place + 1]))}"
        else:
            rule, kind = "header-clock-between", "drop_renumber"
            why = f"ids go on by one, but the header says that the next event was at {clock(int(written_M[place]))}, "
            why += f"and it is at {clock(int(ts_M[place + 1]))}"
        yield Finding(
            rule=rule,
            kind=kind,
            log=log.name,
            first=int(log.at_M[place]),
            last=int(log.at_M[place + 1]),
            gap=True,
            strength=float(np.log10(off / SECOND_NS)) + (1.0 if alone else 0.0),
            reason=why,
        )


def _live(log: Log) -> Iterator[Finding]:
    off_M = log.written_M - log.ts_M
    typical = max(int(np.quantile(np.abs(off_M), 0.5)) * 10, _SAME_NS)
    for start, end in _runs(np.abs(off_M) > typical, 2):
        worst = int(np.abs(off_M[start:end]).max())
        yield Finding(
            rule="header-clock-own",
            kind="clock_step",
            log=log.name,
            first=int(log.at_M[start]),
            last=int(log.at_M[end - 1]),
            gap=False,
            strength=float(np.log10(worst / SECOND_NS)),
            reason=f"{counted(end - start, 'header')} up to {spelled_ns(worst)} away from the events' own times, "
            "which are the same elsewhere in this log",
        )


def back_steps(file: LogFile) -> Iterator[Finding]:
    """Stretches of a log in which time runs back, where the log's other rows stand in the order of time."""
    for log in file.logs:
        yield from _back_steps(log)


def _back_steps(log: Log) -> Iterator[Finding]:
    n = len(log)
    if n < 3:
        return
    step_M = np.diff(log.ts_M)
    back_M = step_M < 0
    if not back_M.any():
        return
    clusters = _runs(back_M, max(_NEAR, n // 100))
    for start, end in clusters:
        others = int(back_M.sum() - back_M[start:end].sum())
        rest = n - 1 - (end - start)
        if rest < _REST * (n - 1) or others > _WILD * max(rest, 1):
            continue
        worst = int(-step_M[start:end].min())
        larger = int((-step_M[back_M] >= worst / 2).sum() - (-step_M[start:end] >= worst / 2).sum())
        many = int(back_M[start:end].sum())
        first, last = start, end  # places of rows: the step from `first` to `first + 1` runs back
        single = many == 1
        if single:
            first, last = _stepped(log.ts_M, start)
        strength = float(np.log10(worst / SECOND_NS)) + float(np.log10(many)) + float(np.log10(n / (larger + 0.5))) / 2
        yield Finding(
            rule="time-back" if many > 1 else "time-back-once",
            kind="jitter" if many > 1 else "clock_step",
            log=log.name,
            first=int(log.at_M[first]),
            last=int(log.at_M[last]),
            gap=single and last == first + 1,
            strength=strength,
            reason=f"time runs back {counted(many, 'time')}, by up to {spelled_ns(worst)}, within "
            f"{counted(end - start + 1, 'row')} of a log that is in the order of time elsewhere",
        )


def _stepped(ts_M: Ints, at: int) -> tuple[int, int]:
    """The stretch that a lone step back ends or begins: up to the leap of about the same size, else the two rows."""
    by = int(ts_M[at] - ts_M[at + 1])
    step_M = np.diff(ts_M)
    like_M = np.flatnonzero((step_M > 0.7 * by) & (step_M < 1.3 * by + SECOND_NS))
    if len(like_M) != 1:
        return at, at + 1
    other = int(like_M[0])
    return (other + 1, at) if other < at else (at + 1, other)


def _runs(mark_M: Bools, near: int) -> list[tuple[int, int]]:
    """[start, end) of the stretches of marks, with up to `near` unmarked places within."""
    at_M = np.flatnonzero(mark_M)
    if not len(at_M):
        return []
    cuts = np.flatnonzero(np.diff(at_M) > near + 1)
    starts = [int(at_M[0]), *(int(at_M[cut + 1]) for cut in cuts)]
    ends = [*(int(at_M[cut]) + 1 for cut in cuts), int(at_M[-1]) + 1]
    return list(zip(starts, ends, strict=True))
