"""How well the distance from what was trained on foretells errors, and what is right of episodes that lie far out.

What does not belong here: the distance (`rlstir_core/detectors/reach.py`).
"""

# E episodes, N windows
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rlstir_core.arrays import Bools, Floats
from rlstir_core.detectors.episode_set import EpisodeSet
from rlstir_core.detectors.reach import FAR_SHARE, Reach
from rlstir_core.evaluation.stats import counts
from rlstir_core.evaluation.stats.counts import MIN_PHASE_EPISODES
from rlstir_core.evaluation.stats.details import OutOfRange
from rlstir_core.evaluation.stats.intervals import DRAWS, Estimate, estimate, refused
from rlstir_core.evaluation.stats.metrics import accuracy
from rlstir_core.evaluation.stats.scored import Scores, Truth


def out_of_range(
    truth: Truth, scores: Scores, reaches: Sequence[Reach], episodes: EpisodeSet, *, draws: int = DRAWS
) -> OutOfRange:
    """The figures of the chosen model's test windows; each is measured by the reach of the round that scored it."""
    distance_N, outside_N = _measured(truth, reaches, episodes)
    ids = np.asarray(truth.episodes.episode_id)
    far_E = np.zeros(len(ids), np.bool_)
    for e in np.flatnonzero(truth.scored_E):
        here = truth.episode_N == e
        usual = reaches[_round_of(truth, here)].usual
        far_E[e] = usual is not None and bool(np.median(distance_N[here]) > usual)
    wrong_N = scores.predicted_N != truth.y_N
    limits = [each.usual for each in reaches if each.usual is not None]
    far_N = far_E[truth.episode_N]
    return OutOfRange(
        distance=foretelling(truth, wrong_N, distance_N, draws=draws),
        outside=foretelling(truth, wrong_N, outside_N, draws=draws),
        usual=float(np.mean(limits)) if limits else None,
        far_share_asked=FAR_SHARE,
        n_left_out=sum(each.n_left_out for each in reaches),
        n_episodes=int(truth.scored_E.sum()),
        n_far=int(far_E.sum()),
        accuracy_far=_accuracy(truth, scores, far_N, draws),
        accuracy_near=_accuracy(truth, scores, ~far_N, draws),
        median_by_host=_by_host(truth, distance_N),
    )


def foretelling(truth: Truth, wrong_N: Bools, sign_N: Floats, *, draws: int = DRAWS) -> Estimate:
    """AUROC of a sign for windows that are named wrongly, with the interval of episodes."""
    if not wrong_N.any() or wrong_N.all():
        return refused("every window is named alike, right or wrong")
    _, rank_N = np.unique(sign_N, return_inverse=True)
    high_N = rank_N.reshape(-1) / max(1, int(rank_N.max()))
    of_errors = replace(truth, phases=("right", "wrong"), attack=(False, True), y_N=wrong_N.astype(np.int64))
    sign = Scores(name="sign", model="sign", mode="", proba_NK=np.stack([1 - high_N, high_N], axis=1))
    return estimate(counts.auroc_statistic(of_errors, sign), draws=draws)


def _measured(truth: Truth, reaches: Sequence[Reach], episodes: EpisodeSet) -> tuple[Floats, Floats]:
    """Distance and share of channels outside, by test window; features are read file by file. (N,) (N,)"""
    assert truth.begin_s_N is not None  # predictions of an evaluation know where their windows begin
    features = episodes.features(reaches[0].columns)
    hz = episodes.schema.windowing.bin_hz
    of: Mapping[str, int] = {str(name): e for e, name in enumerate(truth.episodes.episode_id)}
    order = np.argsort(truth.episode_N, kind="stable")
    begins = np.searchsorted(truth.episode_N[order], np.arange(len(truth.episodes) + 1))
    distance_N, outside_N = np.zeros(len(truth)), np.zeros(len(truth))
    for recording in sorted(episodes.select(of), key=episodes.place):  # type: ignore[arg-type]
        e = of[recording.info.episode_id]
        here = order[begins[e] : begins[e + 1]]
        if len(here):
            window = np.searchsorted(recording.grid.start_W, np.rint(truth.begin_s_N[here] * hz).astype(np.int64))
            x_NF = features(recording)[window]
            reach = reaches[_round_of(truth, here)]
            distance_N[here], outside_N[here] = reach.distance(x_NF), reach.outside(x_NF)
    return distance_N, outside_N


def _round_of(truth: Truth, here: np.ndarray) -> int:
    return 0 if truth.round_N is None else int(truth.round_N[here][0])


def _accuracy(truth: Truth, scores: Scores, among_N: Bools, draws: int) -> Estimate:
    n = len(np.unique(truth.episode_N[among_N]))
    if n < MIN_PHASE_EPISODES:
        return refused(f"{n} episodes, {MIN_PHASE_EPISODES} needed")
    return accuracy(truth.where(among_N), scores.where(among_N), draws=draws)


def _by_host(truth: Truth, distance_N: Floats, most: int = 20) -> dict[str, float]:
    """The median distance of the hosts that lie furthest out, at most `most` of them."""
    host_N = np.asarray(truth.episodes.host)[truth.episode_N]
    found = {str(host): float(np.median(distance_N[host_N == host])) for host in np.unique(host_N)}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))[:most])
