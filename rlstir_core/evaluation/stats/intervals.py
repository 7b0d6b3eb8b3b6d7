"""Intervals: which estimate gets one, by what method, and who is resampled. The only place that decides.

The unit is the episode (the interval speaks of the hosts at hand) or the host (it speaks of hosts like
them), never the window: windows of one episode are not independent. Seeds are not resampled: their deviation has
the interval of a normal law. A figure is a function of sums over
units, so a resample is a product of counts and sums and nothing is ever resampled window by window.
What does not belong here: what the sums and the functions mean (`counts.py`, `metrics.py`).
"""

# U units, S sums, D draws

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import special

from rlstir_core.arrays import Floats, Ints
from rlstir_core.evaluation.stats.scored import Texts
from rlstir_core.learning.scores import ratio

Unit = Literal["episode", "host", "seed"]

DRAWS = 2000
MIN_EPISODES = 20  # below: no interval at all
MIN_BOOTSTRAP = 50  # below: the logit jackknife covers better than the percentile bootstrap
MIN_HOSTS = 5  # below: nothing is said about a new host
LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
_MAX_UNDEFINED = 0.05
_BLOCK = 512


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its 95 % interval; without `lo` and `hi` the note says why, without `value` too."""

    value: float | None
    lo: float | None = None
    hi: float | None = None
    unit: Unit = "episode"
    method: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Statistic:
    """A figure as a function of sums over units.

    `of` maps (..., S) to (...), NaN where it is undefined. `bounded` says that it lies between 0 and 1. `exact` is the
    figure itself where sums only come near it.
    """

    sums_US: Floats
    of: Callable[[Floats], Floats]
    bounded: bool = True
    exact: float | None = None

    def value(self) -> float:
        if self.exact is not None:
            return self.exact
        return float(self.of(self.sums_US.sum(axis=0)))

    def leave_one_out(self) -> Floats:
        """The figure without unit u, for every u. (U,)"""
        return self.of(self.sums_US.sum(axis=0) - self.sums_US)

    def resampled(self, draws: int, seed: int) -> Floats:
        """The figure on `draws` resamples of the units. (D,)"""
        weights_DU = draw_weights(len(self.sums_US), draws, seed)
        blocks = [
            self.of(weights_DU[start : start + _BLOCK].astype(np.float64) @ self.sums_US)
            for start in range(0, draws, _BLOCK)
        ]
        return np.concatenate(blocks)

    def grouped(self, group_U: Texts) -> Statistic:
        """The same figure with coarser units."""
        names, row_U = np.unique(group_U, return_inverse=True)
        sums = np.zeros((len(names), self.sums_US.shape[1]))
        np.add.at(sums, row_U.reshape(-1), self.sums_US)
        return Statistic(sums_US=sums, of=self.of, bounded=self.bounded, exact=self.exact)


def mean_of(parts: Sequence[Statistic]) -> Statistic:
    """The mean of figures of the same units, on the same resamples of them."""
    ends = np.cumsum([part.sums_US.shape[1] for part in parts])
    places = list(zip(parts, [0, *ends[:-1].tolist()], ends.tolist(), strict=True))
    return Statistic(
        sums_US=np.concatenate([part.sums_US for part in parts], axis=1),
        of=lambda sums: np.mean([part.of(sums[..., begin:end]) for part, begin, end in places], axis=0),
        bounded=all(part.bounded for part in parts),
    )


def draw_indices(units: int, draws: int, seed: int) -> Ints:
    """`draws` resamples with replacement of 0 .. units-1. (D, U). More draws continue fewer ones."""
    return np.concatenate(list(_index_blocks(units, draws, seed)))


@functools.lru_cache(maxsize=8)
def draw_weights(units: int, draws: int, seed: int) -> NDArray[np.uint16]:
    """How often each unit stands in each resample. (D, U). Models share draws, so differences are paired."""
    weights = np.empty((draws, units), np.uint16)
    start = 0
    for block in _index_blocks(units, draws, seed):
        rows = len(block)
        cells = (block + np.arange(rows, dtype=np.int64)[:, None] * units).reshape(-1)
        weights[start : start + rows] = np.bincount(cells, minlength=rows * units).reshape(rows, units)
        start += rows
    weights.setflags(write=False)
    return weights


def _index_blocks(units: int, draws: int, seed: int) -> Iterator[Ints]:
    """The resamples in blocks, so that ten thousand draws of thousands of episodes stay small."""
    rng = np.random.default_rng(seed)
    for start in range(0, draws, _BLOCK):
        yield rng.integers(0, units, size=(min(_BLOCK, draws - start), units), dtype=np.int64)


def estimate(statistic: Statistic, *, draws: int = DRAWS, seed: int = 0, jackknife: bool = False) -> Estimate:
    """The figure with its interval over episodes.

    From 50 episodes up the percentile bootstrap, below the jackknife with t, below 20 none. With `jackknife`
    the jackknife from 50 up as well, for figures that resampling itself pushes to one side.
    """
    units = len(statistic.sums_US)
    value = statistic.value() if units else float("nan")
    if not np.isfinite(value):
        return refused("not defined on these test episodes")
    if units < MIN_EPISODES:
        return Estimate(value=value, note=f"n = {units} test episodes, no interval below {MIN_EPISODES}")
    if statistic.bounded and _at_edge(value):
        return edge_estimate(value, units, "episode")
    if units < MIN_BOOTSTRAP or jackknife:
        return _jackknife(statistic, value, "episode")
    drawn_D = statistic.resampled(draws, seed)
    kept = drawn_D[np.isfinite(drawn_D)]
    if len(kept) < (1 - _MAX_UNDEFINED) * len(drawn_D):
        share = 1 - len(kept) / len(drawn_D)
        return Estimate(value=value, note=f"undefined in {100 * share:.0f} % of the resamples, no interval")
    lo, hi = np.quantile(kept, [TAIL, 1 - TAIL])
    return Estimate(value=value, lo=float(lo), hi=float(hi), method="percentile bootstrap")


def rate_estimate(events_U: Floats, exposure_U: Floats, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Events by exposure with an interval over episodes; without any event the bound of one that has at most one."""
    units = len(events_U)
    if units >= MIN_EPISODES and exposure_U.sum() > 0 and not events_U.any():
        edge = edge_estimate(0.0, units, "episode")
        assert edge.hi is not None
        return msgspec.structs.replace(edge, hi=edge.hi * units / float(exposure_U.sum()))
    rate = Statistic(
        sums_US=np.stack([events_U, exposure_U], axis=1), of=lambda s: ratio(s[..., 0], s[..., 1]), bounded=False
    )
    found = estimate(rate, draws=draws, seed=seed)
    return found if found.lo is None else msgspec.structs.replace(found, lo=max(0.0, found.lo))


