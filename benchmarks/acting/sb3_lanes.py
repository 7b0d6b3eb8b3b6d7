"""Lanes as Stable-Baselines3's vectorised environment, so that both sides of a comparison step the same one.

What does not belong here: measuring (`ppo.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from rlstir_core.investigator.lanes import Lanes


class LanesVecEnv(VecEnv):
    """All lanes of one environment."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.legal = np.ones((lanes.n_lanes, lanes.n_actions), np.bool_)
        seen = spaces.Box(-np.inf, np.inf, (lanes.width,), np.float32)
        super().__init__(lanes.n_lanes, seen, spaces.Discrete(lanes.n_actions))
        self.begin = 0
        self.actions = np.zeros(lanes.n_lanes, np.int64)

    def seed(self, seed: int | None = None) -> list[int | None]:
        self.begin = seed or 0
        return [seed] * self.num_envs

    def reset(self) -> np.ndarray:
        seen, self.legal = self.lanes.reset(self.begin)
        return seen

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        stepped = self.lanes.step(self.actions)
        self.legal = stepped.legal_BA
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if stepped.cut is not None:
            for lane, seen in zip(*stepped.cut, strict=True):
                infos[lane] = {"terminal_observation": seen, "TimeLimit.truncated": True}
        return stepped.seen_BO, stepped.reward_B, stepped.done_B, infos

    def close(self) -> None: ...

    def has_attr(self, attr_name: str) -> bool:
        return attr_name == "action_masks"

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [None] * self.num_envs  # no way to draw it, and nothing else to say

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise AttributeError(f"{attr_name} cannot be set: the lanes are one environment and have no attributes a lane")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        assert method_name == "action_masks"
        return list(self.legal)

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs
