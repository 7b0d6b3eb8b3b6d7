"""Rewards that are paid when they are earned."""

import numpy as np
from soc_world import Listening, drawn_case

from rlstir_core.investigator.credit import PaidAsEarned
from rlstir_core.investigator.lanes import Lanes
from rlstir_core.investigator.queries.catalogue import STOP
from rlstir_core.investigator.soc.cases import CaseSet
from rlstir_core.investigator.soc.lanes import SocLanes
from rlstir_core.investigator.soc.reward import Rewards


def plain() -> SocLanes:
    return SocLanes(CaseSet([drawn_case(seed) for seed in range(6)]), Listening(), Rewards(), 90.0, 4)


def returns(lanes: Lanes, seed: int, steps: int = 60) -> np.ndarray:
    """Of the first case of each lane, along the same walk."""
    _, legal_BA = lanes.reset(seed)
    rng = np.random.default_rng(seed)
    total_B, over_B = np.zeros(lanes.n_lanes), np.zeros(lanes.n_lanes, np.bool_)
    for _ in range(steps):
        wish_BA = np.where(legal_BA, rng.random(legal_BA.shape), -1)
        wish_BA[:, STOP] *= 0.9
        stepped = lanes.step(wish_BA.argmax(axis=1))
        total_B += np.where(over_B, 0, stepped.reward_B)
        over_B |= stepped.done_B
        legal_BA = stepped.legal_BA
    assert over_B.all()
    return total_B


def test_a_case_returns_the_same_less_what_declaring_at_once_would_have() -> None:
    env = plain()
    env.reset(5)
    at_once_B = env.if_declared()
    np.testing.assert_allclose(returns(PaidAsEarned(plain()), 5), returns(plain(), 5) - at_once_B, atol=1e-5)


def test_declaring_is_paid_nothing_since_all_was_paid_before() -> None:
    env = PaidAsEarned(plain())
    _, legal_BA = env.reset(2)
    env.step(legal_BA[:, :STOP].argmax(axis=1))
    np.testing.assert_allclose(env.step(np.full(4, STOP)).reward_B, 0, atol=1e-6)


def test_an_interrupted_training_is_paid_on_as_if_it_had_not_been() -> None:
    env, later = PaidAsEarned(plain()), PaidAsEarned(plain())
    _, legal_BA = env.reset(3)
    legal_BA = env.step(legal_BA.argmax(axis=1)).legal_BA
    later.reset(9)
    later.restore(env.state())
    action_B = legal_BA.argmax(axis=1)
    np.testing.assert_array_equal(env.step(action_B).reward_B, later.step(action_B).reward_B)
