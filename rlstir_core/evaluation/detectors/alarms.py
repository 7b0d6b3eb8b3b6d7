"""False alarms: when an alarm begins without an attack, and which benign work it is that raises them.

What does not belong here: choosing the threshold (`detection.py`) and recall (`detection.py`, `techniques.py`).
"""

# E episodes, N windows, G groups
from __future__ import annotations

import numpy as np

from rlstir_core.arrays import Bools, Floats
from rlstir_core.evaluation.detectors.detection import Threshold
from rlstir_core.evaluation.stats import counts
from rlstir_core.evaluation.stats.counts import MIN_PHASE_EPISODES
from rlstir_core.evaluation.stats.details import BenignWork, FlaggedWork
from rlstir_core.evaluation.stats.intervals import DRAWS, Statistic, estimate, rate_estimate, refused
from rlstir_core.evaluation.stats.metrics import too_few_episodes
from rlstir_core.evaluation.stats.records import AlarmRate, Untested
from rlstir_core.evaluation.stats.scored import Scores, Truth
from rlstir_core.learning.scores import ratio

_HOUR_S = 3600.0
_MOST_ROWS = 10  # of profiles, and of samples
_SLACK = 1.001  # of a stride: window begins are sums of bins


def alarm_rate(
    truth: Truth, scores: Scores, threshold: Threshold, stride_s: float, *, draws: int = DRAWS, seed: int = 0
) -> AlarmRate:
    """False alarms by hour of scored time without attack; every window stands for one stride."""
    alarm_N = threshold.alarms(truth, scores)
    quiet_E = np.bincount(truth.episode_N[~truth.is_attack_N], minlength=len(truth.episodes))
    hours_E: Floats = quiet_E.astype(np.float64) * (stride_s / _HOUR_S)
    onsets, per_hour = 0, refused(threshold.note)
    if alarm_N is not None:
        false_N = onset_windows(truth, alarm_N, stride_s) & ~truth.is_attack_N
        false_E = np.bincount(truth.episode_N[false_N], minlength=len(truth.episodes)).astype(np.float64)
        onsets = int(false_N.sum())
        per_hour = rate_estimate(false_E[quiet_E > 0], hours_E[quiet_E > 0], draws=draws, seed=seed)
    return AlarmRate(
        fpr=threshold.fpr,
        stride_s=stride_s,
        onsets=onsets,
        hours=float(hours_E.sum()),
        n_episodes=int((quiet_E > 0).sum()),
        per_hour=per_hour,
    )


def onset_windows(truth: Truth, alarm_N: Bools, stride_s: float) -> Bools:
    """The windows in which an alarm begins: the window one stride before raised none, or was not scored. (N,)"""
    order = np.lexsort((truth.time_s_N, truth.episode_N))
    episode, time_s, alarm = truth.episode_N[order], truth.time_s_N[order], alarm_N[order]
    goes_on = (np.diff(episode) == 0) & (np.diff(time_s) <= stride_s * _SLACK) & alarm[:-1]
    begins_N = np.empty(len(alarm), np.bool_)
    begins_N[order] = alarm & ~np.r_[False, goes_on]
    return begins_N


def benign_work(truth: Truth, scores: Scores, threshold: Threshold, *, draws: int = DRAWS, seed: int = 0) -> BenignWork:
    """How often benign episodes raise alarms, by profile and by sample; those in fewer than five are only counted."""
    alarm_N = threshold.alarms(truth, scores)
    if alarm_N is None:
        return BenignWork(note=threshold.note)
    among_N = truth.episodes.benign[truth.episode_N] & ~truth.is_attack_N
    if not among_N.any():
        return BenignWork(note="no test episode is benign")
    part, flagged_N = truth.where(among_N), alarm_N[among_N]
    rows: list[FlaggedWork] = []
    if part.scored_E.sum() >= MIN_PHASE_EPISODES:
        rows.append(_flagged("all", "all benign work", part, flagged_N, draws, seed))
    untested: list[Untested] = []
    few, further = {}, {}
    for kind in ("profile", "sample"):
        names, group_E = np.unique(getattr(part.episodes, kind), return_inverse=True)
        group_E = group_E.reshape(-1)
        size_G = np.bincount(group_E[part.scored_E], minlength=len(names))
        group_N = group_E[part.episode_N]
        share_G = np.bincount(group_N, flagged_N, len(names)) / np.maximum(
            np.bincount(group_N, minlength=len(names)), 1
        )
        tested = np.flatnonzero(size_G >= MIN_PHASE_EPISODES)
        ranked = tested[np.argsort(-share_G[tested], kind="stable")]  # names are in order, so equals are too
        too_few = np.flatnonzero((size_G > 0) & (size_G < MIN_PHASE_EPISODES))
        few[kind] = len(too_few)
        untested += [
            Untested(kind=kind, name=str(names[g]), n_test=int(size_G[g]), reason=too_few_episodes(int(size_G[g])))
            for g in too_few[:_MOST_ROWS]
        ]
        further[kind] = max(0, len(ranked) - _MOST_ROWS)
        rows += [
            _flagged(kind, str(names[g]), part.where(group_N == g), flagged_N[group_N == g], draws, seed)
            for g in ranked[:_MOST_ROWS]
        ]
    return BenignWork(rows=tuple(rows), untested=tuple(untested), n_untested=few, n_further=further)


def _flagged(kind: str, name: str, part: Truth, flagged_N: Bools, draws: int, seed: int) -> FlaggedWork:
    every_N = np.ones(len(part), np.bool_)
    any_E = np.bincount(part.episode_N, flagged_N, len(part.episodes))[part.scored_E] > 0
    sums = np.stack([any_E, np.ones(len(any_E))], axis=1).astype(np.float64)
    return FlaggedWork(
        kind=kind,
        name=name,
        n_episodes=len(any_E),
        n_windows=len(part),
        windows=estimate(counts.share_statistic(part, flagged_N, every_N), draws=draws, seed=seed),
        episodes=estimate(Statistic(sums_US=sums, of=lambda s: ratio(s[..., 0], s[..., 1])), draws=draws, seed=seed),
    )
