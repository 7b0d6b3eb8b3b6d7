"""What a score depends on in training: how far members and seeds lie apart, and what more train episodes give.

What does not belong here: what they say together (`evaluate.py`).
"""

# M members, N windows
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.evaluation.stats import counts
from rlstir_core.evaluation.stats.details import LearningPoint, MemberSpread, SeedSpread
from rlstir_core.evaluation.stats.intervals import DRAWS, Statistic, deviation_estimate, estimate
from rlstir_core.evaluation.stats.scored import Scores, Truth
from rlstir_core.learning.scores import macro_f1


def member_spread(truth: Truth, scores: Scores, called: Sequence[NDArray[np.int8]]) -> MemberSpread | None:
    """Macro F1 on test of every member alone; rounds are pooled by fold, folds that not every round has are left out.

    `called` are blocks of (M, n) named phases in the order of the windows. None where no phase is tested.
    """
    tested_K = counts.tested_phases(truth)
    if not tested_K.any() or not called:
        return None
    least = min(len(block) for block in called)
    called_MN = np.concatenate([block[:least] for block in called], axis=1).astype(np.int64)
    if called_MN.shape[1] != len(truth):
        raise ValueError(f"members of {scores.name!r} named {called_MN.shape[1]} windows, the labels have {len(truth)}")

    return MemberSpread(
        name=scores.name,
        together=_score(truth, scores.predicted_N, tested_K),
        members=tuple(_score(truth, named_N, tested_K) for named_N in called_MN),
    )


def seed_spread(truth: Truth, name: str, named: Sequence[tuple[int, Ints]]) -> SeedSpread | None:
    """Macro F1 on test by seed and its deviation; `named` are a seed and the named phase of every test window.

    None where no phase is tested.
    """
    tested_K = counts.tested_phases(truth)
    if not tested_K.any():
        return None
    scores = tuple(_score(truth, named_N, tested_K) for _, named_N in named)
    deviation = deviation_estimate(scores, "seed")
    return SeedSpread(name=name, seeds=tuple(seed for seed, _ in named), scores=scores, deviation=deviation)


def _score(truth: Truth, named_N: Ints, tested_K: Bools) -> float:
    return round(float(macro_f1(counts.confusion_sums(truth, named_N).sum(axis=0), tested_K)), 5)


def learning_points(
    truth: Truth, named: Sequence[tuple[float, int, Ints]], *, draws: int = DRAWS, seed: int = 0
) -> tuple[LearningPoint, ...]:
    """Macro F1 by share of the train episodes, the smallest first; each with its gain over the one before.

    `named` are share, number of episodes and the named phase of every test window. Empty where no phase is tested.
    """
    tested_K = counts.tested_phases(truth)
    if not tested_K.any():
        return ()
    found: list[LearningPoint] = []
    before: Floats | None = None
    for share, n_episodes, called_N in named:
        sums = counts.confusion_sums(truth, called_N)
        score = Statistic(sums_US=sums, of=lambda s: macro_f1(s, tested_K))
        found.append(
            LearningPoint(
                share=share,
                n_episodes=n_episodes,
                macro_f1=estimate(score, draws=draws, seed=seed),
                gain=None if before is None else estimate(_gain(before, sums, tested_K), draws=draws, seed=seed),
            )
        )
        before = sums
    return tuple(found)


def _gain(before_ES: Floats, after_ES: Floats, tested_K: Bools) -> Statistic:
    """Macro F1 of the second minus that of the first."""
    width = before_ES.shape[1]

    def difference(s: Floats) -> Floats:
        gained: Floats = macro_f1(s[..., width:], tested_K) - macro_f1(s[..., :width], tested_K)
        return gained

    return Statistic(sums_US=np.concatenate([before_ES, after_ES], axis=1), of=difference, bounded=False)
