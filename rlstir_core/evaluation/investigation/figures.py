"""Figures of techniques, as sums over episodes: all episodes count, with all that they carry.

What does not belong here: how intervals are made (`stats/intervals.py`), files.
"""

# E episodes
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.evaluation.investigation.predictions import NamedTechniques
from rlstir_core.evaluation.investigation.records import HIT_RANKS
from rlstir_core.evaluation.investigation.technique_figures import Carried
from rlstir_core.evaluation.stats.intervals import Estimate, Statistic, estimate, refused
from rlstir_core.learning.scores import ratio


def micro_f1(
    said: Mapping[str, NamedTechniques], carried: Carried, episodes: Sequence[EpisodeInfo], *, parents: bool = False
) -> Statistic:
    """Micro F1 of the techniques that are named, over every technique of every episode; units are the episodes."""
    rows = []
    for info in episodes:
        named, true = set(said[info.episode_id].named), set(carried[info.episode_id])
        if parents:
            named, true = _parents(named), _parents(true)
        rows.append((len(named & true), len(named), len(true)))
    return micro_f1_of(np.array(rows, np.float64).reshape(-1, 3))


def micro_f1_of(sums_E3: Floats) -> Statistic:
    """The same from what was counted: right, named and carried techniques of every episode."""
    return Statistic(sums_US=sums_E3, of=lambda s: ratio(2 * s[..., 0], s[..., 1] + s[..., 2]))


def hits_at(
    said: Mapping[str, NamedTechniques], carried: Carried, episodes: Sequence[EpisodeInfo], *, draws: int
) -> dict[str, Estimate]:
    """The share of the episodes with a technique of which one is among the first 1, 3, 5."""
    asked = [info.episode_id for info in episodes if carried[info.episode_id]]
    return {
        str(most): share(
            [not set(said[episode].ranked[:most]).isdisjoint(carried[episode]) for episode in asked], draws
        )
        for most in HIT_RANKS
    }


def share(holds: Sequence[bool], draws: int) -> Estimate:
    """The share of episodes that something holds of."""
    if not holds:
        return refused("no test episode carries a technique")
    sums = np.stack([np.array(holds, np.float64), np.ones(len(holds))], axis=1)
    return estimate(Statistic(sums_US=sums, of=lambda s: ratio(s[..., 0], s[..., 1])), draws=draws)


def _parents(techniques: Iterable[str]) -> set[str]:
    return {technique.partition(".")[0] for technique in techniques}
