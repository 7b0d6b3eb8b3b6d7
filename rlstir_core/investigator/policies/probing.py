"""What cases would be worth if they ended now, or after one more query: by trying it and going back.

Training and oracles ask so; a policy that is judged never holds lanes. With a potential that is 0 at every end the
shaping terms cancel in these differences, so a gain is the drop of the terminal loss alone. What does not belong here:
who uses it, and for what.
"""

# B lanes, A actions (the last one is STOP)
from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.lanes import Actions, Lanes, Legal, Observed, Policy
from rlstir_core.investigator.policies.reading import Numbers

_MOST_STEPS = 100_000


def stops(lanes: Lanes) -> Actions:
    return np.full(lanes.n_lanes, lanes.n_actions - 1, np.int64)


@runtime_checkable
class SaysWorth(Protocol):
    """Lanes that can say what declaring now would earn, without doing it."""

    def if_declared(self) -> Numbers:
        """(B,) the reward that STOP would have now."""
        ...


@runtime_checkable
class LooksAhead(SaysWorth, Protocol):
    """Lanes that can also say what one more action and a declaration after it would earn, without doing them."""

    def then_declared(self, action_B: Actions) -> Numbers:
        """(B,) the sum of both rewards."""
        ...


def declared(lanes: Lanes) -> Numbers:
    """The reward of declaring now, of each lane; the lanes are left as they were. (B,)"""
    if isinstance(lanes, SaysWorth):
        return lanes.if_declared()
    state = lanes.state()
    reward_B = lanes.step(stops(lanes)).reward_B.copy()
    lanes.restore(state)
    return reward_B


def then_declared(lanes: Lanes, action_B: Actions) -> Numbers:
    """The rewards of one more action and of declaring afterwards; the lanes are left as they were. (B,)"""
    if isinstance(lanes, LooksAhead):
        return lanes.then_declared(action_B)
    state = lanes.state()
    first = lanes.step(action_B)
    reward_B, done_B = first.reward_B.copy(), first.done_B.copy()
    reward_B += np.where(done_B, 0, lanes.step(stops(lanes)).reward_B)
    lanes.restore(state)
    return reward_B


@runtime_checkable
class Foresees(Protocol):
    """Lanes that can say what every query would give without going there."""

    def foreseen(self) -> Numbers:
        """(B, A - 1) as `gains` finds it by trying; NaN where a query is not legal."""
        ...


def gains(lanes: Lanes, legal_BA: Legal, price: float, tried_BA: Legal | None = None) -> Numbers:
    """How much each legal query would lower the terminal loss, before its own cost; NaN where it was not tried.

    `price` is what a unit of cost takes from the reward; `tried_BA` says which queries are of interest. (B, A - 1)
    """
    asked_BA = legal_BA[:, :-1] if tried_BA is None else legal_BA[:, :-1] & tried_BA[:, :-1]
    if isinstance(lanes, Foresees):
        return np.where(asked_BA, lanes.foreseen(), np.nan)
    found_BA = np.full(asked_BA.shape, np.nan, np.float32)
    now_B = declared(lanes)
    # the k-th query of interest of every lane at once: as many tries as the most that one lane has
    rank_BA = np.where(asked_BA, asked_BA.cumsum(1), 0)
    for k in range(1, int(rank_BA.max(initial=0)) + 1):
        lane_b, query_b = np.nonzero(rank_BA == k)
        action_B = stops(lanes)
        action_B[lane_b] = query_b
        gain_B = then_declared(lanes, action_B) - now_B + price * lanes.costs_A[action_B]
        found_BA[lane_b, query_b] = gain_B[lane_b]
    return found_BA


@dataclass(frozen=True)
class Ran:
    """The first case of each lane, run to its end."""

    return_B: Numbers
    cost_B: Numbers
    steps_B: NDArray[np.int64]  # STOP counts


def run(policy: Policy, lanes: Lanes, seed: int) -> Ran:
    """Runs one case in every lane until it has declared."""
    policy.begin(seed)
    seen_BO, legal_BA = lanes.reset(seed)
    return_B, cost_B = np.zeros((2, lanes.n_lanes), np.float32)
    steps_B = np.zeros(lanes.n_lanes, np.int64)
    alive_B = np.ones(lanes.n_lanes, bool)
    for _ in range(_MOST_STEPS):
        action_B = policy.act(seen_BO, legal_BA)
        stepped = lanes.step(action_B)
        return_B += np.where(alive_B, stepped.reward_B, 0)
        cost_B += np.where(alive_B, lanes.costs_A[action_B], 0)
        steps_B += alive_B
        alive_B &= ~stepped.done_B
        if not alive_B.any():
            return Ran(return_B=return_B, cost_B=cost_B, steps_B=steps_B)
        seen_BO, legal_BA = stepped.seen_BO, stepped.legal_BA
    raise RuntimeError(f"a case did not end within {_MOST_STEPS} steps")


@dataclass(frozen=True)
class Experience:
    """What queries gave where they were tried. N states."""

    seen_NO: Observed
    gain_NA: Numbers  # (N, A - 1) drops of the terminal loss; NaN where it was not tried


def experience(policy: Policy, lanes: Lanes, *, price: float, seed: int, steps: int, tries: int) -> Experience:
    """At every step of `policy`, `tries` random legal queries of each lane are tried; then the policy's own is taken.

    Lanes that foresee try everything. Without tries, only what the policy does itself is measured, and nothing is ever
    gone back to, which is cheapest where states are large. Where cases end within the run the next ones begin, so the
    tries lie where the policy goes.
    """
    rng = np.random.default_rng([seed, 1])
    policy.begin(seed)
    seen_BO, legal_BA = lanes.reset(seed)
    seen, gained = [], []
    for _ in range(steps):
        chance_BA = np.where(legal_BA, rng.random(legal_BA.shape, np.float32), 2)
        chance_BA[:, -1] = 2
        few_BA = None if isinstance(lanes, Foresees) else chance_BA.argsort(1).argsort(1) < tries
        gain_BA = np.full(legal_BA[:, :-1].shape, np.nan, np.float32)
        if tries:
            gain_BA = gains(lanes, legal_BA, price, few_BA)
        open_B = legal_BA[:, :-1].any(1)
        action_B = policy.act(seen_BO, legal_BA)
        now_B = declared(lanes)
        stepped = lanes.step(action_B)
        then_B = np.where(stepped.done_B, 0, declared(lanes))
        asks_B = action_B < lanes.n_actions - 1
        own_B = stepped.reward_B + then_B - now_B + price * lanes.costs_A[action_B]
        gain_BA[asks_B, action_B[asks_B]] = own_B[asks_B]
        seen.append(seen_BO[open_B])
        gained.append(gain_BA[open_B])
        seen_BO, legal_BA = stepped.seen_BO, stepped.legal_BA
    return Experience(np.concatenate(seen), np.concatenate(gained))
