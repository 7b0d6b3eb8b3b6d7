"""A policy that investigates somebody's logs query by query: what is told, under which budget, and what is refused."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from rlstir_core.episodes.store.index import read_index
from rlstir_core.investigator.acting.roster import overruled
from rlstir_core.investigator.policies.program import Declaration
from rlstir_core.investigator.queries.catalogue import ACTIONS
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.lab.generate import generate_store
from rlstir_core.lab.plan import LabOptions
from rlstir_core.results.layout import Layout

COST = {action.name: action.cost for action in ACTIONS}
DECLARES = """
import json, sys
for line in sys.stdin:
    said = json.loads(line)
    asked = [each["name"] for each in said["actions"] if each["name"] == "autoruns"]
    if said["step"] == 0 and asked:
        print(json.dumps({"action": "autoruns"}), flush=True)
    else:
        print(json.dumps({"declare": {"attack": 0.75, "techniques": {"T1059.001": 1.0}}}), flush=True)
"""


def test_a_policy_asks_query_by_query_within_its_budget_and_says_what_each_revealed(
    invoke: Callable[..., Result], untrained_actors: Callable[..., None], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    untrained_actors(Layout(data))
    generate_store(tmp_path / "store", episodes=2, options=LabOptions(duration_s=20.0, seed=3))
    entry, _ = read_index(tmp_path / "store").entries
    tarball = tmp_path / "store" / entry.path
    given = ("investigate", tarball, "--data", data, "--policy")
    told = invoke(*given, "fixed_order", "--budget", "9", "--json")
    assert told.exit_code == 0 and told.stdout.isascii(), told.output
    found = json.loads(told.stdout)
    (case,) = found["cases"]
    assert (found["policy"], found["budget"], case["name"], case["host"]) == (
        "fixed_order",
        9.0,
        entry.episode_id,
        entry.host_id,
    )
    paid, believed, places = 0.0, case["first"], [(case["alert"]["log"], case["alert"]["seq"])]
    for query in case["queries"]:
        paid += query["cost"]
        assert query["cost"] == COST[query["query"]] and query["spent"] == paid <= 9
        assert query["before"] == believed and query["entity"] and query["sentence"]
        believed = query["after"]
        places += [(row["log"], row["seq"]) for row in query["rows"]]
    assert case["queries"] and case["verdict"] == believed and case["spent"] == paid
    assert len(set(places)) == len(places) == case["n_seen"] <= case["n_rows"]

    shown = invoke(*given, "ppo")
    assert shown.exit_code == 0, shown.output
    assert [line for line in shown.stdout.splitlines()[1:-1] if len(line) > 80] == []
    assert "verdict after " in shown.stdout and "ppo investigates" in shown.stdout

    command = shlex.join([sys.executable, "-c", DECLARES])
    agent = json.loads(invoke(*given, f"exec:{command}", "--json").stdout)["cases"][0]
    assert [query["query"] for query in agent["queries"]] == ["autoruns"]
    assert agent["declared_by"] == "the agent" and agent["verdict"]["attack"] == 0.75
    assert agent["verdict"]["techniques"]["T1059.001"] == 1.0
    assert agent["verdict"]["tampered"] == agent["queries"][-1]["after"]["tampered"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--budget", "3"), "--budget is what the queries of a policy may cost"),
        (("--policy", "pp\x1bo"), "policy 'pp\\x1bo' is unknown; choose one of ppo, greedy"),
        (("--policy", "ppo", "--budget", "0"), "budget 0 must be a number above 0"),
        (("--policy", "ppo", "--budget", "nan"), "budget nan must be a number above 0"),
        (("--policy", "ppo"), "nobody has learnt to investigate under"),
        (("--policy", "ppo", "--recipe", "host"), "--recipe host --select key:ppo_policy"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(
    invoke: Callable[..., Result], tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "data").mkdir()
    result = invoke("investigate", ".", "--data", tmp_path / "data", *arguments)
    said = result.stderr.splitlines()[-1]
    assert result.exit_code == 2 and said.startswith("rlstir: ") and sentence in said
    assert "Traceback" not in result.output


def test_what_an_agent_declares_stands_in_place_of_what_the_detector_says_and_nothing_else_does() -> None:
    answers = np.linspace(0.1, 0.2, 2 + len(LABELS), dtype=np.float32)
    found = overruled(answers, Declaration(attack=0.9, techniques={LABELS[3]: 0.0}))
    assert found[0] == np.float32(0.9) and found[5] == 0
    assert np.flatnonzero(found != answers).tolist() == [0, 5]
