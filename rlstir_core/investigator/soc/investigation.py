"""One investigation in plain Python: the rules of the environment, to be read; `lanes.py` does it for many at once.

An alert is seen. Each query is about an entity that revealed rows name, costs, and shows a page of rows; those that
are new are given to the detector, and what they name can be asked about next. It ends with STOP or with the last step.
What does not belong here: gymnasium's interface (`single.py`).
"""

# K answers, D numbers of a row, O numbers of an observation
from __future__ import annotations

import bisect
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Array
from rlstir_core.investigator.queries.catalogue import (
    ACTIONS,
    KIND_Q,
    KINDS,
    LOCKED_Q,
    PAGE,
    QUERIES,
    STOP,
    TREE_QUERIES,
)
from rlstir_core.investigator.soc.cases import NOBODY, Case
from rlstir_core.investigator.soc.chance import mixed_one
from rlstir_core.investigator.soc.detecting import EvidencePool
from rlstir_core.investigator.soc.frontier import turn_keys
from rlstir_core.investigator.soc.lanes import STEPS
from rlstir_core.investigator.soc.observation import LOG_ROWS, slices
from rlstir_core.investigator.soc.reward import Rewards, declared, entropies, potential

_LANE = np.zeros(1, np.int64)  # the detector's only one


class _Answer(NamedTuple):
    """What the last answer to a query was."""

    rows: int = 0
    fresh: int = 0
    entities: int = 0


