"""Figures of policies by hand: areas, answers that are carried on, coverage, alarms, headroom, ratios."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from acting.simulated import by_hand

from rlstir_core.evaluation.acting.drawn import areas, average_precision, draw, first_cost
from rlstir_core.evaluation.acting.figures import PolicyDraws, against_all, span_share
from rlstir_core.evaluation.acting.headroom import headroom
from rlstir_core.evaluation.acting.records import Alarm, Thresholds
from rlstir_core.evaluation.acting.table import InvestigationWriter, RecordedCase, SaidStretch, read_runs
from rlstir_core.evaluation.acting.thresholds import choose
from rlstir_core.evaluation.acting.truth import EpisodeTruth, TrueStretch, Truths
from rlstir_core.evaluation.acting.watched import Grid, Watched, watch
from rlstir_core.evaluation.stats.levels import Levels

ATTACK = EpisodeTruth(episode_id="a", host="h", attack=True, rows={"T1": (3, 4), "T2": (5,)})
BENIGN = EpisodeTruth(episode_id="b", host="h", attack=False)
SEEN = by_hand("a", ("alert", 0, [], 0.2), ("near", 2, [3, 9], 0.9), ("far", 1, [3, 5], 0.95), ("stop", 0, [], 0.95))
QUIET = by_hand("b", ("alert", 0, [], 0.3), ("near", 1, [0], 0.1), ("stop", 0, [], 0.1))
NO_ALARM = Alarm(fpr=None, threshold=None, n_benign=0, note="few")


def watched(
    tmp_path: Path, cases: list[RecordedCase], truths: list[EpisodeTruth], budget: float
) -> tuple[Watched, Grid]:
    path = tmp_path / "t.parquet"
    with InvestigationWriter(path) as writer:
        writer.add("p", 0, cases)
    grid = Grid.of(path, budget)
    return watch(path, next(read_runs(path)), Truths(truths), grid), grid


def sample(watched: Watched) -> Levels:
    return Levels(host_E=tuple(watched.truths.host_E), draws=0)


def thresholds(**given: float | None) -> Thresholds:
    alarm = Alarm(fpr=0.05, threshold=given.pop("alarm"), n_benign=80) if "alarm" in given else NO_ALARM
    return Thresholds(**{"area": 0.5, "stop": 0.5, "technique": 0.5, "tampered": 0.5, **given}, alarm=alarm)


def test_the_last_answer_is_carried_on_and_areas_are_those_under_steps(tmp_path: Path) -> None:
    one, grid = watched(tmp_path, [SEEN, QUIET], [ATTACK, BENIGN], budget=4.0)
    assert grid.at_G.tolist() == [0, 1, 2, 3] and grid.share_G.tolist() == [0.25] * 4
    found = areas(one, grid, 0.5, sample(one))
    assert found.f1_DG[0].tolist() == [1 / 3, 1 / 3, 1, 1]  # of the attack 0, of the rest 2/3
    assert found.coverage_DG[0].tolist() == [0, 0, 0.5, 1]  # only attacks count, a technique once
    assert found.figures["f1_cost_auc"][0] == pytest.approx(2 / 3) and found.figures["coverage_cost_auc"][0] == 0.375


def test_what_the_budget_does_not_pay_for_is_not_known(tmp_path: Path) -> None:
    one, grid = watched(tmp_path, [SEEN, QUIET], [ATTACK, BENIGN], budget=2.5)
    found = areas(one, grid, 0.5, sample(one))
    assert found.figures["coverage_at_budget"][0] == 0.5
    assert found.figures["coverage_cost_auc"][0] == pytest.approx(0.5 * 0.5 / 2.5)
    assert draw(one, grid, thresholds(), sample(one)).figures["coverage_at_stop"][0] == 1


def test_areas_are_near_where_too_many_costs_are_paid_to_look_at_each(tmp_path: Path) -> None:
    steps = [("q", 0.01, [3] if n == 100 else [], 0.1) for n in range(200)]
    one, grid = watched(tmp_path, [by_hand("a", ("alert", 0, [], 0.1), *steps), QUIET], [ATTACK, BENIGN], budget=2.0)
    assert len(grid.at_G) == 128
    found = areas(one, grid, 0.5, sample(one))
    assert found.figures["coverage_cost_auc"][0] == pytest.approx(0.5 * 0.99 / 2, abs=1 / 128)


def test_the_threshold_for_the_area_is_the_best_over_all_costs_and_not_at_one(tmp_path: Path) -> None:
    one, grid = watched(tmp_path, [SEEN, QUIET], [ATTACK, BENIGN], budget=4.0)
    found = choose([one], grid)
    # .2 calls the alert of both: macro F1 1/3, then 1 once the benign belief fell; .9 misses the first half
    assert found.area == pytest.approx(0.2) and found.stop == pytest.approx(0.95)
    assert areas(one, grid, found.area, sample(one)).figures["f1_cost_auc"][0] == pytest.approx((1 / 3 + 3) / 4)


@pytest.mark.parametrize(("n", "fpr", "place"), [(79, None, 0), (80, 0.05, 4), (399, 0.05, 19), (400, 0.01, 4)])
def test_an_alarm_is_set_by_the_highest_belief_of_benign_cases(
    tmp_path: Path, n: int, fpr: float | None, place: int
) -> None:
    truths = [EpisodeTruth(episode_id=f"{e:04d}", host="h", attack=False) for e in range(n)]
    top = np.linspace(0.9, 0.1, n).astype(np.float32).astype(np.float64)
    cases = [by_hand(f"{e:04d}", ("alert", 0, [], 0.05), ("q", 1, [], top[e]), ("r", 1, [], 0.0)) for e in range(n)]
    one, grid = watched(tmp_path, cases, truths, budget=2.0)
    found = choose([one], grid).alarm
    assert (found.fpr, found.n_benign) == (fpr, n)
    if found.threshold is None:
        assert found.note == "validation has 79 benign episodes, a threshold for 5 % needs 80"
    else:  # one more benign case than allowed lies just below
        assert top[place - 1] >= found.threshold > top[place]


def test_time_to_detection_counts_a_miss_as_k_and_cost_what_was_paid_in_k_steps(tmp_path: Path) -> None:
    other = EpisodeTruth(episode_id="c", host="h", attack=True)
    missed = by_hand("c", ("alert", 0, [], 0.1), *[("q", 1.5, [], 0.1)] * 8)
    one, grid = watched(tmp_path, [SEEN, QUIET, missed], [ATTACK, BENIGN, other], budget=4.0)
    found = draw(one, grid, thresholds(alarm=0.85), sample(one)).figures
    assert [found[f"ttd_at {k}"][0] for k in (5, 10, 20)] == [(1 + k) / 2 for k in (5, 10, 20)]
    assert [found[f"cost_at {k}"][0] for k in (5, 10, 20)] == [(2 + 7.5) / 2, (2 + 12) / 2, (2 + 12) / 2]
    assert found["detected_at 5"][0] == 0.5 and found["false_alarms"][0] == 0
    assert draw(one, grid, thresholds(alarm=0.25), sample(one)).figures["false_alarms"][0] == 1
    assert "ttd_at 5" not in draw(one, grid, thresholds(), sample(one)).figures


def test_declarations_are_judged_by_the_rules_that_validation_chose(tmp_path: Path) -> None:
    tampered = EpisodeTruth(
        episode_id="a",
        host="h",
        attack=True,
        rows={"T1": (3,), "T2": ()},  # no row of T2 is left: to be named, but nothing to find
        tamper=(TrueStretch(channel="evtx", t_start_wall_ns=25, t_end_wall_ns=35),),
        times_ns={"evtx": np.arange(0, 1000, 10)},
    )
    spans = [
        SaidStretch(channel="evtx", t_start_wall_ns=18, t_end_wall_ns=42),
        SaidStretch(channel="auth", t_start_wall_ns=20, t_end_wall_ns=40),
    ]
    said = by_hand(
        "a", ("alert", 0, [], 0.1), ("near", 1, [3], 0.9),
        tampered=[0, 0.7], techniques=["T1", "T9"], scores=[0.9, 0.4], spans=spans,
    )  # fmt: skip
    one, grid = watched(tmp_path, [said, QUIET], [tampered, BENIGN], budget=4.0)
    chosen = choose([one], grid)
    assert chosen.technique == pytest.approx(0.9) and chosen.tampered == pytest.approx(0.7)
    found = draw(one, grid, chosen, sample(one)).figures
    assert found["coverage_at_stop"][0] == 1
    assert found["ttp_f1"][0] == pytest.approx(2 / 3)  # T1 of two, T9 below the threshold
    assert found["tamper_f1"][0] == 1
    assert one.spans_E4[0].tolist() == [1, 2, 1, 1]
    assert found["tamper_span_f1"][0] == pytest.approx(2 / 3)
    assert found["mean_cost"][0] == 1 and found["mean_queries"][0] == 1
    assert found["brier"][0] == pytest.approx((0.1**2 + 0.1**2) / 2)


def test_average_precision_takes_equal_beliefs_together() -> None:
    levels = Levels(host_E=("h",) * 3, draws=0)
    found = average_precision(np.array([0.9, 0.5, 0.9]), np.array([True, True, False]), levels)
    assert found[0] == pytest.approx(0.5 * 0.5 + 0.5 * 2 / 3)


def test_the_cost_of_equal_f1_is_where_it_is_first_reached() -> None:
    grid = Grid(budget=4.0, at_G=np.array([0.0, 1.0, 3.0]), share_G=np.array([0.25, 0.5, 0.25]))
    found = first_cost(np.array([[0.1, 0.6, 0.5], [0.1, 0.2, 0.3]]), np.array([0.5, 0.9]), grid)
    assert found[0] == 1.0 and np.isnan(found[1])


def areas_of(tmp_path: Path, when: dict[str, float]) -> tuple[dict[str, PolicyDraws], Truths, Levels]:
    """Policies that find the one technique of every attack at some cost of 8 (0 is never), over 24 hosts."""
    hosts = {f"{e:03d}": f"h{e % 24:02d}" for e in range(120)}
    truths = Truths(
        EpisodeTruth(episode_id=name, host=host, attack=bool(e % 2), rows={"T1": (1,)} if e % 2 else {})
        for e, (name, host) in enumerate(hosts.items())
    )
    path = tmp_path / "areas.parquet"
    with InvestigationWriter(path) as writer:
        for policy, cost in sorted(when.items()):
            steps = [("q", cost, [1], 0.5)] if cost else []
            writer.add(policy, 0, [by_hand(e, ("alert", 0, [], 0.5), *steps, host=host) for e, host in hosts.items()])
    levels, grid = Levels(host_E=tuple(truths.host_E), draws=100), Grid.of(path, 8.0)
    drawn = {run.policy: areas(watch(path, run, truths, grid), grid, 0.5, levels) for run in read_runs(path)}
    return {name: PolicyDraws(seeds=(0,), drawn=each, queries=()) for name, each in drawn.items()}, truths, levels


def test_a_ratio_of_areas_is_taken_on_the_same_resamples(tmp_path: Path) -> None:
    found, _, levels = areas_of(tmp_path, {"ppo": 2.0, "fixed_order": 5.0, "no_query": 0.0, "evidence_oracle": 1.0})
    against = against_all(found, "ppo", levels)
    ratio = against["fixed_order"].coverage_ratio
    assert (ratio.value, ratio.lo, ratio.hi) == pytest.approx((2.0, 2.0, 2.0))
    assert against["fixed_order"].coverage_cost_auc.value == pytest.approx(0.75 - 0.375)
    assert against["no_query"].coverage_ratio.value is None  # its area is 0
    assert against["evidence_oracle"].p_coverage is None  # no rival, so not in the family
    share = span_share(
        *(found[name].drawn.figures["coverage_cost_auc"] for name in ("ppo", "no_query", "evidence_oracle"))
    )
    assert share[0] == pytest.approx(0.75 / 0.875)


@pytest.mark.parametrize(("fixed", "room"), [(2.0, False), (4.0, True)])
def test_headroom_is_what_a_fixed_order_leaves_of_the_span(tmp_path: Path, fixed: float, room: bool) -> None:
    found, truths, _ = areas_of(tmp_path, {"fixed_order": fixed, "no_query": 0.0, "evidence_oracle": 1.0})
    said = headroom({name: each.drawn for name, each in found.items()}, truths)
    share = {row.policy: row.coverage_share for row in said.rows}
    assert share["fixed_order"] == pytest.approx((8 - fixed) / 7)  # of the oracle's 7/8
    assert said.coverage_room is room
    assert said.f1_room is None  # belief never moves: the oracle gains nothing
    without = headroom({"fixed_order": found["fixed_order"].drawn}, truths)
    assert without.coverage_room is None
