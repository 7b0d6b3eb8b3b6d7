"""The shapes of what an evaluation found: plain data that becomes JSON and comes back from it.

What does not belong here: how a figure is computed (`metrics.py`, `detectors/detection.py`) or shown (`report/`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from rlstir_core.evaluation.stats.intervals import Estimate


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Plain data, compared by value."""


class Untested(Record, frozen=True, kw_only=True):
    """A phase, profile or host that the test side says too little about."""

    kind: str  # phase, profile, host
    name: str
    n_test: int  # test episodes
    reason: str


class PhaseScore(Record, frozen=True, kw_only=True):
    f1: Estimate
    n_test: int  # test episodes in which the phase stands


class Stratum(Record, frozen=True, kw_only=True):
    """The scores on a part of the test episodes; `phases` says over which phases the average goes."""

    n_test: int
    n_windows: int
    phases: tuple[str, ...]
    macro_f1: Estimate
    accuracy: Estimate


class Metrics(Record, frozen=True, kw_only=True):
    macro_f1: Estimate
    accuracy: Estimate
    per_phase: dict[str, PhaseScore]


class AttackVsRest(Record, frozen=True, kw_only=True):
    f1: Estimate
    auroc: Estimate


class RecallAtFpr(Record, frozen=True, kw_only=True):
    """Recall at a false-positive rate set on validation, with the rate that the test side then showed."""

    fpr: float
    threshold: float | None
    chosen_on: str
    n_validation_negatives: int
    recall: Estimate
    realised_fpr: Estimate
    of_rounds: dict[str, float] = {}  # the thresholds by round of the split, counted from 1


class TimeToDetect(Record, frozen=True, kw_only=True):
    """Seconds from onset to the first alarm; a miss counts the recording's remaining length."""

    fpr: float
    threshold: float | None
    n_episodes: int  # attacked episodes whose onset lies in the scored part
    n_onset_unseen: int  # left out: the onset lies before the scored part
    mean_s: Estimate
    median_s: float | None  # of all such episodes, misses included; null where most are missed
    share_detected: Estimate


class EarlyPoint(Record, frozen=True, kw_only=True):
    """The scores on what was seen up to `at` after the onset (or of a whole run)."""

    at: float
    n_windows: int
    phases: tuple[str, ...]
    macro_f1: Estimate
    attack_recall: Estimate
    share_detected: Estimate
    accuracy: Estimate


class PrefixMean(Record, frozen=True, kw_only=True):
    """The mean of the scores from each length of a whole run, on the same resamples of the same episodes."""

    lengths: tuple[float, ...]
    accuracy: Estimate
    macro_f1: Estimate


class EarlyCurve(Record, frozen=True, kw_only=True):
    unit: str  # seconds after the onset, steps, seconds
    points: tuple[EarlyPoint, ...]


class AlarmRate(Record, frozen=True, kw_only=True):
    """False alarms: alarms that begin in a window without attack, by hour of scored time without attack."""

    fpr: float
    stride_s: float  # what one window stands for
    onsets: int
    hours: float
    n_episodes: int  # with windows without attack
    per_hour: Estimate


class CurvePoint(Record, frozen=True, kw_only=True):
    """What calling an attack from some probability up gives; `precision` is null where nothing is called one."""

    fpr: float
    recall: float
    precision: float | None


class OperatingPoint(Record, frozen=True, kw_only=True):
    """Where the threshold that validation chose for a rate of false positives lies on the test side's curves."""

    asked_fpr: float
    at: CurvePoint


class ReliabilityBin(Record, frozen=True, kw_only=True):
    """The windows whose attack probability lies in one bin, and the share of them that are under attack."""

    low: float
    high: float
    n_windows: int
    n_episodes: int
    mean_probability: float
    share: Estimate  # with an interval for the chosen model only


class Curves(Record, frozen=True, kw_only=True):
    """Attack against the rest at every threshold; the points are thinned, the figures are not."""

    attack_share: float  # of the test windows: the precision of calling everything an attack
    points: tuple[CurvePoint, ...]
    operating: tuple[OperatingPoint, ...]
    average_precision: Estimate
    reliability: tuple[ReliabilityBin, ...]


class Confusion(Record, frozen=True, kw_only=True):
    """Counts of windows, true phase by predicted phase."""

    phases: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class ModelEvaluation(Record, frozen=True, kw_only=True):
    """Everything that one model's test predictions say: the content of `<model>_<mode>_eval.json`."""

    name: str
    model: str
    mode: str
    recipe: str
    seeds: tuple[int, ...]
    n_train_episodes: int
    n_test_episodes: int
    n_test_windows: int
    n_test_hosts: int
    metrics: Metrics
    new_host: Estimate
    per_profile: dict[str, Stratum]
    per_host: dict[str, Stratum]
    complete: Stratum | None
    degraded: Stratum | None
    attack_vs_rest: AttackVsRest
    recall_at_fpr: tuple[RecallAtFpr, ...]
    calibration: Estimate
    time_to_detect: TimeToDetect
    early_detection: EarlyCurve
    confusion: Confusion
    untested: tuple[Untested, ...]
    validation_macro_f1: Estimate
    as_recorded: Stratum | None = None  # scored from the recording's own start, where the clock helps
    selected_on: str = "validation"
    schema_sha256: str = ""
    checkpoint_sha256: str = ""
    prefix_mean: PrefixMean | None = None  # of whole runs that are seen early
    same_as: str = ""  # the model with the same channels and weights, whose figures these are
    alarms: AlarmRate | None = None
    curves: Curves | None = None  # None where the registry names no attack phase, or one side has no window


class PairedDifference(Record, frozen=True, kw_only=True):
    """Macro F1 of `model` minus that of `reference`, on the same resamples of the same episodes."""

    model: str
    reference: str
    difference: Estimate
    p: float | None
    p_holm: float | None
    new_host: Estimate | None = None  # the same difference, with an interval for hosts like the test hosts


class SplitGap(Record, frozen=True, kw_only=True):
    """What holding out costs: macro F1 on windows drawn at random minus that on what was held out."""

    model: str
    random: Estimate
    held_out: Estimate
    gap: Estimate


def to_json(record: Record) -> Any:
    """The builtins that JSON is made of, in the fields' order."""
    return msgspec.to_builtins(record)


def evaluation_from_json(data: Any) -> ModelEvaluation:
    """The evaluation that `to_json` made plain."""
    return msgspec.convert(data, ModelEvaluation)
