"""The scores so far: kept from one report to the next, shown on the page alone, and the last two set side by side."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from rlstir_core.evaluation.report.history import History, continued, made_lines
from rlstir_core.evaluation.report.html import render_html
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.pictures.scores import draw_scores
from rlstir_core.evaluation.report.sections.scores import scores_section
from rlstir_core.evaluation.stats.across import Sums

SampleInputs = Callable[..., ReportInputs]
replace = msgspec.structs.replace
NOON, DAY_S = 1_796_040_000, 86_400


def evaluated(inputs: ReportInputs, key: str, **split: object) -> ReportInputs:
    """The same evaluation under another key."""
    described = replace(inputs.split, **split)
    return replace(inputs, split=described, manifest=replace(inputs.manifest, hashes={"evaluation_inputs": key}))


@pytest.fixture
def three(sample_inputs: SampleInputs) -> History:
    history: History | None = None
    for day, key in enumerate("abc"):
        renewal = f"the train side stays: {day} wait" if day else ""
        history = continued(history, evaluated(sample_inputs(), key, renewal=renewal), NOON + day * DAY_S)
    assert history is not None
    return history


def test_each_evaluation_is_a_row_the_newest_first_with_its_interval(three: History) -> None:
    section = scores_section(three)
    rows = [line for line in section.splitlines() if line.startswith("| 2026-")]
    assert [row.split("|")[1].strip()[:10] for row in rows] == ["2026-12-02", "2026-12-01", "2026-11-30"]
    assert rows[0].count("0.610 [0.560, 0.660]") == 1 and "in each of 3 evaluations so far" in section
    assert draw_scores(three)["scores"].startswith(b"\x89PNG")
    assert made_lines(three)[-1] == "Training: the train side stays: 2 wait."


def test_one_evaluation_has_no_past_and_the_same_one_again_adds_none(sample_inputs: SampleInputs) -> None:
    first = continued(None, evaluated(sample_inputs(), "a"), NOON)
    assert scores_section(first) == "" and draw_scores(first) == {}
    assert continued(first, evaluated(sample_inputs(), "a"), NOON + DAY_S) == first


def test_a_year_of_nights_shows_a_month_and_the_file_keeps_the_rest(
    sample_inputs: SampleInputs, three: History
) -> None:
    long = replace(three, earlier=three.earlier * 200)
    longer = continued(long, evaluated(sample_inputs(), "d"), NOON)
    assert len(longer.earlier) == 400
    section = scores_section(longer)
    assert section.count("| 2026-") == 30 and "The 371 before these are in `_history.json`" in section
    assert len(draw_scores(longer)["scores"]) < 120_000


def test_the_page_has_the_scores_and_their_picture(sample_inputs: SampleInputs, three: History) -> None:
    page = render_html(sample_inputs(), draw_scores(three), made_lines(three), scores_section(three))
    assert "Scores so far" in page and page.count("data:image/") == 1
    assert "Scores so far" not in render_html(sample_inputs(), {}, made_lines(three))


def test_a_hostile_name_among_the_scores_is_text(sample_inputs: SampleInputs, three: History) -> None:
    hostile = "<script>x</script>|[a](http://b)_realistic"
    now = replace(three.current, model=hostile, scores={hostile: three.current.macro_f1})
    history = replace(three, current=now)
    page = render_html(sample_inputs(), draw_scores(history), made_lines(history), scores_section(history))
    assert page.count("<script") == 1 and 'href="http' not in page  # the page's own
    assert len({line.count(" | ") for line in scores_section(history).splitlines() if line.startswith("|")}) == 1


def test_another_model_is_set_against_the_one_before_on_the_episodes_of_both(sample_inputs: SampleInputs) -> None:
    right, wrong = np.array([5.0, 0, 0, 5]), np.array([0.0, 5, 5, 0])  # two phases, all right or all wrong
    before = {"gbt_realistic": Sums(np.array([f"e{k:02d}" for k in range(60)]), np.tile(wrong, (60, 1)))}
    now = {"gbt_realistic": Sums(np.array([f"e{k:02d}" for k in range(20, 80)]), np.tile(right, (60, 1)))}
    first = continued(None, evaluated(sample_inputs(), "a"), NOON)
    foreign = continued(first, evaluated(sample_inputs(), "b"), NOON, before, now)
    assert foreign.current.succession is None  # what was counted before is not what was said before
    first = replace(first, current=replace(first.current, macro_f1=replace(first.current.macro_f1, value=0.0)))
    second = continued(first, evaluated(sample_inputs(), "b"), NOON, before, now)
    assert second.current.succession is not None and second.current.succession.n_episodes == 40
    assert second.current.succession.difference.value == pytest.approx(1.0)
    assert "On the 40 test episodes of both: gbt of now minus gbt of before +1.000" in made_lines(second)[-1]
    same = continued(first, evaluated(sample_inputs(), "b"), NOON, before, before)
    assert same.current.succession is not None and same.current.succession.n_episodes == 60
    assert not any("test episodes of both" in line for line in made_lines(same))
    apart = {"gbt_realistic": Sums(np.array(["x", "y"]), np.tile(right, (2, 1)))}
    other = continued(first, evaluated(sample_inputs(), "b"), NOON, before, apart)
    assert not any("of both" in line for line in made_lines(other))
