"""Scores of an attack against the rest, of rows or of whole episodes, in the shape that the figures of `stats/` take.

What does not belong here: any figure, and files.
"""

# N scored things (rows, episodes), E episodes
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats, Ints
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.evaluation.stats.counts import auroc_statistic, average_precision_statistic
from rlstir_core.evaluation.stats.intervals import Statistic
from rlstir_core.evaluation.stats.scored import Episodes, Scores, Truth


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
