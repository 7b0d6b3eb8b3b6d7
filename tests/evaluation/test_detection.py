"""Alarms: thresholds come from validation and nowhere else, misses count, what is not known is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from rlstir_core.evaluation.detectors import detection
from rlstir_core.evaluation.stats.scored import Episodes, Scores, Truth

MakeTruth = Callable[..., Truth]
MakeScores = Callable[..., Scores]


def tiny(rows: Sequence[tuple[int, int, float, float]], episodes: int) -> Truth:
    """Two phases, quiet and attack; a row is episode, label, window end, seconds since the onset."""
    columns = list(zip(*rows, strict=True))
    names = [f"e{i}" for i in range(episodes)]
    return Truth(
        phases=("quiet", "attack"),
        attack=(False, True),
        episode_N=np.array(columns[0]),
        y_N=np.array(columns[1]),
        purity_N=np.ones(len(rows)),
        end_s_N=np.array(columns[2]),
        since_onset_s_N=np.array(columns[3]),
        episodes=Episodes(
            episode_id=np.array(names),
            host=np.array(["h"] * episodes),
            profile=np.array(["p"] * episodes),
            sample=np.array(["s"] * episodes),
            benign=np.array([False] * episodes),
            complete=np.array([True] * episodes),
            duration_s=np.array([100.0] * episodes),
        ),
    )


def scored(attack: list[float] | np.ndarray) -> Scores:
    attack = np.asarray(attack, np.float64)
    return Scores(name="m", model="m", mode="realistic", proba_NK=np.stack([1 - attack, attack], axis=1))


def quiet_validation(attack: np.ndarray) -> tuple[Truth, Scores]:
    return tiny([(0, 0, 5.0 * i, np.nan) for i in range(len(attack))], 1), scored(attack)


def test_a_threshold_lets_at_most_the_asked_share_of_validation_negatives_through() -> None:
    rng = np.random.default_rng(0)
    for attack in (rng.random(1000), np.round(rng.random(1000), 2), np.full(1000, 0.3)):
        threshold = detection.choose_threshold(quiet_validation(attack), 0.01)
        assert threshold.value is not None
        assert (attack >= threshold.value).mean() <= 0.01
    # as low as that allows: exactly ten of a thousand distinct values raise an alarm
    attack = rng.permutation(1000) / 1000
    threshold = detection.choose_threshold(quiet_validation(attack), 0.01)
    assert (attack >= (threshold.value or 0)).sum() == 10


def test_299_validation_negatives_are_too_few_for_one_percent_and_300_are_enough() -> None:
    few = detection.choose_threshold(quiet_validation(np.linspace(0, 1, 299)), 0.01)
    assert few.value is None and few.note == "validation has 299 non-attack windows, 1 % needs 300"
    assert detection.choose_threshold(quiet_validation(np.linspace(0, 1, 300)), 0.01).value is not None
    assert detection.choose_threshold(quiet_validation(np.linspace(0, 1, 2999)), 0.001).value is None
    assert detection.choose_threshold(quiet_validation(np.linspace(0, 1, 3000)), 0.001).value is not None


def test_recall_at_a_rate_is_refused_without_validation_and_says_so(
    make_truth: MakeTruth, make_scores: MakeScores
) -> None:
    truth = make_truth(60)
    found = detection.recall_at_fpr(truth, make_scores(truth, "gbt", "realistic", 2.0), None, 0.01)
    assert found.recall.value is None and found.threshold is None
    assert found.recall.note == "no validation predictions, no threshold"


def test_the_rate_on_test_stands_beside_the_recall(make_truth: MakeTruth, make_scores: MakeScores) -> None:
    truth, validation = make_truth(60), make_truth(80, seed=5)
    scores = make_scores(truth, "gbt", "realistic", 2.0)
    found = detection.recall_at_fpr(
        truth, scores, (validation, make_scores(validation, "gbt", "realistic", 2.0, 1)), 0.01
    )
    assert found.threshold is not None and found.chosen_on == "validation"
    alarm = scores.attack_N(truth) >= found.threshold
    assert found.recall.value == pytest.approx(alarm[truth.is_attack_N].mean())
    assert found.realised_fpr.value == pytest.approx(alarm[~truth.is_attack_N].mean())


def test_time_to_detect_counts_from_the_onset_and_a_miss_counts_what_was_left() -> None:
    rows = [
        (0, 0, 10, np.nan), (0, 1, 20, 5.0), (0, 1, 30, 15.0),  # alarm at 15 s
        (1, 0, 10, np.nan), (1, 1, 20, 2.0), (1, 1, 40, 22.0),  # missed, 22 s were left
        (2, 1, 10, 30.0), (2, 1, 20, 40.0),  # the onset lies before the scored part
        (3, 0, 10, np.nan), (3, 0, 20, np.nan),  # never attacked
    ]  # fmt: skip
    truth = tiny(rows, 4)
    # the alarm before the onset of episode 0 is a false one, no detection
    scores = scored([0.9, 0.1, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1])
    validation = quiet_validation(np.linspace(0, 0.5, 400))
    found = detection.time_to_detect(truth, scores, validation)
    assert (found.n_episodes, found.n_onset_unseen) == (2, 1)
    assert found.mean_s.value == pytest.approx((15 + 22) / 2)
    assert found.share_detected.value == 0.5
    assert found.median_s is None


def test_early_detection_looks_no_further_than_each_edge(make_truth: MakeTruth, make_scores: MakeScores) -> None:
    truth, validation = make_truth(60), make_truth(80, seed=5)
    scores = make_scores(truth, "gbt", "realistic", 1.5)
    pair = (validation, make_scores(validation, "gbt", "realistic", 1.5, 1))
    curve = detection.early_detection(truth, scores, pair, edges_s=(10, 30), draws=200)
    early = truth.since_onset_s_N <= 10
    found = truth.attack_K[scores.predicted_N][early & truth.is_attack_N].mean()
    assert curve.points[0].attack_recall.value == pytest.approx(found)
    assert curve.points[0].n_windows == early.sum() < curve.points[1].n_windows
    detected = [point.share_detected.value for point in curve.points]
    assert detected[0] is not None and detected[1] is not None and detected[0] <= detected[1]


def test_a_prefix_curve_scores_every_prefix_with_its_interval(make_truth: MakeTruth, make_scores: MakeScores) -> None:
    truth = make_truth(60)
    prefixes = [(n, truth, make_scores(truth, "gbt", "realistic", n / 10)) for n in (5.0, 20.0, 50.0)]
    curve = detection.prefix_curve(prefixes, unit="steps", draws=200)
    values = [point.macro_f1.value or 0 for point in curve.points]
    assert values == sorted(values) and [point.at for point in curve.points] == [5, 20, 50]
    assert all(point.macro_f1.lo is not None for point in curve.points)


# ---- rounds of a split


def of_rounds(pair: tuple[Truth, Scores], *sizes: int) -> tuple[Truth, Scores]:
    """The pair, its first windows scored in round 0, the next ones in round 1 and so on."""
    truth, scores = pair
    return replace(truth, round_N=np.repeat(np.arange(len(sizes)), sizes)), scores


def test_every_round_has_the_threshold_of_its_own_validation() -> None:
    low, high = np.linspace(0, 0.4, 400), np.linspace(0.5, 0.9, 300)
    both = of_rounds(quiet_validation(np.concatenate([low, high])), 400, 300)
    found = detection.choose_threshold(both, 0.01)
    alone = [detection.choose_threshold(quiet_validation(attack), 0.01).value for attack in (low, high)]
    assert found.values == {0: alone[0], 1: alone[1]} and found.value is None and found.n_negatives == 300
    truth, scores = of_rounds(quiet_validation(np.array([0.45, 0.45, 0.95, 0.3])), 1, 3)
    alarm_N = found.alarms(truth, scores)
    assert alarm_N is not None and alarm_N.tolist() == [True, False, True, False]


def test_one_round_of_the_split_has_one_threshold_and_its_figure_names_it() -> None:
    pair = quiet_validation(np.linspace(0, 1, 400))
    plain, numbered = (detection.choose_threshold(each, 0.01) for each in (pair, of_rounds(pair, 400)))
    assert plain.value is not None and plain.values == numbered.values == {0: plain.value}


def test_a_round_with_too_few_negatives_refuses_the_figure_for_all() -> None:
    pair = of_rounds(quiet_validation(np.linspace(0, 1, 699)), 400, 299)
    found = detection.choose_threshold(pair, 0.01)
    assert found.values == {} and found.note == "validation has 299 non-attack windows, 1 % needs 300"
    assert found.alarms(*pair) is None


def test_a_round_without_validation_has_no_alarms() -> None:
    threshold = detection.choose_threshold(of_rounds(quiet_validation(np.linspace(0, 1, 400)), 400), 0.01)
    assert threshold.alarms(*of_rounds(quiet_validation(np.array([0.1, 0.2])), 1, 1)) is None


def test_recall_over_rounds_uses_each_rounds_threshold_and_says_so() -> None:
    validation = of_rounds(
        quiet_validation(np.concatenate([np.linspace(0, 0.4, 400), np.linspace(0.5, 0.9, 400)])), 400, 400
    )
    rows = [(e, e % 2, 5.0, 5.0 if e % 2 else np.nan) for e in range(40)]
    attack = np.where(np.arange(40) % 2, 0.6, 0.1)  # an alarm in round 0, none in round 1
    test = of_rounds((tiny(rows, 40), scored(attack)), 20, 20)
    found = detection.recall_at_fpr(*test, validation, 0.01)
    assert (found.threshold, found.chosen_on) == (None, "validation of each round")
    assert (found.recall.value, found.realised_fpr.value) == (0.5, 0.0)
    assert detection.time_to_detect(*test, validation).share_detected.value == 0.5
