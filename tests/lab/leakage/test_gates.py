"""The leakage checks: a store that leaks is caught, an honest one is not, and a small one is not judged."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from rlstir_core.contract.registry import default_registry
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.lab.generate import generate_store
from rlstir_core.lab.leakage import facts as facts_module
from rlstir_core.lab.leakage.facts import EpisodeFacts, Lab, generated
from rlstir_core.lab.leakage.gate import GATES, PRINTED, Gate
from rlstir_core.lab.leakage.gates import FEWEST, gates, judge
from rlstir_core.lab.leakage.probes import rate
from rlstir_core.lab.plan import LabOptions
from rlstir_core.results.layout import Layout

SCENARIOS = [f"scenario-{at}" for at in range(6)]


def facts(n: int = 160, seed: int = 1, **leak: float) -> list[EpisodeFacts]:
    """Episodes of which nothing tells anything but `leak`: how sure a word, a number or a template is."""
    rng = np.random.default_rng(seed)
    made = []
    for at in range(n):
        benign, story = at % 5 < 2, SCENARIOS[int(rng.integers(len(SCENARIOS)))]
        templates = {f"t{k}": int(rng.integers(1, 9)) for k in rng.permutation(40)[:25].tolist()}
        if not benign and rng.random() < 0.75:
            templates[f"of {story}"] = 1
        if not benign and rng.random() < leak.get("template", 0.0):
            templates |= {f"new {at} {k}": 1 for k in range(20)}
        words = {f"w{k}": int(rng.integers(1, 5)) for k in rng.permutation(30)[:20].tolist()}
        if rng.random() < leak.get("word", 0.0) and not benign:
            words["suspicious"] = 3
        numbers = {"rows": float(rng.integers(500, 900)) + leak.get("number", 0.0) * 500 * (not benign)}
        made.append(
            EpisodeFacts(
                host=("a", "b")[at % 2],
                episode=f"ep-{at}",
                benign=benign,
                lab=Lab("duty" if benign else story, ("x",) if rng.random() < 0.6 else (), ""),
                tampered=at % 7 == 0,
                templates=templates,
                attack_templates=frozenset(t for t in templates if not benign and (t[0] == "n" or t[1:].isdigit())),
                words=words,
                numbers=numbers,
                naive=bool(rng.random() < 0.45),
                chainsaw=bool(rng.random() < 0.1),
            )
        )
    return made


def failed(found: list[Gate]) -> set[str]:
    return {gate.name for gate in found if not gate.passed}


def test_an_honest_store_passes_every_gate_and_each_prints_its_figure() -> None:
    found = judge(facts())
    assert [gate.name for gate in found] == [*GATES, *PRINTED]
    assert not failed(found)
    for gate in found:
        assert gate.judged and gate.figure is not None
        assert gate.figure.lo <= gate.figure.value <= gate.figure.hi


@pytest.mark.parametrize(
    ("leak", "gate"),
    [({"word": 0.9}, "word_stump"), ({"number": 1.0}, "metadata_only"), ({"template": 1.0}, "template_overlap")],
)
def test_a_leak_is_caught_by_its_gate(leak: dict[str, float], gate: str) -> None:
    assert gate in failed(judge(facts(**leak)))


def test_scenarios_that_give_themselves_away_are_caught() -> None:
    told = [
        each if each.benign else msgspec.structs.replace(each, templates={f"of {each.lab.story}": 1, "t1": 2})
        for each in facts()
    ]
    assert "scenario_bag" in failed(judge(told))


def test_logs_without_honest_faults_are_caught() -> None:
    clean = [msgspec.structs.replace(each, naive=False) for each in facts()]
    assert failed(judge(clean)) == {"naive_tamper_rule"}


def test_benign_episodes_without_look_alikes_are_caught() -> None:
    plain = [msgspec.structs.replace(each, lab=Lab(each.lab.story, (), "")) for each in facts()]
    assert "look_alikes" in failed(judge(plain))


def test_too_few_episodes_are_printed_and_not_judged() -> None:
    found = judge(facts(FEWEST - 1, word=1.0))
    assert not failed(found)
    assert not any(gate.judged for gate in found)
    assert next(gate for gate in found if gate.name == "word_stump").figure is not None


def test_scenarios_are_judged_only_where_a_model_could_learn_them() -> None:
    many = next(gate for gate in judge(facts(200)) if gate.name == "scenario_bag")
    few = next(gate for gate in judge(facts(FEWEST)) if gate.name == "scenario_bag")
    assert many.judged and not few.judged


def test_a_store_of_something_else_has_no_figures(tmp_path: Path) -> None:
    found = gates(tmp_path, Layout(tmp_path), ["h"])
    assert not failed(found)
    assert {gate.figure for gate in found} == {None}


def test_a_rate_has_an_interval_around_it() -> None:
    found = rate([True] * 30 + [False] * 70)
    assert found.value == 0.3
    assert 0.19 < found.lo < 0.25 and 0.35 < found.hi < 0.42


def test_facts_of_a_generated_store_are_read_from_its_log_rows(tmp_path: Path) -> None:
    store, layout = tmp_path / "store", Layout(tmp_path / "data")
    options = LabOptions(seed=3, duration_s=30.0, tampered=0.5)
    generate_store(store, episodes=8, options=options)
    index = read_index(store)
    for host in index.hosts:
        validate_host(store, layout, host, registry=default_registry(), index=index)
        build_log_events(store, layout, host)
    found = generated(store, layout, index.hosts)
    assert len(found) == 8
    assert 0 < sum(each.tampered for each in found) < 8
    for each in found:
        assert each.lab.story and each.templates and each.words
        assert bool(each.attack_templates) <= (not each.benign)
        assert sum(n for name, n in each.numbers.items() if name.startswith("rows ") and name[5:] in CHANNELS) == sum(
            each.templates.values()
        )


CHANNELS = {"auditd", "auth", "journald", "sysmon", "evtx"}


def test_only_a_bounded_number_of_episodes_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, layout = tmp_path / "store", Layout(tmp_path / "data")
    generate_store(store, hosts=("a",), episodes=5, options=LabOptions(duration_s=20.0))
    index = read_index(store)
    validate_host(store, layout, "a", registry=default_registry(), index=index)
    build_log_events(store, layout, "a")
    monkeypatch.setattr(facts_module, "MOST_EPISODES", 3)
    assert len(generated(store, layout, ["a"])) == 3
