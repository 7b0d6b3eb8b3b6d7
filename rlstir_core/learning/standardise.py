"""Standardisation with the train slice's statistics; what is missing becomes 0 afterwards.

What does not belong here: causal normalisers (`telemetry/normalise.py`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# N rows, F columns
_CLIP = 8.0
_MIN_SPREAD = 1e-3


@dataclass(frozen=True)
class Standardiser:
    """Mean and spread of each column, (F,)."""

    mean_F: NDArray[np.float32]
    spread_F: NDArray[np.float32]

    def __call__(self, x_NF: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardised rows, clipped, 0 where missing; (N, F) -> (N, F)."""
        z_NF = np.clip((x_NF - self.mean_F) / self.spread_F, -_CLIP, _CLIP)
        return np.nan_to_num(z_NF, copy=False)


def fit_standardiser(x_NF: NDArray[np.float32]) -> Standardiser:
    """A standardiser from train rows; a column that never varies, or is never known, is left near 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any known value
        mean_F = np.nan_to_num(np.nanmean(x_NF, axis=0, dtype=np.float64))
        spread_F = np.nan_to_num(np.nanstd(x_NF, axis=0, dtype=np.float64))
    floor_F = _MIN_SPREAD * np.maximum(1.0, np.abs(mean_F))
    spread_F = np.where(spread_F < floor_F, 1.0, spread_F)
    return Standardiser(mean_F.astype(np.float32), spread_F.astype(np.float32))
