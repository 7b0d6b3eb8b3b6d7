"""CartPole-v1 as lanes: gymnasium's physics, many poles at once; cut off after 500 steps, which is no end.

What does not belong here: measuring (`ppo.py`).
"""

# B lanes
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.lanes import Actions, Cut, Legal, Observed, Stepped

_GRAVITY, _POLE_MASS, _TOTAL_MASS, _HALF_LENGTH, _FORCE, _TAU = 9.8, 0.1, 1.1, 0.5, 10.0, 0.02
_FAR, _TILTED = 2.4, 12 * 2 * np.pi / 360
LONGEST = 500


class CartPole:
    """Poles that begin anew where they fell."""

    n_actions = 2
    width = 4
    costs_A = np.zeros(2, np.float32)

    def __init__(self, n_lanes: int) -> None:
        self.n_lanes = n_lanes
        self._legal_BA = np.ones((n_lanes, 2), np.bool_)
        self.age_B = np.zeros(n_lanes, np.int64)
        self.state_4B = np.zeros((4, n_lanes))
        self._chance = np.random.default_rng(0)

    def reset(self, seed: int) -> tuple[Observed, Legal]:
        self._chance = np.random.default_rng(seed)
        self._begin(np.ones(self.n_lanes, np.bool_))
        return self._seen(), self._legal_BA

    def step(self, action_B: Actions) -> Stepped:
        x, v, tilt, spin = self.state_4B
        force = np.where(action_B == 1, _FORCE, -_FORCE)
        sine, cosine = np.sin(tilt), np.cos(tilt)
        pushed = (force + _POLE_MASS * _HALF_LENGTH * spin * spin * sine) / _TOTAL_MASS
        spun = (_GRAVITY * sine - cosine * pushed) / (
            _HALF_LENGTH * (4.0 / 3.0 - _POLE_MASS * cosine * cosine / _TOTAL_MASS)
        )
        moved = pushed - _POLE_MASS * _HALF_LENGTH * spun * cosine / _TOTAL_MASS
        self.state_4B = np.stack((x + _TAU * v, v + _TAU * moved, tilt + _TAU * spin, spin + _TAU * spun))
        self.age_B += 1
        fallen_B = (np.abs(self.state_4B[0]) > _FAR) | (np.abs(self.state_4B[2]) > _TILTED)
        cut_B = ~fallen_B & (self.age_B >= LONGEST)
        done_B = fallen_B | cut_B
        cut = None
        if cut_B.any():
            lane_M = np.flatnonzero(cut_B)
            cut = Cut(lane_M, self.state_4B[:, lane_M].T.astype(np.float32))
        if done_B.any():
            self._begin(done_B)
        return Stepped(self._seen(), self._legal_BA, np.ones(self.n_lanes, np.float32), done_B, cut)

    def state(self) -> Mapping[str, NDArray[Any]]:
        chance = json.dumps(self._chance.bit_generator.state).encode()
        return {"age": self.age_B.copy(), "poles": self.state_4B.copy(), "chance": np.frombuffer(chance, np.uint8)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.age_B, self.state_4B = state["age"].copy(), state["poles"].copy()
        self._chance.bit_generator.state = json.loads(state["chance"].tobytes())

    def _begin(self, which_B: NDArray[np.bool_]) -> None:
        self.state_4B[:, which_B] = self._chance.uniform(-0.05, 0.05, (4, int(which_B.sum())))
        self.age_B[which_B] = 0

    def _seen(self) -> Observed:
        return np.ascontiguousarray(self.state_4B.T, np.float32)
