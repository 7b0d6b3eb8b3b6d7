"""A run that comes in several parts: their rows together, none lost, equal ones once, contradictions refused.

What does not belong here: reading a part back from a store (`stored.py`).
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import numpy as np

from rlstir_core.errors import StoreError
from rlstir_core.importers.table.columns import known
from rlstir_core.importers.table.numbers import AnyArray
from rlstir_core.importers.table.runs import Run, SourceBlock

_DATES_NS = 946_684_800 * 10**9  # times below are counted from the start of the run, not since 1970
TimedRows = tuple[AnyArray, dict[str, AnyArray]]  # times and columns of one source
_REMEDY = "mend one, give them two episode names or hosts, or let the later import take its place with --replace"


@dataclasses.dataclass(frozen=True)
class JoinedRun:
    """A run made of two parts. `n_equal` rows of the second were in the first; without `gained` nothing was new."""

    run: Run
    n_equal: int
    gained: bool


def join(first: Run, second: Run) -> JoinedRun:
    """One run of both parts; StoreError where they contradict each other or cannot be put in order."""
    for what, one, two in (("profile", first.profile, second.profile), ("sample", first.sample, second.sample)):
        if one != two:
            raise StoreError(
                f"{_which(second)} has the {what} {one!r} in {first.where} and {two!r} in {second.where}; {_REMEDY}"
            )
    if first.kind == "row" or second.kind == "row":
        if _same(first, second):
            return JoinedRun(first, len(first.t), gained=False)
        raise StoreError(
            f"{_which(second)} is in {first.where} ({len(first.t)} rows) and in {second.where} ({len(second.t)} rows), "
            "and without times of their own nobody knows the order; put a run in one file, give different runs two "
            "hosts (--host), or let the later import take its place with --replace"
        )
    if second.kind == "order" and (_repeats(first.t) or _repeats(second.t)):
        raise StoreError(
            f"{_which(second)} is in {first.where} and {second.where}, and its order column repeats; mend it"
        )
    blocks: dict[str, TimedRows] = {}
    ours, theirs = _timed(first), _timed(second)
    n_equal, gained = 0, False
    for source in sorted({*ours, *theirs}):
        if source not in ours or source not in theirs:
            blocks[source] = ours.get(source) or theirs[source]
            gained |= source in theirs
            continue
        if _repeats(ours[source][0]) or _repeats(theirs[source][0]):
            merged, n_same = _side_by_side(ours[source], theirs[source])
            new = len(merged[0]) > len(ours[source][0])
        else:
            merged, n_same, new = _row_by_row(ours[source], theirs[source], first, second)
        blocks[source] = merged
        n_equal, gained = max(n_equal, n_same), gained or new
    t, phases, new = _phases(first, second)
    if not (gained or new):
        return JoinedRun(first, len(second.t), gained=False)
    own = {source: SourceBlock(np.searchsorted(t, at), columns) for source, (at, columns) in blocks.items()}
    made = dataclasses.replace(
        second,
        corpus=first.corpus,
        t=t,
        phases=phases,
        channels=None,
        rows=np.zeros(0, dtype=np.int64),
        own=own,
        files=tuple(sorted({*first.files, *second.files})),
        where=f"{first.where} and {second.where}"[:200],
    )
    return JoinedRun(made, n_equal, gained=True)


def _which(run: Run) -> str:
    return f"episode {run.origin!r} of host {run.host}"


def _timed(run: Run) -> dict[str, TimedRows]:
    return {source: (run.t[block.rows], block.columns) for source, block in run.blocks.items()}


def _same(first: Run, second: Run) -> bool:
    """Whether two runs hold the same rows in the same order."""
    ours, theirs = first.blocks, second.blocks
    if len(first.t) != len(second.t) or set(ours) != set(theirs) or _filled(first) != _filled(second):
        return False
    for source, block in ours.items():
        other = theirs[source]
        if set(block.columns) != set(other.columns) or not np.array_equal(block.rows, other.rows):
            return False
        for name, values in block.columns.items():
            one, two = _alike(values, other.columns[name])
            if not np.array_equal(one, two, equal_nan=one.dtype.kind == "f"):
                return False
    return True


def _filled(run: Run) -> list[str | None]:
    """The phase of every row, where an empty one goes on with the phase before it."""
    made: list[str | None] = []
    for phase in run.phases:
        made.append(phase if phase is not None or not made else made[-1])
    return made


def _repeats(t: AnyArray) -> bool:
    return len(np.unique(t)) < len(t)


def _alike(one: AnyArray, two: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Two columns in one type; an integer column's missing values become NaN beside floats."""
    if one.dtype.kind == two.dtype.kind:
        return one, two
    return _as_float(one), _as_float(two)


