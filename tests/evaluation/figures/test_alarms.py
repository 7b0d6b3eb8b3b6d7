"""False alarms: what counts as one, per which hours, and which benign work raises them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest
from small_world import AT_HALF, ATTACK, QUIET, world

from rlstir_core.evaluation.detectors.alarms import alarm_rate, benign_work, onset_windows
from rlstir_core.evaluation.detectors.detection import Threshold
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.sections.alarms import alarms_section, benign_section
from rlstir_core.evaluation.stats.details import CloserLook
from rlstir_core.evaluation.stats.intervals import TAIL, rate_estimate
from rlstir_core.evaluation.stats.scored import Scores, Truth


def onsets(story: Sequence[tuple[float, int, float]]) -> list[float]:
    truth, scores = world([story])
    alarm_N = AT_HALF.alarms(truth, scores)
    assert alarm_N is not None
    return truth.time_s_N[onset_windows(truth, alarm_N, 5.0)].tolist()


def test_an_alarm_that_goes_on_begins_once() -> None:
    assert onsets([(0, QUIET, 0.1), (5, QUIET, 0.9), (10, QUIET, 0.8), (15, QUIET, 0.2), (20, QUIET, 0.5)]) == [5, 20]


def test_an_alarm_begins_anew_behind_windows_that_were_not_scored_and_in_another_episode() -> None:
    assert onsets([(0, QUIET, 0.9), (5, QUIET, 0.9), (15, QUIET, 0.9)]) == [0, 15]
    truth, scores = world([[(0, QUIET, 0.9)], [(5, QUIET, 0.9)]])
    assert onset_windows(truth, scores.proba_NK[:, 1] > 0.5, 5.0).all()


def test_windows_are_taken_in_the_order_of_time_whatever_order_they_were_scored_in() -> None:
    assert onsets([(10, QUIET, 0.9), (0, QUIET, 0.1), (5, QUIET, 0.9)]) == [5]


def test_false_alarms_are_counted_by_hour_without_attack_and_one_that_outlasts_an_attack_is_none() -> None:
    story = [(0, QUIET, 0.9), (5, QUIET, 0.1), (10, ATTACK, 0.9), (15, QUIET, 0.9), (20, QUIET, 0.1)]
    attacked = [(0, ATTACK, 0.9)]
    found = alarm_rate(*world([story] * 24 + [attacked]), AT_HALF, 5.0)
    assert (found.onsets, found.n_episodes) == (24, 24)
    assert found.hours == pytest.approx(24 * 4 * 5 / 3600)
    assert found.per_hour.value == pytest.approx(180.0)  # one in four windows of 5 s


def test_without_any_false_alarm_the_rate_has_the_bound_of_one_trial_an_episode() -> None:
    found = alarm_rate(*world([[(0, QUIET, 0.1)]] * 40), AT_HALF, 3600.0)
    assert (found.per_hour.value, found.per_hour.lo) == (0.0, 0.0)
    assert found.per_hour.hi == pytest.approx(1 - TAIL ** (1 / 40))
    assert alarm_rate(*world([[(0, QUIET, 0.1)]] * 19), AT_HALF, 5.0).per_hour.hi is None


def test_a_rate_is_never_below_nothing_and_twice_the_time_halves_it() -> None:
    events_U = np.zeros(60)
    events_U[:2] = (1, 3)
    one, two = rate_estimate(events_U, np.ones(60)), rate_estimate(events_U, np.full(60, 2.0))
    assert one.value == pytest.approx(4 / 60) and one.lo == 0.0
    assert (two.value, two.hi) == (pytest.approx(2 / 60), pytest.approx((one.hi or 0) / 2))


def test_without_a_threshold_false_alarms_are_refused_with_the_reason() -> None:
    nothing = Threshold(fpr=0.01, values={}, n_negatives=9, note="validation has 9 non-attack windows")
    found = alarm_rate(*world([[(0, QUIET, 0.9)]]), nothing, 5.0)
    assert (found.per_hour.value, found.per_hour.note) == (None, "validation has 9 non-attack windows")


def benign_world(samples: Sequence[str], flagged: Sequence[int], windows: int = 4) -> tuple[Truth, Scores]:
    """Benign episodes of these samples, each with so many windows that raise an alarm, and an attacked one."""
    stories = [[(5.0 * w, QUIET, 0.9 if w < n else 0.1) for w in range(windows)] for n in flagged]
    return world(
        [*stories, [(0, QUIET, 0.9)]],
        sample=np.array([*samples, "malware"]),
        benign=np.array([True] * len(samples) + [False]),
    )


def test_benign_work_is_ranked_by_the_share_of_windows_that_it_flags() -> None:
    samples = ["calm"] * 6 + ["busy"] * 5 + ["rare"] * 4
    found = benign_work(*benign_world(samples, [0] * 6 + [1, 1, 0, 2, 0] + [4] * 4), AT_HALF, draws=100)
    assert [(row.kind, row.name, row.n_episodes, row.n_windows) for row in found.rows] == [
        ("all", "all benign work", 15, 60),
        ("profile", "io-walk", 15, 60),
        ("sample", "busy", 5, 20),
        ("sample", "calm", 6, 24),
    ]
    busy = found.rows[2]
    assert (busy.windows.value, busy.episodes.value) == (4 / 20, 3 / 5)
    assert busy.windows.lo is None and "no interval below 20" in busy.windows.note
    assert [(each.name, each.n_test) for each in found.untested] == [("rare", 4)]
    assert found.n_untested == {"profile": 0, "sample": 1}


def test_of_many_samples_the_ten_most_flagged_are_shown_and_the_others_counted() -> None:
    samples = [f"s{n:02}" for n in range(12) for _ in range(5)]
    found = benign_work(*benign_world(samples, [n for n in range(12) for _ in range(5)], 12), AT_HALF, draws=100)
    assert [row.name for row in found.rows if row.kind == "sample"] == [f"s{n:02}" for n in range(11, 1, -1)]
    assert found.n_further == {"profile": 0, "sample": 2}


def test_benign_work_is_not_judged_without_a_threshold_or_without_any() -> None:
    nothing = Threshold(fpr=0.01, values={}, n_negatives=9, note="validation has 9 non-attack windows")
    assert benign_work(*benign_world(["s"] * 5, [0] * 5), nothing).note == "validation has 9 non-attack windows"
    assert benign_work(*world([[(0, QUIET, 0.9)]]), AT_HALF).note == "no test episode is benign"


def test_the_report_tells_what_is_false_and_which_benign_work_it_is(
    sample_inputs: Callable[..., ReportInputs],
) -> None:
    inputs = sample_inputs()
    assert alarms_section(inputs) == benign_section(inputs) == ""
    pair = benign_world(["a|b"] * 6 + ["rare"] * 4, [1] * 10)
    models = tuple(msgspec.structs.replace(m, alarms=alarm_rate(*pair, AT_HALF, 5.0)) for m in inputs.models)
    chosen = CloserLook(name="gbt_realistic", benign=benign_work(*pair, AT_HALF, draws=100))
    inputs = msgspec.structs.replace(inputs, models=models, chosen=chosen)
    # 11 onsets in 41 windows of 5 s
    assert re.search(r"\| gbt realistic +\| +193\.2 +\| +11 \|", alarms_section(inputs))
    assert "0.06 host-hours in 11 episodes" in alarms_section(inputs)
    assert re.search(r"\| a\\\|b +\| +6 \| +24 \| +0\.250 \| +1\.00 \|", benign_section(inputs))
    assert "sample rare (4)" in benign_section(inputs)
