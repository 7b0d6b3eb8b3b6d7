"""Differences between models: paired on the same draws, corrected for their number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rlstir_core.evaluation.stats.paired import Contender, contender, default_family, holm, paired_differences
from rlstir_core.evaluation.stats.scored import Scores, Truth

MakeTruth = Callable[..., Truth]
MakeScores = Callable[..., Scores]


def pair_of(truth: Truth, *scores: Scores) -> tuple[Contender, ...]:
    return tuple(contender(truth, each) for each in scores)


def test_holm_by_hand() -> None:
    # sorted .005 .01 .03 .04 times 4 3 2 1 is .02 .03 .06 .04, and no later one may be smaller
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_difference_is_paired_so_that_it_is_narrower_than_two_intervals(
    make_truth: MakeTruth, make_scores: MakeScores
) -> None:
    truth = make_truth(80)
    base = make_scores(truth, "gbt", "realistic", 1.5)
    rng = np.random.default_rng(0)
    near = Scores(
        name="near", model="near", mode="realistic",
        proba_NK=np.where(rng.random((len(truth), 1)) < 0.05, rng.random((len(truth), 5)), base.proba_NK),
    )  # fmt: skip
    far = make_scores(truth, "mlp", "realistic", 1.5)
    paired, unpaired = paired_differences(truth, [pair_of(truth, base, near), pair_of(truth, base, far)], draws=1000)

    def width(row: object) -> float:
        gap = row.difference  # type: ignore[attr-defined]
        return float(gap.hi - gap.lo)

    assert width(paired) < 0.5 * width(unpaired)


def test_a_model_against_itself_differs_by_nothing(make_truth: MakeTruth, make_scores: MakeScores) -> None:
    for episodes in (30, 60):
        truth = make_truth(episodes)
        scores = make_scores(truth, "gbt", "realistic", 1.5)
        (row,) = paired_differences(truth, [pair_of(truth, scores, scores)], draws=500)
        assert row.difference.value == 0 and row.p == 1.0 and row.p_holm == 1.0


@pytest.mark.parametrize(("episodes", "method"), [(30, "jackknife by episode, t"), (60, "percentile bootstrap")])
def test_a_clear_difference_is_found_with_few_and_with_many_episodes(
    make_truth: MakeTruth, make_scores: MakeScores, episodes: int, method: str
) -> None:
    truth = make_truth(episodes)
    pair = pair_of(truth, make_scores(truth, "gbt", "realistic", 2.5), make_scores(truth, "mlp", "realistic", 0.5))
    (row,) = paired_differences(truth, [pair])
    assert row.difference.method == method
    assert row.difference.lo is not None and row.difference.lo > 0
    assert row.p is not None and 0 < row.p < 0.01


def test_below_20_episodes_there_is_no_interval_and_no_p(make_truth: MakeTruth, make_scores: MakeScores) -> None:
    truth = make_truth(19)
    pair = pair_of(truth, make_scores(truth, "gbt", "realistic", 2.5), make_scores(truth, "mlp", "realistic", 0.5))
    (row,) = paired_differences(truth, [pair])
    assert row.difference.value is not None and row.difference.lo is None
    assert row.p is None and row.p_holm is None


def test_p_values_of_equal_models_are_rarely_small(make_truth: MakeTruth, make_scores: MakeScores) -> None:
    small = 0
    for seed in range(60):
        truth = make_truth(50, seed=seed, windows=24)
        pair = pair_of(
            truth,
            make_scores(truth, "a", "realistic", 1.0, seed),
            make_scores(truth, "b", "realistic", 1.0, seed),
        )
        (row,) = paired_differences(truth, [pair], draws=400)
        small += row.p is not None and row.p < 0.05
    assert small <= 9  # 3 expected; more than 9 of 60 happens once in 1,000


def test_the_family_asks_realistic_against_baselines_and_oracle_against_realistic(
    make_truth: MakeTruth, make_scores: MakeScores
) -> None:
    truth = make_truth(20)
    models = [
        contender(truth, make_scores(truth, m, mode, 1.0)) for m in ("gbt", "cnn") for mode in ("realistic", "oracle")
    ]
    baselines = [contender(truth, make_scores(truth, "clock", "baseline", 0.1))]
    pairs = {(a.name, b.name) for a, b in default_family(models, baselines)}
    assert pairs == {
        ("gbt_realistic", "clock"),
        ("cnn_realistic", "clock"),
        ("gbt_oracle", "gbt_realistic"),
        ("cnn_oracle", "cnn_realistic"),
    }


def test_a_contender_is_refused_whose_scores_are_not_of_these_windows(
    make_truth: MakeTruth, make_scores: MakeScores
) -> None:
    with pytest.raises(ValueError, match="the labels need"):
        contender(make_truth(20), make_scores(make_truth(21), "gbt", "realistic", 1.0))
