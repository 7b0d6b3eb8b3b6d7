"""The optimiser of PPO: weights that lie in one vector, stepped along derivatives that were worked out by hand.

What does not belong here: those derivatives (`ppo_policy.py`), and how long a step is (`ppo.py`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-5


class Adam:
    """Steps of alg. 1 of arXiv:1412.6980 on one vector; torch's own takes a second to load and longer for a step."""

    def __init__(self, weight_P: Tensor) -> None:
        self.weight_P = weight_P
        self.first_P, self.second_P = torch.zeros_like(weight_P), torch.zeros_like(weight_P)  # moments
        self.steps = 0

    def step(self, slope_P: Tensor, rate: float) -> None:
        self.steps += 1
        self.first_P.lerp_(slope_P, 1.0 - _BETA_1)
        self.second_P.mul_(_BETA_2).addcmul_(slope_P, slope_P, value=1.0 - _BETA_2)
        unbiased = math.sqrt(1.0 - _BETA_2**self.steps)  # taken out of the vectors, as the end of sec. 2 says
        spread_P = self.second_P.sqrt().add_(_EPSILON * unbiased)
        self.weight_P.addcdiv_(self.first_P, spread_P, value=-rate * unbiased / (1.0 - _BETA_1**self.steps))
