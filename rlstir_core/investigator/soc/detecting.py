"""What the environment needs of the frozen detector, and one that needs no training.

What does not belong here: the detector that is learnt (`belief/`).
"""

# B lanes, M rows that are revealed now, D numbers of a row, K techniques
from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Array, Ints

ATTACK, TAMPERED, TECHNIQUES = 0, 1, 2  # places among the answers; techniques from there on


class EvidencePool(Protocol):
    """What a detector has gathered in each lane; rows are added once."""

    def clear(self, lane_M: Ints) -> None:
        """These lanes begin anew."""
        ...

    def add(self, lane_M: Ints, tree_M: Ints, vector_MD: Array) -> None:
        """Rows that are revealed now; trees are numbers below `most_trees`."""
        ...

    def answers(self) -> NDArray[np.float32]:
        """Probabilities: attack, tampered, techniques. (B, 2 + K)"""
        ...

    def foreseen(self, lane_M: Ints, tree_M: Ints, vector_MD: Array) -> NDArray[np.float32]:
        """What the answers would be if these rows were added; nothing is. (B, 2 + K)"""
        ...


class FrozenDetector(Protocol):
    """Says from revealed rows what happened; it does not change while policies learn."""

    @property
    def width(self) -> int:
        """D, numbers of a row."""
        ...

    @property
    def n_answers(self) -> int:
        """2 + K."""
        ...

    def pool(self, n_lanes: int, most_trees: int) -> EvidencePool: ...


class ConstantDetector:
    """Always says the same, whatever is revealed."""

    def __init__(self, answers: NDArray[np.float32], width: int) -> None:
        self._answers = np.asarray(answers, np.float32)
        self.width, self.n_answers = width, len(self._answers)

    def pool(self, n_lanes: int, most_trees: int) -> EvidencePool:
        return _Constant(np.tile(self._answers, (n_lanes, 1)))


class _Constant:
    def __init__(self, answers_BK: NDArray[np.float32]) -> None:
        self._answers_BK = answers_BK

    def clear(self, lane_M: Ints) -> None:
        pass

    def add(self, lane_M: Ints, tree_M: Ints, vector_MD: Array) -> None:
        pass

    def answers(self) -> NDArray[np.float32]:
        return self._answers_BK.copy()

    def foreseen(self, lane_M: Ints, tree_M: Ints, vector_MD: Array) -> NDArray[np.float32]:
        return self._answers_BK.copy()
