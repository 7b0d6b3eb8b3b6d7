"""What the labels say of each action before it is done: for oracles alone, which say what could be reached.

What does not belong here: the oracles (`policies/`); no other policy is given this.
"""

# B lanes, A actions (the last one is STOP), V pieces of evidence of all lanes' cases, K techniques
from __future__ import annotations

import numpy as np

from rlstir_core.arrays import Array, Ints
from rlstir_core.investigator.lanes import Legal
from rlstir_core.investigator.queries.catalogue import STOP
from rlstir_core.investigator.soc.lanes import SocLanes
from rlstir_core.investigator.techniques.labels import LABELS


class Evidence:
    """Looks one query ahead in the case that each lane is in now; nothing is changed by looking."""

    def __init__(self, lanes: SocLanes) -> None:
        self._lanes = lanes
        self.costs_A = lanes.costs_A

    def new_rows(self, legal_BA: Legal) -> Array:
        """How many rows each query would newly reveal. (B, A - 1)"""
        found_BA = np.zeros((len(legal_BA), STOP), np.float32)
        for query in np.flatnonzero(legal_BA[:, :STOP].any(axis=0)).tolist():
            lane_R, _ = self._lanes.peek(np.where(legal_BA[:, query], query, STOP))
            found_BA[:, query] = np.bincount(lane_R, minlength=len(legal_BA))
        return found_BA

    def new_techniques(self, legal_BA: Legal) -> Array:
        """How many techniques would have their first labelled row revealed. (B, A - 1)"""
        lane_V, row_V, technique_V = self._pieces()
        known_BK = np.zeros((len(legal_BA), len(LABELS)), np.bool_)
        shown_V = self._lanes.visible_BN[lane_V, row_V]
        known_BK[lane_V[shown_V], technique_V[shown_V]] = True
        found_BA = np.zeros((len(legal_BA), STOP), np.float32)
        ahead_BN = np.zeros_like(self._lanes.visible_BN)
        for query in np.flatnonzero(legal_BA[:, :STOP].any(axis=0)).tolist():
            lane_R, row_R = self._lanes.peek(np.where(legal_BA[:, query], query, STOP))
            ahead_BN[lane_R, row_R] = True
            hit_V = ahead_BN[lane_V, row_V]
            ahead_BN[lane_R, row_R] = False
            then_BK = np.zeros_like(known_BK)
            then_BK[lane_V[hit_V], technique_V[hit_V]] = True
            found_BA[:, query] = (then_BK & ~known_BK).sum(axis=1)
        return found_BA

    def _pieces(self) -> tuple[Ints, Ints, Ints]:
        """Labelled rows of each lane's case, once for each technique: lanes, rows, techniques."""
        cases, case_B = self._lanes.cases, self._lanes.case_B
        first_B = cases.evidence_C1[case_B]
        n_B = cases.evidence_C1[case_B + 1] - first_B
        at_V = (first_B - n_B.cumsum() + n_B).repeat(n_B) + np.arange(int(n_B.sum()))
        lane_V = np.arange(len(case_B)).repeat(n_B)
        return lane_V, cases.evidence_M[at_V].astype(np.int64), cases.technique_M[at_V].astype(np.int64)
