"""The thresholds of a policy, all chosen on validation: for F1, for alarms, for techniques and for tampering.

What does not belong here: the test side.
"""

# E episodes, G costs of the grid, T candidates, D declared techniques
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.evaluation.acting.records import Alarm, Thresholds
from rlstir_core.evaluation.acting.watched import Grid, Watched
from rlstir_core.evaluation.stats.rules import ALARM_FPR
from rlstir_core.investigator.techniques.decide import choose_threshold
from rlstir_core.learning.scores import two_class_f1

WIDE_ALARM_FPR = 0.05  # where validation has too few benign episodes for the other
BENIGN_AT = 4  # benign episodes by rate of false positives: 400 for 1 %, 80 for 5 %
_CANDIDATES = 256


def choose(runs: Sequence[Watched], grid: Grid) -> Thresholds:
    """What validation chooses for a policy from all its seeds together."""
    attack_E = runs[0].truths.attack_E
    tampered_E = runs[0].truths.tampered_E
    last = np.concatenate([each.p_last_E for each in runs])
    tampered = np.concatenate([each.tampered_last_E for each in runs])
    score = np.concatenate([each.run.score_D for each in runs])
    right = np.concatenate([each.declared_right_D for each in runs])
    carried = len(runs) * int(runs[0].truths.carried_E.sum())
    return Thresholds(
        area=_for_area(runs, grid) if attack_E.any() else None,
        stop=_for_end(last, np.tile(attack_E, len(runs))) if attack_E.any() else None,
        technique=_best(score, right, carried - int(right.sum())),
        tampered=_best(tampered, np.tile(tampered_E, len(runs)), 0),
        alarm=_alarm(runs),
    )


def _best(score: Floats, right: Bools, further: int) -> float | None:
    """The threshold with the best F1; None where nothing could be right."""
    found = choose_threshold(score[None, :], right[None, :], further)
    return found if math.isfinite(found) else None


def _for_area(runs: Sequence[Watched], grid: Grid) -> float:
    """The threshold with the largest area under F1 against cost, over all seeds; of equals that nearest one half."""
    candidate_T = np.unique(np.concatenate([each.p_EG.reshape(-1) for each in runs]))
    if len(candidate_T) > _CANDIDATES:
        candidate_T = np.quantile(candidate_T, np.linspace(0, 1, _CANDIDATES))
    return _nearest_half(candidate_T, np.sum([_areas(each, grid, candidate_T) for each in runs], axis=0))


def _areas(watched: Watched, grid: Grid, candidate_T: Floats) -> Floats:
    """The area under F1 against cost with each candidate as the threshold. (T,)"""
    T, G = len(candidate_T), len(grid.at_G)
    attack_E = watched.truths.attack_E
    bin_EG = np.searchsorted(candidate_T, watched.p_EG, side="right") + np.arange(G) * (T + 1)

    def called(cells: Ints) -> Floats:
        count_GT = np.bincount(cells.reshape(-1), minlength=G * (T + 1)).reshape(G, T + 1)
        above: Floats = np.cumsum(count_GT[:, ::-1], axis=1)[:, ::-1][:, 1:].astype(np.float64)
        return above

    f1_GT = two_class_f1(called(bin_EG[attack_E]), called(bin_EG), float(attack_E.sum()), float(len(attack_E)))
    found: Floats = grid.share_G @ np.where(np.isnan(f1_GT), 0.0, f1_GT)
    return found


def _for_end(p_E: Floats, attack_E: Bools) -> float:
    """The threshold with the best F1 of what was declared; of equals that nearest one half."""
    candidate_T = np.unique(p_E)
    called_T = len(p_E) - np.searchsorted(np.sort(p_E), candidate_T, side="left").astype(np.float64)
    attacks = np.sort(p_E[attack_E])
    right_T = len(attacks) - np.searchsorted(attacks, candidate_T, side="left").astype(np.float64)
    return _nearest_half(candidate_T, two_class_f1(right_T, called_T, float(len(attacks)), float(len(p_E))))


def _nearest_half(candidate_T: Floats, good_T: Floats) -> float:
    """The best candidate; of equals that nearest one half. One that has no figure is as good as 0."""
    good_T = np.where(np.isnan(good_T), 0.0, good_T)
    best = np.flatnonzero(good_T >= good_T.max() - 1e-12)
    return float(candidate_T[best[np.abs(candidate_T[best] - 0.5).argmin()]])


def _alarm(runs: Sequence[Watched]) -> Alarm:
    """The lowest threshold that the highest probability of a benign case reaches as rarely as is allowed."""
    benign_E = ~runs[0].truths.attack_E
    n = int(benign_E.sum())
    fpr = next((rate for rate in (ALARM_FPR, WIDE_ALARM_FPR) if n >= BENIGN_AT / rate - 1e-9), None)
    if fpr is None:
        needed = math.ceil(BENIGN_AT / WIDE_ALARM_FPR - 1e-9)
        note = f"validation has {n} benign episodes, a threshold for {100 * WIDE_ALARM_FPR:g} % needs {needed}"
        return Alarm(fpr=None, threshold=None, n_benign=n, note=note)
    highest = np.sort(np.concatenate([each.highest_E[benign_E] for each in runs]))[::-1]
    allowed = math.floor(fpr * len(highest) + 1e-9)
    # just above the first benign case that may not raise an alarm
    return Alarm(fpr=fpr, threshold=float(np.nextafter(highest[allowed], np.inf)), n_benign=n)
