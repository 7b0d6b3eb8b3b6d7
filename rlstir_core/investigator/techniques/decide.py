"""From scores to the techniques that are named, by a rule that is chosen where nothing is tested.

A threshold names whatever scores as high; a margin names the first technique where it is that far ahead of the second.
The first carries where episodes hold several techniques and scores mean the same in both places, the second to logs of
other labs, where scores as a whole lie higher or lower. What does not belong here: figures with intervals
(`evaluation/`).
"""

# E episodes, K techniques, P thresholds
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats

NOTHING = float("inf")  # a threshold that names no technique


class Naming(NamedTuple):
    """When a technique is named: its score reaches the threshold, or it is the first by at least the margin."""

    threshold: float = NOTHING
    margin: float = NOTHING

    def named(self, score_EK: Floats) -> NDArray[np.bool_]:
        """(E, K): what is named; an episode in which nothing is has been abstained from."""
        said_EK: NDArray[np.bool_] = score_EK >= self.threshold
        if np.isfinite(self.margin) and score_EK.size:
            first_E = score_EK.argmax(axis=1)
            sure_E = margins(score_EK) >= self.margin
            said_EK[sure_E, first_E[sure_E]] = True
        return said_EK


# For log-posteriors of the knowledge model, chosen on logs and rules of authors that it was not made of.
KNOWLEDGE_NAMING = Naming(threshold=float(np.log(0.1)), margin=0.4)


def margins(score_EK: Floats) -> Floats:
    """(E,): by how much the first technique is ahead of the second."""
    if score_EK.shape[1] < 2:
        return np.full(len(score_EK), NOTHING)
    top_E2 = np.partition(score_EK, -2, axis=1)[:, -2:]
    with np.errstate(invalid="ignore"):  # where nothing is possible, nothing is ahead
        return np.nan_to_num(top_E2[:, 1] - top_E2[:, 0], nan=0.0, posinf=NOTHING)


def choose_naming(score_EK: Floats, y_EK: NDArray[np.bool_], further: int = 0) -> Naming:
    """The better, by micro F1, of the best threshold and of the best margin; a threshold where they are equal.

    `further` is how many techniques are carried that no score speaks of. Without any technique nothing is named.
    """
    threshold = Naming(threshold=choose_threshold(score_EK, y_EK, further))
    if not y_EK.any():
        return threshold
    margin_E = margins(score_EK)
    right_E = y_EK[np.arange(len(y_EK)), score_EK.argmax(axis=1)]
    margin = Naming(margin=_best(margin_E, right_E, int(y_EK.sum()) + further))
    f1 = [micro_f1(naming.named(score_EK), y_EK, further) for naming in (threshold, margin)]
    return margin if f1[1] > f1[0] else threshold


def choose_threshold(score_EK: Floats, y_EK: NDArray[np.bool_], further: int = 0) -> float:
    """The threshold with the best micro F1: what scores as high is named.

    `further` is how many techniques are carried that no score speaks of. Without any technique nothing is named.
    """
    if not y_EK.any():
        return NOTHING
    return _best(score_EK.reshape(-1), y_EK.reshape(-1), int(y_EK.sum()) + further)


def micro_f1(named_EK: NDArray[np.bool_], y_EK: NDArray[np.bool_], further: int = 0) -> float:
    """The figure that a rule is chosen by; 0 where nothing is named and nothing is carried."""
    both = float((named_EK & y_EK).sum())
    return 2.0 * both / max(1.0, float(named_EK.sum() + y_EK.sum() + further))


def _best(score_P: Floats, right_P: NDArray[np.bool_], carried: int) -> float:
    """The score from which naming gives the best micro F1."""
    order = np.argsort(-score_P, kind="stable")
    score_P = score_P[order]
    hits_P = np.cumsum(right_P[order])
    f1_P = 2.0 * hits_P / (np.arange(1, len(score_P) + 1) + carried)
    last_of_ties = np.flatnonzero(np.r_[score_P[1:] != score_P[:-1], True])
    return float(score_P[last_of_ties[f1_P[last_of_ties].argmax()]])
