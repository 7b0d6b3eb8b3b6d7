"""Figures of alarms and of time: recall at a false-positive rate, time to detect, early detection.

A threshold is chosen on validation windows and on nothing else; without enough of them the figure is refused.
What does not belong here: figures that need no threshold and no time (`stats/metrics.py`).
"""

# E episodes, N windows, K phases
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from rlstir_core.arrays import Bools, Floats
from rlstir_core.evaluation.stats import counts, metrics
from rlstir_core.evaluation.stats.intervals import DRAWS, Estimate, Statistic, estimate, mean_of, refused
from rlstir_core.evaluation.stats.records import EarlyCurve, EarlyPoint, PrefixMean, RecallAtFpr, TimeToDetect
from rlstir_core.evaluation.stats.rules import ALARM_FPR
from rlstir_core.evaluation.stats.scored import Scores, Truth, check_pair
from rlstir_core.learning.scores import ratio

EDGES_S = (5.0, 10.0, 20.0, 30.0, 60.0)
_NEGATIVES_AT = 3  # at least 3 / rate negatives: fewer cannot show a rate so small (rule of three)


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """An alarm is an attack probability of at least the value of the window's round; without, `note` says why."""

    fpr: float
    values: dict[int, float]  # by round: validation of another round may hold what this one tests
    n_negatives: int
    note: str = ""

    @property
    def value(self) -> float | None:
        """The threshold where there is one round."""
        return next(iter(self.values.values())) if len(self.values) == 1 else None

    def alarms(self, truth: Truth, scores: Scores) -> Bools | None:
        """Which windows raise an alarm, (N,); None without a threshold for each of their rounds."""
        if not set(truth.rounds) <= self.values.keys():
            return None
        least_N = np.full(len(truth), np.inf)
        for place in truth.rounds:
            least_N[truth.in_round(place)] = self.values[place]
        alarm_N: Bools = scores.attack_N(truth) >= least_N
        return alarm_N


def choose_threshold(validation: tuple[Truth, Scores] | None, fpr: float) -> Threshold:
    """The lowest threshold that keeps the false positives on validation's non-attack windows within `fpr`.

    One per round of the split, from that round's validation alone.
    """
    if validation is None:
        return Threshold(fpr=fpr, values={}, n_negatives=0, note="no validation predictions, no threshold")
    truth, scores = validation
    check_pair(truth, scores)
    if truth.one_sided:
        return Threshold(fpr=fpr, values={}, n_negatives=0, note=truth.one_sided)
    attack_N, needed = scores.attack_N(truth), math.ceil(_NEGATIVES_AT / fpr - 1e-9)
    values, fewest = {}, len(truth)
    for place in truth.rounds:
        negatives = np.sort(attack_N[truth.in_round(place) & ~truth.is_attack_N])[::-1]
        fewest = min(fewest, len(negatives))
        if len(negatives) >= needed:
            allowed = math.floor(fpr * len(negatives) + 1e-9)
            # just above the first negative that may not raise an alarm
            values[place] = float(np.nextafter(negatives[allowed], np.inf))
    if fewest < needed:
        note = f"validation has {fewest} non-attack windows, {100 * fpr:g} % needs {needed:,}"
        return Threshold(fpr=fpr, values={}, n_negatives=fewest, note=note)
    return Threshold(fpr=fpr, values=values, n_negatives=fewest)


