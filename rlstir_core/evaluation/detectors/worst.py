"""The test episodes that a model did worst on, with what it takes to draw each of them.

Ranked by the mean log loss of an episode's windows: confident mistakes weigh most. What does not belong here: drawing
(`report/pictures/`) and averages over episodes (`stats/`).
"""

# E episodes, N windows, W windows of one episode
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.detectors.episode_set import Recording
from rlstir_core.evaluation.detectors.alarms import onset_windows
from rlstir_core.evaluation.detectors.detection import Threshold
from rlstir_core.evaluation.stats.details import BadEpisode, Cause, Confused, PhaseSpan
from rlstir_core.evaluation.stats.scored import Scores, Truth
from rlstir_core.telemetry.schema import FeatureSchema

MOST_EPISODES = 10
LEAST_WINDOWS = 5  # fewer are chance, unless a window is a whole run
_FLOOR = 1e-6  # of a probability, so that one window cannot cost more than 13.8
_MOST_POINTS = 150  # of one picture
_MOST_SPANS = 60
_CONFUSED = 2

Reasons = Callable[[str, str], tuple[Cause, ...]]  # of the verdict, by host and the episode's id there


def worst_episodes(
    truth: Truth,
    scores: Scores,
    threshold: Threshold,
    recordings: Mapping[str, Recording],
    schema: FeatureSchema,
    reasons: Reasons,
) -> tuple[BadEpisode, ...]:
    """At most ten episodes by mean log loss, the worst first."""
    size_E, loss_E = episode_losses(truth, scores)
    least = 1 if schema.windowing.whole else LEAST_WINDOWS
    places = np.flatnonzero(size_E >= least)
    ranked = places[np.lexsort((truth.episodes.episode_id[places], -loss_E[places]))][:MOST_EPISODES]
    alarm_N = threshold.alarms(truth, scores)
    found = []
    for place in ranked.tolist():
        inside_N = truth.episode_N == place
        recording = recordings[str(truth.episodes.episode_id[place])]
        look = _Look(truth.where(inside_N), scores.where(inside_N), None if alarm_N is None else alarm_N[inside_N])
        found.append(look.described(recording, schema, threshold, float(loss_E[place]), reasons))
    return tuple(found)


def episode_losses(truth: Truth, scores: Scores) -> tuple[Ints, Floats]:
    """The number of windows of every episode, and their mean log loss (0 without windows). (E,) (E,)"""
    given_N = scores.proba_NK[np.arange(len(truth)), truth.y_N]
    size_E = np.bincount(truth.episode_N, minlength=len(truth.episodes))
    total_E = np.bincount(truth.episode_N, -np.log(np.maximum(given_N, _FLOOR)), len(truth.episodes))
    return size_E, total_E / np.maximum(size_E, 1)


