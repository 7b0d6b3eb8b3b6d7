"""Which rows a query shows: the page of those nearest in time to where its entity was seen, then the next page.

What was shown of a pair is a stretch of its answer that grows to both sides. What does not belong here: whom it is
about (`frontier.py`).
"""

# B lanes, P pairs of the largest case, M lanes that ask, W rows of a page, X twice as many
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Bools, Ints
from rlstir_core.investigator.queries.catalogue import PAGE
from rlstir_core.investigator.soc.cases import CaseSet

_FAR = np.iinfo(np.int64).max
_TO_LEFT = -1 - np.arange(PAGE)
_TO_RIGHT = np.arange(PAGE)


class Page(NamedTuple):
    """What some lanes are shown, and the stretches that were shown then."""

    row_MW: NDArray[np.int32]  # nearest first
    shown_MW: Bools  # where a page is not full, its end is empty
    left_M: Ints
    right_M: Ints
    closed_M: Bools  # nothing is left


class Stretches:
    """What each lane was shown of each pair: from `left` up to `right`, places in the set's answers."""

    def __init__(self, cases: CaseSet, n_lanes: int) -> None:
        self._cases = cases
        kind = cases.answer_P1.dtype
        self.left_BP = np.full((n_lanes, cases.most_pairs), -1, kind)  # -1: not asked
        self.right_BP = np.zeros((n_lanes, cases.most_pairs), kind)

    def clear(self, lane_M: Ints) -> None:
        self.left_BP[lane_M] = -1

    def keep(self, lane_M: Ints, pair_M: Ints, page: Page) -> None:
        """These pages were shown."""
        self.left_BP[lane_M, pair_M] = page.left_M
        self.right_BP[lane_M, pair_M] = page.right_M

    def page(self, lane_M: Ints, pair_M: Ints, pair0_M: Ints, row0_M: Ints, focus_M: Ints) -> Page:
        """The next page of each pair; `focus_M` is the row that it lies around.

        `pair0_M` and `row0_M` are where the pairs and the rows of each lane's case begin in the set.
        """
        cases = self._cases
        start_M = cases.answer_P1[pair0_M + pair_M].astype(np.int64)
        end_M = cases.answer_P1[pair0_M + pair_M + 1].astype(np.int64)
        left_M = self.left_BP[lane_M, pair_M].astype(np.int64)
        right_M = self.right_BP[lane_M, pair_M].astype(np.int64)
        new = left_M < 0
        if new.any():
            left_M[new] = right_M[new] = _places(cases.answer_M, start_M[new], end_M[new], focus_M[new])
        place_MX = np.concatenate([left_M[:, None] + _TO_LEFT, right_M[:, None] + _TO_RIGHT], axis=1)
        inside_MX = (place_MX >= start_M[:, None]) & (place_MX < end_M[:, None])
        place_MX[~inside_MX] = 0
        # logs of which no row answers any query have no answer to stand in for one that is not inside
        row_MX = cases.answer_M[place_MX] if len(cases.answer_M) else np.zeros_like(place_MX, np.int32)
        far_MX = np.abs(cases.ts_N[row_MX + row0_M[:, None]] - cases.ts_N[row0_M + focus_M][:, None])
        far_MX[~inside_MX] = _FAR
        # a stretch grows without holes, also where its next rows lie nearer than the first of them
        for side in (far_MX[:, :PAGE], far_MX[:, PAGE:]):
            np.maximum.accumulate(side, axis=1, out=side)
        order_MW = far_MX.argsort(axis=1, kind="stable")[:, :PAGE]
        which_M1 = np.arange(len(lane_M))[:, None]
        shown_MW = inside_MX[which_M1, order_MW]
        n_left_M = (shown_MW & (order_MW < PAGE)).sum(axis=1)
        left_M = left_M - n_left_M
        right_M = right_M + shown_MW.sum(axis=1) - n_left_M
        closed_M = (left_M == start_M) & (right_M == end_M)
        return Page(row_MX[which_M1, order_MW], shown_MW, left_M, right_M, closed_M)


def _places(row_P: NDArray[np.int32], low_M: Ints, high_M: Ints, focus_M: Ints) -> Ints:
    """Where in a stretch of rising rows each focus would stand, before its equal."""
    low_M, high_M = low_M.copy(), high_M.copy()
    while True:
        apart_M = low_M < high_M
        if not apart_M.any():
            return low_M
        middle_M = (low_M + high_M) >> 1
        below_M = (row_P[np.minimum(middle_M, len(row_P) - 1)] < focus_M) & apart_M
        low_M = np.where(below_M, middle_M + 1, low_M)
        high_M = np.where(apart_M & ~below_M, middle_M, high_M)
