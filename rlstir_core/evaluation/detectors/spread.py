"""How far the members of one detector lie apart: each was trained without another fold.

What does not belong here: what they say together (`evaluate.py`).
"""

# M members, N windows
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.evaluation.stats import counts
from rlstir_core.evaluation.stats.details import MemberSpread
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

    def score(named_N: NDArray[np.int64]) -> float:
        return round(float(macro_f1(counts.confusion_sums(truth, named_N).sum(axis=0), tested_K)), 5)

    return MemberSpread(
        name=scores.name,
        together=score(scores.predicted_N),
        members=tuple(score(named_N) for named_N in called_MN),
    )
