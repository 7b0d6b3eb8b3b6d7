"""Which row an investigation begins with.

Where the truth is known, the score of the alert must not tell it: scores are drawn for all episodes from one range
that nearly every episode reaches, and half of the attacks begin at a row of something else. What does not belong here:
how a row is scored (`first_look.py`), and what follows.
"""

# C cases, N rows
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Bools

_REACHED = 0.1  # of the episodes have no row with a score as high as the upper end
_USUAL = 0.9  # quantile of an episode's rows that the lower end is the median of
_NEAR = 0.5  # of log-odds
_LOOK_ALIKES = 0.5  # of the attacks begin at a row that is none


@dataclass(frozen=True, kw_only=True)
class AlertRule:
    """Scores that an alert may have; nearly every episode has rows with such scores, whether attacked or not."""

    low: float
    high: float


def alert_rule(scores: Iterable[NDArray[Any]]) -> AlertRule:
    """The rule for episodes with such scores: those of the training side. No label is looked at."""
    tops, usual = [], []
    for score_N in scores:
        if len(score_N):
            tops.append(float(score_N.max()))
            usual.append(float(np.quantile(score_N, _USUAL)))
    if not tops:
        return AlertRule(low=0.0, high=0.0)
    high = float(np.quantile(tops, _REACHED))
    return AlertRule(low=min(high, float(np.median(usual))), high=high)


def choose_alert(
    score_N: NDArray[Any], allowed_N: Bools, attack_N: Bools | None, rule: AlertRule | None, rng: np.random.Generator
) -> int:
    """A row among those that are allowed, or among all where none is.

    The highest score without truth or rule; else a row with a score drawn from the rule's range.
    """
    if not allowed_N.any():
        allowed_N = np.ones(len(score_N), np.bool_)
    if attack_N is None or rule is None:
        return int(np.argmax(np.where(allowed_N, score_N, -np.inf)))
    target = rng.uniform(rule.low, rule.high)
    elsewhere = rng.random() < _LOOK_ALIKES
    far_N = np.abs(score_N - target)
    others_N = allowed_N & ~attack_N if (allowed_N & ~attack_N).any() else allowed_N
    chosen_N = others_N if elsewhere else allowed_N & attack_N
    if not (chosen_N & (far_N <= _NEAR)).any():
        chosen_N = others_N
    near = np.flatnonzero(chosen_N & (far_N <= _NEAR))
    return int(rng.choice(near)) if len(near) else int(np.argmin(np.where(chosen_N, far_N, np.inf)))


def alert_auroc(score_C: NDArray[Any], attack_C: Bools) -> float:
    """How well the score of the alert alone tells attacks from the rest; NaN where one side is missing."""
    from scipy.stats import rankdata

    n_attacks, n_others = int(attack_C.sum()), int((~attack_C).sum())
    if not n_attacks or not n_others:
        return float("nan")
    above = rankdata(score_C)[attack_C].sum() - n_attacks * (n_attacks + 1) / 2
    return float(above / (n_attacks * n_others))