def _as_float(values: AnyArray) -> AnyArray:
    return np.where(values == -1, np.nan, values.astype(np.float64)) if values.dtype.kind == "i" else values


def _columns(one: TimedRows, two: TimedRows) -> dict[str, AnyArray]:
    """Every column of either, the second's rows below the first's."""
    made = {}
    for name in dict.fromkeys((*one[1], *two[1])):
        a, b = one[1].get(name), two[1].get(name)
        if a is None or b is None:
            have = b if a is None else a
            assert have is not None
            void = -1 if have.dtype.kind == "i" else np.nan
            a = np.full(len(one[0]), void, dtype=have.dtype) if a is None else a
            b = np.full(len(two[0]), void, dtype=have.dtype) if b is None else b
        a, b = _alike(a, b)
        made[name] = np.concatenate([a, b])
    return made


def _row_by_row(one: TimedRows, two: TimedRows, first: Run, second: Run) -> tuple[TimedRows, int, bool]:
    """A time names a row: at a time of both, each value of either; two that differ are refused."""
    t = np.concatenate([one[0], two[0]])
    order = np.argsort(t, kind="stable")
    t = t[order]
    pairs = np.flatnonzero(t[1:] == t[:-1])
    keep = np.ones(len(t), dtype=bool)
    keep[pairs + 1] = False
    new = len(pairs) < len(two[0])
    columns = {}
    for name, values in _columns(one, two).items():
        values = values[order]  # noqa: PLW2901
        left, right = values[pairs], values[pairs + 1]
        have, other = known(left), known(right)
        if (bad := np.flatnonzero(have & other & (left != right))).size:
            raise StoreError(
                f"{_which(second)} has two values of {name!r} at {_at(t[pairs[bad[0]]], first)}: {left[bad[0]]} in "
                f"{first.where} and {right[bad[0]]} in {second.where}; {_REMEDY}"
            )
        new |= bool((~have & other).any())
        values[pairs] = np.where(have, left, right)
        columns[name] = values[keep]
    return (t[keep], columns), len(pairs), new


def _side_by_side(one: TimedRows, two: TimedRows) -> tuple[TimedRows, int]:
    """Many rows share a time: a row is in the result as often as in the part that has more of it."""
    columns = _columns(one, two)
    t = np.concatenate([one[0], two[0]])
    n = len(one[0])
    bits = [t.astype(np.float64).view(np.int64) if t.dtype.kind == "f" else t.astype(np.int64)]
    for values in columns.values():
        whole = values if values.dtype.kind == "i" else np.where(np.isnan(values), np.nan, values + 0.0).view(np.int64)
        bits.append(whole)
    _, code = np.unique(np.stack(bits, axis=1), axis=0, return_inverse=True)
    code = code.reshape(-1)
    times_in_first = np.bincount(code[:n], minlength=code.max() + 1)
    rank = _rank(code[n:])
    keep = np.concatenate([np.ones(n, dtype=bool), rank >= times_in_first[code[n:]]])
    order = np.argsort(t[keep], kind="stable")
    merged = {name: values[keep][order] for name, values in columns.items()}
    return (t[keep][order], merged), int(np.count_nonzero(~keep))


def _rank(codes: AnyArray) -> AnyArray:
    """How many equal values stand before each."""
    order = np.argsort(codes, kind="stable")
    begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
    lengths = np.diff(np.append(begins, len(codes)))
    rank = np.empty(len(codes), dtype=np.int64)
    rank[order] = np.arange(len(codes)) - np.repeat(begins, lengths)
    return rank


def _phases(first: Run, second: Run) -> tuple[AnyArray, list[str | None], bool]:
    """Every time of either part, the phase of each, and whether the second part tells a phase that was unknown."""
    said: dict[int | float, str] = {}
    for run in (first, second):
        for at, phase in zip(run.t.tolist(), run.phases, strict=True):
            if phase is not None and said.setdefault(at, phase) != phase:
                raise StoreError(
                    f"{_which(second)} has two phases at {_at(at, first)}, {said[at]!r} and {phase!r}, in "
                    f"{first.where} and {second.where}; {_REMEDY}"
                )
    t = np.union1d(first.t, second.t)
    before = dict(zip(first.t.tolist(), _filled(first), strict=True))
    new = any(before.get(at) is None for at in said)
    return t, [said.get(at) for at in t.tolist()], new or len(t) > len(np.unique(first.t))


def _at(t: float, run: Run) -> str:
    if run.kind != "time":
        return f"row {t}"
    if t < _DATES_NS:
        return f"{t / 1e9:.3f} s"
    try:
        return datetime.fromtimestamp(float(t) / 1e9, tz=UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{t} ns"
