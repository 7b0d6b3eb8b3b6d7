"""Toys: the optimum is what brute force finds, lanes pay what the tables say, and the reward cannot be farmed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import permutations, product

import numpy as np
import pytest

from rlstir_core.errors import ConfigError
from rlstir_core.investigator.toys.exact import Solved, fixed_order, greedy, solved
from rlstir_core.investigator.toys.games import TOYS
from rlstir_core.investigator.toys.lanes import ToyLanes
from rlstir_core.investigator.toys.tables import tables_of
from rlstir_core.investigator.toys.toy import Toy

SHAPED = ("independent", "pointer", "branch2")


def tiny(after: tuple[int, ...] = (-1, -1)) -> Toy:
    """Two queries: one says where the evidence lies, and a little of the verdict; the other looks in one place."""
    return Toy(
        name="tiny",
        prior_H=np.array([0.3, 0.25, 0.2, 0.25]),
        attack_H=np.array([False, False, True, True]),
        places=(np.array([0, 1, 0, 1]),),
        chance_HQR=np.array(
            [[[0.9, 0.1], [0.8, 0.2]], [[0.3, 0.7], [0.6, 0.4]], [[0.8, 0.2], [0.1, 0.9]], [[0.1, 0.9], [0.6, 0.4]]]
        ),
        cost_Q=np.array([1.0, 2.0]),
        after_Q=after,
        price=0.01,
    )


@cache
def toy(name: str, kappa: float = 0.0, *, end_is_0: bool = True) -> Solved:
    return solved(tables_of(TOYS[name]()), kappa=kappa, end_is_0=end_is_0)


def earned_by_hand(the: Toy, policy: dict[tuple[int, ...], int]) -> float:
    """What a policy (from answers to an action) earns: every hypothesis and every answer followed one by one."""
    earned = 0.0
    for h, prior in enumerate(the.prior_H):
        waiting = [(float(prior), (0,) * len(the.cost_Q), 0.0)]
        while waiting:
            chance, answers, cost = waiting.pop()
            action = policy[answers]
            if action == len(the.cost_Q):
                weight_H = the.prior_H.copy()
                for q, answer in enumerate(answers):
                    weight_H *= the.chance_HQR[:, q, answer - 1] if answer else 1.0
                said = weight_H[the.attack_H].sum() / weight_H.sum()
                earned -= chance * (cost * the.price + (said - the.attack_H[h]) ** 2)
                continue
            for answer, given in enumerate(the.chance_HQR[h, action], 1):
                after = (*answers[:action], answer, *answers[action + 1 :])
                waiting.append((chance * given, after, cost + the.cost_Q[action]))
    return earned


@pytest.mark.parametrize(("after", "n"), [((-1, -1), 48), ((-1, 0), 8)])
def test_the_optimum_is_the_best_of_all_policies_tried_one_by_one(after: tuple[int, ...], n: int) -> None:
    the = solved(tables_of(tiny(after)))
    states = [tuple(map(int, answers)) for answers in the.tables.answer_SQ]
    legal = [[*np.flatnonzero(row), len(row)] for row in the.tables.legal_SQ]
    earned = []
    for choice in product(*legal):
        earned.append(earned_by_hand(the.tables.toy, dict(zip(states, map(int, choice), strict=True))))
        assert the.worth(np.array(choice))[0] == pytest.approx(earned[-1])
    assert len(earned) == n
    assert the.best_SA[0].max() == pytest.approx(max(earned))
    assert the.score(max(earned)) == pytest.approx(1.0)


def test_the_best_fixed_order_is_the_best_of_all_orders_tried_one_by_one() -> None:
    the = toy("branch2")
    tables = the.tables

    def worth(order: tuple[int, ...], state: int) -> float:
        if not order:
            return float(the.stop_S[state])
        query, rest = order[0], order[1:]
        if not tables.legal_SQ[state, query]:
            return worth(rest, state)
        chances = zip(tables.chance_SQR[state, query], tables.next_SQR[state, query], strict=True)
        ahead = sum(p * worth(rest, int(after)) for p, after in chances if p > 0)
        return max(float(the.stop_S[state]), float(the.ask_SQ[state, query]) + ahead)

    best, order = fixed_order(the)
    assert the.score(worth(order, 0)) == pytest.approx(best)
    assert max(the.score(worth(each, 0)) for each in permutations((0, 1, 3, 4), 4)) <= best + 1e-12
    short = solved(tables_of(tiny()))
    assert fixed_order(short)[0] == pytest.approx(
        max(short.score(_worth_of_two(short, order)) for order in permutations((0, 1)))
    )


def _worth_of_two(the: Solved, order: tuple[int, ...]) -> float:
    """The best of both stops of an order of two queries."""
    worth_S = the.stop_S.copy()
    for query in reversed(order):
        ahead_S = the.ask_SQ[:, query] + (the.tables.chance_SQR * worth_S[the.tables.next_SQR])[:, query].sum(1)
        worth_S = np.where(the.tables.legal_SQ[:, query], np.maximum(the.stop_S, ahead_S), worth_S)
    return float(worth_S[0])


def test_greedy_is_almost_best_on_independent_evidence_and_falls_short_where_evidence_is_hidden() -> None:
    assert greedy(toy("independent"))[0] > 0.97
    assert greedy(toy("pointer"))[0] < 0.75
    score, choice = greedy(toy("branch2"))
    assert score < 0.75
    assert toy("branch2").score(float(toy("branch2").worth(choice)[0])) == score
    assert fixed_order(toy("branch2"))[0] < 0.75


def test_lanes_pay_what_the_tables_say() -> None:
    the, n = toy("branch2"), 4_000
    lanes = ToyLanes(the.tables, n, kappa=0.3)
    choice_S = the.best_SA.argmax(1)
    seen, legal = lanes.reset(3)
    known = {row.tobytes(): state for state, row in enumerate(the.tables.seen_SO)}
    total_B, going_B = np.zeros(n), np.ones(n, np.bool_)
    while going_B.any():
        stepped = lanes.step(choice_S[[known[row.tobytes()] for row in seen]])
        total_B += stepped.reward_B * going_B
        going_B &= ~stepped.done_B
        seen, legal = stepped.seen_BO, stepped.legal_BA
        assert legal[:, -1].all()
    # the shaping pays every case the entropy that it began with, one bit
    assert total_B.mean() - 0.3 == pytest.approx(the.best_SA[0].max(), abs=4 * total_B.std() / n**0.5)


def test_lanes_go_on_from_their_state_as_if_they_had_not_stopped() -> None:
    first, second = ToyLanes(toy("pointer").tables, 5), ToyLanes(toy("pointer").tables, 5)
    chance = np.random.default_rng(0)
    actions = chance.integers(8, size=(600, 5))
    first.reset(7)
    for action_B in actions[:300]:
        first.step(action_B)
    second.restore({name: each.copy() for name, each in first.state().items()})
    for action_B in actions[300:]:
        for one, other in zip(first.step(action_B)[:4], second.step(action_B)[:4], strict=True):
            assert np.array_equal(one, other)


def test_what_is_not_legal_costs_and_changes_nothing_and_the_last_step_declares() -> None:
    lanes = ToyLanes(toy("branch2").tables, 2, most_steps=3)
    seen, legal = lanes.reset(0)
    assert not legal[0, 3]  # an end of a branch that nothing has opened
    for step in range(3):
        stepped = lanes.step(np.array([3, 3]))
        assert np.array_equal(stepped.seen_BO, seen)
        assert stepped.done_B.tolist() == [step == 2] * 2
        assert stepped.reward_B == pytest.approx(-0.014 * 2.0 - (0.25 if step == 2 else 0.0))


@pytest.mark.parametrize("name", SHAPED)
@pytest.mark.parametrize("kappa", [0.1, 0.3, 1.0])
def test_shaping_leaves_the_best_actions_of_every_state_as_they_were(name: str, kappa: float) -> None:
    plain, shaped = toy(name), toy(name, kappa)

    def best(the: Solved) -> np.ndarray:
        return the.best_SA >= the.best_SA.max(1, keepdims=True) - 1e-9

    assert np.array_equal(best(plain), best(shaped))
    assert shaped.best_SA[0].max() == pytest.approx(plain.best_SA[0].max() + kappa)  # it began with one bit
    # the check can fail: a potential that stays at the end moves the optimum
    assert kappa < 1 or not np.array_equal(best(plain), best(toy(name, kappa, end_is_0=False)))


@pytest.mark.parametrize("name", SHAPED)
@pytest.mark.parametrize("kappa", [0.0, 0.1, 1.0])
def test_repeating_paging_and_stalling_earn_nothing(name: str, kappa: float) -> None:
    the = toy(name, kappa)
    for query in np.flatnonzero(the.tables.legal_SQ[0]):
        once = the.plan((int(query),))
        assert once == pytest.approx(the.worth(_only(the, int(query)))[0])
        assert the.plan((int(query),) * 2) < once
        assert the.plan((int(query),) * 63) < the.plan(())  # until it is stopped
    if name == "branch2":
        for pages in ((0,), (0, 1), (0, 1, 2)):  # what opens doors, without looking behind them
            assert the.plan(pages) < the.plan(())
        assert the.plan((6,) * 63) < the.plan(())  # a door that is closed


def _only(the: Solved, query: int) -> np.ndarray:
    choice_S = np.full(len(the.stop_S), len(the.tables.toy.cost_Q))
    choice_S[0] = query
    return choice_S


@pytest.mark.parametrize("name", SHAPED)
def test_a_detector_that_grows_too_sure_earns_nothing_by_it(name: str) -> None:
    calibrated = toy(name, 1.0)
    asked_S = (calibrated.tables.answer_SQ > 0).sum(1)
    p_S = np.clip(calibrated.tables.attack_S, 1e-6, 1 - 1e-6)
    said_S = 1 / (1 + np.exp(-(np.log(p_S / (1 - p_S)) * 2 + 0.5 * asked_S)))
    sure = solved(calibrated.tables, kappa=1.0, said_S=said_S)
    farmed = solved(calibrated.tables, kappa=1.0, said_S=said_S, end_is_0=False)
    assert (sure.stop_S[0], sure.plan(())) == pytest.approx((calibrated.stop_S[0],) * 2)
    assert sure.best_SA[0].max() < calibrated.best_SA[0].max()
    rng = np.random.default_rng(1)
    for _ in range(20):
        legal_SA = np.isfinite(sure.best_SA)
        choice_S = (rng.random(legal_SA.shape) * legal_SA).argmax(1)
        assert sure.worth(choice_S)[0] <= calibrated.worth(choice_S)[0] + 1e-12
    if name == "branch2":  # two queries that say nothing of the verdict, after which the detector is sure
        assert sure.plan((0, 1)) < sure.plan(())
        assert farmed.plan((0, 1)) > farmed.plan(())  # so the check can fail


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"price": 0.0}, "costs nothing"),
        ({"after_Q": (1, -1)}, "waits for a later one"),
        ({"prior_H": np.array([0.5, 0.5])}, "one probability for each of 4"),
        ({"chance_HQR": np.full((4, 2, 2), 0.4)}, "do not sum to 1"),
    ],
)
def test_a_toy_that_cannot_be_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        replace(tiny(), **change)
