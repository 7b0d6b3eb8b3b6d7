"""Standardisation with the train slice's statistics; what is missing becomes 0 afterwards.

What does not belong here: causal normalisers (`telemetry/normalise.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
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


def fit_standardiser(blocks: Iterable[NDArray[np.float32]]) -> Standardiser:
    """A standardiser from train rows, (N, F) at a time; a column that never varies, or is never known, stays near 0.

    Blocks are merged by their means and squares about the mean (Chan, Golub and LeVeque 1979, eq. 2.1).
    """
    n_F, mean_F, square_F = np.zeros(1), np.zeros(1), np.zeros(1)
    for x_NF in blocks:
        known_NF = np.isfinite(x_NF)
        wide_NF = np.where(known_NF, x_NF, 0.0).astype(np.float64)
        more_F = known_NF.sum(axis=0)
        their_F = wide_NF.sum(axis=0) / np.maximum(more_F, 1)
        off_NF = np.where(known_NF, wide_NF - their_F, 0.0)
        total_F = np.maximum(n_F + more_F, 1)
        gap_F = their_F - mean_F
        square_F = square_F + np.einsum("nf,nf->f", off_NF, off_NF) + gap_F**2 * n_F * more_F / total_F
        mean_F = mean_F + gap_F * more_F / total_F
        n_F = n_F + more_F
    spread_F = np.sqrt(square_F / np.maximum(n_F, 1))
    floor_F = _MIN_SPREAD * np.maximum(1.0, np.abs(mean_F))
    spread_F = np.where(spread_F < floor_F, 1.0, spread_F)
    return Standardiser(mean_F.astype(np.float32), spread_F.astype(np.float32))
