"""Resamples for policies that act: hosts first, each with all its episodes, then training seeds; intervals from them.

A host that is drawn brings its episodes along as they are. Drawing them with replacement as well counts their own noise
twice (Davison and Hinkley 1997, section 3.8): simulated, 10 episodes a host, that covers .98 to .99 with 24 hosts that
differ little, at 1.4 times the width, and .90 with 6 hosts that differ much. As it is done here, with the ends of a t
with one degree less than hosts (expanded percentiles, Hesterberg 2015, doi:10.1080/00031305.2015.1089789), coverage is
.94 to .96 with 24 hosts and .92 to .95 with 6 to 10. The mean of a few seeds drawn from a few deviates too little by
the root of (n - 1) / n, so deviations are stretched by as much. What does not belong here: figures.
"""

# D draws and, before them, the sample itself; E episodes, U units (hosts or episodes), S seeds, C columns, G points
# ruff: noqa: N802 - names of arrays carry their shapes
from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rlstir_core.arrays import Floats, Ints
from rlstir_core.evaluation.stats.intervals import (
    DRAWS,
    MIN_EPISODES,
    MIN_HOSTS,
    TAIL,
    Estimate,
    Unit,
    draw_weights,
    edge_estimate,
    refused,
)

ENOUGH_HOSTS = 24  # from here on an interval carries a claim about new hosts
_MOST_UNDEFINED = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """How often each episode stands in the sample and in each resample of it, and what follows for intervals."""

    host_E: tuple[str, ...]
    draws: int = DRAWS
    seed: int = 0

    @cached_property
    def n_hosts(self) -> int:
        return len(set(self.host_E))

    @property
    def unit(self) -> Unit:
        """What is resampled first: hosts from five up, below that episodes."""
        return "host" if self.n_hosts >= MIN_HOSTS else "episode"

    @property
    def units(self) -> int:
        return self.n_hosts if self.unit == "host" else len(self.host_E)

    @property
    def speaks_of(self) -> str:
        """A sentence on what intervals resample, and of what they therefore speak."""
        noun = "test host" if self.n_hosts == 1 else "test hosts"
        if self.unit == "episode":
            return (
                f"n = {self.n_hosts} {noun}: intervals resample episodes and speak of these hosts, not of new ones; "
                f"from {MIN_HOSTS} hosts on they would resample hosts."
            )
        text = f"Intervals resample the {self.n_hosts} {noun}, each with all its episodes, and then training seeds"
        if self.n_hosts < ENOUGH_HOSTS:
            return f"{text}; for a claim about new hosts {ENOUGH_HOSTS} are wanted, so they are rough."
        return f"{text}: they speak of hosts like these."

    @cached_property
    def unit_E(self) -> Ints:
        """The unit that each episode belongs to."""
        if self.unit == "episode":
            return np.arange(len(self.host_E))
        return np.unique(np.array(self.host_E), return_inverse=True)[1].reshape(-1).astype(np.int64)

    @cached_property
    def weights_DU(self) -> Floats:
        """How often each unit counts: once each in the first line, which is the sample. (1 + D, U)"""
        drawn = draw_weights(self.units, self.draws, self.seed)
        return np.concatenate([np.ones((1, self.units)), drawn.astype(np.float64)])

    def sums(self, what_EC: NDArray[Any]) -> Floats:
        """Sums over episodes in the sample and in each resample. (E, C) -> (1 + D, C)"""
        what_UC = np.asarray(what_EC, np.float64)
        if self.unit == "host":  # hosts stay whole, so their sums are all that resamples need
            order = np.argsort(self.unit_E, kind="stable")
            starts = np.searchsorted(self.unit_E[order], np.arange(self.units))
            what_UC = np.add.reduceat(what_UC[order], starts, axis=0)
        found: Floats = self.weights_DU @ what_UC
        return found

    def seed_weights(self, name: str, seeds: int) -> Floats:
        """What each of a policy's training seeds counts for in each resample; lines sum to 1. (1 + D, S)"""
        whole = np.full((1 + self.draws, seeds), 1 / seeds)
        if seeds > 1:
            rng = np.random.default_rng([self.seed, zlib.crc32(name.encode("utf-8", "replace"))])
            drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), self.draws) / seeds
            whole[1:] += np.sqrt(seeds / (seeds - 1)) * (drawn - 1 / seeds)
        return whole

    def over_seeds(self, name: str, drawn_SD: Sequence[Floats]) -> Floats:
        """The mean of a figure over a policy's seeds in the sample and in each resample. (1 + D, ...) each"""
        weight_DS = self.seed_weights(name, len(drawn_SD))
        found: Floats = np.zeros(drawn_SD[0].shape)
        for s, each in enumerate(drawn_SD):
            found += weight_DS[:, s].reshape(-1, *(1,) * (each.ndim - 1)) * each
        return found

    @property
    def tail(self) -> float:
        """The share of resamples beyond each end of an interval."""
        n = self.units
        return float(special.ndtr(-np.sqrt(n / (n - 1)) * special.stdtrit(n - 1, 1 - TAIL)))

    def estimate(self, drawn_D: Floats, *, bounded: bool = True, undefined: str = "", seeds: int = 1) -> Estimate:
        """The figure in the sample with its interval; `undefined` says what it means where it is none."""
        value = float(drawn_D[0])
        undefined = undefined or "not defined on these test episodes"
        if not np.isfinite(value):
            return refused(undefined, unit=self.unit)
        if len(self.host_E) < MIN_EPISODES:
            note = f"n = {len(self.host_E)} test episodes, no interval below {MIN_EPISODES}"
            return Estimate(value=value, unit=self.unit, note=note)
        if bounded and (value <= 0 or value >= 1):
            return edge_estimate(value, self.units, self.unit)
        kept = drawn_D[1:][np.isfinite(drawn_D[1:])]
        missing = 1 - len(kept) / (len(drawn_D) - 1)
        if missing > _MOST_UNDEFINED:
            note = f"{undefined} in {100 * missing:.0f} % of the resamples, no interval"
            return Estimate(value=value, unit=self.unit, note=note)
        lo, hi = np.quantile(kept, [self.tail, 1 - self.tail])
        if bounded:
            lo, hi = max(0.0, lo), min(1.0, hi)
        method = f"percentile bootstrap by {self.unit}" + (f", then of {seeds} training seeds" if seeds > 1 else "")
        return Estimate(value=value, lo=float(lo), hi=float(hi), unit=self.unit, method=method)

    def band(self, drawn_DG: Floats) -> tuple[Floats, Floats]:
        """Lower and upper ends at each point of a curve. (1 + D, G) -> (G,) (G,)"""
        lo_G, hi_G = np.nanquantile(drawn_DG[1:], [self.tail, 1 - self.tail], axis=0)
        return lo_G, hi_G

    def p_of(self, drawn_D: Floats) -> float | None:
        """Two-sided p of a difference against 0, from its standard error over resamples and a t; None without any."""
        kept = drawn_D[1:][np.isfinite(drawn_D[1:])]
        if len(self.host_E) < MIN_EPISODES or not np.isfinite(drawn_D[0]) or len(kept) < 2:
            return None
        n = self.units
        error = float(np.std(kept)) * np.sqrt(n / (n - 1))
        if error == 0:
            return 1.0 if drawn_D[0] == 0 else 0.0
        return float(2 * special.stdtr(n - 1, -abs(float(drawn_D[0])) / error))
