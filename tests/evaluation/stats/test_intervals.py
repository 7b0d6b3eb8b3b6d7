"""Which estimates get an interval, which are refused, and that a resample is what it claims to be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from rlstir_core.evaluation.stats import counts
from rlstir_core.evaluation.stats.intervals import (
    Estimate,
    Statistic,
    deviation_estimate,
    draw_indices,
    draw_weights,
    estimate,
    independent_gap,
    new_host_estimate,
)
from rlstir_core.evaluation.stats.scored import Scores, Truth
from rlstir_core.learning.scores import ratio

MakeTruth = Callable[..., Truth]
MakeScores = Callable[..., Scores]


def share(values: list[float], *, bounded: bool = True) -> Statistic:
    sums = np.stack([values, np.ones(len(values))], axis=1)
    return Statistic(sums_US=sums, of=lambda s: ratio(s[..., 0], s[..., 1]), bounded=bounded)


def mixed(size: int) -> list[float]:
    return [0.5 + 0.3 * np.sin(i) for i in range(size)]


def test_19_episodes_get_no_interval_and_20_do() -> None:
    few = estimate(share(mixed(19)))
    assert few.value is not None and few.lo is None and few.hi is None
    assert "19 test episodes, no interval below 20" in few.note
    assert estimate(share(mixed(20))).lo is not None


def test_the_jackknife_serves_below_50_episodes_and_the_bootstrap_from_50() -> None:
    assert estimate(share(mixed(49))).method == "logit jackknife by episode, t"
    assert estimate(share(mixed(50))).method == "percentile bootstrap"


def test_four_hosts_get_no_interval_for_new_hosts_and_five_do() -> None:
    hosts = np.array([f"h{i % 4}" for i in range(60)])
    few = new_host_estimate(share(mixed(60)), hosts)
    assert few.lo is None and few.note == "n = 4 test hosts, no interval for new hosts"
    enough = new_host_estimate(share(mixed(60)), np.array([f"h{i % 5}" for i in range(60)]))
    assert enough.lo is not None and enough.unit == "host"


def test_one_test_host_is_named_in_the_singular() -> None:
    assert new_host_estimate(share(mixed(30)), np.array(["a"] * 30)).note.startswith("n = 1 test host,")


@pytest.mark.parametrize("size", [25, 80])
def test_a_perfect_score_still_has_a_lower_bound_below_one(size: int) -> None:
    found = estimate(share([1.0] * size))
    assert found.value == 1.0 and found.hi == 1.0
    assert found.lo == pytest.approx(0.025 ** (1 / size))
    none = estimate(share([0.0] * size))
    assert none.lo == 0.0 and none.hi == pytest.approx(1 - 0.025 ** (1 / size))


def test_an_interval_stays_inside_0_and_1_when_one_episode_holds_every_error() -> None:
    found = estimate(share([1.0] * 29 + [0.2]))
    assert found.lo is not None and found.hi is not None and found.value is not None
    assert 0 < found.lo < found.value < found.hi < 1


def test_a_figure_that_rests_on_one_episode_gets_no_interval() -> None:
    sums = np.zeros((30, 2))
    sums[3] = [1.0, 2.0]
    found = estimate(Statistic(sums_US=sums, of=lambda s: ratio(s[..., 0], s[..., 1])))
    assert found.value == 0.5 and found.lo is None and "single episode" in found.note


def test_more_draws_continue_fewer_ones_so_that_models_share_them() -> None:
    assert np.array_equal(draw_weights(30, 100, 5), draw_weights(30, 400, 5)[:100])
    assert (draw_weights(30, 100, 5).sum(axis=1) == 30).all()
    counted = [np.bincount(row, minlength=30) for row in draw_indices(30, 1100, 5)]
    assert np.array_equal(draw_weights(30, 1100, 5), counted)


def test_the_bootstrap_equals_f1_score_on_explicit_resamples(make_truth: MakeTruth, make_scores: MakeScores) -> None:
    truth = make_truth(60)
    scores = make_scores(truth, "gbt", "realistic", 1.5)
    statistic = counts.macro_f1_statistic(truth, scores, counts.tested_phases(truth))
    drawn = statistic.resampled(40, seed=3)
    rows = [np.flatnonzero(truth.episode_N == e) for e in range(60)]
    for value, chosen in zip(drawn, draw_indices(60, 40, 3), strict=True):
        index = np.concatenate([rows[e] for e in chosen])
        expected = f1_score(truth.y_N[index], scores.predicted_N[index], average="macro", labels=range(5))
        assert value == pytest.approx(expected, abs=1e-12)


def test_auroc_agrees_with_scikit_learn(make_truth: MakeTruth, make_scores: MakeScores) -> None:
    truth = make_truth(60)
    scores = make_scores(truth, "gbt", "realistic", 0.8)
    expected = roc_auc_score(truth.is_attack_N, scores.attack_N(truth))
    assert counts.auroc_statistic(truth, scores).value() == pytest.approx(expected, abs=5e-4)
    # few distinct values: exact, ties count half
    certain = np.eye(5)[scores.predicted_N]
    coarse = Scores(name="c", model="c", mode="m", proba_NK=certain)
    expected = roc_auc_score(truth.is_attack_N, coarse.attack_N(truth))
    assert counts.auroc_statistic(truth, coarse).value() == pytest.approx(expected, abs=1e-12)


def test_the_gap_of_independent_figures_is_wider_than_either() -> None:
    first = Estimate(value=0.8, lo=0.75, hi=0.84)
    second = Estimate(value=0.6, lo=0.5, hi=0.7)
    gap = independent_gap(first, second)
    assert gap.value == pytest.approx(0.2)
    assert gap.lo == pytest.approx(0.2 - np.hypot(0.05, 0.1)) and gap.hi == pytest.approx(0.2 + np.hypot(0.04, 0.1))
    assert independent_gap(first, Estimate(value=None)).value is None
    assert independent_gap(first, Estimate(value=0.6)).lo is None


def test_the_same_seed_gives_the_same_interval() -> None:
    assert estimate(share(mixed(60)), seed=4) == estimate(share(mixed(60)), seed=4)


def test_the_interval_of_a_deviation_covers_it_in_95_percent_of_normal_samples() -> None:
    samples = np.random.default_rng(5).normal(0.5, 0.02, (2000, 3))
    found = [deviation_estimate(sample, "seed") for sample in samples.tolist()]
    assert np.mean([(e.lo or 0) <= 0.02 <= (e.hi or 0) for e in found]) == pytest.approx(0.95, abs=0.015)


def test_figures_that_do_not_move_and_a_single_one_get_no_interval_of_their_deviation() -> None:
    still, one = deviation_estimate((0.5, 0.5, 0.5), "seed"), deviation_estimate((0.5,), "seed")
    assert (still.value, still.lo, still.hi) == (0, None, None) and "the same with every seed" in still.note
    assert one.value is None and "below 2" in one.note