class _Look:
    """One episode and what a model said of it."""

    def __init__(self, truth: Truth, scores: Scores, alarm_W: Bools | None) -> None:
        self.truth, self.scores, self.alarm_W = truth, scores, alarm_W

    def described(
        self, recording: Recording, schema: FeatureSchema, threshold: Threshold, loss: float, reasons: Reasons
    ) -> BadEpisode:
        truth, info, windowing = self.truth, recording.info, schema.windowing
        duration_s = recording.n_bins / windowing.bin_hz
        half_s = min(windowing.length_s, duration_s) / 2
        middle_W, attack_W = truth.time_s_N + half_s, self.scores.attack_N(truth)
        stride_s = windowing.length_s if windowing.whole else windowing.stride_s
        line = _line(middle_W, attack_W, self.scores.predicted_N, stride_s)
        return BadEpisode(
            episode_id=info.episode_id,
            own_id=info.own_id,
            host=info.host,
            profile=info.profile,
            sample=info.sample,
            benign=info.benign,
            verdict="ok" if info.complete else "degraded",
            reasons=() if info.complete else reasons(info.host, info.own_id),
            log_loss=round(loss, 4),
            right=round(float((self.scores.predicted_N == truth.y_N).mean()), 4),
            n_windows=len(truth),
            confused=self._confused(),
            alarm=self._alarms(stride_s),
            threshold=threshold.values.get(truth.rounds[0]),
            duration_s=round(duration_s, 3),
            spans=_spans(recording, schema, duration_s, half_s),
            middle_s=tuple(line.middle_s.round(2).tolist()),
            attack=() if truth.one_sided else tuple(line.attack.round(4).tolist()),
            called=tuple(truth.phases[k] for k in line.called),
            step_s=line.step_s,
        )

    def _confused(self) -> tuple[Confused, ...]:
        pairs = zip(self.truth.y_N.tolist(), self.scores.predicted_N.tolist(), strict=True)
        wrong = Counter((y, called) for y, called in pairs if y != called)
        ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:_CONFUSED]
        phases = self.truth.phases
        return tuple(Confused(phase=phases[y], called=phases[called], n_windows=n) for (y, called), n in ranked)

    def _alarms(self, stride_s: float) -> str:
        truth = self.truth
        if self.alarm_W is None:
            return "" if truth.one_sided else "no threshold"
        false = int((onset_windows(truth, self.alarm_W, stride_s) & ~truth.is_attack_N).sum())
        words = f"{false} false" if false else "none false"
        if not truth.is_attack_N.any():
            return words
        hits = truth.since_onset_s_N[self.alarm_W & (truth.since_onset_s_N >= 0)]
        if len(hits):
            return f"{hits.min():.0f} s after the onset, {words}"
        return f"attack {'found' if (self.alarm_W & truth.is_attack_N).any() else 'missed'}, {words}"


class _Line(NamedTuple):
    """What a picture shows of the windows, at equal steps of time; a step without windows is left out."""

    middle_s: Floats
    attack: Floats
    called: Ints
    step_s: float


def _line(middle_W: Floats, attack_W: Floats, called_W: Ints, stride_s: float) -> _Line:
    """Windows in the order of time; of many, stretches of equal length.

    Of a stretch the phase that most of its windows were called, and its highest attack probability.
    """
    since_W = np.rint((middle_W - middle_W.min()) / stride_s).astype(np.int64)
    each = -(-(int(since_W.max()) + 1) // _MOST_POINTS)
    if each == 1:
        order = np.argsort(middle_W, kind="stable")
        return _Line(middle_W[order], attack_W[order], called_W[order], stride_s)
    stretches, place_W = np.unique(since_W // each, return_inverse=True)
    highest = np.zeros(len(stretches))
    np.maximum.at(highest, place_W, attack_W)
    K = int(called_W.max()) + 1
    votes = np.bincount(place_W * K + called_W, minlength=len(stretches) * K).reshape(-1, K)
    middle_s = middle_W.min() + (stretches * each + (each - 1) / 2) * stride_s
    return _Line(np.minimum(middle_s, middle_W.max()), highest, votes.argmax(axis=1), each * stride_s)


def _spans(recording: Recording, schema: FeatureSchema, duration_s: float, half_s: float) -> tuple[PhaseSpan, ...]:
    """The phases of the recording as its windows are labelled."""
    label_W, middle_W = recording.label_W, recording.grid.start_W / schema.windowing.bin_hz + half_s
    begins = np.flatnonzero(np.r_[True, np.diff(label_W) != 0])
    edges_s = [0.0, *((middle_W[begins[1:] - 1] + middle_W[begins[1:]]) / 2).tolist(), duration_s]
    return tuple(
        PhaseSpan(phase=schema.phases[label_W[begin]], since_s=round(since, 2), until_s=round(until, 2))
        for begin, since, until in zip(begins.tolist(), edges_s, edges_s[1:], strict=False)
        if label_W[begin] >= 0
    )[:_MOST_SPANS]
