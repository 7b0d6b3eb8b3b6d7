"""How far two sets of episodes lie apart: distances of single columns, and how well their digests tell them apart.

Intervals resample the episodes of both sides. A resample lies further from another than the sets themselves do, so
the interval is the basic one, which takes that off. What does not belong here: whether it is chance
(`compare.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.evaluation.drift.compare import rank_scores
from rlstir_core.evaluation.stats.intervals import MIN_EPISODES, TAIL, Estimate, draw_weights

# E episodes, A of one side, D draws, V different values, B bins

_BINS = 10
_HALF = 0.5  # added to every bin
_DRAWS = 300
_FOLDS = 5
_MIN_PSI = 10  # episodes; below, most bins are empty whatever happened
MIN_PROBE = 5
_NONE = Estimate(value=None, note="no value on one side")


def distances(before_E: Floats, recent_E: Floats, seed: int) -> tuple[Estimate, Estimate]:
    """Kolmogorov-Smirnov distance and population stability index of one column."""
    before, recent = before_E[np.isfinite(before_E)], recent_E[np.isfinite(recent_E)]
    if not len(before) or not len(recent):
        return _NONE, _NONE
    weights = [np.ones((1, len(before))), np.ones((1, len(recent)))]
    few = min(len(before), len(recent))
    if few >= MIN_EPISODES:
        weights = [
            np.concatenate([ones, draw_weights(ones.shape[1], _DRAWS, seed + at)]) for at, ones in enumerate(weights)
        ]
    ks = _estimate(_ks(before, recent, *weights), few, most=1.0)
    if few < _MIN_PSI:
        return ks, Estimate(value=None, note=f"n = {few} episodes, none below {_MIN_PSI}")
    return ks, _estimate(_psi(before, recent, *weights), few, most=np.inf)


def _ks(before: Floats, recent: Floats, weight_before_DA: Floats, weight_recent_DA: Floats) -> Floats:
    values = np.unique(np.concatenate([before, recent]))
    apart_DV = np.abs(
        _share_in(np.searchsorted(values, before), weight_before_DA, len(values)).cumsum(axis=1)
        - _share_in(np.searchsorted(values, recent), weight_recent_DA, len(values)).cumsum(axis=1)
    )
    return np.asarray(apart_DV.max(axis=1))


def _psi(before: Floats, recent: Floats, weight_before_DA: Floats, weight_recent_DA: Floats) -> Floats:
    edges = np.unique(np.quantile(before, np.linspace(0, 1, _BINS + 1)[1:-1]))
    n = len(edges) + 1
    shares = []
    for values, weights in ((before, weight_before_DA), (recent, weight_recent_DA)):
        counts = _share_in(np.searchsorted(edges, values, side="left"), weights, n) * len(values)
        shares.append((counts + _HALF) / (len(values) + _HALF * n))
    return np.asarray(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum(axis=1))


def _share_in(place_A: Ints, weight_DA: Floats, n: int) -> Floats:
    """The weight of each place in each draw, as a share of the draw's. (D, n)"""
    flat = place_A + np.arange(len(weight_DA))[:, None] * n
    summed = np.bincount(flat.reshape(-1), weight_DA.reshape(-1), minlength=n * len(weight_DA))
    return np.asarray(summed.reshape(-1, n) / weight_DA.sum(axis=1, keepdims=True))


def _estimate(found_D: Floats, few: int, *, most: float) -> Estimate:
    """What is seen comes first in `found_D`, and the draws after it."""
    value = float(found_D[0])
    if len(found_D) == 1:
        return Estimate(value=value, note=f"n = {few} episodes, no interval below {MIN_EPISODES}")
    low, high = np.quantile(found_D[1:], [TAIL, 1 - TAIL])
    lo, hi = np.clip([2 * value - high, 2 * value - low], 0.0, most)
    return Estimate(value=value, lo=float(lo), hi=float(hi), method="basic bootstrap")


def probe(x_EC: Floats, recent: Sequence[int], before: Sequence[int], seed: int) -> Estimate:
    """AUROC of telling recent episodes from earlier ones by the nearest mean of their digests, on episodes left out."""
    if min(len(recent), len(before)) < MIN_PROBE:
        return Estimate(value=None, note=f"n = {min(len(recent), len(before))} episodes, none below {MIN_PROBE}")
    score_EC, counts = rank_scores(x_EC[[*recent, *before]])
    score_EC[:, counts] -= score_EC[:, counts].mean(axis=0)
    spread_C = score_EC.std(axis=0)
    score_EC = score_EC[:, spread_C > 0] / spread_C[spread_C > 0]
    is_recent = np.arange(len(score_EC)) < len(recent)
    rng = np.random.default_rng(seed)
    fold_E = np.concatenate([rng.permutation(len(side)) % _FOLDS for side in (recent, before)])
    said_E = np.zeros(len(score_EC))
    for fold in range(_FOLDS):
        learnt = fold_E != fold
        now_C, past_C = (score_EC[learnt & side].mean(axis=0) for side in (is_recent, ~is_recent))
        said_E[~learnt] = (score_EC[~learnt] - (now_C + past_C) / 2) @ (now_C - past_C)
    return _auroc(said_E, is_recent, seed)


def _auroc(said_E: Floats, is_recent_E: Bools, seed: int) -> Estimate:
    now, past = said_E[is_recent_E], said_E[~is_recent_E]
    win_AB = (now[:, None] > past) + 0.5 * (now[:, None] == past)
    value, few = float(win_AB.mean()), min(len(now), len(past))
    if few < MIN_EPISODES:
        return Estimate(value=value, note=f"n = {few} episodes, no interval below {MIN_EPISODES}")
    now_D, past_D = draw_weights(len(now), _DRAWS, seed), draw_weights(len(past), _DRAWS, seed + 1)
    drawn_D = np.einsum("da,da->d", now_D @ win_AB, past_D) / win_AB.size
    lo, hi = np.quantile(drawn_D, [TAIL, 1 - TAIL])
    return Estimate(value=value, lo=float(lo), hi=float(hi), method="percentile bootstrap")
