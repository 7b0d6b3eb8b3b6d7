"""Figures of classification, each with its interval: macro F1, accuracy, phases, strata, attack, calibration.

What does not belong here: thresholds and time (`detectors/detection.py`), differences between models (`paired.py`).
"""

# E episodes, N windows, K phases
from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from rlstir_core.arrays import Bools
from rlstir_core.evaluation.stats import counts
from rlstir_core.evaluation.stats.counts import MIN_PHASE_EPISODES
from rlstir_core.evaluation.stats.intervals import (
    DRAWS,
    TAIL,
    Estimate,
    Statistic,
    estimate,
    mean_of,
    new_host_estimate,
    refused,
)
from rlstir_core.evaluation.stats.records import (
    AttackVsRest,
    Confusion,
    Metrics,
    PhaseScore,
    Stratum,
    Untested,
)
from rlstir_core.evaluation.stats.scored import Scores, Truth
from rlstir_core.learning.scores import ratio

NO_PHASE = f"no phase stands in {MIN_PHASE_EPISODES} or more of these episodes"


def headline(truth: Truth, scores: Scores, *, draws: int = DRAWS, seed: int = 0) -> Metrics:
    """Macro F1 over the tested phases, accuracy, and F1 of every tested phase."""
    tested_K = counts.tested_phases(truth)
    per_phase = {
        truth.phases[k]: PhaseScore(
            f1=estimate(counts.phase_f1_statistic(truth, scores, int(k)), draws=draws, seed=seed),
            n_test=int(truth.episodes_with_phase_K[k]),
        )
        for k in np.flatnonzero(tested_K)
    }
    return Metrics(
        macro_f1=macro_f1(truth, scores, draws=draws, seed=seed),
        accuracy=accuracy(truth, scores, draws=draws, seed=seed),
        per_phase=per_phase,
    )


