"""From scores to the techniques that are named: one threshold, chosen where nothing is tested.

What does not belong here: figures with intervals (`evaluation/`).
"""

# E episodes, K techniques, P thresholds
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats

NOTHING = float("inf")  # a threshold that names no technique


def choose_threshold(score_EK: Floats, y_EK: NDArray[np.bool_], further: int = 0) -> float:
    """The threshold with the best micro F1: what scores as high is named.

    `further` is how many techniques are carried that no score speaks of. Without any technique nothing is named.
    """
    if not y_EK.any():
        return NOTHING
    order = np.argsort(-score_EK, axis=None, kind="stable")
    score_P = score_EK.reshape(-1)[order]
    hits_P = np.cumsum(y_EK.reshape(-1)[order])
    called_P = np.arange(1, len(score_P) + 1)
    f1_P = 2.0 * hits_P / (called_P + y_EK.sum() + further)
    last_of_ties = np.flatnonzero(np.r_[np.diff(score_P) != 0, True])
    return float(score_P[last_of_ties[f1_P[last_of_ties].argmax()]])
