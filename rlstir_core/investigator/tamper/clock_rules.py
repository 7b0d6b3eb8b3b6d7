"""Rules on clocks: the header's against the event's, and the order of events against the order of the file.

When Windows exports a log, the header of a record carries the time of the record that followed it in the log that was
exported; in a log on its host, the time of the record itself. Which of the two holds is seen from the log. What does
not belong here: numbers (`number_rules.py`).
"""

# M rows of a log
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rlstir_core.arrays import Ints
from rlstir_core.investigator.tamper.finding import SECOND_NS, Finding, clock, counted, spelled_ns
from rlstir_core.investigator.tamper.log_file import Log, LogFile, Marks

_SAME_NS = 2_000  # an export copies the time of the next event to the microsecond
_OWN_NS = 2_000_000
_FIRST_NS, _LAST_NS = 0, 4_102_444_800 * SECOND_NS
_HABIT = 0.4  # of the pairs of a file that must show how its headers are written
_MIXED = 10  # files of several logs mix their records, so that more must fit
_FEW = 4  # pairs of events that came one after the other tell nothing yet
_LIVE, _LIVE_LEAST = 0.8, 20  # of so many rows, with the same time in header and event
_WILD = 0.2  # from this share of steps back on a log is in no order of time
_ORDER_NS = 20_000_000  # records of two processors may be written in either order
_TOLD_NS = 30 * SECOND_NS
_LARGE = 1.5  # a power of ten of seconds: beyond half a minute a step back is as odd as any
_REST = 0.1  # of a log must stand in the order of time, for a stretch that does not to be seen
_NEAR = 8  # rows between two marks of one stretch


def header_clocks(file: LogFile) -> Iterator[Finding]:
    """Records whose header time is not the one that their neighbours in the log give it."""
    logs = [log for log in file.logs if len(log) and _has_clock(log).mean() > 0.5]
    pairs = [_Pairs.of(log) for log in logs]
    kept, broken = sum(int(pair.kept.sum()) for pair in pairs), sum(int(pair.broken.sum()) for pair in pairs)
    first, off = sum(int((p.kept & p.next).sum()) for p in pairs), sum(int((p.broken & p.next).sum()) for p in pairs)
    shown = first >= _HABIT * (first + off) or first + off < _FEW
    own = sum(int((np.abs(log.written_M - log.ts_M) <= _OWN_NS).sum()) for log in logs)
    rows = sum(map(len, logs))
    exactly = sum(int((np.abs(log.written_M - log.ts_M) <= _SAME_NS).sum()) for log in logs)
    if shown and kept >= max(1.0, _HABIT * (kept + broken)) and exactly < 0.9 * rows:
        for log, pair in zip(logs, pairs, strict=True):
            yield from _exported(file, log, pair, kept, broken, alone=len(logs) == 1)
    elif rows >= _LIVE_LEAST and own >= _LIVE * rows:
        for log in logs:
            if (log.header_M == log.number_M).mean() > 0.5:
                yield from _live(log)


def _has_clock(log: Log) -> Marks:
    """Which headers say a time: one that was never written is of 1601, and the last of a file may hold anything."""
    found: Marks = (log.written_M > _FIRST_NS) & (log.written_M < _LAST_NS)
    return found


class _Pairs(NamedTuple):
    """Each row of a log but the last, and the row behind it."""

    next: Marks  # the event behind it came next, by their numbers
    between: Marks  # the header's time lies between the two events'
    kept: Marks  # the header is as an export leaves it
    broken: Marks

    @classmethod
    def of(cls, log: Log) -> _Pairs:
        clear = _has_clock(log)[:-1]
        written_M, ts_M, later_M = log.written_M[:-1], log.ts_M[:-1], log.ts_M[1:]
        following = (np.diff(log.number_M) == 1) & (log.number_M[:-1] >= 0)
        between = (written_M >= ts_M - _SAME_NS) & (written_M <= later_M + _SAME_NS)
        at_next = np.abs(written_M - later_M) <= _SAME_NS
        kept = clear & np.where(following, at_next, between & (written_M > ts_M + _SAME_NS))
        return cls(following, between, kept, clear & ~np.where(following, at_next, between))


