"""The report's section on policies that act: verdicts, what is told, what is escaped, and how long it gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from acting.simulated import BUDGET, SKILL, truths, write

from rlstir_core.evaluation.acting.judging import judge
from rlstir_core.evaluation.acting.records import Headroom, InvestigationEvaluation
from rlstir_core.evaluation.report.acting.verdict import verdict
from rlstir_core.evaluation.report.pictures.acting import draw_acting
from rlstir_core.evaluation.report.sections.acting import acting_section
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.text import drawable

replace = msgspec.structs.replace
HOSTILE = "<script>|`x`"


class Hostile:
    """Words from logs that nobody vouches for."""

    def alert(self, episode_id: str) -> str:
        return f"[an](http://a) alert {HOSTILE}"

    def question(self, episode_id: str, step: int, action: str) -> str:
        return f"Who started it, asked {action} {HOSTILE}?"

    def rows(self, episode_id: str, rows: Sequence[int]) -> Sequence[str]:
        return [f"row {row} says {HOSTILE}" for row in rows]


def judged(folder: Path, episodes: int, hosts: int, draws: int = 200) -> InvestigationEvaluation:
    test, validation = truths(episodes, hosts, seed=1), truths(180, 8, seed=2)
    return judge(
        write(folder / "test.parquet", test, seeds=2),
        write(folder / "validation.parquet", validation, seeds=2, seed=9),
        test,
        validation,
        budget=BUDGET,
        recipe="host",
        draws=draws,
        words=Hostile(),
        ablations={"no-shaping": "ppo_no_shaping", "no-RL": "greedy", "no-graph": "was not run"},
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> InvestigationEvaluation:
    return judged(tmp_path_factory.mktemp("acting"), 144, 24)


def test_the_figures_of_a_simulation_are_in_the_order_of_its_skills(found: InvestigationEvaluation) -> None:
    area = {name: each.coverage_cost_auc.value or 0.0 for name, each in found.policies.items()}
    assert area["no_query"] == 0 < area["random"] < area["learned_greedy"] < area["ppo"] < area["evidence_oracle"]
    assert found.about == "ppo" and found.policies["ppo"].seeds == (0, 1)
    assert set(found.ablations) == {"no-shaping", "no-RL"}
    assert found.headroom.coverage_room is True
    for name, each in found.policies.items():
        for said in (each.f1_cost_auc, each.coverage_cost_auc, each.ttp_f1, each.tamper_span_f1, each.ttd_at["10"]):
            assert said.value is not None and said.lo is not None and said.hi is not None, name
            assert said.lo <= said.value <= said.hi
    assert found.policies["all_at_once"].coverage_at_stop.value == 1
    assert found.paired["random"].p_coverage is not None and found.paired["random"].p_coverage < 0.05
    assert found.paired["label_oracle"].p_coverage is None
    use = {each.query: each for each in found.policies["all_at_once"].queries}
    assert use["log_gaps"].share.value == 1 and use["log_gaps"].cost == 5
    assert use["log_gaps"].mean_step == pytest.approx(3.5, abs=0.5)


def test_the_evaluation_comes_back_from_its_file_and_says_the_same_of_the_same(
    found: InvestigationEvaluation, tmp_path: Path
) -> None:
    raw = msgspec.json.encode(found)
    assert msgspec.json.decode(raw, type=InvestigationEvaluation) == found
    assert msgspec.json.encode(judged(tmp_path, 144, 24)) == raw


def test_neither_file_nor_section_grows_with_episodes(found: InvestigationEvaluation, tmp_path: Path) -> None:
    small = judged(tmp_path, 48, 24)
    assert len(msgspec.json.encode(found)) < 1.1 * len(msgspec.json.encode(small))
    assert len(acting_section(found)) < 1.1 * len(acting_section(small))


def between(value: float, half: float) -> Estimate:
    return Estimate(value=value, lo=value - half, hi=value + half)


def told(found: InvestigationEvaluation, gaps: dict[str, tuple[Estimate, float | None]]) -> str:
    """The verdict's first sentence where PPO is ahead of its rivals by so much coverage."""
    paired = {name: replace(found.paired[name], coverage_cost_auc=gap, p_coverage=p) for name, (gap, p) in gaps.items()}
    return verdict(replace(found, paired=paired))[0]


