"""Other people's agents in the table of policies: the same cases, the same thresholds, the same resamples."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result

from rlstir_assets.cli.judge import judged_lines
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.store import read_split
from rlstir_core.evaluation.acting import investigation_eval
from rlstir_core.evaluation.acting.investigation_eval import (
    acting_evaluation_is_current,
    evaluate_acting,
    forget_acting,
)
from rlstir_core.evaluation.acting.records import AgentJudged
from rlstir_core.investigator.acting import cases
from rlstir_core.investigator.acting.roster import VARIANTS
from rlstir_core.investigator.acting.training import train_acting
from rlstir_core.investigator.soc.cases import CaseSet
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.learning.options import StudyOptions
from rlstir_core.results.layout import Layout

STOPS = """
import sys
for line in sys.stdin:
    print('{"action": "STOP"}', flush=True)
"""


def study_of(layout: Layout, *given: str) -> InvestigatorStudy:
    split = read_split(layout, "host")
    few = ("bootstrap_draws=200", "acting.cases=8", "acting.test_cases=8")
    options = StudyOptions(recipe="host", overrides=(*given, *few), split=split.settings)
    return InvestigatorStudy(layout=layout, options=options, numbers=options.numbers(), split=split)


def command(code: str) -> str:
    return f"exec:{shlex.join([sys.executable, '-c', code])}"


@pytest.mark.slow
def test_an_agent_that_asks_nothing_is_worth_what_asking_nothing_is_worth(
    own_driven: Any,
    invoke: Callable[..., Result],
    untrained_actors: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layout = own_driven.layout
    study = study_of(layout)
    made: dict[tuple[str, ...], CaseSet] = {}

    def case_set(study: InvestigatorStudy, episodes: list[EpisodeInfo], *rest: Any) -> CaseSet:
        """Each side's once."""
        key = tuple(info.episode_id for info in episodes)
        if key not in made:
            made[key] = cases.case_set(study, episodes, *rest)
        return made[key]

    monkeypatch.setattr(investigation_eval, "case_set", case_set)
    forget_acting(layout, "host")
    untrained_actors(layout, key=study.acting_sha256)
    early = invoke("judge", command(STOPS), "--data", own_driven.data)
    assert early.exit_code == 2 and "no policy of recipe host was judged under" in early.stderr
    kept, is_new = evaluate_acting(study, lambda *_: None)
    assert is_new and acting_evaluation_is_current(study)
    result = invoke("judge", command(STOPS), "--data", own_driven.data, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    judged = msgspec.convert(found, AgentJudged)
    assert judged.agent == judged.policies["no_query"] == kept.policies["no_query"]
    assert set(judged.policies) == set(kept.policies) and judged.about == kept.about == "ppo"
    assert judged.against.coverage_cost_auc == kept.paired["no_query"].coverage_cost_auc
    lines = list(judged_lines(judged))
    assert "ppo minus the agent: F1 area " in " ".join(lines) and max(map(len, lines)) <= 80

    untrained_actors(layout, key=study.acting_sha256, seed=1)
    other = invoke("judge", command(STOPS), "--data", own_driven.data)
    assert other.exit_code == 2 and "was written with another belief than today's" in other.stderr


@pytest.mark.slow
def test_other_ways_of_training_are_judged_beside_the_one_that_counts(
    own_driven: Any, few_passes: tuple[str, ...]
) -> None:
    study = study_of(own_driven.layout, *few_passes, "acting.variants=true", "ppo.steps=256")
    train_acting(study, lambda _: None)
    kept, _ = evaluate_acting(study, lambda _: None)
    assert set(kept.ablation_policies.values()) == set(VARIANTS)
    everything = kept.policies["all_at_once"].mean_cost.value
    assert everything is not None and everything > kept.budget  # it asks on where all others have to end


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("python x.py",), "python x.py is no agent; write 'exec:COMMAND'"),
        (("exec:x", "--recipe", "hosts"), "recipe 'hosts' is unknown; choose one of host, loho"),
        (("exec:x",), "host.json is missing; make it with: "),
    ],
)
def test_an_agent_that_cannot_be_judged_is_refused_in_one_sentence(
    invoke: Callable[..., Result], tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = invoke("judge", *arguments, "--data", tmp_path / "data")
    assert result.exit_code == 2 and sentence in result.stderr and "Traceback" not in result.output