def _exported(file: LogFile, log: Log, pairs: _Pairs, kept: int, broken: int, *, alone: bool) -> Iterator[Finding]:
    for place in np.flatnonzero(pairs.broken):
        written, following = clock(int(log.written_M[place])), clock(int(log.ts_M[place + 1]))
        outside = not bool(pairs.between[place])
        set_here = any(file.told_near(file.clock_set_ns, int(ts), _TOLD_NS) for ts in log.ts_M[place : place + 2])
        if set_here or not (outside or alone or kept + 1 > _MIXED * (broken + 0.5)):
            continue
        if outside:
            rule, kind = "header-clock", "clock_step"
            why = f"the record's header says {written}, which does not lie between its own time and that of the next, "
            why += following
        else:
            rule, kind = "header-clock-between", "drop_renumber"
            why = f"ids go on by one, but by the header the next event was at {written}, and it is at {following}"
        yield Finding(
            rule=rule,
            kind=kind,
            log=log.name,
            first=int(log.at_M[place]),
            last=int(log.at_M[place + 1]),
            gap=True,
            strength=float(np.log10(kept + 1 if outside else (kept + 1) / (broken + 0.5))) + (1.0 if alone else 0.0),
            reason=why,
        )


def _live(log: Log) -> Iterator[Finding]:
    off_M = log.written_M - log.ts_M
    typical = max(int(np.quantile(np.abs(off_M), 0.5)) * 10, _OWN_NS)
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
    found = [_back_steps(log) for log in file.logs]
    for place, steps in enumerate(found):
        for step in steps:
            others = (other for i, each in enumerate(found) if i != place for other in each)
            # a clock that is set concerns every log of its host, and most hosts say so
            if not file.told_near(file.clock_set_ns, step.ts_ns, step.worst_ns + _TOLD_NS) and not any(
                step.is_like(other) for other in others
            ):
                yield step.finding


class _Step(NamedTuple):
    """A stretch in which time runs back."""

    finding: Finding
    ts_ns: int
    worst_ns: int

    def is_like(self, other: _Step) -> bool:
        """Whether the clock ran back as far at the same moment in another log."""
        near = abs(self.ts_ns - other.ts_ns) <= self.worst_ns + SECOND_NS
        return near and abs(self.worst_ns - other.worst_ns) <= max(SECOND_NS, self.worst_ns // 20)


def _back_steps(log: Log) -> list[_Step]:
    n = len(log)
    if n < 3:
        return []
    step_M = np.diff(log.ts_M)
    back_M = step_M < -_ORDER_NS
    found: list[_Step] = []
    clusters = _runs(back_M, max(_NEAR, n // 100))
    for start, end in clusters:
        others = int(back_M.sum() - back_M[start:end].sum())
        rest = n - 1 - (end - start)
        if rest < _REST * (n - 1) or others > _WILD * max(rest, 1):
            continue
        worst = int(-step_M[start:end].min())
        many = int(back_M[start:end].sum())
        first, last = start, end  # places of rows: the step from `first` to `first + 1` runs back
        single = many == 1
        if single:
            first, last = _stepped(log.ts_M, start)
        strength = min(float(np.log10(worst / SECOND_NS)), _LARGE) + float(np.log10(many * (rest + 1) / (others + 0.5)))
        finding = Finding(
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
        found.append(_Step(finding, int(log.ts_M[start]), worst))
    return found


def _stepped(ts_M: Ints, at: int) -> tuple[int, int]:
    """The stretch that a lone step back ends or begins: up to the leap of about the same size, else the two rows."""
    by = int(ts_M[at] - ts_M[at + 1])
    step_M = np.diff(ts_M)
    like_M = np.flatnonzero((step_M > 0.7 * by) & (step_M < 1.3 * by + SECOND_NS))
    if len(like_M) != 1:
        return at, at + 1
    other = int(like_M[0])
    return (other + 1, at) if other < at else (at + 1, other)


def _runs(mark_M: Marks, near: int) -> list[tuple[int, int]]:
    """[start, end) of the stretches of marks, with up to `near` unmarked places within."""
    at_M = np.flatnonzero(mark_M)
    if not len(at_M):
        return []
    cuts = np.flatnonzero(np.diff(at_M) > near + 1)
    starts = [int(at_M[0]), *(int(at_M[cut + 1]) for cut in cuts)]
    ends = [*(int(at_M[cut]) + 1 for cut in cuts), int(at_M[-1]) + 1]
    return list(zip(starts, ends, strict=True))
