"""A toy as lanes: many of its cases side by side, by look-up in its tables.

Answers are drawn by what is believed in a state, which is the same as drawing a hypothesis first; a declaration costs
the Brier loss that is expected of it. What does not belong here: what is best (`exact.py`).
"""

# B lanes, S states, A actions (the last one is STOP), R answers, O numbers of an observation
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.lanes import Actions, Legal, Observed, Stepped
from rlstir_core.investigator.toys.tables import Tables, entropy

_BLOCK = 256  # steps whose chances are drawn at once


class ToyLanes:
    """Cases of one toy, each for at most `most_steps` steps, the last of which is a declaration whatever is asked."""

    def __init__(self, tables: Tables, n_lanes: int = 64, *, kappa: float = 0.0, most_steps: int = 64) -> None:
        toy = tables.toy
        self.n_lanes, self.n_actions, self.most_steps = n_lanes, len(toy.cost_Q) + 1, most_steps
        self.costs_A = np.append(toy.cost_Q, 0.0).astype(np.float32)
        self._seen_SO = tables.seen_SO
        self.width = self._seen_SO.shape[1]
        self._stop = self.n_actions - 1
        stop_S1 = np.ones((len(tables.attack_S), 1), np.bool_)
        self._legal_SA = np.concatenate((tables.legal_SQ, stop_S1), axis=1)
        self._limit_SQR = tables.chance_SQR.cumsum(2).astype(np.float32)
        self._limit_SQR[:, :, -1] = 2.0  # above every draw
        self._next_SQR = tables.next_SQR
        self._loss_S = (tables.attack_S * (1 - tables.attack_S)).astype(np.float32)
        self._price_A = (toy.price * self.costs_A).astype(np.float32)
        self._shaping_S = (-kappa * entropy(tables.attack_S)).astype(np.float32)
        self._lane_B = np.arange(n_lanes)
        self._seed, self._steps = 0, 0
        self._state_B, self._age_B = np.zeros(n_lanes, np.int64), np.zeros(n_lanes, np.int64)
        self._draw_TB = np.empty((_BLOCK, n_lanes), np.float32)

    def reset(self, seed: int) -> tuple[Observed, Legal]:
        self._seed, self._steps = seed, 0
        self._state_B[:], self._age_B[:] = 0, 0
        self._draw()
        return self._seen_SO[self._state_B], self._legal_SA[self._state_B]

    def step(self, action_B: Actions) -> Stepped:
        if self._steps % _BLOCK == 0 and self._steps:
            self._draw()
        draw_B = self._draw_TB[self._steps % _BLOCK]
        self._steps += 1
        self._age_B += 1
        state_B = self._state_B
        done_B = (action_B == self._stop) | (self._age_B >= self.most_steps)
        asks_B = self._legal_SA[state_B, action_B] & ~done_B
        query_B = np.where(asks_B, action_B, 0)
        answer_B = (draw_B[:, None] >= self._limit_SQR[state_B, query_B]).sum(1)
        next_B = np.where(asks_B, self._next_SQR[state_B, query_B, answer_B], state_B)
        after_B = np.where(done_B, np.float32(0.0), self._shaping_S[next_B])  # the potential is 0 at every end
        reward_B = after_B - self._shaping_S[state_B] - self._price_A[action_B] - done_B * self._loss_S[state_B]
        self._state_B = np.where(done_B, 0, next_B)
        self._age_B[done_B] = 0
        return Stepped(self._seen_SO[self._state_B], self._legal_SA[self._state_B], reward_B, done_B)

    def state(self) -> Mapping[str, NDArray[Any]]:
        return {"clock": np.array([self._seed, self._steps]), "state": self._state_B, "age": self._age_B}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._seed, self._steps = map(int, state["clock"])
        self._state_B, self._age_B = state["state"].copy(), state["age"].copy()
        self._draw()

    def _draw(self) -> None:
        """The chances of the block of steps that goes on, a function of the seed and the block's number."""
        chance = np.random.default_rng((self._seed, self._steps // _BLOCK))
        chance.random(out=self._draw_TB, dtype=np.float32)
