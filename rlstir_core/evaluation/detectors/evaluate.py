"""One model's evaluation: every figure of DESIGN's `<model>_<mode>_eval.json`, from labels and probabilities.

What does not belong here: how a single figure is made (`stats/metrics.py`, `detection.py`), files.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlstir_core.arrays import Bools
from rlstir_core.evaluation.detectors import detection
from rlstir_core.evaluation.detectors.alarms import alarm_rate
from rlstir_core.evaluation.stats import metrics
from rlstir_core.evaluation.stats.curves import curves
from rlstir_core.evaluation.stats.intervals import DRAWS, Estimate, independent_gap, refused
from rlstir_core.evaluation.stats.records import ModelEvaluation, SplitGap, Stratum, evaluation_from_json, to_json
from rlstir_core.evaluation.stats.rules import ALARM_FPR, FPRS
from rlstir_core.evaluation.stats.scored import Scores, Truth, check_pair

__all__ = ["ModelEvaluation", "evaluate_scores", "evaluation_from_json", "split_gap", "to_json"]


def evaluate_scores(
    truth: Truth,
    scores: Scores,
    *,
    validation: tuple[Truth, Scores] | None,
    choosing: Sequence[tuple[Truth, Scores]] = (),
    recipe: str,
    seeds: Sequence[int] = (),
    n_train_episodes: int = 0,
    schema_sha256: str = "",
    checkpoint_sha256: str = "",
    profiles: Sequence[str] = (),
    prefixes: Sequence[tuple[float, Truth, Scores]] = (),
    prefix_unit: str = "steps",
    as_recorded: tuple[Truth, Scores] | None = None,
    stride_s: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> ModelEvaluation:
    """Everything that the test predictions of one model say.

    `validation` chooses the thresholds; with `choosing` the mean over those chooses the model.
    `stride_s` is what one window stands for; without, alarms are not counted.
    `profiles` are all that the registry knows, so that those without a test episode are listed. With `prefixes` the
    early-detection curve is that of whole runs. `as_recorded` are the same episodes scored from the recording's own
    start.
    """
    check_pair(truth, scores)
    if not len(truth):
        raise ValueError("there are no test windows to evaluate; the split must have a test side")
    every_E = truth.scored_E
    complete_E = truth.episodes.complete
    thresholds = {fpr: detection.choose_threshold(validation, fpr) for fpr in FPRS}
    early = (
        detection.prefix_curve(prefixes, unit=prefix_unit, draws=draws, seed=seed)
        if prefixes
        else detection.early_detection(truth, scores, validation, draws=draws, seed=seed)
    )
    return ModelEvaluation(
        name=scores.name,
        model=scores.model,
        mode=scores.mode,
        recipe=recipe,
        seeds=tuple(int(s) for s in seeds),
        n_train_episodes=n_train_episodes,
        n_test_episodes=int(every_E.sum()),
        n_test_windows=len(truth),
        n_test_hosts=len(np.unique(truth.episodes.host[every_E])),
        metrics=metrics.headline(truth, scores, draws=draws, seed=seed),
        new_host=metrics.new_host(truth, scores),
        per_profile=metrics.strata(truth, scores, "profile", draws=draws, seed=seed),
        per_host=metrics.strata(truth, scores, "host", draws=draws, seed=seed),
        complete=_part(truth, scores, complete_E, draws, seed),
        degraded=_part(truth, scores, ~complete_E, draws, seed),
        attack_vs_rest=metrics.attack_vs_rest(truth, scores, draws=draws, seed=seed),
        recall_at_fpr=tuple(
            detection.recall_at_fpr(truth, scores, validation, fpr, draws=draws, seed=seed) for fpr in FPRS
        ),
        calibration=metrics.calibration_error(truth, scores, draws=draws, seed=seed),
        time_to_detect=detection.time_to_detect(truth, scores, validation, draws=draws, seed=seed),
        early_detection=early,
        confusion=metrics.confusion(truth, scores),
        untested=metrics.untested(truth, profiles=profiles),
        validation_macro_f1=refused("no validation predictions")
        if validation is None
        else metrics.mean_macro_f1(choosing or [validation], draws=draws, seed=seed),
        selected_on=f"validation, the mean over {len(choosing)} lengths" if choosing else "validation",
        prefix_mean=detection.prefix_mean(prefixes, draws=draws, seed=seed),
        as_recorded=None if as_recorded is None else _whole(as_recorded, draws, seed),
        schema_sha256=schema_sha256,
        checkpoint_sha256=checkpoint_sha256,
        alarms=None
        if stride_s is None or truth.one_sided
        else alarm_rate(truth, scores, thresholds[ALARM_FPR], stride_s, draws=draws, seed=seed),
        curves=curves(
            truth,
            scores,
            [(fpr, threshold.alarms(truth, scores)) for fpr, threshold in thresholds.items()],
            draws=draws,
            seed=seed,
        ),
    )


def split_gap(drawn: tuple[Truth, Scores], held_out: Estimate, *, draws: int = DRAWS) -> SplitGap:
    """A model on windows drawn at random, beside its score on what was held out."""
    random = metrics.macro_f1(*drawn, draws=draws)
    return SplitGap(model=drawn[1].name, random=random, held_out=held_out, gap=independent_gap(random, held_out))


def _part(truth: Truth, scores: Scores, mask_E: Bools, draws: int, seed: int) -> Stratum | None:
    """The scores on some episodes, or None where there are none."""
    if not (mask_E & truth.scored_E).any():
        return None
    return metrics.stratum(truth, scores, mask_E, draws=draws, seed=seed)


def _whole(pair: tuple[Truth, Scores], draws: int, seed: int) -> Stratum:
    truth, scores = pair
    check_pair(truth, scores)
    return metrics.stratum(truth, scores, np.ones(len(truth.episodes), np.bool_), draws=draws, seed=seed)
