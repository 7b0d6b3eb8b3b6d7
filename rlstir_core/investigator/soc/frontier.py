"""Whom a query is about: the entities that revealed rows name, what was asked of them, and whose turn it is.

The turn is that of the entity that was seen last; among those the rarest; among those one by chance, since any fixed
order would be a playbook. Until a process tree was asked for, queries about a process mean the alert's own. What does
not belong here: the rows that answer (`paging.py`).
"""

# B lanes, Q queries, E entities and P pairs of the largest case, M lanes that ask, F candidates, R rows, V mentions
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Bools, Ints
from rlstir_core.investigator.queries.catalogue import KIND_Q, KINDS, LOCKED_Q, QUERIES, TREE_QUERIES
from rlstir_core.investigator.soc.cases import NOBODY, CaseSet
from rlstir_core.investigator.soc.chance import mixed

_ENTITY_BITS, _CHANCE_BITS, _RARITY_BITS = 24, 28, 5
_ENTITY_MASK = np.uint64((1 << _ENTITY_BITS) - 1)
IS_TREE_Q = np.isin(np.arange(len(QUERIES)), TREE_QUERIES)


class Frontier:
    """Of each lane: which entities were seen when and in which row, and which pairs are answered to the end."""

    def __init__(self, cases: CaseSet, n_lanes: int) -> None:
        self._cases = cases
        self.fresh_BE = np.zeros((n_lanes, cases.most_entities), np.int16)  # 1 + the step of the last sight; 0 for none
        self.via_BE = np.zeros((n_lanes, cases.most_entities), np.int32)  # the row of that sight
        self.closed_BP = np.zeros((n_lanes, cases.most_pairs), np.bool_)
        self.seen_BK = np.zeros((n_lanes, len(KINDS)), np.int64)  # entities of each kind
        self.closed_BQ = np.zeros((n_lanes, len(QUERIES)), np.int64)
        self.unlocked_B = np.zeros(n_lanes, np.bool_)
        self._mark_BE = np.zeros((n_lanes, cases.most_entities), np.int32)

    def clear(self, lane_M: Ints) -> None:
        """These lanes begin anew."""
        for array in (self.fresh_BE, self.closed_BP, self.seen_BK, self.closed_BQ, self.unlocked_B):
            array[lane_M] = 0

    def see(self, lane_R: Ints, row_R: Ints, row0_R: Ints, entity0_B: Ints, when_B: Ints) -> Ints:
        """Notes what these rows name; gives how many entities are new in each lane. (B,)

        `row0_R` is where the case of each row begins in the set, `entity0_B` where its entities do.
        """
        cases, n_lanes = self._cases, len(self.unlocked_B)
        at_R = row0_R + row_R
        start_R = cases.mention_N1[at_R].astype(np.int64)
        n_R = cases.mention_N1[at_R + 1] - start_R
        ends_R = n_R.cumsum()
        n = int(ends_R[-1]) if len(ends_R) else 0
        lane_V = lane_R.repeat(n_R)
        entity_V = cases.mention_M[(start_R - ends_R + n_R).repeat(n_R) + np.arange(n)]
        place_V = lane_V * self.fresh_BE.shape[1] + entity_V
        fresh, via, mark = (each.reshape(-1) for each in (self.fresh_BE, self.via_BE, self._mark_BE))
        new_W = np.flatnonzero(fresh[place_V] == 0)
        fresh[place_V] = (when_B + 1)[lane_V]
        via[place_V[::-1]] = row_R.repeat(n_R)[::-1]  # of several rows that name an entity, the first one counts
        mark[place_V[new_W]] = new_W
        new_W = new_W[mark[place_V[new_W]] == new_W]  # each new one once
        lane_W = lane_V[new_W]
        kind_W = cases.kind_E[entity0_B[lane_W] + entity_V[new_W]]
        self.seen_BK += np.bincount(lane_W * len(KINDS) + kind_W, minlength=n_lanes * len(KINDS)).reshape(n_lanes, -1)
        return np.bincount(lane_W, minlength=n_lanes)

    def open(self, alert_process_B: Ints) -> Bools:
        """Which queries have somebody left to be asked about. (B, Q)"""
        locked_BQ = LOCKED_Q & ~self.unlocked_B[:, None]
        own_BQ = (alert_process_B != NOBODY)[:, None] & (self.closed_BQ == 0)
        found: Bools = np.where(locked_BQ, own_BQ, self.seen_BK[:, KIND_Q] > self.closed_BQ)
        return found

    def close(self, lane_M: Ints, query_M: Ints, pair_M: Ints) -> None:
        """These pairs have nothing left; each stood open until now."""
        self.closed_BP[lane_M, pair_M] = True
        self.closed_BQ[lane_M, query_M] += 1

    def targets(
        self, lane_M: Ints, query_M: Ints, case_B: Ints, entity0_B: Ints, alert_process_B: Ints,
        key_B: NDArray[np.uint64], when_B: Ints,
    ) -> Ints:  # fmt: skip
        """Whom these lanes' queries are about; each must have somebody. (M,)

        Chance is that of `key_B` at the time `when_B`, which goes on whenever something is revealed.
        """
        case_M, kind_M = case_B[lane_M], KIND_Q[query_M]
        first_M = self._cases.kind_C1[case_M, kind_M]
        found_M = first_M.copy()  # a host has one of its kind
        locked_M = LOCKED_Q[query_M] & ~self.unlocked_B[lane_M]
        found_M[locked_M] = alert_process_B[lane_M[locked_M]]
        choose = np.flatnonzero(~locked_M & (kind_M > 0))
        if len(choose):
            lane_C, first_C = lane_M[choose], first_M[choose]
            n_C = self._cases.kind_C1[case_M[choose], kind_M[choose] + 1] - first_C
            pair_C = self._cases.pair_CQ1[case_M[choose], query_M[choose]]
            chance_C = mixed(key_B[lane_C], when_B[lane_C])
            found_M[choose] = self._turn(lane_C, first_C, n_C, pair_C, entity0_B[lane_C], chance_C)
        return found_M

    def _turn(
        self, lane_C: Ints, first_C: Ints, n_C: Ints, pair_C: Ints, entity0_C: Ints, chance_C: NDArray[np.uint64]
    ) -> Ints:
        """The highest of all candidates of each lane that asks."""
        ends_C = n_C.cumsum()
        which_F = np.arange(len(n_C)).repeat(n_C)
        within_F = np.arange(int(ends_C[-1])) - (ends_C - n_C).repeat(n_C)
        lane_F, entity_F = lane_C[which_F], first_C[which_F] + within_F
        fresh_F = self.fresh_BE[lane_F, entity_F]
        kept = np.flatnonzero((fresh_F > 0) & ~self.closed_BP[lane_F, pair_C[which_F] + within_F])
        which_F, entity_F = which_F[kept], entity_F[kept]
        rarity_F = self._cases.rarity_E[entity0_C[which_F] + entity_F]
        key_F = turn_keys(fresh_F[kept], rarity_F, chance_C[which_F], entity_F)
        best_C = np.maximum.reduceat(key_F, np.searchsorted(which_F, np.arange(len(n_C))))
        return (best_C & _ENTITY_MASK).astype(np.int64)


def turn_keys(
    fresh_F: NDArray[np.int16], rarity_F: NDArray[np.uint8], chance_F: NDArray[np.uint64], entity_F: Ints
) -> NDArray[np.uint64]:
    """Numbers of which the largest has its turn: seen last, rarest, then by chance; the entity in the lowest bits."""
    chance = mixed(chance_F, entity_F) >> np.uint64(64 - _CHANCE_BITS)
    rarity = np.uint64((1 << _RARITY_BITS) - 1) - rarity_F.astype(np.uint64)
    key = (fresh_F.astype(np.uint64) << np.uint64(_RARITY_BITS)) | rarity
    key = (key << np.uint64(_CHANCE_BITS)) | chance
    return (key << np.uint64(_ENTITY_BITS)) | entity_F.astype(np.uint64)
