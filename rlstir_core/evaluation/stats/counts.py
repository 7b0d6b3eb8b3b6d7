"""Sums over episodes from which figures are made, and the figures as functions of such sums.

Every function of sums takes (..., S) and gives (...), so one call serves the figure itself, its resamples
and its left-out versions. What does not belong here: intervals (`intervals.py`), what is reported
(`metrics.py`).
"""

# E episodes with windows, N windows, K phases, B bins
from __future__ import annotations

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.evaluation.stats.intervals import Statistic
from rlstir_core.evaluation.stats.scored import Scores, Truth
from rlstir_core.learning.scores import macro_f1, phase_f1, ratio

MIN_PHASE_EPISODES = 5  # a phase in fewer test episodes is untested
ECE_BINS = 15
_RANK_BINS = 1024
_RANK_SUMS = 1 << 22  # episodes times bins: beyond, the bins are fewer


def confusion_sums(truth: Truth, predicted_N: Ints) -> Floats:
    """The confusion matrix of every episode that has windows, true phase by predicted phase. (E, K*K)"""
    K = truth.n_phases
    return episode_sums(truth, truth.y_N * K + predicted_N, K * K)


def episode_sums(truth: Truth, column_N: Ints, columns: int, weight_N: Floats | None = None) -> Floats:
    """Weights summed by episode and column, for the episodes that have windows. (E, columns)"""
    size = len(truth.episodes) * columns
    cells = np.bincount(truth.episode_N * columns + column_N, weights=weight_N, minlength=size)
    sums: Floats = np.asarray(cells.reshape(-1, columns)[truth.scored_E], np.float64)
    return sums


def accuracy(sums: Floats, n_phases: int) -> Floats:
    """The share of windows whose phase was named. (..., K*K) -> (...)"""
    return ratio(sums[..., :: n_phases + 1].sum(axis=-1), sums.sum(axis=-1))


def tested_phases(truth: Truth) -> Bools:
    """The phases that stand in enough test episodes to be scored. (K,)"""
    return truth.episodes_with_phase_K >= MIN_PHASE_EPISODES


def macro_f1_statistic(truth: Truth, scores: Scores, tested_K: Bools) -> Statistic:
    return Statistic(sums_US=confusion_sums(truth, scores.predicted_N), of=lambda sums: macro_f1(sums, tested_K))


def accuracy_statistic(truth: Truth, scores: Scores) -> Statistic:
    K = truth.n_phases
    return Statistic(sums_US=confusion_sums(truth, scores.predicted_N), of=lambda sums: accuracy(sums, K))


def phase_f1_statistic(truth: Truth, scores: Scores, phase: int) -> Statistic:
    K = truth.n_phases
    return Statistic(sums_US=confusion_sums(truth, scores.predicted_N), of=lambda sums: phase_f1(sums, K)[..., phase])


def attack_f1_statistic(truth: Truth, scores: Scores) -> Statistic:
    """F1 of attack against the rest, from the most probable phase."""
    called_N = truth.attack_K[scores.predicted_N]
    column_N = truth.is_attack_N.astype(np.int64) * 2 + called_N
    sums = episode_sums(truth, column_N, 4)  # quiet, false alarm, miss, hit
    return Statistic(sums_US=sums, of=lambda s: ratio(2 * s[..., 3], 2 * s[..., 3] + s[..., 1] + s[..., 2]))


def share_statistic(truth: Truth, hit_N: Bools, among_N: Bools) -> Statistic:
    """The share of the windows `among_N` that are in `hit_N`; units are the episodes with such windows."""
    chosen = truth.where(among_N)
    sums = episode_sums(chosen, hit_N[among_N].astype(np.int64), 2)
    return Statistic(sums_US=sums, of=lambda s: ratio(s[..., 1], s[..., 0] + s[..., 1]))


def auroc_statistic(truth: Truth, scores: Scores) -> Statistic:
    """AUROC of the attack probability: the Mann-Whitney statistic from histograms, a tie counts half."""
    return auroc_of(attack_histogram(truth, scores)[0])


def auroc_of(sums_US: Floats) -> Statistic:
    """The same of counts by bin: those without attack, then those of attacks."""
    B = sums_US.shape[1] // 2

    def area(s: Floats) -> Floats:
        rest, attack = s[..., :B], s[..., B:]
        below = np.cumsum(rest, axis=-1) - rest
        wins = (attack * (below + 0.5 * rest)).sum(axis=-1)
        return ratio(wins, attack.sum(axis=-1) * rest.sum(axis=-1))

    return Statistic(sums_US=sums_US, of=area)


def average_precision_statistic(truth: Truth, scores: Scores) -> Statistic:
    """Average precision of the attack probability: the precision at each threshold, weighted by the recall it adds.

    The value is exact. Resamples are made from bins that hold about as many attack windows each, since only the rank
    of those counts: bins of all windows would be a handful where attack windows are, if these are few.
    """
    attack_N = scores.attack_N(truth)
    begin_B = attack_bins(attack_N[truth.is_attack_N], most_bins(len(truth.episodes)))
    bin_N = np.searchsorted(begin_B, attack_N, side="right") - 1
    sums = episode_sums(truth, truth.is_attack_N * len(begin_B) + bin_N, 2 * len(begin_B))
    hits_P, called_P = threshold_counts(truth, scores)
    return average_precision_of(sums, begin_B, np.unique(attack_N)[::-1], np.diff(hits_P), hits_P[1:], called_P[1:])


