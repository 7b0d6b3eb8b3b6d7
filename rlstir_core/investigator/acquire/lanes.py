"""Rows of a table as cases: every column can be asked for once, then the classifier's answer is declared.

What does not belong here: how the classifier came to be, and who asks.
"""

# B lanes, N rows, C columns, P pieces, K classes, M members of the classifier that may be asked about a lane, H hidden
# A actions (a column each, then STOP), O numbers of an observation
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rlstir_core.investigator.acquire.classifier import Classifier
from rlstir_core.investigator.acquire.table import Table
from rlstir_core.investigator.lanes import Actions, Legal, Observed, Stepped
from rlstir_core.investigator.policies.reading import Numbers

_AT_ONCE = 20_000  # lanes times columns


class Outlook(NamedTuple):
    """What each query would do to its lane; NaN where it is not legal."""

    gain_BC: Numbers  # how much it would lower the Brier loss
    move_BC: Numbers  # how far it would move the answer, in squares


class TableReads:
    """What stands where: places of seen columns, which are seen, probabilities of the classes, steps left."""

    def __init__(self, table: Table) -> None:
        self.names = (*table.names, "STOP")
        self.costs_A = np.append(table.cost_C, np.float32(0))
        self.n_columns, self.n_classes = table.n_columns, len(table.classes)
        # two classes are one answer: the probability of the second
        self.n_answers = 1 if self.n_classes == 2 else self.n_classes
        self.width = 2 * self.n_columns + 2 * self.n_classes + 1

    def classes(self, seen_BO: Observed) -> Numbers:
        """(B, K) probabilities."""
        return seen_BO[:, 2 * self.n_columns : 2 * self.n_columns + self.n_classes]

    def belief(self, seen_BO: Observed) -> Numbers:
        return self.classes(seen_BO)[:, self.n_classes - self.n_answers :]

    def asked(self, seen_BO: Observed) -> Numbers:
        mask_BC = seen_BO[:, self.n_columns : 2 * self.n_columns]
        return np.pad(mask_BC, ((0, 0), (0, 1)))


