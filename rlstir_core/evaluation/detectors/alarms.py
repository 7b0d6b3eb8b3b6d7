"""False alarms: when an alarm begins without an attack, and which benign work it is that raises them.

What does not belong here: choosing the threshold (`detection.py`) and recall (`detection.py`, `techniques.py`).
"""

# E episodes, N windows
from __future__ import annotations

import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.evaluation.detectors.detection import Threshold
from rlstir_core.evaluation.stats.intervals import DRAWS, rate_estimate, refused
from rlstir_core.evaluation.stats.records import AlarmRate
from rlstir_core.evaluation.stats.scored import Bools, Scores, Truth

_HOUR_S = 3600.0
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