def recall_at_fpr(
    truth: Truth,
    scores: Scores,
    validation: tuple[Truth, Scores] | None,
    fpr: float,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> RecallAtFpr:
    """Recall of attack windows at validation's threshold for `fpr`, and the rate on the test side."""
    threshold = choose_threshold(validation, fpr)
    alarm_N = threshold.alarms(truth, scores)
    if alarm_N is None:
        recall = realised = refused(threshold.note)
    else:
        recall, realised = (
            estimate(counts.share_statistic(truth, alarm_N, among_N), draws=draws, seed=seed)
            for among_N in (truth.is_attack_N, ~truth.is_attack_N)
        )
    return RecallAtFpr(
        fpr=fpr,
        threshold=threshold.value,
        chosen_on="validation" if len(threshold.values) < 2 else "validation of each round",
        n_validation_negatives=threshold.n_negatives,
        recall=recall,
        realised_fpr=realised,
        of_rounds={str(place + 1): value for place, value in sorted(threshold.values.items())},
    )


def time_to_detect(
    truth: Truth,
    scores: Scores,
    validation: tuple[Truth, Scores] | None,
    *,
    fpr: float = ALARM_FPR,
    draws: int = DRAWS,
    seed: int = 0,
) -> TimeToDetect:
    """Seconds from the onset to the first alarm at or after it, restricted to what was recorded.

    Only episodes whose onset lies in the scored part count; a miss counts the time from the onset to the
    episode's last window, so the mean is a lower bound of the true one.
    """
    threshold = choose_threshold(validation, fpr)
    seen_E, unseen_E = _onset_seen(truth)
    mean = detected = refused(threshold.note)
    median = None
    alarm_N = threshold.alarms(truth, scores)
    if alarm_N is not None:
        delay_E, hit_E = _delays(truth, alarm_N)
        delays, hits = delay_E[seen_E], hit_E[seen_E]
        sums = np.stack([delays, hits, np.ones(len(delays))], axis=1)
        mean = estimate(
            Statistic(sums_US=sums, of=lambda s: ratio(s[..., 0], s[..., 2]), bounded=False),
            draws=draws,
            seed=seed,
        )
        if mean.lo is not None:
            mean = msgspec.structs.replace(mean, lo=max(0.0, mean.lo))
        detected = estimate(Statistic(sums_US=sums, of=lambda s: ratio(s[..., 1], s[..., 2])), draws=draws, seed=seed)
        if len(hits) and hits.mean() > 0.5:
            median = float(np.median(np.where(hits, delays, np.inf)))
            median = median if math.isfinite(median) else None
    return TimeToDetect(
        fpr=fpr,
        threshold=threshold.value,
        n_episodes=int(seen_E.sum()),
        n_onset_unseen=int(unseen_E.sum()),
        mean_s=mean,
        median_s=median,
        share_detected=detected,
    )


def early_detection(
    truth: Truth,
    scores: Scores,
    validation: tuple[Truth, Scores] | None,
    *,
    edges_s: Sequence[float] = EDGES_S,
    draws: int = DRAWS,
    seed: int = 0,
) -> EarlyCurve:
    """The scores on what was seen up to each time after the onset.

    Up to an edge means: every window before the onset (or without one), and those that end at most that long
    after it. Recall is the share of attack windows among the latter whose most probable phase is an attack.
    """
    threshold = choose_threshold(validation, ALARM_FPR)
    seen_E, unseen_E = _onset_seen(truth)
    usable_N = ~unseen_E[truth.episode_N]
    alarm_N = threshold.alarms(truth, scores)
    points = []
    for edge in edges_s:
        early_N = usable_N & (truth.since_onset_s_N <= edge)  # NaN compares false
        upto_N = early_N | (usable_N & np.isnan(truth.since_onset_s_N))
        part = truth.where(upto_N)
        points.append(
            EarlyPoint(
                at=float(edge),
                n_windows=int(early_N.sum()),
                phases=tuple(truth.phases[k] for k in np.flatnonzero(counts.tested_phases(part))),
                macro_f1=metrics.macro_f1(part, scores.where(upto_N), draws=draws, seed=seed),
                accuracy=metrics.accuracy(part, scores.where(upto_N), draws=draws, seed=seed),
                attack_recall=_attack_recall(truth, scores, early_N, draws, seed),
                share_detected=refused(threshold.note)
                if alarm_N is None
                else _detected_by(truth, alarm_N, float(edge), among_E=seen_E, draws=draws, seed=seed),
            )
        )
    return EarlyCurve(unit="seconds after the onset", points=tuple(points))


def prefix_curve(
    prefixes: Sequence[tuple[float, Truth, Scores]],
    *,
    unit: str = "steps",
    draws: int = DRAWS,
    seed: int = 0,
) -> EarlyCurve:
    """The scores of whole-run windows from each prefix of the run alone, in the order given."""
    points = []
    for at, truth, scores in prefixes:
        check_pair(truth, scores)
        every_N = np.ones(len(truth), np.bool_)
        points.append(
            EarlyPoint(
                at=float(at),
                n_windows=len(truth),
                phases=tuple(truth.phases[k] for k in np.flatnonzero(counts.tested_phases(truth))),
                macro_f1=metrics.macro_f1(truth, scores, draws=draws, seed=seed),
                accuracy=metrics.accuracy(truth, scores, draws=draws, seed=seed),
                attack_recall=_attack_recall(truth, scores, every_N, draws, seed),
                share_detected=refused("a whole run is one window"),
            )
        )
    return EarlyCurve(unit=unit, points=tuple(points))


def prefix_mean(
    prefixes: Sequence[tuple[float, Truth, Scores]], *, draws: int = DRAWS, seed: int = 0
) -> PrefixMean | None:
    """The mean over the lengths of whole runs; None where there is one length alone."""
    if len(prefixes) < 2:
        return None
    right = [counts.accuracy_statistic(truth, scores) for _, truth, scores in prefixes]
    return PrefixMean(
        lengths=tuple(float(at) for at, _, _ in prefixes),
        accuracy=estimate(mean_of(right), draws=draws, seed=seed),
        macro_f1=metrics.mean_macro_f1([(truth, scores) for _, truth, scores in prefixes], draws=draws, seed=seed),
    )


def _attack_recall(truth: Truth, scores: Scores, among_N: Bools, draws: int, seed: int) -> Estimate:
    if truth.one_sided:
        return refused(truth.one_sided)
    among_N = among_N & truth.is_attack_N
    episodes = len(np.unique(truth.episode_N[among_N]))
    if episodes < counts.MIN_PHASE_EPISODES:
        return refused(f"attack windows in {episodes} episodes, {counts.MIN_PHASE_EPISODES} needed")
    called_N = truth.attack_K[scores.predicted_N]
    return estimate(counts.share_statistic(truth, called_N, among_N), draws=draws, seed=seed)


def _detected_by(truth: Truth, alarm_N: Bools, edge: float, *, among_E: Bools, draws: int, seed: int) -> Estimate:
    """The share of attacked episodes with an alarm at most `edge` seconds after the onset."""
    delay_E, hit_E = _delays(truth, alarm_N)
    in_time = (hit_E & (delay_E <= edge))[among_E].astype(np.float64)
    sums = np.stack([in_time, np.ones(len(in_time))], axis=1)
    return estimate(Statistic(sums_US=sums, of=lambda s: ratio(s[..., 0], s[..., 1])), draws=draws, seed=seed)


def _onset_seen(truth: Truth) -> tuple[Bools, Bools]:
    """Episodes whose onset lies in the scored part, and episodes whose onset lies before it. (E,) (E,)"""
    after_N = np.isfinite(truth.since_onset_s_N)
    onset_E = np.full(len(truth.episodes), np.nan)
    onset_E[truth.episode_N[after_N]] = (truth.end_s_N - truth.since_onset_s_N)[after_N]
    return onset_E >= 0, onset_E < 0  # NaN compares false twice


def _delays(truth: Truth, alarm_N: Bools) -> tuple[Floats, Bools]:
    """Seconds from onset to the first alarm (to the last window without one), and whether there is one."""
    after_N = truth.since_onset_s_N >= 0
    size = len(truth.episodes)
    first_E, last_E = np.full(size, np.inf), np.zeros(size)
    alarmed_N = after_N & alarm_N
    np.minimum.at(first_E, truth.episode_N[alarmed_N], truth.since_onset_s_N[alarmed_N])
    np.maximum.at(last_E, truth.episode_N[after_N], truth.since_onset_s_N[after_N])
    hit_E = np.isfinite(first_E)
    return np.where(hit_E, first_E, last_E), hit_E