class TableLanes:
    """Rows side by side. Declaring pays minus the Brier loss; asking costs `price` a unit.

    A case ends by STOP, when `most` columns are seen, or when no column is left. With as many lanes as rows, the first
    case of every lane is a row of its own, each row once.
    """

    def __init__(
        self,
        table: Table,
        classifier: Classifier,
        *,
        n_lanes: int,
        price: float,
        most: int,
        fold_N: NDArray[np.int64] | None = None,
    ) -> None:
        self.reads = TableReads(table)
        self.table, self.classifier, self.price, self.fold_N = table, classifier, price, fold_N
        self.most = min(most, table.n_columns)
        self.n_lanes, self.n_actions, self.width = n_lanes, table.n_columns + 1, self.reads.width
        self.costs_A = self.reads.costs_A
        self._place_NC = classifier.encoding.place(table.x_NC)
        self._column_NCP = classifier.columns(table.x_NC).numpy()
        self._weight_MCPH, self._nothing_MH = (each.numpy() for each in classifier.weights())
        members = np.arange(len(classifier.members))[:, None]
        self._prior_MK = self._classes(self._nothing_MH[:, None], members)
        shape = (n_lanes, len(members) if fold_N is None else 1)
        self.member_BM = np.zeros(shape, np.int64)
        self.first_BMH = np.zeros((*shape, self._nothing_MH.shape[1]), np.float32)
        self.answer_BK = np.zeros((n_lanes, self.reads.n_classes), np.float32)
        self.told_BK = self.answer_BK.copy()  # what was said after the last action, of cases that it ended too
        self.mask_BC = np.zeros((n_lanes, table.n_columns), bool)
        self.row_B = np.zeros(n_lanes, np.int64)

    def reset(self, seed: int) -> tuple[Observed, Legal]:
        self.seed, self.dealt = seed, 0
        self._deal(np.ones(self.n_lanes, bool))
        return self._seen(), self._legal()

    def _order(self, round_: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.seed, 7, round_]).permutation(len(self.table.class_N))

    def _deal(self, to_B: NDArray[np.bool_]) -> None:
        n, many = len(self.table.class_N), int(to_B.sum())
        number = self.dealt + np.arange(many)
        rows = np.empty(many, np.int64)
        for round_ in np.unique(number // n):
            within = number // n == round_
            rows[within] = self._order(int(round_))[number[within] % n]
        self.row_B[to_B] = rows
        self.dealt += many
        self._begin(to_B)

    def _begin(self, to_B: NDArray[np.bool_]) -> None:
        """Nothing is seen in these lanes."""
        if self.fold_N is None:
            self.member_BM[to_B] = np.arange(len(self.classifier.members))
        else:
            self.member_BM[to_B, 0] = self.fold_N[self.row_B[to_B]]
        self.mask_BC[to_B] = False
        self.first_BMH[to_B] = self._nothing_MH[self.member_BM[to_B]]
        self.answer_BK[to_B] = self._prior_MK[self.member_BM[to_B]].mean(1)

    def _classes(self, first_BMH: NDArray[np.float32], member_BM: NDArray[np.int64]) -> Numbers:
        """(..., K) from first layers (..., M, H), each by its own member."""
        said = np.empty((*first_BMH.shape[:-1], self.reads.n_classes), np.float32)
        with torch.inference_mode():
            for number, member in enumerate(self.classifier.members):
                own = member_BM == number
                said[own] = member.rest(torch.from_numpy(first_BMH[own])).softmax(1).numpy()
        return np.asarray(said.mean(-2), np.float32)

    def _more(self, lane_B: NDArray[np.int64], column_B: NDArray[np.int64]) -> NDArray[np.float32]:
        """(b, M, H) what a column of each of these lanes adds to their first layers."""
        weight_BMPH = self._weight_MCPH[self.member_BM[lane_B], column_B[:, None]]
        column_BP = self._column_NCP[self.row_B[lane_B], column_B]
        return np.asarray(np.matmul(column_BP[:, None, None], weight_BMPH)[:, :, 0], np.float32)

    def if_declared(self) -> Numbers:
        return -self.brier()

    def brier(self) -> Numbers:
        """Of what would be declared now; 0 to 2, by class. (B,)"""
        return self._brier(self.answer_BK, self.row_B)

    def _brier(self, answer_BK: Numbers, row_B: NDArray[np.int64]) -> Numbers:
        truth_BK = np.eye(self.reads.n_classes, dtype=np.float32)[self.table.class_N[row_B]]
        return np.asarray(((answer_BK - truth_BK) ** 2).sum(1), np.float32)

    def step(self, action_B: Actions) -> Stepped:
        legal_BA = self._legal()
        reward_B = np.asarray(-self.price * self.costs_A[action_B], np.float32)
        stop_B = action_B == self.n_actions - 1
        asks_B = ~stop_B & legal_BA[np.arange(self.n_lanes), action_B]
        lane_b = np.flatnonzero(asks_B)
        if len(lane_b):
            self.first_BMH[lane_b] += self._more(lane_b, action_B[lane_b])
            self.mask_BC[lane_b, action_B[lane_b]] = True
            self.answer_BK[lane_b] = self._classes(self.first_BMH[lane_b], self.member_BM[lane_b])
        self.told_BK = self.answer_BK.copy()
        done_B = stop_B | (self.mask_BC.sum(1) >= self.most)
        reward_B -= np.where(done_B, self.brier(), 0)
        if done_B.any():
            self._deal(done_B)
        return Stepped(self._seen(), self._legal(), reward_B, done_B)

    def _legal(self) -> Legal:
        return np.hstack([~self.mask_BC, np.ones((self.n_lanes, 1), bool)])

    def _seen(self) -> Observed:
        place_BC = np.where(self.mask_BC, self._place_NC[self.row_B], 0)
        p_BK = np.clip(self.answer_BK, 1e-4, 1 - 1e-4)
        logit_BK = np.log(p_BK / (1 - p_BK)) / 4
        left_B = 1 - self.mask_BC.sum(1, keepdims=True) / self.most
        return np.hstack([place_BC, self.mask_BC, self.answer_BK, logit_BK, left_B]).astype(np.float32)

    def describe(self, lane: int) -> dict[str, Any]:
        """What is seen of a row, for agents that read words."""
        table, row = self.table, self.row_B[lane]
        seen = {table.names[c]: float(table.x_NC[row, c]) for c in np.flatnonzero(self.mask_BC[lane])}
        belief = dict(zip(table.classes, (round(float(p), 4) for p in self.answer_BK[lane]), strict=True))
        return {"belief": belief, "seen": seen, "left": int(self.most - len(seen))}

    def state(self) -> Mapping[str, NDArray[Any]]:
        return {
            "counts": np.array([self.seed, self.dealt]),
            "row_B": self.row_B.copy(),
            "mask_BC": self.mask_BC.copy(),
            "member_BM": self.member_BM.copy(),
            "first_BMH": self.first_BMH.copy(),
            "answer_BK": self.answer_BK.copy(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.seed, self.dealt = (int(each) for each in state["counts"])
        self.row_B, self.mask_BC = state["row_B"].copy(), state["mask_BC"].copy()
        self.member_BM, self.first_BMH = state["member_BM"].copy(), state["first_BMH"].copy()
        self.answer_BK = state["answer_BK"].copy()

    def foreseen(self) -> Numbers:
        """How much each query would lower the Brier loss of its lane, all at once; NaN where it is not legal. (B, C)

        The same as trying each one and going back (`probing.py`), without the way.
        """
        return self.outlook().gain_BC

    def outlook(self) -> Outlook:
        """What every query would do, all at once."""
        gain_BC, move_BC = np.full((2, *self.mask_BC.shape), np.nan, np.float32)
        now_B = self.brier()
        for lane_b in np.array_split(np.arange(self.n_lanes), max(1, self.mask_BC.size // _AT_ONCE)):
            lane_n, column_n = np.nonzero(~self.mask_BC[lane_b])
            lane_n = lane_b[lane_n]
            first_nMH = self.first_BMH[lane_n] + self._more(lane_n, column_n)
            answer_nK = self._classes(first_nMH, self.member_BM[lane_n])
            gain_BC[lane_n, column_n] = now_B[lane_n] - self._brier(answer_nK, self.row_B[lane_n])
            move_BC[lane_n, column_n] = ((answer_nK - self.answer_BK[lane_n]) ** 2).sum(1)
        return Outlook(gain_BC, move_BC)