def new_host_estimate(statistic: Statistic, host_U: Texts) -> Estimate:
    """The figure with an interval for hosts like these: the jackknife over hosts, t with k-1 degrees."""
    hosts = statistic.grouped(host_U)
    value = hosts.value() if len(host_U) else float("nan")
    if not np.isfinite(value):
        return refused("not defined on these test episodes", unit="host")
    count = len(hosts.sums_US)
    if count < MIN_HOSTS:
        noun = "test host" if count == 1 else "test hosts"
        return Estimate(value=value, unit="host", note=f"n = {count} {noun}, no interval for new hosts")
    if statistic.bounded and _at_edge(value):
        return edge_estimate(value, count, "host")
    return _jackknife(hosts, value, "host")


def refused(note: str, *, value: float | None = None, unit: Unit = "episode") -> Estimate:
    """An estimate that is not given, and why."""
    return Estimate(value=value, unit=unit, note=note)


def independent_gap(first: Estimate, second: Estimate) -> Estimate:
    """first minus second, for figures from different test sets.

    MOVER, Zou and Donner 2008, eq. 6 (doi:10.1002/sim.3095): the limits of the difference from the limits of
    the two. Test sets that share episodes are positively related, and the interval is then too wide.
    """
    if first.value is None or second.value is None:
        return refused("one of the two figures is missing")
    gap = first.value - second.value
    if first.lo is None or first.hi is None or second.lo is None or second.hi is None:
        return Estimate(value=gap, note="one of the two figures has no interval")
    below = float(np.hypot(first.value - first.lo, second.hi - second.value))
    above = float(np.hypot(first.hi - first.value, second.value - second.lo))
    return Estimate(value=gap, lo=gap - below, hi=gap + above, method="MOVER from two intervals")


def deviation_estimate(values: Sequence[float], unit: Unit) -> Estimate:
    """The standard deviation of independent figures; its interval holds where they are normal, and is wide for few."""
    n = len(values)
    if n < 2:
        return refused(f"n = {n} {unit}, no standard deviation below 2", unit=unit)
    value = float(np.std(values, ddof=1))
    if value == 0:
        return Estimate(value=0.0, unit=unit, note=f"the same with every {unit}, no interval")
    reach_lo, reach_hi = np.sqrt((n - 1) / special.chdtri(n - 1, [TAIL, 1 - TAIL]))
    method = f"chi-squared, one figure a {unit}"
    return Estimate(value=value, lo=float(value * reach_lo), hi=float(value * reach_hi), unit=unit, method=method)


def jackknife_error(leave_one_out_U: Floats) -> float:
    """The jackknife's standard error: the root of (n-1)/n times the squares about the mean (Tukey 1958)."""
    n = len(leave_one_out_U)
    return float(np.sqrt((n - 1) / n * np.square(leave_one_out_U - leave_one_out_U.mean()).sum()))


def _jackknife(statistic: Statistic, value: float, unit: Unit) -> Estimate:
    left_U = statistic.leave_one_out()
    if not np.isfinite(left_U).all():
        return Estimate(value=value, unit=unit, note=f"rests on a single {unit}, no interval")
    reach = float(special.stdtrit(len(left_U) - 1, 1 - TAIL)) * jackknife_error(left_U)
    if not statistic.bounded:
        return Estimate(value=value, lo=value - reach, hi=value + reach, unit=unit, method=f"jackknife by {unit}, t")
    # the delta method, d logit(v) = dv / (v (1 - v)): a left-out figure of exactly 0 or 1 does no harm
    centre, reach = float(special.logit(value)), reach / (value * (1 - value))
    lo, hi = special.expit([centre - reach, centre + reach])
    return Estimate(value=value, lo=float(lo), hi=float(hi), unit=unit, method=f"logit jackknife by {unit}, t")


def _at_edge(value: float) -> bool:
    return value <= 0.0 or value >= 1.0


def edge_estimate(value: float, units: int, unit: Unit) -> Estimate:
    """A figure of exactly 0 or 1 with its bound."""
    # every resample and every left-out figure is the same here, which says nothing; the exact binomial bound
    # with one trial a unit does (Clopper and Pearson 1934, no or only successes)
    bound = TAIL ** (1 / units)
    method = f"exact binomial bound, one trial a {unit}"
    if value >= 1.0:
        return Estimate(value=1.0, lo=float(bound), hi=1.0, unit=unit, method=method)
    return Estimate(value=0.0, lo=0.0, hi=float(1 - bound), unit=unit, method=method)
