"""Draws from the ranges that actions name.

What does not belong here: what they are drawn for.
"""

from __future__ import annotations

import numpy as np

KB = 1024


def draw(rng: np.random.Generator, pair: tuple[float, float]) -> float:
    """A uniform draw from a range, to the millionth."""
    return round(pair[0] + (pair[1] - pair[0]) * float(rng.random()), 6)


def n_bytes(rng: np.random.Generator, kb: tuple[float, float]) -> int:
    """A uniform draw from a range in KiB, in bytes."""
    return int(draw(rng, kb) * KB)
