"""Chance that depends on where it is asked and not on how often: one draw for a seed, a lane, an episode and a thing.

So many lanes draw at once what one would draw alone, and nothing has to be kept. What does not belong here: what is
drawn for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GAMMA, _ONE, _TWO = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def mixed(key: NDArray[np.uint64], what: NDArray[Any]) -> NDArray[np.uint64]:
    """64 bits for each pair of a key and a number that is not negative (splitmix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = key + (what.astype(np.uint64) + np.uint64(1)) * np.uint64(_GAMMA)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(_ONE)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(_TWO)
        found: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return found


def mixed_one(key: int, what: int) -> int:
    """The same for one pair."""
    z = (key + (what + 1) * _GAMMA) & _MASK
    z = ((z ^ (z >> 30)) * _ONE) & _MASK
    z = ((z ^ (z >> 27)) * _TWO) & _MASK
    return z ^ (z >> 31)


def case_order(seed: int, first: int, n: int, n_cases: int) -> NDArray[np.int64]:
    """Which cases begin as number `first` and the n - 1 after it: each once, in an order of chance, then all again."""
    at = np.arange(first, first + n)
    found = np.empty(n, np.int64)
    for turn in np.unique(at // n_cases).tolist():
        here = at // n_cases == turn
        found[here] = _turn(seed, turn, n_cases)[at[here] % n_cases]
    return found


@lru_cache(maxsize=4)
def _turn(seed: int, turn: int, n_cases: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, turn]).permutation(n_cases)