def average_precision_of(
    sums: Floats, begin_B: Floats, value_P: Floats, added_P: Ints, hits_P: Ints, called_P: Ints
) -> Statistic:
    """The same of counts by bin (first those without attack) and of thresholds, the highest first.

    At each threshold: its value, the attacks that have it, the attacks and all things that have as much or more.
    """
    B = len(begin_B)
    bin_P = np.searchsorted(begin_B, value_P, side="right") - 1
    added_P = added_P.astype(np.float64)

    # the share of a bin that is called at its mean attack window: all of it where its attack windows have one value, so
    # that ties are exact
    rest_B, attack_B = sums[:, :B].sum(axis=0), sums[:, B:].sum(axis=0)
    hits_B: Floats = np.bincount(bin_P, added_P * hits_P, B).astype(np.float64)
    misses_B: Floats = np.bincount(bin_P, added_P * (called_P - hits_P), B).astype(np.float64)
    of_attack_B = np.nan_to_num(ratio(ratio(hits_B, attack_B) - _above(attack_B), attack_B))
    of_rest_B = np.nan_to_num(ratio(ratio(misses_B, attack_B) - _above(rest_B), rest_B))

    def area(s: Floats) -> Floats:
        rest, attack = s[..., :B], s[..., B:]
        hits = _above(attack) + of_attack_B * attack
        precision = np.nan_to_num(ratio(hits, hits + _above(rest) + of_rest_B * rest))
        return ratio((attack * precision).sum(axis=-1), attack.sum(axis=-1))

    exact = float((added_P * hits_P / called_P).sum() / hits_P[-1]) if hits_P[-1] else float("nan")
    return Statistic(sums_US=sums, of=area, exact=exact)


def threshold_counts(truth: Truth, scores: Scores) -> tuple[Ints, Ints]:
    """Attack windows called an attack, and all windows called one, from no window to all of them. (P,) (P,)"""
    attack_N = scores.attack_N(truth)
    order = np.argsort(-attack_N, kind="stable")
    last_of_ties = np.flatnonzero(np.r_[np.diff(attack_N[order]) != 0, True])
    hits_N = np.cumsum(truth.is_attack_N[order])
    return np.r_[0, hits_N[last_of_ties]], np.r_[0, last_of_ties + 1]


def _above(count_B: Floats) -> Floats:
    """The counts of all higher bins. (..., B)"""
    total: Floats = np.cumsum(count_B[..., ::-1], axis=-1)[..., ::-1] - count_B
    return total


def attack_bins(value_N: Floats, most: int) -> Floats:
    """Where bins begin, at values of attack windows: at each where they are few; what lies below all is the first."""
    values = np.unique(value_N)
    if len(values) >= most:
        values = np.unique(np.quantile(value_N, np.linspace(0, 1, most)[:-1], method="inverted_cdf"))
    return np.concatenate([[-np.inf], values])


def equal_bins(values: Floats, most: int) -> Floats:
    """Where bins begin that hold about as many of these distinct values each; at each value where they are few."""
    return np.unique(np.quantile(values, np.linspace(0, 1, most + 1)[:-1])) if len(values) > most else values


def most_bins(episodes: int) -> int:
    """How many bins the ranks of so many episodes' things are told by."""
    return max(64, min(_RANK_BINS, _RANK_SUMS // max(1, episodes)))


def attack_histogram(truth: Truth, scores: Scores) -> tuple[Floats, int]:
    """Windows by bin of the attack probability, first those without attack, (E, 2*B), and B.

    Exact while the probability takes at most 1,024 values; above that, in 1,024 bins of equally many values (fewer
    beyond 4,096 episodes).
    """
    attack_N = scores.attack_N(truth)
    values = equal_bins(np.unique(attack_N), most_bins(len(truth.episodes)))
    B = len(values)
    bin_N = np.searchsorted(values, attack_N, side="right") - 1
    return episode_sums(truth, truth.is_attack_N * B + bin_N, 2 * B), B


def calibration_statistic(truth: Truth, scores: Scores) -> Statistic:
    """Expected calibration error of the top label, 15 bins of equal width (Guo et al. 2017, eq. 3)."""
    top_N = scores.proba_NK.max(axis=1)
    bin_N = np.clip(np.ceil(top_N * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    right_N = (scores.predicted_N == truth.y_N).astype(np.float64)
    count = episode_sums(truth, bin_N, ECE_BINS)
    excess = episode_sums(truth, bin_N, ECE_BINS, right_N - top_N)
    return binned_calibration(count, excess)


def binned_calibration(count_UB: Floats, excess_UB: Floats) -> Statistic:
    """The error of so many answers a bin, of which so many more were right than was said; units are the rows."""
    return Statistic(
        sums_US=np.concatenate([count_UB, excess_UB], axis=1),
        of=lambda s: ratio(np.abs(s[..., ECE_BINS:]).sum(axis=-1), s[..., :ECE_BINS].sum(axis=-1)),
    )


def calibration_noise(statistic: Statistic) -> Statistic:
    """How far the bins of a resample lie from those of the sample, summed: the error that noise alone makes."""
    total = statistic.sums_US.sum(axis=0)
    gap_B = total[ECE_BINS:] / total[:ECE_BINS].sum()

    def distance(s: Floats) -> Floats:
        size = s[..., :ECE_BINS].sum(axis=-1, keepdims=True)
        summed: Floats = np.abs(s[..., ECE_BINS:] / size - gap_B).sum(axis=-1)
        return summed

    return Statistic(sums_US=statistic.sums_US, of=distance)
