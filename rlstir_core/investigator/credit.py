"""Rewards that are paid when they are earned: what a query has made a declaration worth is paid with the query.

With the worth of declaring now as a potential, the rewards of a case still add up to what it returns, less what
declaring at once would have been worth, whatever was done (Ng, Harada and Russell 1999). So the best policy is the
same, and what a query was good for need not be guessed from an end that is twenty steps away. The worth is read from
the truth, so this is for training alone; no observation shows it. What does not belong here: what is paid in all
(`soc/`).
"""

# B lanes
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.lanes import Actions, Lanes, Legal, Observed, Stepped
from rlstir_core.investigator.policies.probing import SaysWorth

_NOW = "worth_now"


class WorthLanes(Lanes, SaysWorth, Protocol):
    """Lanes that say what declaring now would earn."""


class PaidAsEarned:
    """The same `lanes` but for when rewards are paid."""

    def __init__(self, lanes: WorthLanes) -> None:
        self._lanes = lanes
        self.n_lanes, self.n_actions = lanes.n_lanes, lanes.n_actions
        self.width, self.costs_A = lanes.width, lanes.costs_A
        self._now_B = np.zeros(lanes.n_lanes, np.float32)

    def reset(self, seed: int) -> tuple[Observed, Legal]:
        begun = self._lanes.reset(seed)
        self._now_B = self._lanes.if_declared()
        return begun

    def step(self, action_B: Actions) -> Stepped:
        stepped = self._lanes.step(action_B)
        then_B = self._lanes.if_declared()
        paid_B = stepped.reward_B + np.where(stepped.done_B, np.float32(0), then_B) - self._now_B
        self._now_B = then_B
        return stepped._replace(reward_B=paid_B)

    def state(self) -> Mapping[str, NDArray[Any]]:
        return {**self._lanes.state(), _NOW: self._now_B.copy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._now_B = np.asarray(state[_NOW], np.float32).copy()
        self._lanes.restore({name: each for name, each in state.items() if name != _NOW})
