"""Thresholds for a new host, and how far a recording lies from what was trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from rlstir_core.detectors.reach import fit_reach
from rlstir_core.evaluation.detectors.elsewhere.out_of_range import foretelling
from rlstir_core.evaluation.detectors.elsewhere.thresholds import (
    first_windows,
    highest_of_hosts,
    mean_over_hosts,
    new_host_thresholds,
)
from rlstir_core.evaluation.report.sections.alarms import range_section, thresholds_section
from rlstir_core.evaluation.stats.details import CloserLook, OutOfRange
from rlstir_core.evaluation.stats.intervals import Estimate


def hosts(n: int, seed: int) -> list[np.ndarray]:
    """Scores of quiet windows of hosts that differ from one another."""
    rng = np.random.default_rng(seed)
    return [rng.normal(rng.normal(0, 1), 1, 200) for _ in range(n)]


def test_the_mean_rate_on_a_new_host_is_kept_where_enough_hosts_calibrate() -> None:
    rates = []
    for seed in range(100):
        *known, new = hosts(61, seed)
        value, n, note = mean_over_hosts(known, 0, 0.05)
        assert (n, note) == (60, "") and value is not None
        rates.append((new >= value).mean())
    assert 0.015 < np.mean(rates) <= 0.055


def test_too_few_hosts_promise_no_finite_threshold_and_the_number_that_could_is_said() -> None:
    value, n, note = mean_over_hosts(hosts(8, 0), 2, 0.01)
    assert value is None and n == 8 and "no finite threshold promises 1 %, 99 hosts could" in note and "2 more" in note
    assert mean_over_hosts(hosts(99, 0), 0, 0.01)[0] is not None and mean_over_hosts(hosts(98, 0), 0, 0.01)[0] is None


def test_one_new_host_in_n_plus_one_lies_above_the_highest_of_n() -> None:
    above = []
    for seed in range(400):
        *known, new = hosts(6, seed)
        value, _, _ = highest_of_hosts(known, 0, 0.05)
        own, _, _ = highest_of_hosts([new], 0, 0.05)
        assert value is not None and own is not None
        above.append(own > value)
    assert np.mean(above) == pytest.approx(1 / 6, abs=0.06)


def test_a_host_s_own_first_windows_are_those_of_its_earliest_recordings(make_truth: Any) -> None:
    truth = make_truth(40, 2)
    names = [str(name) for name in truth.episodes.episode_id]
    begun = {name: 10**12 * (len(names) - at) for at, name in enumerate(names)}  # the last was recorded first
    first_N, later_N = first_windows(truth, begun, most=60)
    assert not (first_N & later_N).any() and (first_N | later_N).all()
    for host in np.unique(truth.episodes.host):
        of_host = np.asarray(truth.episodes.host)[truth.episode_N] == host
        assert first_N[of_host].sum() == 60
        assert truth.episode_N[of_host & first_N].min() >= truth.episode_N[of_host & later_N].max()


def test_thresholds_for_a_new_host_stand_beside_the_pooled_one_and_say_their_price(
    make_truth: Any, make_scores: Any, sample_inputs: Any
) -> None:
    truth, validation = make_truth(120, 2), make_truth(120, 3, 2)
    scores, held = make_scores(truth, "gbt", "realistic", 1.5), make_scores(validation, "gbt", "realistic", 1.5)
    begun = {str(name): at * 10**12 for at, name in enumerate(truth.episodes.episode_id)}
    rows = new_host_thresholds((validation, held), truth, scores, begun, draws=200)
    assert [each.kind for each in rows] == ["pooled", "mean", "highest", "own"]
    pooled, mean, highest, own = rows
    assert mean.recall.value is None and "99 hosts could" in mean.recall.note
    assert pooled.realised_fpr.value is not None and highest.realised_fpr.value is not None
    assert highest.realised_fpr.value <= pooled.realised_fpr.value and highest.n_hosts == 3
    assert own.attacked_share is not None and own.attacked_share > 0 and own.n_test_hosts == 2
    inputs = msgspec.structs.replace(sample_inputs(), chosen=CloserLook(name="gbt_realistic", thresholds=rows))
    text = thresholds_section(inputs)
    assert "of 4 has" not in text and "at most one in 4 has a threshold of its own above it" in text
    assert "no other table uses them" in text and "99 hosts could" in text and "are under attack here" in text
    assert not new_host_thresholds(None, truth, scores, begun)


def test_the_distance_is_one_on_train_windows_and_grows_off_their_axes() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(400, 2))
    x_NF = (hidden @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(400, 6))).astype(np.float32)
    x_NF[::7, 3] = np.nan
    reach = fit_reach(("a", "b", "c"), [x_NF[:200], x_NF[200:]])
    assert len(reach.columns) == 6 and np.mean(reach.distance(x_NF) ** 2) == pytest.approx(1, abs=0.35)
    off = x_NF[:50] + 6 * np.nanstd(x_NF, axis=0) * np.array([1, -1, 1, -1, 1, -1])
    assert np.median(reach.distance(off)) > 3 * np.median(reach.distance(x_NF))
    assert reach.outside(x_NF).mean() < 0.05 and reach.outside(off).mean() > 0.5


def test_a_sign_that_stands_where_errors_are_foretells_them(make_truth: Any) -> None:
    truth = make_truth(60)
    rng = np.random.default_rng(1)
    wrong_N = rng.random(len(truth)) < 0.3
    good = foretelling(truth, wrong_N, wrong_N + 0.7 * rng.normal(size=len(truth)), draws=200)
    blind = foretelling(truth, wrong_N, rng.normal(size=len(truth)), draws=200)
    assert good.value is not None and good.lo is not None and good.lo > 0.7
    assert blind.lo is not None and blind.hi is not None and blind.lo < 0.5 < blind.hi
    assert foretelling(replace(truth), wrong_N & False, rng.normal(size=len(truth))).value is None


@pytest.mark.parametrize(("n_far", "warned"), [(3, False), (30, True)])
def test_the_report_warns_where_many_test_episodes_lie_far_out(sample_inputs: Any, n_far: int, warned: bool) -> None:
    found = OutOfRange(
        distance=Estimate(value=0.61, lo=0.52, hi=0.7),
        outside=Estimate(value=0.55, lo=0.45, hi=0.65),
        usual=1.4,
        far_share_asked=0.05,
        n_left_out=80,
        n_episodes=60,
        n_far=n_far,
        accuracy_far=Estimate(value=0.4),
        accuracy_near=Estimate(value=0.6),
        median_by_host={"<b>": 2.0},
    )
    inputs = msgspec.structs.replace(sample_inputs(), chosen=CloserLook(name="gbt_realistic", out_of_range=found))
    text = range_section(inputs)
    assert ("**Warning" in text) is warned and "<b>" not in text
    assert ".61 [.52, .70]" in text.replace("0.", ".")
