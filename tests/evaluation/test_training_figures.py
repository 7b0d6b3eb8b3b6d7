"""The spread of members, the cost of scoring, and how both stand in the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from rlstir_core.atomic import write_json
from rlstir_core.detectors.checkpoint import Members
from rlstir_core.evaluation.detectors.cost import read_costs
from rlstir_core.evaluation.detectors.spread import member_spread
from rlstir_core.evaluation.report.document import render_markdown
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.sections.training import spread_section
from rlstir_core.evaluation.stats.details import MemberSpread, ModelCost
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
