"""What each lane remembers of its investigation, as the observation shows it.

What does not belong here: what may be asked next (`frontier.py`), and what it earns (`reward.py`).
"""

# B lanes, Q queries, D numbers of a row, O numbers of an observation, M lanes that ask, R rows revealed now,
# H rows that a lane can be shown, S lanes with new rows, W rows of a page
from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from rlstir_core.arrays import Array, Ints
from rlstir_core.investigator.queries.catalogue import PAGE, QUERIES
from rlstir_core.investigator.soc.frontier import Frontier
from rlstir_core.investigator.soc.observation import LOG_ROWS


class CaseMemory:
    """Counts and last answers of each query, and what the revealed rows are like."""

    def __init__(self, n_lanes: int, width: int, steps: int) -> None:
        n_queries = len(QUERIES)
        self.asked_BQ = np.zeros((n_lanes, n_queries), np.int64)
        self.rows_BQ = np.zeros((n_lanes, n_queries), np.int64)  # of the last answer
        self.fresh_BQ = np.zeros((n_lanes, n_queries), np.int64)
        self.entities_BQ = np.zeros((n_lanes, n_queries), np.int64)
        self.alert_BD = np.zeros((n_lanes, width), np.float32)
        self.page_BD = np.zeros((n_lanes, width), np.float32)
        self.sum_BD = np.zeros((n_lanes, width), np.float32)
        self.most_BD = np.zeros((n_lanes, width), np.float32)
        self.n_shown_B = np.zeros(n_lanes, np.int64)  # rows that are revealed
        self.row_BH = np.zeros((n_lanes, 1 + steps * PAGE), np.int32)  # in their order
        self.time_BH = np.zeros((n_lanes, 1 + steps * PAGE), np.int8)  # the answer that showed each
        self.time_B = np.zeros(n_lanes, np.int64)

    def clear(self, lane_M: Ints) -> None:
        """These lanes begin anew."""
        for array in (self.asked_BQ, self.rows_BQ, self.fresh_BQ, self.entities_BQ, self.page_BD, self.time_B):
            array[lane_M] = 0

    def begin(self, lane_M: Ints, row_M: Ints, vector_MD: Array) -> None:
        """The alerts of these lanes."""
        self.alert_BD[lane_M] = self.sum_BD[lane_M] = self.most_BD[lane_M] = vector_MD
        self.n_shown_B[lane_M] = 1
        self.row_BH[lane_M, 0] = row_M
        self.time_BH[lane_M, 0] = 0

    def note(
        self, lane_M: Ints, query_M: Ints, n_M: Ints, fresh_M: Ints, entities_M: Ints,
        lane_R: Ints, row_R: Ints, vector_RD: Array,
    ) -> None:  # fmt: skip
        """What these lanes were shown: numbers of rows, of new ones, of new entities, and the new rows by lane."""
        self.asked_BQ[lane_M, query_M] += 1
        self.rows_BQ[lane_M, query_M] = n_M
        self.fresh_BQ[lane_M, query_M] = fresh_M
        self.entities_BQ[lane_M, query_M] = entities_M
        self.page_BD[:] = 0  # of a step that reveals nothing
        self.time_B[lane_M] += 1
        if not len(lane_R):
            return
        some_M = fresh_M > 0
        lane_S, n_S = lane_M[some_M], fresh_M[some_M]
        starts_S = n_S.cumsum() - n_S
        # a page a lane, filled up with its first row, which changes no maximum, and then with nothing
        within_SW = np.arange(PAGE) < n_S[:, None]
        page_SWD = vector_RD[np.where(within_SW, starts_S[:, None] + np.arange(PAGE), starts_S[:, None])]
        self.most_BD[lane_S] = np.maximum(self.most_BD[lane_S], page_SWD.max(axis=1))
        page_SWD[~within_SW] = 0
        total_SD = page_SWD.sum(axis=1)
        self.page_BD[lane_S] = total_SD / n_S[:, None].astype(np.float32)
        self.sum_BD[lane_S] += total_SD
        place_R = self.n_shown_B[lane_R] + np.arange(len(lane_R)) - starts_S.repeat(n_S)
        self.row_BH[lane_R, place_R] = row_R
        self.time_BH[lane_R, place_R] = self.time_B[lane_R]
        self.n_shown_B[lane_S] += n_S

    def history(self) -> Iterator[tuple[Ints, Ints]]:
        """Lanes and rows as they were revealed, one answer of every lane after the other."""
        known_BH = np.arange(self.row_BH.shape[1]) < self.n_shown_B[:, None]
        for time in range(int(self.time_B.max(initial=0)) + 1):
            lane_R, place_R = np.nonzero(known_BH & (self.time_BH == time))
            yield lane_R, self.row_BH[lane_R, place_R].astype(np.int64)

    def write(self, seen_BO: Array, parts: Mapping[str, slice], frontier: Frontier) -> None:
        """Its parts of the observation."""
        seen_BO[:, parts["asked"]] = LOG_COUNTS[self.asked_BQ]
        seen_BO[:, parts["rows"]] = self.rows_BQ / np.float32(PAGE)
        seen_BO[:, parts["fresh"]] = self.fresh_BQ / np.float32(PAGE)
        seen_BO[:, parts["entities"]] = LOG_COUNTS[self.entities_BQ]
        seen_BO[:, parts["frontier"]] = LOG_COUNTS[np.minimum(frontier.seen_BK, len(LOG_COUNTS) - 1)]
        seen_BO[:, parts["unlocked"]] = frontier.unlocked_B[:, None]
        seen_BO[:, parts["alert"]] = self.alert_BD
        seen_BO[:, parts["page"]] = self.page_BD
        seen_BO[:, parts["mean"]] = self.sum_BD / self.n_shown_B[:, None].astype(np.float32)
        seen_BO[:, parts["most"]] = self.most_BD


LOG_COUNTS = (np.log1p(np.arange(20_000)) / LOG_ROWS).astype(np.float32)  # of counts up to the most that can be seen
