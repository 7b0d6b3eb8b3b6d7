"""The spread of members, the learning curve, the cost of scoring, and how they stand in the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from rlstir_core.atomic import write_json
from rlstir_core.detectors.checkpoint import Members
from rlstir_core.detectors.scenes import Spent
from rlstir_core.evaluation.detectors.cost import read_costs, together
from rlstir_core.evaluation.detectors.spread import learning_points, member_spread, seed_spread
from rlstir_core.evaluation.report.document import render_markdown
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.pictures.curves import learning_curve
from rlstir_core.evaluation.report.sections.training import learning_section, seeds_section, spread_section
from rlstir_core.evaluation.stats.details import MemberSpread, ModelCost, SeedSpread
from rlstir_core.evaluation.stats.intervals import deviation_estimate
from rlstir_core.evaluation.stats.metrics import macro_f1
from rlstir_core.evaluation.stats.scored import Scores, Truth
from rlstir_core.results.layout import Layout

COST = ModelCost(
    name="gbt_realistic",
    device="cpu",
    members=3,
    parameters=1500,
    checkpoint_bytes=2048,
    n_windows=100,
    inputs_cpu_ms=0.25,
    predict_cpu_ms=0.05,
    windows_per_s=3000.0,
)


class Says:
    """A member that says one thing."""

    def __init__(self, *proba: float) -> None:
        self.proba = proba

    def predict_proba(self, inputs: object) -> np.ndarray:
        return np.array([self.proba])


def test_members_come_in_the_order_of_their_folds_and_their_mean_is_the_rounds_word() -> None:
    members = Members([(0, 1, Says(0.0, 1.0)), (1, 0, Says(0.5, 0.5)), (0, 0, Says(1.0, 0.0))])  # type: ignore[list-item]
    inputs: object = None
    assert [part.tolist() for part in members.predict_members(0, inputs)] == [[[1.0, 0.0]], [[0.0, 1.0]]]  # type: ignore[arg-type]
    assert members.predict_round(0, inputs).tolist() == [[0.5, 0.5]]  # type: ignore[arg-type]


def test_the_spread_is_the_macro_f1_of_each_member_alone(
    make_truth: Callable[..., Truth], make_scores: Callable[..., Scores]
) -> None:
    truth = make_truth(episodes=30)
    scores = [make_scores(truth, "gbt", "realistic", skill, seed) for seed, skill in enumerate((0.5, 2.0))]
    called_MN = np.stack([each.predicted_N for each in scores]).astype(np.int8)
    half = len(truth) // 2
    found = member_spread(truth, scores[1], [called_MN[:, :half], called_MN[:, half:]])
    assert found is not None
    wanted = [macro_f1(truth, each, draws=10).value for each in scores]
    assert found.members == pytest.approx(wanted, abs=1e-5) and found.together == found.members[1]
    assert found.members[0] < found.members[1]


def test_members_that_named_other_windows_than_the_labels_have_are_refused(
    make_truth: Callable[..., Truth], make_scores: Callable[..., Scores]
) -> None:
    truth = make_truth(episodes=30)
    scores = make_scores(truth, "gbt", "realistic", 1.0)
    with pytest.raises(ValueError, match="named 3 windows"):
        member_spread(truth, scores, [np.zeros((2, 3), np.int8)])
    assert member_spread(truth, scores, []) is None


def test_the_report_shows_the_lowest_and_the_highest_member(sample_inputs: Callable[..., ReportInputs]) -> None:
    inputs = sample_inputs()
    assert spread_section(inputs) == ""
    spread = MemberSpread(name="gbt_realistic", together=0.61, members=(0.55, 0.6, 0.5))
    cells = spread_section(msgspec.structs.replace(inputs, members=(spread,))).splitlines()[-1]
    assert [cell.strip() for cell in cells.split("|")[2:6]] == ["0.610", "0.500", "0.600", "0.100"]


def test_the_spread_over_seeds_is_the_deviation_of_each_seeds_macro_f1(
    make_truth: Callable[..., Truth], make_scores: Callable[..., Scores]
) -> None:
    truth = make_truth(episodes=30)
    scores = [make_scores(truth, "gbt", "realistic", 1.0, seed) for seed in (4, 5, 6)]
    found = seed_spread(truth, "gbt_realistic", [(4 + k, each.predicted_N) for k, each in enumerate(scores)])
    assert found is not None and found.seeds == (4, 5, 6)
    wanted = [macro_f1(truth, each, draws=10).value or 0.0 for each in scores]
    assert found.scores == pytest.approx(wanted, abs=1e-5)
    assert found.deviation.value == pytest.approx(np.std(wanted, ddof=1), abs=1e-5) and found.deviation.unit == "seed"


def test_the_report_shows_the_seeds_beside_the_members(sample_inputs: Callable[..., ReportInputs]) -> None:
    inputs = sample_inputs()
    assert seeds_section(inputs) == ""
    members = MemberSpread(name="gbt_realistic", together=0.61, members=(0.55, 0.6, 0.5))
    inputs = msgspec.structs.replace(inputs, members=(members,))
    assert "below" not in spread_section(inputs)
    spread = SeedSpread(
        name="gbt_realistic", seeds=(7, 8), scores=(0.55, 0.57), deviation=deviation_estimate((0.55, 0.57), "seed")
    )
    unmoved = SeedSpread(
        name="gru_realistic", seeds=(7, 8), scores=(0.5, 0.5), deviation=deviation_estimate((0.5, 0.5), "seed")
    )
    inputs = msgspec.structs.replace(inputs, seeds=(spread, unmoved))
    assert "over seeds, which stands below" in spread_section(inputs)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in seeds_section(inputs).splitlines()]
    gbt = ["gbt realistic", "2", "0.550", "0.570", "0.020", "0.014 [0.006, 0.451]", "0.100", "0.550 (7), 0.570 (8)"]
    gru = ["gru realistic", "2", "0.500", "0.500", "0.000", "0.000", "–", "0.500 (7), 0.500 (8)"]
    assert gbt in rows and gru in rows
    assert seeds_section(inputs).endswith("\n\n- the same with every seed, no interval")


def test_what_scoring_took_is_the_reports_last_section_and_changes_nothing_before_it(
    sample_inputs: Callable[..., ReportInputs], tmp_path: Path
) -> None:
    layout = Layout(tmp_path)
    assert read_costs(layout, "host") == ()
    write_json(layout.costs("host"), [COST])
    assert read_costs(layout, "host") == (COST,)
    inputs = sample_inputs()
    without, shown = render_markdown(inputs), render_markdown(msgspec.structs.replace(inputs, costs=(COST,)))
    before, section, after = shown.partition("\n## Cost\n")
    assert before.rstrip() == without.rstrip() and section and "\n## " not in after
    assert "0.25 |" in after and "3,000 |" in after and "2 |" in after


def test_an_ensemble_costs_its_parts_with_equal_inputs_made_once_and_combining_them() -> None:
    def took(inputs_s: float, predict_s: float) -> Spent:
        spent = Spent()
        spent.add(100, inputs=(inputs_s, 2 * inputs_s), predict=(predict_s, 2 * predict_s))
        return spent

    gru = msgspec.structs.replace(COST, name="gru_realistic", device="cuda", parameters=10)
    parts = [("summaries", took(1, 2), COST), ("series", took(3, 4), gru), ("series", took(3, 5), gru)]
    found = together("ensemble_realistic", 52, took(0, 1), parts)
    assert (found.inputs_cpu_ms, found.predict_cpu_ms) == (40, 120)
    assert found.windows_per_s == pytest.approx(100 / 32) and found.n_windows == 100
    assert (found.device, found.members, found.parameters) == ("cpu, cuda", 9, 1520)
    assert found.checkpoint_bytes == 52 + 3 * COST.checkpoint_bytes


def test_a_learning_curve_gives_each_share_its_score_and_its_gain_on_the_same_resamples(
    make_truth: Callable[..., Truth], make_scores: Callable[..., Scores]
) -> None:
    truth = make_truth(episodes=60)
    poor, good = (make_scores(truth, "gbt", "realistic", skill) for skill in (0.3, 2.0))
    named = [(0.25, 5, poor.predicted_N), (0.5, 10, good.predicted_N), (1.0, 20, good.predicted_N)]
    first, second, third = learning_points(truth, named, draws=300)
    assert first.gain is None and (first.share, first.n_episodes) == (0.25, 5)
    assert first.macro_f1 == macro_f1(truth, poor, draws=300)
    assert second.gain is not None and second.gain.value == pytest.approx(
        (second.macro_f1.value or 0) - (first.macro_f1.value or 0)
    )
    assert (second.gain.lo or 0) > 0
    assert third.gain is not None and (third.gain.value, third.gain.lo, third.gain.hi) == (0, 0, 0)


def test_the_learning_curve_is_drawn_and_told(
    sample_inputs: Callable[..., ReportInputs], make_truth: Callable[..., Truth], make_scores: Callable[..., Scores]
) -> None:
    inputs = sample_inputs()
    assert learning_section(inputs) == "" and learning_curve(inputs) == b""
    truth = make_truth(episodes=30)
    called_N = make_scores(truth, "gbt", "realistic", 1.0).predicted_N
    points = learning_points(truth, [(0.125, 8, called_N), (1.0, 50, called_N)], draws=50)
    inputs = msgspec.structs.replace(inputs, learning=points)
    assert learning_curve(inputs) == learning_curve(inputs) != b""
    text = learning_section(inputs)
    assert "| 12.5 %" in text and "| 100 %" in text and "+0.000 [" in text
