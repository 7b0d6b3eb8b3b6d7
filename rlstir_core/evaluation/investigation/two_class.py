"""Scores of an attack against the rest, of rows or of whole episodes, in the shape that the figures of `stats/` take.

Rows of 45,000 episodes are too many for arrays of several columns: they are told episode after episode, twice, and of
all of them only what is sorted is held. What does not belong here: any figure, and files.
"""

# N scored things (rows, episodes), E episodes
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.evaluation.stats.counts import (
    attack_bins,
    auroc_of,
    auroc_statistic,
    average_precision_of,
    average_precision_statistic,
    equal_bins,
    most_bins,
)
from rlstir_core.evaluation.stats.intervals import Statistic
from rlstir_core.evaluation.stats.scored import Episodes, Scores, Truth

# (place of an episode, likelihoods of its rows, which of them are an attack), one episode after the other
ToldRows = Callable[[], Iterator[tuple[int, Floats, Bools]]]


def told_statistics(told: ToldRows, n_episodes: int) -> tuple[Statistic, Statistic] | None:
    """`ranking_statistics` of rows that are told twice; None where all of them are of one kind.

    Besides the sums of episodes it holds three times the likelihoods: 8 bytes a row each.
    """
    parts: tuple[list[Floats], list[Floats]] = [], []
    scored_E = np.zeros(n_episodes, np.bool_)
    for e, p_N, attack_N in told():
        scored_E[e] |= len(p_N) > 0
        for kind in (False, True):
            parts[kind].append(p_N[attack_N == kind])
    rest_R, attack_A = (np.sort(np.concatenate([*each, np.zeros(0)])) for each in parts)
    del parts
    if not len(rest_R) or not len(attack_A):
        return None
    most = most_bins(n_episodes)
    precision_B, area_B = attack_bins(attack_A, most), equal_bins(np.union1d(rest_R, attack_A), most)
    sums = [np.zeros((int(scored_E.sum()), 2, len(begin_B))) for begin_B in (precision_B, area_B)]
    place_E = np.cumsum(scored_E) - 1
    for e, p_N, attack_N in told():
        for of, begin_B in zip(sums, (precision_B, area_B), strict=True):
            bin_N = np.searchsorted(begin_B, p_N, side="right") - 1
            cells = np.bincount(attack_N * len(begin_B) + bin_N, minlength=2 * len(begin_B))
            of[place_E[e]] += cells.reshape(2, -1) if len(p_N) else 0
    precision_US, area_US = (of.reshape(len(of), -1) for of in sums)
    value_P, added_P = np.unique(attack_A, return_counts=True)
    value_P, added_P = value_P[::-1], added_P[::-1]
    hits_P = np.cumsum(added_P)
    called_P = hits_P + len(rest_R) - np.searchsorted(rest_R, value_P)
    return average_precision_of(precision_US, precision_B, value_P, added_P, hits_P, called_P), auroc_of(area_US)


def ranking_statistics(
    p_N: Floats, attack_N: NDArray[np.bool_], episode_N: Ints, episodes: Sequence[EpisodeInfo]
) -> tuple[Statistic, Statistic]:
    """Average precision and AUROC of probabilities; `episode_N` says which of the episodes each thing belongs to."""
    n = len(p_N)
    truth = Truth(
        phases=("rest", "attack"),
        attack=(False, True),
        episode_N=episode_N,
        y_N=attack_N.astype(np.int64),
        purity_N=np.ones(n),
        end_s_N=np.zeros(n),
        since_onset_s_N=np.full(n, np.nan),
        episodes=Episodes(
            episode_id=np.array([info.episode_id for info in episodes]),
            host=np.array([info.host for info in episodes]),
            profile=np.array([info.profile for info in episodes]),
            sample=np.array([info.sample for info in episodes]),
            benign=np.array([info.benign for info in episodes]),
            complete=np.array([info.complete for info in episodes]),
            duration_s=np.zeros(len(episodes)),
        ),
    )
    scores = Scores(name="attack", model="attack", mode="", proba_NK=np.stack([1 - p_N, p_N], axis=1))
    return average_precision_statistic(truth, scores), auroc_statistic(truth, scores)