class Investigation:
    """A case from its alert to a declaration. `key` decides what chance does."""

    def __init__(self, case: Case, pool: EvidencePool, rewards: Rewards, budget: float, key: int) -> None:
        self.case, self._pool, self._rewards, self._budget, self._key = case, pool, rewards, budget, key
        self.step = 0
        self.spent = 0.0
        self.unlocked = False  # whether a process tree was asked for
        self.rows: list[int] = []  # that are revealed, in their order
        self.seen: dict[int, tuple[int, int]] = {}  # {entity: 1 + the step of its last sight, the row of that sight}
        self.stretch: dict[int, tuple[int, int]] = {}  # {pair: what was shown of its answer, from and up to}
        self.closed: set[tuple[int, int]] = set()  # queries and entities with nothing left
        self.asked = [0] * len(QUERIES)
        self.last = [_Answer()] * len(QUERIES)
        self.target = NOBODY  # of the last step
        self.new: list[int] = []  # rows that the last step revealed
        pool.clear(_LANE)
        alert = case.vector_ND[case.alert].astype(np.float32)
        self._alert_D, self._sum_D, self._most_D, self._page_D = alert, alert.copy(), alert.copy(), np.zeros_like(alert)
        self._look([case.alert])
        self.answers_K = pool.answers()[0]

    def candidates(self, query: int) -> list[int]:
        """Entities that a query can be about now."""
        kind = int(KIND_Q[query])
        if LOCKED_Q[query] and not self.unlocked:
            its = [self.case.alert_process] if self.case.alert_process != NOBODY else []
        else:
            its = [each for each in self.seen if self.case.kind_1[kind] <= each < self.case.kind_1[kind + 1]]
        return [each for each in its if (query, each) not in self.closed]

    def legal(self) -> NDArray[np.bool_]:
        """Which actions mean something now. (A,)"""
        found = np.zeros(len(ACTIONS), np.bool_)
        found[STOP] = True
        if self.step < STEPS - 1:
            for query in range(STOP):
                affordable = ACTIONS[query].cost <= self._budget - self.spent + 1e-6
                found[query] = affordable and bool(self.candidates(query))
        return found

    def turn(self, query: int) -> int:
        """Whose turn it is: seen last, then rarest, then by chance."""
        candidates = self.candidates(query)
        if len(candidates) == 1:
            return candidates[0]
        chance = np.array([mixed_one(self._key, len(self.rows))] * len(candidates), np.uint64)
        entity = np.array(candidates, np.int64)
        fresh = np.array([self.seen[each][0] for each in candidates], np.int16)
        return candidates[int(np.argmax(turn_keys(fresh, self.case.rarity_E[entity], chance, entity)))]

    def act(self, action: int) -> tuple[np.float32, bool]:
        """Does something; gives what it earns, and whether the case is over."""
        legal, before = self.legal()[action], potential(entropies(self.answers_K[None]))[0]
        self.target, self.new = NOBODY, []
        self._page_D = np.zeros_like(self._page_D)
        stops = action == STOP or self.step == STEPS - 1
        cost = 0.0 if stops else float(ACTIONS[action].cost)
        self.step += 1
        self.spent += cost
        reward = np.float32(-self._rewards.price) * np.float32(cost)
        shaping = np.float32(self._rewards.shaping)
        if stops:
            earned = declared(self._rewards, self.answers_K[None], self.case.truth_K[None])[0]
            return np.float32(reward + earned + shaping * (np.float32(0) - before)), True
        if legal:
            self._ask(action)
            self.answers_K = self._pool.answers()[0]
        return np.float32(reward + shaping * (potential(entropies(self.answers_K[None]))[0] - before)), False

    def _ask(self, query: int) -> None:
        self.target = self.turn(query)
        rows = self._page(query, self.target)
        visible = set(self.rows)
        self.new = [row for row in rows if row not in visible]
        if query in TREE_QUERIES:
            self.unlocked = True
        self.asked[query] += 1
        self.last[query] = _Answer(len(rows), len(self.new), self._look(self.new))
        if self.new:
            vector_RD = self.case.vector_ND[self.new].astype(np.float32)
            total = vector_RD.sum(axis=0)
            self._page_D = total / np.float32(len(vector_RD))
            self._sum_D = self._sum_D + total
            self._most_D = np.maximum(self._most_D, vector_RD.max(axis=0))

    def _page(self, query: int, entity: int) -> list[int]:
        """The next rows of the answer: those nearest to where the entity was seen, of two as near the earlier one."""
        case = self.case
        pair = int(case.pair_Q1[query]) + entity - int(case.kind_1[KIND_Q[query]])
        answer = case.answer_M[case.answer_P1[pair] : case.answer_P1[pair + 1]].tolist()
        focus = self.seen[entity][1]
        at = bisect.bisect_left(answer, focus)
        left, right = self.stretch.get(pair, (at, at))

        def far(place: int) -> int:
            return abs(int(case.ts_N[answer[place]]) - int(case.ts_N[focus]))

        found: list[int] = []
        while len(found) < PAGE and (left > 0 or right < len(answer)):
            if right == len(answer) or (left > 0 and far(left - 1) <= far(right)):
                left -= 1
                found.append(answer[left])
            else:
                found.append(answer[right])
                right += 1
        self.stretch[pair] = left, right
        if left == 0 and right == len(answer):
            self.closed.add((query, entity))
        return found

    def _look(self, rows: list[int]) -> int:
        """Reveals rows that are new; gives how many entities are new."""
        case, n_before = self.case, len(self.seen)
        now: set[int] = set()
        for row in rows:
            for entity in case.mention_M[case.mention_N1[row] : case.mention_N1[row + 1]].tolist():
                if entity not in now:
                    now.add(entity)
                    self.seen[entity] = self.step + 1, row
        self.rows += rows
        if rows:
            at = np.array(rows)
            trees, vectors = case.tree_N[at].astype(np.int64), case.vector_ND[at].astype(np.float32)
            self._pool.add(np.zeros(len(rows), np.int64), trees, vectors)
        return len(self.seen) - n_before

    def observation(self) -> Array:
        """What is seen of all this. (O,)"""
        kinds = np.searchsorted(self.case.kind_1, sorted(self.seen), side="right") - 1
        seen_O = {
            "belief": self.answers_K,
            "entropy": entropies(self.answers_K),
            "asked": [_log(n) for n in self.asked],
            "rows": [each.rows / PAGE for each in self.last],
            "fresh": [each.fresh / PAGE for each in self.last],
            "entities": [_log(each.entities) for each in self.last],
            "open": self.legal()[:STOP],
            "frontier": [_log(int((kinds == kind).sum())) for kind in range(len(KINDS))],
            "unlocked": [self.unlocked],
            "alert": self._alert_D,
            "page": self._page_D,
            "mean": self._sum_D / np.float32(len(self.rows)),
            "most": self._most_D,
            "budget": [max(0.0, 1 - self.spent / self._budget)],
            "steps": [1 - self.step / STEPS],
        }
        parts = [np.asarray(seen_O[name], np.float32) for name in slices(1, 1)]
        return np.concatenate(parts)


def _log(n: int) -> float:
    return math.log1p(n) / LOG_ROWS