def test_the_verdict_calls_a_win_a_win_a_tie_a_tie_and_a_defeat_a_defeat(found: InvestigationEvaluation) -> None:
    ahead, level, behind = (between(0.1, 0.02), 0.01), (between(0.01, 0.02), 0.4), (between(-0.1, 0.02), 0.01)
    won = told(found, {"fixed_order": ahead, "learned_greedy": ahead, "evidence_oracle": behind})
    assert "is **better than every rival** (+0.100 [+0.080, +0.120] against `learned_greedy`" in won
    assert "oracle" not in won
    tied = told(found, {"fixed_order": ahead, "learned_greedy": level})
    assert "**a tie** with `learned_greedy` (+0.010 [-0.010, +0.030]" in tied
    assert tied.endswith("and better than `fixed_order`.")
    nearly = told(found, {"learned_greedy": (between(0.03, 0.02), 0.07)})
    assert "**a tie**" in nearly and "excludes 0, but not after Holm's correction for 1 rival" in nearly
    lost = told(found, {"fixed_order": behind, "learned_greedy": level})
    assert "**worse than** `fixed_order` (-0.100" in lost and "not told apart from `learned_greedy`" in lost
    assert "nothing follows without an interval" in told(found, {"fixed_order": (Estimate(value=0.1), None)})
    assert "nobody stands beside it" in told(found, {})


def test_the_verdict_says_where_the_store_leaves_no_room(found: InvestigationEvaluation) -> None:
    room = replace(found, headroom=replace(found.headroom, coverage_room=True, f1_room=True))
    assert len(verdict(room)) == 2
    none = replace(found, headroom=replace(found.headroom, coverage_room=False, f1_room=True))
    assert "On coverage this store **cannot show an advantage of reinforcement learning**" in verdict(none)[2]
    assert "On coverage there is **no room**. On F1 there is room." in acting_section(none)
    empty = Headroom(rows=(), f1_room=None, coverage_room=None, n_episodes=0, n_hosts=0)
    assert "Headroom" not in acting_section(replace(found, headroom=empty))


def test_three_investigations_are_told_by_rule_in_words_that_are_escaped(found: InvestigationEvaluation) -> None:
    assert [story.kind for story in found.stories] == ["found", "missed", "benign"]
    first = found.stories[0]
    assert first.attack and first.called and first.policy == "ppo"
    text = acting_section(found, "acting.png")
    assert "### Three investigations by `ppo`, step by step" in text
    assert f"**An attack that was found**: episode `{first.episode_id}` on `{first.host}`" in text
    assert f"Belief in an attack: {first.steps[0].p_after:.2f}." in text
    assert "which is **wrong**: it was an attack with" in text and "which is right: it was benign" in text
    assert "<script" not in text and r"1. \[an\](http\://a) alert" in text and "![F1 and coverage" in text
    costs = sorted(step.cost for step in first.steps)
    assert sum(costs) == pytest.approx(first.cost)
    long = replace(first, steps=first.steps[:1], further_steps=7)
    assert "7 further steps not told" in acting_section(replace(found, stories=(long,)))


def test_names_of_policies_queries_and_techniques_cannot_mark_up_the_page(found: InvestigationEvaluation) -> None:
    own = found.policies["ppo"]
    use = replace(own.queries[0], query=HOSTILE)
    hostile = replace(
        found,
        policies={"ppo": replace(own, queries=(use,)), HOSTILE: found.policies["greedy"]},
        paired={HOSTILE: found.paired["greedy"]},
        ablations={HOSTILE: found.paired["greedy"]},
        stories=(replace(found.stories[0], named=(HOSTILE,), carried=(HOSTILE,), host=HOSTILE, rule=HOSTILE),),
        chosen_by=HOSTILE,
    )
    text = acting_section(hostile)
    assert "<script" not in text and "`x`" not in text
    picture = draw_acting(hostile)["acting"]
    assert picture.startswith(b"\x89PNG") and b"<script" not in picture.svg


def test_the_picture_has_a_line_a_policy_and_is_the_same_twice(found: InvestigationEvaluation) -> None:
    picture = draw_acting(found)["acting"]
    assert bytes(picture) == bytes(draw_acting(found)["acting"])
    svg = picture.svg.decode()
    assert all(f">{drawable(name)}<" in svg for name in SKILL)
    assert draw_acting(replace(found, policies={})) == {}


def test_without_ppo_the_policy_that_validation_prefers_is_spoken_of_and_few_episodes_have_no_intervals(
    tmp_path: Path,
) -> None:
    skill = {name: SKILL[name] for name in ("no_query", "greedy", "learned_greedy")}
    of = truths(12, 3, seed=4)
    path = write(tmp_path / "t.parquet", of, skill=skill, seeds=1)
    found = judge(path, path, of, of, budget=BUDGET, recipe="host", draws=50)
    assert found.about == "learned_greedy" and "no policy was trained by reinforcement learning" in found.chosen_by
    text = acting_section(found)
    assert "nothing follows without an interval" in text
    assert "n = 12 test episodes, no interval below 20" in text
    assert "n = 3 test hosts: intervals resample episodes" in text
    assert "No time to detection is given: validation has" in text
    assert acting_section(None) == ""
