"""Whether the rows of one source can be what a sensor saw: times that move, the episode covered, counters that count.

Each test is blind to what the episode is said to be and gives words for a verdict, or none. What does not belong here:
rows and their format (`jsonl.py`, `rowspec.py`), and the verdict (`read.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rlstir_core.arrays import Floats, Ints
from rlstir_core.contract.reasons import ReasonCode
from rlstir_core.contract.registry import CLOCK_FIELDS, Source
from rlstir_core.episodes.schema import Column, Meta, SourceRows

# R rows
Note = tuple[ReasonCode, str]  # why an episode is not ok, and the case

_NS = 1_000_000_000
_DRIFT = 1e-3  # of the episode: ten times what a bad quartz does, and what a clock daemon slews by
_STILL = 0.75  # of the steps between rows: a member that was written twice has half
_EVENTS_AT_ONCE = 10  # as many events may share one time
_REACH = 3  # sampling periods that a row speaks for: a short outage is no hole
_SLOW = 10  # a meter may be so many times slower than the registry says
_COVERED = 0.5  # of the episode: a late start is missing there, and nothing is wrong
_KNOWN = 0.05  # of the rows: what stands in fewer is not recorded
_FASTEST = 2.0**53  # a second: more than any machine's counters grow, in whatever unit
_EXCURSION = 20  # times the largest ordinary step
_LEAST = 1000  # of an excursion: small counters start anew within any bound
_FROM_ZERO = 2.0**31  # of an excursion that a restart could explain
_BRIEF = 4  # rows of such an excursion
_FALLS = 16  # looked at, the largest: each costs a pass over the rows
_MIXED = 0.25  # of the steps in which a counter moves: so many falls that are made good at once are of another one
_NAMED = 3  # fields in one sentence


def implausible(
    rows: SourceRows, table_FR: Ints, source: Source, meta: Meta, drift_ns: float, allowed_ns: int
) -> Iterator[Note]:
    """What is wrong with rows that are each well formed; `drift_ns` is the range of wall - mono over them.

    `table_FR` are the integer columns of `rows` in one piece, the clocks first. Whether the episode is covered and
    every field recorded is asked of required sources alone.
    """
    if not rows.n_rows:
        return
    name = rows.name
    wall_R = table_FR[0]
    step_R = wall_R[1:] - wall_R[:-1]
    events = is_of_events(source)
    if still := _still(step_R, events=events):
        yield ReasonCode.TIME_STILL, f"{name}.jsonl: {still}"
    if not source.count and drift_ns > allowed_ns + _DRIFT * (meta.t_end_wall_ns - meta.t_start_wall_ns):
        yield ReasonCode.TIME_DRIFT, f"the wall clock drifts by {drift_ns / _NS:.3f} s in {name}, in small steps"
    if source.required:
        if not events:
            share = covered(wall_R, step_R, meta.t_start_wall_ns, meta.t_end_wall_ns, source.rate_hz)
            if share < _COVERED:
                words = f"{name}.jsonl covers {100 * share:.0f} % of the episode, with {rows.n_rows} rows"
                yield ReasonCode.CHANNEL_COVERAGE, words
        if absent := _absent(rows, table_FR, source):
            yield ReasonCode.CHANNEL_FIELD, f"{name}.jsonl has (almost) no value of {_some(absent)}"
    if odd := list(_odd_counters(rows, table_FR, source)):
        yield ReasonCode.CHANNEL_COUNTER, f"{name}.jsonl: {'; '.join(odd[:_NAMED])}" + _more(odd)


def is_of_events(source: Source) -> bool:
    """Whether a row is an event, so that any number of them may be right."""
    return source.count or all(field.kind == "event" for field in source.fields.values())


def covered(wall_R: Ints, step_R: Ints, start_ns: int, end_ns: int, rate_hz: float) -> float:
    """The share of an episode that rows in the order of time speak for, each for a few sampling periods."""
    if wall_R[0] < start_ns or wall_R[-1] > end_ns:
        wall_R = wall_R[np.searchsorted(wall_R, start_ns) : np.searchsorted(wall_R, end_ns, side="right")]
        step_R = np.diff(wall_R)
    if not len(wall_R):
        return 0.0
    period = _NS / rate_hz
    edges = int(wall_R[0]) - start_ns, end_ns - int(wall_R[-1])

    def share(reach_ns: float) -> float:
        reach = int(reach_ns)
        spoken_for = int(np.minimum(step_R, reach).sum()) + min(edges[0], reach) + min(edges[1], reach)
        return min(spoken_for, reach * len(wall_R)) / (end_ns - start_ns)

    if (at_pace := share(_REACH * period)) >= _COVERED:
        return at_pace
    usual = float(np.median(step_R)) if len(step_R) else period
    return share(_REACH * min(max(usual, period), _SLOW * period))


def odd_counter(rows: SourceRows, name: str) -> str:
    """What the cumulative counter `name` does that no counter can; empty for one that grows, rests or starts anew.

    A fall alone is a reset. One that goes back to the course of before is not: the counter jumped up and came back, or
    fell and came back, so that the one step between holds a value that nobody counted.
    """
    known_R = rows.columns[name] >= 0
    value_R, t_R = rows.columns[name][known_R], rows.columns["t_wall_ns"][known_R]
    step_R = np.diff(value_R).astype(np.float64)
    if not len(step_R):
        return ""
    fastest_R = _FASTEST * np.maximum(np.diff(t_R) / _NS, 1.0)
    if (step_R > fastest_R).any():
        return f"jumps by {step_R.max():.3g} from one row to the next"
    falls = np.flatnonzero(step_R < 0)
    n_moves = int(np.count_nonzero(step_R))
    if len(falls) >= _FALLS // 2 and len(falls) > _MIXED * n_moves:
        inner = falls[falls + 2 < len(value_R)]
        if np.count_nonzero(value_R[inner + 2] >= value_R[inner]) > len(falls) // 2:
            return f"falls and comes back in {len(falls)} of the {n_moves} rows in which it changes"
    if len(falls) > _FALLS:
        falls = falls[np.argsort(step_R[falls], kind="stable")[:_FALLS]]
    return _excursion(value_R, step_R, falls, fastest_R)


def _excursion(value_R: Column, step_R: Floats, falls: Ints, fastest_R: Floats) -> str:
    """The first fall that goes back to a course, or that is followed by a jump back to it."""
    ups: dict[int, int] = {}  # a fall and the step before it that rose over where the fall ends
    backs: dict[int, int] = {}  # a fall and the step after it that rises to where the fall began
    for fall in falls.tolist():
        lower = np.flatnonzero(value_R[: fall + 1] <= value_R[fall + 1])
        if len(lower):
            ups[fall] = int(lower[-1])
        higher = np.flatnonzero(value_R[fall + 1 :] >= value_R[fall])
        if len(higher):
            backs[fall] = fall + int(higher[0])
    ordinary_R = np.where(step_R > 0, step_R, 0.0)
    ordinary_R[[*ups.values(), *backs.values()]] = 0.0
    usual = max(float(ordinary_R.max()), 1.0)
    if len(falls) == _FALLS:  # there may be more jumps than were looked at
        usual = min(usual, 10 * max(float(np.quantile(step_R[step_R > 0], 0.9)) if (step_R > 0).any() else 1.0, 1.0))
    least = max(_EXCURSION * usual, _LEAST)
    for fall in falls.tolist():
        low, high = float(value_R[fall + 1]), float(value_R[fall])
        if low > 10 * usual and high - low > fastest_R[fall]:
            return f"begins {high - low:.3g} above where it goes on"
        if (up := ups.get(fall)) is not None:
            n, size, course = fall + 1 - up, float(step_R[up]), float(value_R[up])
            brief = size >= _FROM_ZERO and n <= _BRIEF
            if size >= least and low - course <= 2 * n * usual and (course > 10 * usual or brief):
                return f"jumps by {size:.3g} and falls back after {_rows(n - 1)}"
        if (back := backs.get(fall)) is not None:
            n, size = back + 1 - fall, float(step_R[back])
            if size >= least and float(value_R[back + 1]) - high <= 2 * n * usual:
                return f"falls by {high - low:.3g} and jumps back after {_rows(n - 1)}"
    return ""


def _still(step_R: Ints, *, events: bool) -> str:
    """Words for rows whose times, which are in order, do not move, or hardly."""
    n = len(step_R) + 1
    if n < (_EVENTS_AT_ONCE if events else 2):
        return ""
    n_still = n - 1 - int(np.count_nonzero(step_R))
    if n_still == n - 1:
        return f"all {n} rows carry one and the same time"
    many = not events and n_still > _STILL * (n - 1)
    return f"{n_still} of {n} rows carry the time of the row before" if many else ""


def _absent(rows: SourceRows, table_FR: Ints, source: Source) -> list[str]:
    """Fields that hardly a row has."""
    whole = table_FR.min() >= 0  # every integer of every row
    return [
        name
        for name, field in source.fields.items()
        if not (whole and field.type == "int") and _share_known(rows.columns[name]) < _KNOWN
    ]


def _odd_counters(rows: SourceRows, table_FR: Ints, source: Source) -> Iterator[str]:
    if rows.n_rows < 2:
        return
    # as unsigned numbers, falls are the largest steps of all
    count_FR = table_FR[len(CLOCK_FIELDS) :]
    step_FR = (count_FR[:, 1:] - count_FR[:, :-1]).view(np.uint64)
    calm_F = iter((step_FR.max(axis=1) <= _FASTEST).tolist())  # the integer fields
    for name, field in source.fields.items():
        calm = field.type == "int" and next(calm_F)
        if field.kind in ("counter", "scaler") and not calm and (odd := odd_counter(rows, name)):
            yield f"{name} {odd}"


def _share_known(column: Column) -> float:
    known_R = column >= 0 if column.dtype.kind == "i" else np.isfinite(column)
    return int(np.count_nonzero(known_R)) / len(column)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + _more(names)


def _more(names: list[str]) -> str:
    return f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""


def _rows(n: int) -> str:
    return f"{n} row{'s' * (n != 1)}"
