"""What a step earns: it pays for asking, a little for becoming surer, and at the end for what is declared.

A step earns -price * cost + shaping * (phi(s') - phi(s)), where phi is the negative mean entropy of the frozen
detector's answers; phi is 0 at every end, so that the shaping of a whole case is -shaping * phi(s0), whatever was done
(Ng, Harada and Russell 1999 with a discount of 1). A declaration loses a proper score (Brier), under which saying what
one believes is best. What does not belong here: what is legal (`lanes.py`).
"""

# B lanes, K techniques
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Array
from rlstir_core.errors import ConfigError
from rlstir_core.investigator.soc.detecting import ATTACK, TAMPERED, TECHNIQUES

_SURELY = 1e-6  # entropies need no infinite logarithms


@dataclass(frozen=True, kw_only=True)
class Rewards:
    """The numbers of the reward."""

    price: float = 0.0005  # of a unit of cost
    shaping: float = 0.1
    attack: float = 1.0  # weight of the squared error of each probability that is declared
    tampered: float = 0.25
    techniques: float = 20.0  # of the mean over techniques, of which an attack has a few in 80

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < np.inf:
                raise ConfigError(f"rewards.{name} is {value}; it must be 0 or more")


def entropies(p_BK: Array) -> NDArray[np.float32]:
    """The entropy of each probability, in bits. (B, K)"""
    p_BK = np.clip(p_BK, _SURELY, 1 - _SURELY)
    found: NDArray[np.float32] = -(p_BK * np.log2(p_BK) + (1 - p_BK) * np.log2(1 - p_BK))
    return found


def potential(entropy_BK: Array) -> NDArray[np.float32]:
    """phi of answers with these entropies; ends have none, theirs is 0. (B,)"""
    found: NDArray[np.float32] = -entropy_BK.mean(axis=1)
    return found


def declared(rewards: Rewards, p_BK: Array, truth_BK: Array) -> NDArray[np.float32]:
    """What declaring these answers earns: 0 at best. Answers of which no truth is known (NaN) count nothing. (B,)"""
    error_BK = (p_BK - truth_BK) ** 2
    error_BK[np.isnan(error_BK)] = 0
    earned: NDArray[np.float32] = -(
        rewards.attack * error_BK[:, ATTACK]
        + rewards.tampered * error_BK[:, TAMPERED]
        + rewards.techniques * error_BK[:, TECHNIQUES:].mean(axis=1)
    )
    return earned
