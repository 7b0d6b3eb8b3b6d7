"""Columns that tell the time or the row and nothing else: row numbers, and channels that are clocks.

A model that sees one learns the script of the recording. What does not belong here: how columns are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from rlstir_core.importers.table.numbers import AnyArray

# What pandas and readr call the labels of rows that somebody wrote into a file
_ROW_LABELS = re.compile(r"\s*|Unnamed: ?\d+(\.\d+|_level_\d+)*|__index_level_\d+__|\.\.\.1")
# What may be a row number, or data
_PERHAPS = re.compile(r"index|idx|level_\d+|X|row|row[._ ]?(names?|nr|num|number)", re.IGNORECASE)
_LABELS_LEAST = 2
_ROWS_LEAST = 8  # below, a rise by equal steps is chance
_TOLERANCE = 1.01

ClockSeries = tuple[AnyArray, AnyArray]  # times and known values of one episode, by time


def is_row_number(column: str, place: int, values: AnyArray | None) -> bool:
    """Whether a column is the number of its row: by its name, and by what it holds."""
    if values is None or not len(values):
        return False
    if _ROW_LABELS.fullmatch(column) and (column.strip() or place == 0):
        return _whole(values) and (len(np.unique(values)) == len(values) or _counts(values))
    return bool(_PERHAPS.fullmatch(column)) and len(values) > _LABELS_LEAST and _whole(values) and _counts(values)


def _whole(values: AnyArray) -> bool:
    return values.dtype.kind == "i" or bool((values == np.floor(values)).all())


def _counts(values: AnyArray) -> bool:
    """Whether values count by one, perhaps anew from 0 or 1 on (tables put below each other)."""
    steps = np.diff(values)
    restart = (values[1:] == values[0]) & (values[0] in (0, 1))
    return bool(((steps == 1) | restart).all())


def counts_rows(values: AnyArray) -> bool:
    """Whether a column rises by one and the same step from row to row of the file."""
    if len(values) < _ROWS_LEAST or (values.dtype.kind == "i" and (values == -1).any()):
        return False
    steps = np.diff(values.astype(np.float64))
    return bool(steps[0] != 0 and (steps == steps[0]).all())


def is_clock(episodes: Iterable[ClockSeries]) -> bool:
    """Whether a channel rises (or falls) with time at one rate in every episode, as time or row numbers do."""
    seen = []
    for t, values in episodes:
        if len(values) > 1:
            if not _one_way(values):  # most channels end here, at the first episode
                return False
            seen.append((t, values.astype(np.float64)))
    if sum(len(v) - 1 for _, v in seen) < _ROWS_LEAST:
        return False
    by_time = [((t - t[0]).astype(np.float64), v) for t, v in seen]
    by_row = [(np.arange(len(v), dtype=np.float64), v) for _, v in seen]
    return _one_rate(by_time) or _one_rate(by_row)


def _one_way(values: AnyArray) -> bool:
    steps = np.diff(values)
    return values[0] != values[-1] and bool((steps >= 0).all() or (steps <= 0).all())


def _one_rate(episodes: Iterable[ClockSeries]) -> bool:
    """Whether values stay within one of their own steps of a line that has the same slope everywhere.

    A clock that ticks more slowly than rows come stands still and then takes a step; hence the tolerance.
    """
    listed = list(episodes)
    length = sum(t[-1] for t, _ in listed)
    rise = sum(v[-1] - v[0] for _, v in listed)
    if not length or not rise:
        return False
    ticks = 0.0
    for t, v in listed:
        steps = np.abs(np.diff(v))
        tick = steps[steps > 0].min()
        ticks += abs(v[-1] - v[0]) / tick
        if np.abs(v - v[0] - rise / length * t).max() > tick * _TOLERANCE:
            return False
    return ticks >= _ROWS_LEAST
