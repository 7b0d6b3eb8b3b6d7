"""What was revealed so far of many investigations at once, pooled by process tree as rows come in.

A step costs what is new: only trees that gained rows are told again. What does not belong here: what is learnt
(`head.py`), and which rows are revealed (`soc/`).
"""

# B lanes, T trees of a lane at most, M rows revealed now, J trees that gained rows, D numbers of a row, A answers
from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from rlstir_core.arrays import Ints
from rlstir_core.investigator.belief.head import BeliefHead, Pooled, Whole
from rlstir_core.investigator.belief.row_model import FARTHEST


class BeliefPool:
    """The revealed rows of `n_lanes` cases of at most `most_trees` trees, and what is believed of each."""

    def __init__(self, head: BeliefHead, n_lanes: int, most_trees: int) -> None:
        self._head, self._n_trees, self._width = head, most_trees, 2 + len(head.label_K)
        n = n_lanes * most_trees
        self._max = np.full((n, self._width), -FARTHEST, np.float32)
        self._odds = np.zeros((n, self._width), np.float32)
        self._rows = np.zeros(n, np.float32)
        self._told = np.zeros((n, self._width - 1))  # odds of an attack and of techniques that each tree adds
        self._sums = np.zeros((n_lanes, self._width - 1))
        self._size = np.zeros((n_lanes, 2), np.float32)  # rows and trees
        self._rules = np.tile(np.array([[-FARTHEST, 0.0]], np.float32), (n_lanes, 1))
        self._said: NDArray[np.float32] | None = None

    def clear(self, lane_M: Ints) -> None:
        """These lanes begin anew."""
        if not len(lane_M):
            return
        cells = (np.asarray(lane_M)[:, None] * self._n_trees + np.arange(self._n_trees)).ravel()
        self._max[cells], self._odds[cells], self._rows[cells], self._told[cells] = -FARTHEST, 0.0, 0.0, 0.0
        self._sums[lane_M], self._size[lane_M] = 0.0, 0.0
        self._rules[lane_M] = (-FARTHEST, 0.0)
        self._said = None

    def add(self, lane_M: Ints, tree_M: Ints, vector_MD: NDArray[np.float16]) -> None:
        """Rows that are revealed now, each once."""
        if not len(lane_M):
            return
        cell_M = np.asarray(lane_M, np.int64) * self._n_trees + tree_M
        order = np.argsort(cell_M, kind="stable")
        cell_M, score_MD = cell_M[order], vector_MD[order].astype(np.float32)
        first_J = np.flatnonzero(np.r_[True, cell_M[1:] != cell_M[:-1]])
        cell_J = cell_M[first_J]
        n_J = np.diff(np.r_[first_J, len(cell_M)]).astype(np.float32)
        p_MD = 1.0 / (1.0 + np.exp(-score_MD))
        lane_J = cell_J // self._n_trees
        fresh_J = self._rows[cell_J] == 0
        self._max[cell_J] = np.maximum(self._max[cell_J], np.maximum.reduceat(score_MD, first_J))
        self._odds[cell_J] += np.add.reduceat(p_MD, first_J)
        self._rows[cell_J] += n_J
        with torch.inference_mode():
            attack_J, technique_JK = self._head.trees(
                Pooled(
                    max_TD=torch.from_numpy(self._max[cell_J]),
                    odds_TD=torch.from_numpy(self._odds[cell_J]),
                    n_T=torch.from_numpy(self._rows[cell_J]),
                )
            )
        told_J = np.concatenate([attack_J.numpy()[:, None], technique_JK.numpy()], axis=1).astype(np.float64)
        np.add.at(self._sums, lane_J, told_J - self._told[cell_J])
        self._told[cell_J] = told_J
        np.add.at(self._size, lane_J, np.stack([n_J, fresh_J.astype(np.float32)], axis=1))
        np.maximum.at(self._rules[:, 0], lane_J, self._max[cell_J, 1])
        np.add.at(self._rules[:, 1], lane_J, np.add.reduceat(p_MD[:, 1], first_J))
        self._said = None

    def answers(self) -> NDArray[np.float32]:
        """Probabilities: of an attack, of tampering, of each technique of the label space. (B, 2 + labels)"""
        if self._said is None:
            sums = torch.from_numpy(np.maximum(self._sums, 0.0).astype(np.float32))
            with torch.inference_mode():
                whole = Whole(
                    attack_B=sums[:, 0],
                    technique_BK=sums[:, 1:],
                    rows_B=torch.from_numpy(self._size[:, 0]),
                    trees_B=torch.from_numpy(self._size[:, 1]),
                    rules_max_B=torch.from_numpy(self._rules[:, 0]),
                    rules_odds_B=torch.from_numpy(self._rules[:, 1]),
                )
                self._said = self._head(whole).sigmoid().numpy()
        return self._said
