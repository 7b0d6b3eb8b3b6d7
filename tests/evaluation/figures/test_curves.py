"""Curves of attack against the rest: equal to scikit-learn's, thinned without loss, reliable bins."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_curve
from small_world import world

from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.pictures.curves import draw_curves
from rlstir_core.evaluation.report.sections.curves import curves_section, reliability_section
from rlstir_core.evaluation.stats import counts
from rlstir_core.evaluation.stats.curves import MOST_POINTS, curves, reliability_with_intervals
from rlstir_core.evaluation.stats.details import CloserLook
from rlstir_core.evaluation.stats.intervals import draw_indices
from rlstir_core.evaluation.stats.records import Curves
from rlstir_core.evaluation.stats.scored import Scores, Truth

MakeTruth = Callable[..., Truth]
MakeScores = Callable[..., Scores]


@pytest.fixture
def pair(make_truth: MakeTruth, make_scores: MakeScores) -> tuple[Truth, Scores]:
    truth = make_truth(episodes=30)
    return truth, make_scores(truth, "gbt", "realistic", 1.5)


def of(truth: Truth, scores: Scores) -> Curves:
    found = curves(truth, scores, [(0.01, scores.attack_N(truth) >= 0.7), (0.001, None)], draws=50)
    assert found is not None
    return found


def test_the_points_lie_on_scikit_learns_roc_curve(pair: tuple[Truth, Scores]) -> None:
    truth, scores = pair
    fpr, recall, _ = roc_curve(truth.is_attack_N, scores.attack_N(truth), drop_intermediate=False)
    hits, called = counts.threshold_counts(truth, scores)
    assert np.allclose(hits / hits[-1], recall) and np.allclose((called - hits) / (called - hits)[-1], fpr)
    exact = set(zip(fpr.round(5).tolist(), recall.round(5).tolist(), strict=True))
    points = of(truth, scores).points
    assert {(point.fpr, point.recall) for point in points} <= exact
    assert MOST_POINTS / 2 < len(points) <= MOST_POINTS
    assert (points[0].recall, points[0].precision, points[-1].recall, points[-1].fpr) == (0, None, 1, 1)


def test_the_thinned_curve_has_the_area_of_the_whole_one(pair: tuple[Truth, Scores]) -> None:
    points = of(*pair).points
    area = np.trapezoid([point.recall for point in points], [point.fpr for point in points])
    assert area == pytest.approx(counts.auroc_statistic(*pair).value(), abs=0.01)


def test_average_precision_is_scikit_learns_with_ties_as_well(pair: tuple[Truth, Scores]) -> None:
    truth, scores = pair
    coarse = Scores(name="m", model="m", mode="m", proba_NK=scores.proba_NK.round(1))
    for each in (scores, coarse):
        wanted = average_precision_score(truth.is_attack_N, each.attack_N(truth))
        assert counts.average_precision_statistic(truth, each).value() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("most", [1 << 22, 20_000])
def test_average_precision_of_rare_attacks_and_its_resamples_are_scikit_learns(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(counts, "_RANK_SUMS", most)  # the fewest bins at last
    rng = np.random.default_rng(0)
    E, W = 500, 60
    attacked_EW = rng.random((E, W)) < 0.02 * (np.arange(E) % 2)[:, None]
    attack_EW = 1 / (1 + np.exp(-(rng.normal(size=(E, W)) + 3 * attacked_EW + rng.normal(size=(E, 1)) * 0.5 - 3)))
    stories = [
        list(zip(5.0 * np.arange(W), y, p, strict=True))
        for y, p in zip(attacked_EW.astype(int), attack_EW, strict=True)
    ]
    truth, scores = world(stories)
    statistic = counts.average_precision_statistic(truth, scores)
    exact = average_precision_score(attacked_EW.ravel(), attack_EW.ravel())
    assert statistic.value() == pytest.approx(exact, abs=1e-9)
    assert statistic.sums_US.size <= max(most, 64 * E) * 2 + 2 * E
    resampled = [
        average_precision_score(attacked_EW[drawn].ravel(), attack_EW[drawn].ravel())
        for drawn in draw_indices(E, 20, 0)
    ]
    assert statistic.resampled(20, 0) == pytest.approx(resampled, abs=0.005)


def test_an_operating_point_is_what_the_alarms_give(pair: tuple[Truth, Scores]) -> None:
    truth, scores = pair
    alarm_N = scores.attack_N(truth) >= 0.7
    (found,) = of(truth, scores).operating
    assert found.asked_fpr == 0.01
    assert found.at.precision == pytest.approx(truth.is_attack_N[alarm_N].mean(), abs=1e-5)
    assert found.at.recall == pytest.approx(alarm_N[truth.is_attack_N].mean(), abs=1e-5)


def test_without_attack_windows_there_is_no_curve(pair: tuple[Truth, Scores]) -> None:
    truth, scores = pair
    assert curves(truth.where(~truth.is_attack_N), scores.where(~truth.is_attack_N), [], draws=50) is None


def test_a_bin_of_few_episodes_has_a_share_and_no_interval(pair: tuple[Truth, Scores]) -> None:
    truth, scores = pair
    found = reliability_with_intervals(truth, scores, draws=100)
    assert sum(each.n_windows for each in found) == len(truth)
    attack_N = scores.attack_N(truth)
    inside_N = (attack_N >= 0.9) & (attack_N <= 1)
    assert found[-1].share.value == pytest.approx(truth.is_attack_N[inside_N].mean())
    few_N = truth.episode_N < 4
    refused = reliability_with_intervals(truth.where(few_N), scores.where(few_N), draws=100)
    assert all(each.share.lo is None and each.share.value is not None and each.share.note for each in refused)


def test_curves_are_drawn_and_told_of_the_models_that_have_them(
    sample_inputs: Callable[..., ReportInputs], pair: tuple[Truth, Scores]
) -> None:
    inputs = sample_inputs()
    assert draw_curves(inputs) == {} and curves_section(inputs) == reliability_section(inputs) == ""
    models = tuple(msgspec.structs.replace(each, curves=of(*pair)) for each in inputs.models)
    chosen = CloserLook(name="gbt_realistic", reliability=reliability_with_intervals(*pair, draws=100))
    inputs = msgspec.structs.replace(inputs, models=models, chosen=chosen)
    drawn = draw_curves(inputs)
    assert set(drawn) == {"curves", "reliability"} and drawn == draw_curves(inputs)
    assert all(int.from_bytes(png[16:20], "big") <= 700 for png in drawn.values())
    assert "| gbt realistic | 0.810 [0.760, 0.860] |" in curves_section(inputs)
    assert "0.9 to 1.0" in reliability_section(inputs)