def macro_f1(truth: Truth, scores: Scores, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Macro F1 over the phases that stand in at least five test episodes."""
    tested_K = counts.tested_phases(truth)
    if not tested_K.any():
        return refused(NO_PHASE)
    return estimate(counts.macro_f1_statistic(truth, scores, tested_K), draws=draws, seed=seed)


def mean_macro_f1(pairs: Sequence[tuple[Truth, Scores]], *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """The mean macro F1 of several pairs of truth and scores, which are of the same episodes."""
    found = []
    for truth, scores in pairs:
        tested_K = counts.tested_phases(truth)
        if not tested_K.any():
            return refused(NO_PHASE)
        found.append(counts.macro_f1_statistic(truth, scores, tested_K))
    return estimate(mean_of(found), draws=draws, seed=seed)


def accuracy(truth: Truth, scores: Scores, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """The share of windows whose phase was named."""
    return estimate(counts.accuracy_statistic(truth, scores), draws=draws, seed=seed)


def new_host(truth: Truth, scores: Scores) -> Estimate:
    """Macro F1 with an interval for hosts like the test hosts."""
    tested_K = counts.tested_phases(truth)
    if not tested_K.any():
        return refused(NO_PHASE, unit="host")
    host_E = truth.episodes.host[truth.scored_E]
    return new_host_estimate(counts.macro_f1_statistic(truth, scores, tested_K), host_E)


def stratum(truth: Truth, scores: Scores, mask_E: Bools, *, draws: int = DRAWS, seed: int = 0) -> Stratum:
    """The scores on the episodes of `mask_E`, over the phases that are tested among them."""
    inside_N = mask_E[truth.episode_N]
    part, part_scores = truth.where(inside_N), scores.where(inside_N)
    tested_K = counts.tested_phases(part)
    return Stratum(
        n_test=int(part.scored_E.sum()),
        n_windows=len(part),
        phases=tuple(truth.phases[k] for k in np.flatnonzero(tested_K)),
        macro_f1=macro_f1(part, part_scores, draws=draws, seed=seed),
        accuracy=accuracy(part, part_scores, draws=draws, seed=seed),
    )


def strata(truth: Truth, scores: Scores, kind: str, *, draws: int = DRAWS, seed: int = 0) -> dict[str, Stratum]:
    """The scores by `host` or `profile`, of those with at least five test episodes."""
    found = {}
    for name, size in _sizes(truth, kind).items():
        if size >= MIN_PHASE_EPISODES:
            mask_E = getattr(truth.episodes, kind) == name
            found[name] = stratum(truth, scores, mask_E, draws=draws, seed=seed)
    return found


def untested(truth: Truth, *, profiles: Sequence[str] = (), hosts: Sequence[str] = ()) -> tuple[Untested, ...]:
    """Every phase, profile and host with fewer than five test episodes: by that rule, not by looking."""
    sizes = {
        "phase": dict(zip(truth.phases, truth.episodes_with_phase_K.tolist(), strict=True)),
        "profile": dict.fromkeys(profiles, 0) | _sizes(truth, "profile"),
        "host": dict.fromkeys(hosts, 0) | _sizes(truth, "host"),
    }
    return tuple(
        Untested(kind=kind, name=name, n_test=size, reason=too_few_episodes(size))
        for kind, known in sizes.items()
        for name, size in known.items()
        if size < MIN_PHASE_EPISODES
    )


def attack_vs_rest(truth: Truth, scores: Scores, *, draws: int = DRAWS, seed: int = 0) -> AttackVsRest:
    """F1 of attack against the rest (most probable phase) and AUROC of the summed attack probability."""
    note = truth.one_sided
    if not note and truth.is_attack_N.all() == truth.is_attack_N.any():
        note = f"{'every' if truth.is_attack_N.any() else 'no'} test window is under attack"
    if note:
        return AttackVsRest(f1=refused(note), auroc=refused(note))
    return AttackVsRest(
        f1=estimate(counts.attack_f1_statistic(truth, scores), draws=draws, seed=seed),
        auroc=estimate(counts.auroc_statistic(truth, scores), draws=draws, seed=seed),
    )


def calibration_error(truth: Truth, scores: Scores, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Expected calibration error of the top label."""
    return calibration_estimate(counts.calibration_statistic(truth, scores), draws=draws, seed=seed)


def calibration_estimate(statistic: Statistic, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """The calibration error that a statistic of bins gives.

    Absolute values turn noise into error: a resample's error exceeds the sample's, so the jackknife serves, and
    even a calibrated model shows some, so the lower end gives way to what noise alone would make of the bins.
    """
    found = estimate(statistic, draws=draws, seed=seed, jackknife=True)
    if found.value is None or found.lo is None:
        return found
    noise = counts.calibration_noise(statistic).resampled(draws, seed)
    # |error - true error| is at most the sum of the bins' own errors (triangle inequality)
    floor = max(0.0, found.value - float(np.quantile(noise, 1 - TAIL)))
    if floor >= found.lo:
        return found
    return msgspec.structs.replace(found, lo=floor, method=f"{found.method}; lower end: noise of the bins")


def confusion(truth: Truth, scores: Scores) -> Confusion:
    """Windows by true and predicted phase."""
    K = truth.n_phases
    matrix = counts.confusion_sums(truth, scores.predicted_N).sum(axis=0).reshape(K, K)
    return Confusion(phases=truth.phases, counts=tuple(tuple(int(c) for c in row) for row in matrix))


def chance_macro_f1(train_frequencies: Mapping[str, float] | Sequence[float], test_truth: Truth) -> float | None:
    """Macro F1 to expect of guessing at random by the train frequencies; None where no phase is tested.

    Of n_k windows of phase k among N, guessing with p_k hits n_k p_k, so F1 is 2 n_k p_k / (n_k + N p_k).
    """
    if isinstance(train_frequencies, Mapping):
        train_frequencies = [train_frequencies.get(phase, 0.0) for phase in test_truth.phases]
    p_K = np.asarray(train_frequencies, np.float64)
    if p_K.shape != (test_truth.n_phases,) or p_K.min() < 0 or p_K.sum() <= 0:
        raise ValueError(f"train frequencies need one number >= 0 a phase, not {train_frequencies!r}")
    p_K = p_K / p_K.sum()
    n_K = np.bincount(test_truth.y_N, minlength=test_truth.n_phases).astype(np.float64)
    tested_K = counts.tested_phases(test_truth)
    if not tested_K.any():
        return None
    f1_K = ratio(2 * n_K * p_K, n_K + len(test_truth) * p_K)
    return float(f1_K[tested_K].mean())


def _sizes(truth: Truth, kind: str) -> dict[str, int]:
    """The number of test episodes of every host or profile that the episodes name."""
    value_E = getattr(truth.episodes, kind)
    return {str(name): int((truth.scored_E & (value_E == name)).sum()) for name in np.unique(value_E)}


def too_few_episodes(size: int) -> str:
    """Why something is untested."""
    if size == 0:
        return "no test episode"
    return f"{size} test episode{'' if size == 1 else 's'}, {MIN_PHASE_EPISODES} needed"
