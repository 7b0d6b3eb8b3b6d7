"""Curves of attack against the rest over all thresholds, and how far the attack probability can be believed.

What does not belong here: choosing a threshold (`detectors/detection.py`) and drawing (`report/pictures/`).
"""

# N windows, P points, B bins
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.evaluation.stats import counts
from rlstir_core.evaluation.stats.counts import MIN_PHASE_EPISODES
from rlstir_core.evaluation.stats.intervals import DRAWS, Estimate, estimate, refused
from rlstir_core.evaluation.stats.records import CurvePoint, Curves, OperatingPoint, ReliabilityBin
from rlstir_core.evaluation.stats.scored import Scores, Truth

MOST_POINTS = 60
RELIABILITY_BINS = 10
_DIGITS = 5


def curves(
    truth: Truth,
    scores: Scores,
    alarms: Sequence[tuple[float, Bools | None]],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Curves | None:
    """ROC and precision-recall points, average precision and reliability; `alarms` by the rate that was asked for.

    None where the phases, or the test windows, are all of attack or none is.
    """
    if not truth.is_attack_N.any() or truth.is_attack_N.all():
        return None
    hits_P, called_P = counts.threshold_counts(truth, scores)
    kept = _thinned(hits_P, called_P - hits_P)
    n_attack = int(truth.is_attack_N.sum())
    return Curves(
        attack_share=round(n_attack / len(truth), _DIGITS),
        points=tuple(_point(hits_P[at], called_P[at], n_attack, len(truth)) for at in kept),
        operating=tuple(
            OperatingPoint(
                asked_fpr=fpr,
                at=_point((alarm_N & truth.is_attack_N).sum(), alarm_N.sum(), n_attack, len(truth)),
            )
            for fpr, alarm_N in alarms
            if alarm_N is not None
        ),
        average_precision=estimate(counts.average_precision_statistic(truth, scores), draws=draws, seed=seed),
        reliability=reliability(truth, scores),
    )


def _thinned(hits_P: Ints, misses_P: Ints) -> Ints:
    """Places of at most 60 points, as evenly along the ROC curve as they allow; both ends are kept."""
    if len(hits_P) <= MOST_POINTS:
        return np.arange(len(hits_P))
    along_P = hits_P / hits_P[-1] + misses_P / misses_P[-1]
    return np.unique(np.searchsorted(along_P, np.linspace(0, along_P[-1], MOST_POINTS) - 1e-12))


def _point(hits: int, called: int, n_attack: int, n: int) -> CurvePoint:
    return CurvePoint(
        fpr=round(float(called - hits) / (n - n_attack), _DIGITS),
        recall=round(float(hits) / n_attack, _DIGITS),
        precision=round(float(hits) / float(called), _DIGITS) if called else None,
    )


def reliability(truth: Truth, scores: Scores) -> tuple[ReliabilityBin, ...]:
    """Bins of equal width of the attack probability that hold any window, with the share under attack."""
    attack_N = scores.attack_N(truth)
    bin_N = _bins(attack_N)
    return tuple(_bin(truth, attack_N, int(b), bin_N == b) for b in np.unique(bin_N))


def _bin(truth: Truth, attack_N: Floats, b: int, inside_N: Bools) -> ReliabilityBin:
    return ReliabilityBin(
        low=b / RELIABILITY_BINS,
        high=(b + 1) / RELIABILITY_BINS,
        n_windows=int(inside_N.sum()),
        n_episodes=len(np.unique(truth.episode_N[inside_N])),
        mean_probability=round(float(attack_N[inside_N].mean()), _DIGITS),
        share=Estimate(value=round(float(truth.is_attack_N[inside_N].mean()), _DIGITS)),
    )


def reliability_with_intervals(
    truth: Truth, scores: Scores, *, draws: int = DRAWS, seed: int = 0
) -> tuple[ReliabilityBin, ...]:
    """The same bins, the share under attack with its interval by episode; refused in fewer than five episodes."""
    bin_N = _bins(scores.attack_N(truth))
    found = []
    for each in reliability(truth, scores):
        share = refused(f"windows of {each.n_episodes} episodes, {MIN_PHASE_EPISODES} needed", value=each.share.value)
        if each.n_episodes >= MIN_PHASE_EPISODES:
            inside_N = bin_N == round(each.low * RELIABILITY_BINS)
            statistic = counts.share_statistic(truth, truth.is_attack_N, inside_N)
            share = estimate(statistic, draws=draws, seed=seed)
        found.append(
            ReliabilityBin(
                low=each.low,
                high=each.high,
                n_windows=each.n_windows,
                n_episodes=each.n_episodes,
                mean_probability=each.mean_probability,
                share=share,
            )
        )
    return tuple(found)


def _bins(attack_N: Floats) -> Ints:
    return np.clip((attack_N * RELIABILITY_BINS).astype(np.int64), 0, RELIABILITY_BINS - 1)
