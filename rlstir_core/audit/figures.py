"""Macro F1 and accuracy of decisions, as statistics over units, and the intervals that an audit sets side by side.

Units beyond a thousand are put into a thousand groups at random, of which the jackknife leaves out one at a time: the
same interval, for the memory and time of a thousand. What does not belong here: verdicts (`checks/`).
"""

# N rows, U units, K classes, D draws
from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import special

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.audit.material import AuditRows, compact
from rlstir_core.evaluation.stats.intervals import (
    DRAWS,
    TAIL,
    Estimate,
    Statistic,
    edge_estimate,
    estimate,
    new_host_estimate,
    refused,
)
from rlstir_core.learning.scores import macro_f1, ratio

MOST_UNITS = 1000
SumsFigure = Callable[[Floats], Floats]


def macro(true_K: Bools) -> SumsFigure:
    """Macro F1 over the classes that stand among the labels, from confusion matrices. (..., K*K) -> (...)"""
    return partial(macro_f1, tested_K=true_K)


def right_share(n_classes: int) -> SumsFigure:
    """Accuracy from confusion matrices. (..., K*K) -> (...)"""
    return lambda sums: ratio(sums[..., :: n_classes + 1].sum(axis=-1), sums.sum(axis=-1))


def true_classes(y_N: Ints, n_classes: int) -> Bools:
    found: Bools = np.bincount(y_N, minlength=n_classes) > 0
    return found


class UnitSums:
    """Confusion matrices by unit, of any decisions about the same rows."""

    def __init__(self, y_N: Ints, unit_N: Ints, n_codes: int, n_classes: int, seed: int = 0) -> None:
        code_N, used_U = compact(unit_N, n_codes)
        self.n_units = len(used_U)
        self.grouped = self.n_units > MOST_UNITS
        if self.grouped:
            group_U = np.random.default_rng(seed).permutation(self.n_units) % MOST_UNITS
            code_N = group_U[code_N]
        self._rows = min(self.n_units, MOST_UNITS)
        self._K = n_classes
        self._cell_N = (code_N * n_classes + y_N) * n_classes

    def of(self, decided_N: Ints) -> Floats:
        """(U, K*K), or as many lines as there are groups."""
        K = self._K
        cells = np.bincount(self._cell_N + decided_N, minlength=self._rows * K * K)
        sums: Floats = cells.reshape(self._rows, K * K).astype(np.float64)
        return sums

    def estimate(self, sums: Floats, of: SumsFigure, *, bounded: bool = True) -> Estimate:
        """With an interval over units."""
        return estimate(Statistic(sums_US=sums, of=of, bounded=bounded), draws=DRAWS, jackknife=self.grouped)


def by_episode(rows: AuditRows, n_episodes: int, n_classes: int) -> UnitSums:
    return UnitSums(rows.y_N, rows.episode_N, n_episodes, n_classes)


def host_estimate(sums: UnitSums, decided_N: Ints, of: SumsFigure) -> Estimate:
    """With an interval for hosts (or other groups) like these; `sums` are by host."""
    sums_US = sums.of(decided_N)
    names = np.arange(len(sums_US)).astype(np.str_)
    return new_host_estimate(Statistic(sums_US=sums_US, of=of), names)


def row_estimate(sums_S: Floats, of: SumsFigure, *, seed: int = 0) -> Estimate:
    """The interval that takes every row for independent: what an audit warns of, and gives for comparison alone.

    Rows drawn one by one are a multinomial over the cells of the confusion matrix, so a million rows cost no more than
    ten.
    """
    n = int(sums_S.sum())
    value = float(of(sums_S)) if n else float("nan")
    if not np.isfinite(value):
        return refused("not defined on these rows")
    if value <= 0 or value >= 1:
        return edge_estimate(value, n, "episode")
    drawn = np.random.default_rng(seed).multinomial(n, sums_S / n, DRAWS).astype(np.float64)
    figure_D = of(drawn)
    lo, hi = np.quantile(figure_D[np.isfinite(figure_D)], [TAIL, 1 - TAIL])
    return Estimate(value=value, lo=float(lo), hi=float(hi), method="percentile bootstrap by row")


def share_estimate(hits: int, n: int) -> Estimate:
    """A share of independent things with its exact 95 % interval (Clopper and Pearson 1934)."""
    if not n:
        return refused("nothing to count")
    lo = 0.0 if hits == 0 else float(special.betaincinv(hits, n - hits + 1, TAIL))
    hi = 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, 1 - TAIL))
    return Estimate(value=hits / n, lo=lo, hi=hi, method="exact binomial")
