"""Scores cut at every threshold: what each cut would give, and which cut makes the decisions.

What does not belong here: what follows from that (`thresholds.py`).
"""

# N rows in the order of their scores, C cuts: the first c rows are called negative
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.learning.scores import ratio, two_class_f1

CRITERIA = ("macro F1", "accuracy", "Youden's J", "F1 of the positive class")
_SAME = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Cuts:
    """Rows in the order of their scores; a cut is a place between two scores that differ."""

    score_N: Floats
    positive_N: Bools
    order_N: Ints  # of the rows that were given
    cut_C: Ints

    def figures(self, weight_N: Floats | None = None) -> dict[str, Floats]:
        """What each criterion gives at each cut. {name: (C,)}"""
        n = len(self.score_N)
        one_N = np.ones(n) if weight_N is None else weight_N
        below_C = np.concatenate([[0.0], np.cumsum(one_N)])[self.cut_C]
        missed_C = np.concatenate([[0.0], np.cumsum(one_N * self.positive_N)])[self.cut_C]
        total, true = float(one_N.sum()), float((one_N * self.positive_N).sum())
        hit_C, called_C = true - missed_C, total - below_C
        right_C = hit_C + below_C - missed_C
        recall_C = hit_C / true if true else np.zeros(len(hit_C))
        alarm_C = (called_C - hit_C) / (total - true) if total > true else np.zeros(len(hit_C))
        return {
            "macro F1": two_class_f1(hit_C, called_C, true, total),
            "accuracy": right_C / total if total else right_C,
            "Youden's J": recall_C - alarm_C,
            "F1 of the positive class": ratio(2 * hit_C, called_C + true),
        }

    def span(self, place: int) -> tuple[float, float]:
        """Thresholds t of the cut at this place of `cut_C`: low < t <= high makes it, by score >= t."""
        cut = int(self.cut_C[place])
        low = float(self.score_N[cut - 1]) if cut else -np.inf
        high = float(self.score_N[cut]) if cut < len(self.score_N) else np.inf
        return low, high

    def place_of(self, threshold: float) -> int:
        """The place of the cut that calls positive from this threshold up."""
        return int(np.searchsorted(self.cut_C, np.searchsorted(self.score_N, threshold, "left")))


def cuts_of(score_N: Floats, positive_N: Bools) -> Cuts:
    order_N = np.argsort(score_N)
    sorted_N = score_N[order_N]
    inner = np.flatnonzero(np.diff(sorted_N) > 0) + 1
    cut_C = np.concatenate([[0], inner, [len(sorted_N)]]).astype(np.int64)
    return Cuts(score_N=sorted_N, positive_N=positive_N[order_N], order_N=order_N, cut_C=cut_C)


def best(figure_C: Floats) -> Bools:
    """The cuts that no other beats. NaN beats nothing."""
    known_C = np.where(np.isfinite(figure_C), figure_C, -np.inf)
    found: Bools = known_C >= known_C.max() - _SAME
    return found


def middle(span: tuple[float, float]) -> float:
    """A threshold within the span."""
    low, high = span
    if not np.isfinite(low):
        return high
    return low + 1.0 if not np.isfinite(high) else low + (high - low) / 2


def decisions_cut(cuts: Cuts, called_N: Bools) -> tuple[int | None, int]:
    """(the place of the cut that makes the decisions; how many rows contradict the one that fits best)."""
    sorted_N = called_N[cuts.order_N]
    below = np.concatenate([[0], np.cumsum(sorted_N)])[cuts.cut_C]  # called positive below the cut
    above = (len(sorted_N) - cuts.cut_C) - (sorted_N.sum() - below)  # called negative above it
    wrong_C = below + above
    place = int(wrong_C.argmin())
    wrong = int(wrong_C[place])
    return (place if not wrong else None), wrong
