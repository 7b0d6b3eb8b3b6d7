"""Policies choose legal queries from what is seen, are fitted on train lanes, and stop by a rule that was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rlstir_core.errors import CheckpointError, ConfigError
from rlstir_core.investigator.acquire.classifier import Classifier
from rlstir_core.investigator.acquire.lanes import TableLanes
from rlstir_core.investigator.acquire.table import Table
from rlstir_core.investigator.lanes import Legal, Policy
from rlstir_core.investigator.policies.files import load_fitted, save_fitted
from rlstir_core.investigator.policies.fixed_order import FixedOrder, best_order
from rlstir_core.investigator.policies.greedy import Greedy, fit_greedy
from rlstir_core.investigator.policies.learned_greedy import LearnedGreedy, Learning, fit_learned_greedy
from rlstir_core.investigator.policies.oracles import EvidenceOracle, LabelOracle
from rlstir_core.investigator.policies.playbook import STAGES, Playbook
from rlstir_core.investigator.policies.probing import declared, experience, gains, run, then_declared
from rlstir_core.investigator.policies.reading import Numbers, Parts
from rlstir_core.investigator.policies.simple import AllAtOnce, CheapestFirst, NoQuery, RandomLegal
from rlstir_core.investigator.policies.stopping import Stopping, StopRule, tuned

PRICE = 0.02


class Tried(TableLanes):
    """Table lanes that hide their short cuts, so that everything is tried and gone back from."""

    foreseen = if_declared = None  # type: ignore[assignment]


@pytest.fixture
def lanes(table: Table, classifier: Classifier) -> TableLanes:
    return TableLanes(table, classifier, n_lanes=96, price=PRICE, most=4)


@pytest.fixture(scope="session")
def fitted(table: Table, classifier: Classifier) -> dict[str, Policy]:
    lanes = TableLanes(table, classifier, n_lanes=96, price=PRICE, most=4)
    learning = Learning(hidden=16, rounds=1, steps=16, epochs=10, batch=256, learning_rate=1e-2)
    return {
        "fixed_order": best_order(lanes.reads, lanes, price=PRICE, seed=0, longest=3),
        "greedy": fit_greedy(lanes.reads, lanes, seed=0, tell=str, steps=16, rounds=1),
        "learned_greedy": fit_learned_greedy(
            lanes.reads, lanes, price=PRICE, seed=0, tell=str, learning=learning, check=lanes
        ),
    }


def test_what_is_foreseen_is_what_trying_finds_and_trying_leaves_no_trace(
    table: Table, classifier: Classifier, lanes: TableLanes
) -> None:
    tried = Tried(table, classifier, n_lanes=96, price=PRICE, most=4)
    for each in (tried, lanes):
        seen_BO, legal_BA = each.reset(3)
        for _ in range(2):
            seen_BO, legal_BA, _, done_B, _ = each.step(RandomLegalOf(5).act(seen_BO, legal_BA))
    before = tried.state()
    np.testing.assert_allclose(gains(tried, legal_BA, PRICE), gains(lanes, legal_BA, PRICE), atol=1e-5)
    np.testing.assert_allclose(declared(tried), declared(lanes), atol=1e-6)
    assert not done_B.any() and (legal_BA[:, :-1].sum(1) == 2).all()
    for name, array in tried.state().items():
        np.testing.assert_array_equal(array, before[name])
    then_declared(lanes, np.full(96, 4))
    np.testing.assert_array_equal(lanes.state()["answer_BK"], before["answer_BK"])


class RandomLegalOf(RandomLegal):
    def __init__(self, seed: int) -> None:
        self.begin(seed)


def test_experience_of_own_steps_alone_agrees_with_what_was_foreseen(lanes: TableLanes) -> None:
    all_, own = (experience(RandomLegal(), lanes, price=PRICE, seed=1, steps=5, tries=n) for n in (1, 0))
    np.testing.assert_array_equal(all_.seen_NO, own.seen_NO)
    known_NA = ~np.isnan(own.gain_NA)
    assert (known_NA.sum(1) == 1).all()
    np.testing.assert_allclose(own.gain_NA[known_NA], all_.gain_NA[known_NA], atol=1e-5)


def test_the_simple_ones_do_what_their_names_say(lanes: TableLanes) -> None:
    assert (run(NoQuery(), lanes, 0).cost_B == 0).all()
    everything = run(AllAtOnce(lanes.reads), lanes, 0)
    assert (everything.cost_B == 6).all() and (everything.steps_B == 4).all()
    cheapest = run(Stopping(CheapestFirst(lanes.reads), lanes.reads, StopRule(by="cost", threshold=3)), lanes, 0)
    assert (cheapest.cost_B == 3).all()
    one, same, other = (run(RandomLegal(), lanes, seed).return_B for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert everything.return_B.mean() + 6 * PRICE > run(NoQuery(), lanes, 0).return_B.mean() + 0.2


def test_the_best_order_leaves_dear_noise_to_the_end(fitted: dict[str, Policy]) -> None:
    order = fitted["fixed_order"]
    assert isinstance(order, FixedOrder)
    assert sorted(order.order) == [0, 1, 2] and order.order[0] in (1, 2)


READS = Parts(("a", "b", "STOP"), np.array([1, 2, 0], np.float32), belief=slice(0, 1), asked=slice(1, 3), log_scale=4.0)


def seen(a: int, b: int, risk: float = 0.5) -> Numbers:
    return np.array([[risk, np.log1p(a) / 4, np.log1p(b) / 4]], np.float32)


def test_an_order_asks_for_second_pages_and_goes_back_to_what_has_become_legal() -> None:
    order = FixedOrder(READS, [0, 1, 0])
    all_legal, closed = np.ones((1, 3), bool), np.array([[True, False, True]])
    assert order.act(seen(0, 0), all_legal) == 0
    assert order.act(seen(1, 0), all_legal) == 1
    assert order.act(seen(1, 0), closed) == 0
    assert order.act(seen(2, 0), closed) == 2
    assert order.act(seen(2, 0), all_legal) == 1
    assert order.act(seen(2, 1), all_legal) == 2
    assert FixedOrder(READS, []).act(seen(0, 0), all_legal) == 2


@pytest.mark.parametrize("name", ["fixed_order", "greedy", "learned_greedy"])
def test_a_tuned_rule_earns_what_was_measured_and_no_less_than_none(
    name: str, fitted: dict[str, Policy], lanes: TableLanes
) -> None:
    stopping, earned = tuned(fitted[name], lanes.reads, lanes, 5)
    assert run(stopping, lanes, 5).return_B.mean() == pytest.approx(earned, abs=1e-5)
    assert earned >= run(fitted[name], lanes, 5).return_B.mean() - 1e-6
    assert earned > run(NoQuery(), lanes, 5).return_B.mean() + 0.1


@pytest.mark.parametrize("name", ["greedy", "learned_greedy"])
def test_what_is_expected_is_more_of_a_telling_column_than_of_noise(
    name: str, fitted: dict[str, Policy], lanes: TableLanes
) -> None:
    policy = fitted[name]
    assert isinstance(policy, Greedy | LearnedGreedy)
    seen_BO, legal_BA = lanes.reset(0)
    expected_A = policy.expected(seen_BO, legal_BA)[0]
    assert expected_A[1:3].min() > expected_A[3] + 0.02 and expected_A[4] == 0
    assert np.isneginf(policy.expected(seen_BO, ~legal_BA)).all()
    assert policy.most_expected(seen_BO, legal_BA)[0] == expected_A[1:3].max()


@pytest.mark.parametrize("name", ["fixed_order", "greedy", "learned_greedy"])
def test_a_fitted_policy_comes_back_from_its_file(
    name: str, fitted: dict[str, Policy], lanes: TableLanes, tmp_path: Path
) -> None:
    path, rule = tmp_path / "policy.safetensors", StopRule(by="margin", threshold=0.3)
    save_fitted(Stopping(fitted[name], lanes.reads, rule), path, key="here")
    found = load_fitted(path, lanes.reads, key="here", width=lanes.width)
    assert found.rule == rule and found.name == name
    seen_BO, legal_BA = lanes.reset(0)
    np.testing.assert_array_equal(found.act(seen_BO, legal_BA), fitted[name].act(seen_BO, legal_BA))
    for wrong in ({"key": "there", "width": lanes.width}, {"key": "here", "width": lanes.width + 1}):
        if name != "fixed_order" or wrong["key"] == "there":
            with pytest.raises(CheckpointError, match="fit it again"):
                load_fitted(path, lanes.reads, **wrong)  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match="fit it again"):
        load_fitted(path, lanes.reads, key="here", width=lanes.width)


def test_the_playbook_triages_then_closes_or_follows_the_risk() -> None:
    names = tuple(dict.fromkeys(name for stage in STAGES for name in stage.queries))
    n = len(names)
    reads = Parts((*names, "STOP"), np.ones(n + 1, np.float32), belief=slice(0, 1), asked=slice(1, n + 1))
    playbook, legal = Playbook(reads), np.ones((1, n + 1), bool)

    def asks(risk: float) -> list[str]:
        state, found = np.zeros((1, n + 1), np.float32), []
        state[0, 0] = risk
        while (action := int(playbook.act(state, legal)[0])) != n:
            found.append(names[action])
            state[0, 1 + action] += 1
        return found

    assert asks(0.99) == asks(0.001) == list(STAGES[0].queries)
    assert asks(0.1) == [*STAGES[0].queries, *STAGES[1].queries]
    assert asks(0.5) == [name for stage in STAGES for name in stage.queries]
    assert "log_gap_scan" not in asks(0.9) and "autoruns" in asks(0.9)
    with pytest.raises(ConfigError, match="autoruns"):
        Playbook(READS, STAGES[2:3])


class TwoQueries:
    """Peeks of one lane."""

    costs_A = np.array([1, 4, 0], np.float32)

    def __init__(self, techniques: list[float], rows: list[float]) -> None:
        self.techniques, self.rows = np.array([techniques], np.float32), np.array([rows], np.float32)

    def new_techniques(self, legal_BA: Legal) -> Numbers:
        return self.techniques

    def new_rows(self, legal_BA: Legal) -> Numbers:
        return self.rows


def test_the_label_oracle_earns_more_than_any_policy_that_sees_no_labels(
    fitted: dict[str, Policy], lanes: TableLanes
) -> None:
    oracle, earned = tuned(LabelOracle(lanes, PRICE), lanes.reads, lanes, 5)
    assert oracle.name == "label_oracle"
    assert earned > max(tuned(policy, lanes.reads, lanes, 5)[1] for policy in fitted.values()) + 0.02


def test_the_evidence_oracle_takes_most_per_cost_and_rows_where_no_evidence_is_one_query_away() -> None:
    legal = np.ones((1, 3), bool)
    nothing = np.zeros((1, 1), np.float32)
    assert EvidenceOracle(TwoQueries([0, 1], [8, 0])).act(nothing, legal) == 1
    assert EvidenceOracle(TwoQueries([0, 0], [1, 8])).act(nothing, legal) == 1
    assert EvidenceOracle(TwoQueries([0, 0], [2, 7])).act(nothing, legal) == 0
    assert EvidenceOracle(TwoQueries([2, 2], [0, 0])).act(nothing, np.array([[False, False, True]])) == 2
