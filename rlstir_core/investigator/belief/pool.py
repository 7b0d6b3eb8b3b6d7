"""What was revealed so far of many investigations at once, pooled by process tree as rows come in.

A step costs what is new: only trees that gained rows are told again. What does not belong here: what is learnt
(`head.py`), and which rows are revealed (`soc/`).
"""

# B lanes, T trees of a lane at most, M rows revealed now, J trees that gained rows, D numbers of a row, A answers
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rlstir_core.arrays import Array, Floats, Ints
from rlstir_core.investigator.belief.head import BeliefHead, Pooled, Whole
from rlstir_core.investigator.belief.row_model import FARTHEST


@dataclass(frozen=True, kw_only=True)
class _Gained:
    """Trees that gained rows."""

    cell_J: Ints  # lane times trees of a lane, plus tree
    n_J: Array  # rows that are new
    max_JD: Array
    odds_JD: Array
    told_J: Floats  # odds of an attack and of techniques
    rules_J: Array  # odds of tampering that are new


class BeliefPool:
    """The revealed rows of `n_lanes` cases of at most `most_trees` trees, and what is believed of each."""

    def __init__(self, head: BeliefHead, n_lanes: int, most_trees: int) -> None:
        self._head, self._n_trees, self._width = head, most_trees, 2 + len(head.label_K)
        self._by_tree = int(head.by_tree)
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

    def add(self, lane_M: Ints, tree_M: Ints, vector_MD: Array) -> None:
        """Rows that are revealed now, each once."""
        if not len(lane_M):
            return
        new = self._gained(lane_M, tree_M, vector_MD)
        self._sums, self._size, self._rules = self._with(new)
        cells = new.cell_J
        self._max[cells], self._odds[cells], self._told[cells] = new.max_JD, new.odds_JD, new.told_J
        self._rows[cells] += new.n_J
        self._said = None

    def answers(self) -> NDArray[np.float32]:
        """Probabilities: of an attack, of tampering, of each technique of the label space. (B, 2 + labels)"""
        if self._said is None:
            self._said = self._say(self._sums, self._size, self._rules)
        return self._said

    def foreseen(self, lane_M: Ints, tree_M: Ints, vector_MD: Array) -> NDArray[np.float32]:
        """What the answers would be if these rows were added; nothing is."""
        if not len(lane_M):
            return self.answers()
        return self._say(*self._with(self._gained(lane_M, tree_M, vector_MD)))

    def _gained(self, lane_M: Ints, tree_M: Ints, vector_MD: Array) -> _Gained:
        """Trees that these rows belong to, as they are with them."""
        cell_M = np.asarray(lane_M, np.int64) * self._n_trees + self._by_tree * tree_M
        order = np.argsort(cell_M, kind="stable")
        cell_M, score_MD = cell_M[order], vector_MD[order]
        first_J = np.flatnonzero(np.r_[True, cell_M[1:] != cell_M[:-1]])
        cell_J = cell_M[first_J]
        n_J = np.diff(np.r_[first_J, len(cell_M)]).astype(np.float32)
        p_MD = 1.0 / (1.0 + np.exp(-score_MD))
        max_JD = np.maximum(self._max[cell_J], np.maximum.reduceat(score_MD, first_J))
        odds_JD = self._odds[cell_J] + np.add.reduceat(p_MD, first_J)
        with torch.inference_mode():
            attack_J, technique_JK = self._head.trees(
                Pooled(
                    max_TD=torch.from_numpy(max_JD),
                    odds_TD=torch.from_numpy(odds_JD),
                    n_T=torch.from_numpy(self._rows[cell_J] + n_J),
                )
            )
        return _Gained(
            cell_J=cell_J,
            n_J=n_J,
            max_JD=max_JD,
            odds_JD=odds_JD,
            told_J=np.concatenate([attack_J.numpy()[:, None], technique_JK.numpy()], axis=1).astype(np.float64),
            rules_J=np.add.reduceat(p_MD[:, 1], first_J),
        )

    def _with(self, new: _Gained) -> tuple[Floats, Array, Array]:
        """Sums over trees, sizes, and what the rules say, of each lane, with these trees as they have become."""
        lane_J = new.cell_J // self._n_trees
        sums, size, rules = self._sums.copy(), self._size.copy(), self._rules.copy()
        np.add.at(sums, lane_J, new.told_J - self._told[new.cell_J])
        fresh_J = (self._rows[new.cell_J] == 0).astype(np.float32)
        np.add.at(size, lane_J, np.stack([new.n_J, fresh_J], axis=1))
        np.maximum.at(rules[:, 0], lane_J, new.max_JD[:, 1])
        np.add.at(rules[:, 1], lane_J, new.rules_J)
        return sums, size, rules

    def _say(self, sums_BK: Floats, size_B2: Array, rules_B2: Array) -> NDArray[np.float32]:
        sums = torch.from_numpy(np.maximum(sums_BK, 0.0).astype(np.float32))
        with torch.inference_mode():
            whole = Whole(
                attack_B=sums[:, 0],
                technique_BK=sums[:, 1:],
                rows_B=torch.from_numpy(size_B2[:, 0]),
                trees_B=torch.from_numpy(size_B2[:, 1]),
                rules_max_B=torch.from_numpy(rules_B2[:, 0]),
                rules_odds_B=torch.from_numpy(rules_B2[:, 1]),
            )
            found: NDArray[np.float32] = self._head(whole).sigmoid().numpy()
        return found
