"""Columns of any shape as numbers between 0 and 1: piecewise linear between quantiles of the train rows.

Heavy tails and columns that are mostly one value lose nothing so (Gorishniy et al. 2022, piecewise linear encoding).
What does not belong here: which columns are seen.
"""

# N rows, C columns, P pieces
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PIECES = 8


@dataclass(frozen=True)
class Encoding:
    """The edges of the pieces of each column; a piece without width says nothing."""

    edge_CP: NDArray[np.float64]  # (C, P + 1)

    def pieces(self, x_NC: NDArray[np.float64]) -> NDArray[np.float32]:
        """(N, C, P) how far each value is through each piece."""
        low_CP, width_CP = self.edge_CP[:, :-1], np.diff(self.edge_CP, axis=1)
        with np.errstate(over="ignore"):  # far beyond a very narrow piece
            through_NCP = np.asarray((x_NC[:, :, None] - low_CP) / np.where(width_CP > 0, width_CP, 1))
        return np.asarray(np.where(width_CP > 0, np.clip(through_NCP, 0, 1), 0), np.float32)

    def place(self, x_NC: NDArray[np.float64]) -> NDArray[np.float32]:
        """(N, C) where each value stands among the train rows, from -1 to 1."""
        used_C = np.maximum((np.diff(self.edge_CP, axis=1) > 0).sum(1), 1)
        return np.asarray(2 * self.pieces(x_NC).sum(2) / used_C - 1, np.float32)


def fit_encoding(x_NC: NDArray[np.float64]) -> Encoding:
    """Edges at the most frequent value and at quantiles of all others."""
    edges = np.empty((x_NC.shape[1], PIECES + 1))
    for k, x_N in enumerate(x_NC.T):
        value, count = np.unique(x_N, return_counts=True)
        often = value[count.argmax()]
        rest = x_N[x_N != often] if count.max() > len(x_N) / PIECES else x_N
        quantile = np.quantile(rest if len(rest) else x_N, np.linspace(0, 1, PIECES + 1 - (len(rest) < len(x_N))))
        found = np.unique([often, *quantile] if len(rest) < len(x_N) else quantile)
        edges[k] = np.pad(found, (0, PIECES + 1 - len(found)), mode="edge")
    return Encoding(edges)
