"""Figures of techniques and risks, as sums over episodes: all episodes count, with all that they carry.

What does not belong here: how intervals are made (`stats/intervals.py`), files.
"""

# E episodes
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.evaluation.investigation.predictions import NamedTechniques
from rlstir_core.evaluation.investigation.records import HIT_RANKS, TechniqueScores
from rlstir_core.evaluation.investigation.two_class import ranking_statistics
from rlstir_core.evaluation.stats.intervals import Estimate, Statistic, estimate, new_host_estimate, refused
from rlstir_core.learning.scores import ratio

Carried = Mapping[str, tuple[str, ...]]  # {episode: its techniques}


def technique_scores(
    name: str,
    threshold: float,
    said: Mapping[str, NamedTechniques],
    risk: Mapping[str, float] | None,
    carried: Carried,
    episodes: Sequence[EpisodeInfo],
    *,
    draws: int,
) -> TechniqueScores:
    """Everything that is said of one model; `risk` has the episodes of which somebody says what they are."""
    exact = micro_f1(said, carried, episodes)
    hosts = np.array([info.host for info in episodes])
    with_technique = [info for info in episodes if carried[info.episode_id]]
    return TechniqueScores(
        name=name,
        threshold=threshold if np.isfinite(threshold) else None,
        micro_f1=estimate(exact, draws=draws),
        new_host=new_host_estimate(exact, hosts),
        parent_f1=estimate(micro_f1(said, carried, episodes, parents=True), draws=draws),
        hit_at={
            str(most): _share([_hits(said, carried, info.episode_id, most) for info in with_technique], draws)
            for most in HIT_RANKS
        },
        named=_share([bool(said[info.episode_id].named) for info in episodes], draws),
        risk_aupr=refused("it says nothing of the risk") if risk is None else risk_aupr(risk, episodes, draws=draws),
    )


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
    return Statistic(sums_US=sums_E3, of=_f1)


def risk_aupr(risk: Mapping[str, float], episodes: Sequence[EpisodeInfo], *, draws: int) -> Estimate:
    """Average precision of the risk among episodes of which somebody says what they are."""
    known = [info for info in episodes if info.episode_id in risk]
    attack_E = np.array([not info.benign for info in known], np.bool_)
    if not attack_E.any() or attack_E.all():
        return refused("the test side has no attack, or nothing else, by what is known of its episodes")
    risk_E = np.array([risk[info.episode_id] for info in known])
    precision, _ = ranking_statistics(risk_E, attack_E, np.arange(len(known)), known)
    return estimate(precision, draws=draws)


def _f1(sums: Floats) -> Floats:
    """(..., 3): hits, named, carried -> (...)"""
    return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def _share(holds: Sequence[bool], draws: int) -> Estimate:
    if not holds:
        return refused("no test episode carries a technique")
    sums = np.stack([np.array(holds, np.float64), np.ones(len(holds))], axis=1)
    return estimate(Statistic(sums_US=sums, of=lambda s: ratio(s[..., 0], s[..., 1])), draws=draws)


def _hits(said: Mapping[str, NamedTechniques], carried: Carried, episode: str, most: int) -> bool:
    return not set(said[episode].ranked[:most]).isdisjoint(carried[episode])


def _parents(techniques: Iterable[str]) -> set[str]:
    return {technique.partition(".")[0] for technique in techniques}
