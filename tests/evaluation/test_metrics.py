"""Figures of classification: what they average over, what they leave out, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from rlstir_core.evaluation.detectors.evaluate import evaluate_scores, evaluation_from_json, to_json
from rlstir_core.evaluation.stats import counts, metrics
from rlstir_core.evaluation.stats.scored import Scores, Truth

MakeTruth = Callable[..., Truth]
MakeScores = Callable[..., Scores]


def only_in(truth: Truth, phase: int, episodes: int) -> Truth:
    """The same windows with `phase` left in the first `episodes` episodes that have it, clean elsewhere."""
    has = np.unique(truth.episode_N[truth.y_N == phase])[:episodes]
    keep = np.isin(truth.episode_N, has)
    return replace(truth, y_N=np.where((truth.y_N == phase) & ~keep, 0, truth.y_N))


def test_macro_f1_and_accuracy_agree_with_scikit_learn(make_truth: MakeTruth, make_scores: MakeScores) -> None:
    truth = make_truth(60)
    scores = make_scores(truth, "gbt", "realistic", 1.5)
    found = metrics.headline(truth, scores)
    assert found.macro_f1.value == pytest.approx(f1_score(truth.y_N, scores.predicted_N, average="macro"))
    assert found.accuracy.value == pytest.approx(accuracy_score(truth.y_N, scores.predicted_N))


def test_a_phase_in_four_episodes_is_untested_and_in_no_average(make_truth: MakeTruth, make_scores: MakeScores) -> None:
    truth = only_in(make_truth(60), 4, 4)
    scores = make_scores(truth, "gbt", "realistic", 1.5)
    found = metrics.headline(truth, scores)
    assert "dormant" not in found.per_phase
    f1 = f1_score(truth.y_N, scores.predicted_N, average=None)
    assert found.macro_f1.value == pytest.approx(f1[:4].mean())
    listed = {(row.kind, row.name): row for row in metrics.untested(truth, profiles=["scan-and-dial"])}
    assert listed["phase", "dormant"].n_test == 4
    assert listed["profile", "scan-and-dial"].reason == "no test episode"
    assert "dormant" in metrics.headline(only_in(make_truth(60), 4, 5), scores).per_phase


def test_hosts_and_profiles_with_fewer_than_five_episodes_are_listed_not_scored(
    make_truth: MakeTruth, make_scores: MakeScores
) -> None:
    truth = make_truth(60, hosts=20)  # three episodes a host
    scores = make_scores(truth, "gbt", "realistic", 1.5)
    assert metrics.strata(truth, scores, "host") == {}
    assert sum(row.kind == "host" for row in metrics.untested(truth)) == 20


def test_degraded_and_complete_episodes_are_scored_apart(make_truth: MakeTruth, make_scores: MakeScores) -> None:
    truth = make_truth(60)
    scores = make_scores(truth, "gbt", "realistic", 1.5)
    found = evaluate_scores(truth, scores, validation=None, recipe="host", draws=200)
    assert found.complete is not None and found.degraded is not None
    assert (found.complete.n_test, found.degraded.n_test) == (45, 15)
    assert found.degraded.macro_f1.lo is None and found.complete.macro_f1.lo is not None


def test_an_evaluation_survives_json_and_has_the_shape_of_the_design(
    make_truth: MakeTruth, make_scores: MakeScores
) -> None:
    truth = make_truth(60)
    scores = make_scores(truth, "gbt", "realistic", 1.5)
    found = evaluate_scores(truth, scores, validation=None, recipe="host", seeds=[0], profiles=["x"], draws=200)
    plain = to_json(found)
    assert evaluation_from_json(plain) == found
    assert {
        "model",
        "mode",
        "recipe",
        "seeds",
        "n_train_episodes",
        "n_test_episodes",
        "n_test_windows",
    } <= set(plain)
    assert {
        "per_profile",
        "per_host",
        "untested",
        "selected_on",
        "schema_sha256",
        "checkpoint_sha256",
    } <= set(plain)
    assert {"value", "lo", "hi"} <= set(plain["metrics"]["macro_f1"])
    assert set(plain["metrics"]["per_phase"]["clean"]) == {"f1", "n_test"}
    assert plain["selected_on"] == "validation"


def test_guessing_by_train_frequencies_scores_what_simulation_says(make_truth: MakeTruth) -> None:
    truth = make_truth(60)
    frequencies = [0.4, 0.3, 0.1, 0.1, 0.1]
    rng = np.random.default_rng(0)
    simulated = [f1_score(truth.y_N, rng.choice(5, size=len(truth), p=frequencies), average="macro") for _ in range(60)]
    chance = metrics.chance_macro_f1(frequencies, truth)
    assert chance == pytest.approx(np.mean(simulated), abs=0.005)
    assert chance == metrics.chance_macro_f1(dict(zip(truth.phases, frequencies, strict=True)), truth)


@pytest.mark.parametrize(("attack", "why"), [(False, "names no attack phase"), (True, "there is no rest")])
def test_where_every_phase_is_of_one_kind_no_figure_tells_attack_from_the_rest(
    make_truth: MakeTruth, make_scores: MakeScores, attack: bool, why: str
) -> None:
    truth = replace(make_truth(60), attack=(attack,) * 5)
    scores = make_scores(truth, "gbt", "realistic", 1.5)
    found = evaluate_scores(truth, scores, validation=(truth, scores), recipe="host", stride_s=5.0, draws=200)
    for absent in (
        found.attack_vs_rest.f1,
        found.attack_vs_rest.auroc,
        found.time_to_detect.mean_s,
        *(each.recall for each in found.recall_at_fpr),
        *(each.attack_recall for each in found.early_detection.points),
    ):
        assert absent.value is None and why in absent.note
    assert found.alarms is None and found.curves is None
    assert found.metrics.macro_f1.value is not None


def test_where_every_test_window_is_under_attack_calling_it_one_is_no_achievement(
    make_truth: MakeTruth, make_scores: MakeScores
) -> None:
    truth = make_truth(60)
    scores = make_scores(truth, "gbt", "realistic", 1.5)
    for among, words in ((truth.is_attack_N, "every test window"), (~truth.is_attack_N, "no test window")):
        f1 = metrics.attack_vs_rest(truth.where(among), scores.where(among), draws=200).f1
        assert f1.value is None and f1.note.startswith(words)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy(make_truth: MakeTruth) -> None:
    truth = make_truth(60)
    # always 0.8 sure of the true phase in three windows of four, of a wrong one otherwise
    predicted = np.where(np.arange(len(truth)) % 4 == 0, (truth.y_N + 1) % 5, truth.y_N)
    proba = np.full((len(truth), 5), 0.05)
    proba[np.arange(len(truth)), predicted] = 0.8
    scores = Scores(name="m", model="m", mode="realistic", proba_NK=proba)
    right = (predicted == truth.y_N).mean()
    assert counts.calibration_statistic(truth, scores).value() == pytest.approx(abs(0.8 - right), abs=1e-9)


def test_scores_that_do_not_fit_the_labels_are_refused(make_truth: MakeTruth, make_scores: MakeScores) -> None:
    truth = make_truth(20)
    scores = make_scores(make_truth(30), "gbt", "realistic", 1.0)
    with pytest.raises(ValueError, match="the labels need"):
        evaluate_scores(truth, scores, validation=None, recipe="host")
    with pytest.raises(ValueError, match="finite"):
        Scores(name="m", model="m", mode="x", proba_NK=np.full((3, 2), np.nan))


def test_the_calibration_error_of_a_calibrated_model_is_not_called_positive(
    make_truth: MakeTruth, make_scores: MakeScores
) -> None:
    # a softmax over this noise is calibrated within .003; binned noise alone shows about .04
    covered, found = [], []
    for seed in range(40):
        truth = make_truth(30, seed=seed)
        error = metrics.calibration_error(truth, make_scores(truth, "gbt", "realistic", 1.5, seed), draws=400)
        assert error.value is not None and error.lo is not None and error.hi is not None
        covered.append(error.lo <= 0.003 <= error.hi)
        found.append(error.value)
    assert np.mean(found) > 0.02
    assert np.mean(covered) >= 0.9
