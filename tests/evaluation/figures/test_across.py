"""One figure under two splits: its sums in a file, and the interval of the difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rlstir_core.evaluation.stats import across, counts
from rlstir_core.evaluation.stats.intervals import Estimate, Statistic, estimate, independent_gap
from rlstir_core.evaluation.stats.paired import minus
from rlstir_core.evaluation.stats.scored import Scores, Truth


def share(right_E: np.ndarray) -> Statistic:
    sums = np.stack([right_E, np.ones(len(right_E))], axis=1).astype(np.float64)
    return Statistic(sums_US=sums, of=lambda s: s[..., 0] / s[..., 1])


def judged(right_E: np.ndarray, first: int = 0) -> across.Tested:
    names = np.array([f"ep-{k:04d}" for k in range(first, first + len(right_E))])
    return across.Tested(estimate(share(right_E)), names, share(right_E))


def width(found: Estimate) -> float:
    assert found.lo is not None and found.hi is not None
    return found.hi - found.lo


def test_sides_with_the_same_episodes_are_paired_and_sides_without_one_are_independent() -> None:
    rng = np.random.default_rng(0)
    easy = rng.random(120) < 0.7
    hard = easy & (rng.random(120) < 0.8)  # whoever fails the easy split fails the hard one
    same = across.gap_across(judged(easy), judged(hard))
    assert same.shared == 120 and same.estimate == estimate(minus(share(easy), share(hard)))
    apart = across.gap_across(judged(easy), judged(hard, first=120))
    moved = independent_gap(judged(easy).said, judged(hard).said)
    assert apart.shared == 0 and width(apart.estimate) == pytest.approx(width(moved), rel=0.15)
    half = across.gap_across(judged(easy), judged(hard[60:], first=60))
    assert half.shared == 60 and width(same.estimate) < 0.8 * width(apart.estimate)
    assert same.estimate.value == apart.estimate.value == pytest.approx(easy.mean() - hard.mean())


def test_what_resampling_cannot_move_or_nobody_says_by_episode_counts_as_independent() -> None:
    good, some = np.ones(60, np.bool_), np.arange(60) % 3 > 0
    perfect = across.gap_across(judged(good), judged(some))
    assert perfect.shared is None and perfect.estimate == independent_gap(judged(good).said, judged(some).said)
    unknown = across.gap_across(across.Tested(judged(some).said), judged(some))
    assert unknown.shared is None and unknown.estimate.method == "MOVER from two intervals"
    few = across.gap_across(judged(some[:12]), judged(some))
    assert few.estimate.value == pytest.approx(0.0) and few.estimate.lo is None
    assert "no interval" in few.estimate.note


def test_sums_come_back_from_their_file_and_give_the_figure_itself(
    tmp_path: Path, make_truth: Callable[..., Truth], make_scores: Callable[..., Scores]
) -> None:
    truth = make_truth()
    scores = make_scores(truth, "gbt", "realistic", 1.0)
    sums = counts.confusion_sums(truth, scores.predicted_N)
    path = tmp_path / "phases_by_episode.parquet"
    across.write_sums(
        path, truth.episodes.episode_id[truth.scored_E], {"gbt_realistic": sums, "mlp_realistic": sums + 1}
    )
    read = across.read_sums(path)
    assert list(read) == ["gbt_realistic", "mlp_realistic"]
    assert read["gbt_realistic"].episode_E.tolist() == truth.episodes.episode_id.tolist()
    assert np.array_equal(read["gbt_realistic"].sums_ES, sums)
    tested_K = counts.tested_phases(truth)
    assert np.array_equal(across.tested_in(read["gbt_realistic"], truth.n_phases), tested_K)
    statistic = counts.macro_f1_statistic(truth, scores, tested_K)
    said = estimate(statistic)
    assert across.is_what_was_said(across.Tested(said, truth.episodes.episode_id, statistic))
    assert not across.is_what_was_said(across.Tested(Estimate(value=0.1), truth.episodes.episode_id, statistic))
    path.write_bytes(b"PAR1")
    assert across.read_sums(path) == across.read_sums(tmp_path / "nothing") == {}
