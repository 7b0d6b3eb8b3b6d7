"""Many investigations side by side, as arrays over lanes.

What does not belong here: the same rules as plain Python (`single.py`), whom a query is about (`frontier.py`), which
rows it shows (`paging.py`), and what is counted for the observation (`memory.py`).
"""

# B lanes, A actions, Q queries, K answers, O numbers of an observation, M lanes that ask, R rows revealed in a step
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Array, Bools, Ints
from rlstir_core.errors import ConfigError
from rlstir_core.investigator.lanes import Actions, Legal, Observed, Stepped
from rlstir_core.investigator.queries.catalogue import ACTIONS, STOP, costs
from rlstir_core.investigator.soc.cases import NOBODY, CaseSet
from rlstir_core.investigator.soc.chance import case_order, mixed
from rlstir_core.investigator.soc.detecting import FrozenDetector
from rlstir_core.investigator.soc.frontier import IS_TREE_Q, Frontier
from rlstir_core.investigator.soc.memory import CaseMemory
from rlstir_core.investigator.soc.observation import described, observation_width, slices
from rlstir_core.investigator.soc.paging import Page, Stretches
from rlstir_core.investigator.soc.reward import Rewards, declared, entropies, potential

STEPS = 64  # the last one is a forced declaration
_ALERT = -1  # the action of step 0


class SocStep(NamedTuple):
    """What a step did, for whoever writes it down. Lanes that are idle did nothing."""

    case_B: Ints  # the case that was acted in, by its place in the set
    step_B: Ints  # 1 for the first action; 0 for the alert
    action_B: Ints  # -1 for the alert
    legal_B: Bools  # an action that is not legal costs and does nothing
    cost_B: NDArray[np.float32]
    cumulative_B: NDArray[np.float32]
    target_B: Ints  # the entity that was asked about, by its number in the case; -1 for none
    lane_R: Ints  # rows that are newly revealed, in the order in which they were shown
    row_R: Ints
    answers_BK: Array  # what the detector says after this step
    declared_B: Bools  # STOP, or forced
    idle_B: Bools


class _Shown(NamedTuple):
    """What a step's queries reveal."""

    lane_M: Ints
    query_M: Ints
    target_M: Ints
    pair_M: Ints
    page: Page
    new_MW: Bools  # rows that were not revealed before


class SocLanes:
    """`Lanes` over cases. `once`: each case exactly once and in order; lanes that have none left stay done.

    `budget` is what may be spent on queries in a case; STOP costs nothing. A step of the last number declares whatever
    the action is. `last` tells of the last step, `begun` of the alerts of cases that it began; `case_B` is the case
    that each lane is in now, `visible_BN` which of its rows are revealed.
    """

    def __init__(
        self,
        cases: CaseSet,
        detector: FrozenDetector,
        rewards: Rewards,
        budget: float,
        n_lanes: int,
        once: bool = False,
    ) -> None:
        if not budget > 0 or n_lanes < 1:
            raise ConfigError(f"budget {budget} and {n_lanes} lanes: both must be above 0")
        if cases.vector_ND.shape[1] != detector.width:
            raise ConfigError(
                f"rows have {cases.vector_ND.shape[1]} numbers and the detector reads {detector.width}; make the cases "
                "with the vectors of this detector"
            )
        self.n_lanes, self.n_actions = n_lanes, len(ACTIONS)
        self.costs_A = costs()
        self.width = observation_width(detector.n_answers, detector.width)
        self.cases, self.rewards, self.budget, self.once = cases, rewards, budget, once
        self._parts = slices(detector.n_answers, detector.width)
        self._frontier, self._stretches = Frontier(cases, n_lanes), Stretches(cases, n_lanes)
        self._memory = CaseMemory(n_lanes, detector.width, STEPS)
        self._pool = detector.pool(n_lanes, cases.most_trees)
        self.visible_BN = np.zeros((n_lanes, cases.most_rows), np.bool_)
        self._seed = self._n_begun = 0
        self._lane_B = np.arange(n_lanes)
        self.case_B = np.zeros(n_lanes, np.int64)
        self._episode_B = np.zeros(n_lanes, np.int64)  # how many a lane has begun
        self._step_B = np.zeros(n_lanes, np.int64)
        self._spent_B = np.zeros(n_lanes, np.float64)
        self._idle_B = np.zeros(n_lanes, np.bool_)
        self._answers_BK = np.zeros((n_lanes, detector.n_answers), np.float32)
        self._phi_B = np.zeros(n_lanes, np.float32)
        self.last: SocStep
        self.begun: SocStep
        self._look_up()

    def reset(self, seed: int) -> tuple[Observed, Legal]:
        """Begins every lane anew; `begun` then tells of the alerts."""
        self._seed, self._n_begun = seed, 0
        self._episode_B[:] = 0
        self._idle_B[:] = False
        rows = self._begin(self._lane_B)
        self._ask_detector()
        self.begun = self.last = self._alerts(self._lane_B, *rows)
        return self._seen(), self._legal_BA.copy()

    def step(self, action_B: Actions) -> Stepped:
        lane_B, idle_B = self._lane_B, self._idle_B.copy()
        case_B = self.case_B.copy()
        legal_B = self._legal_BA[lane_B, action_B] & ~idle_B
        forced_B = self._step_B == STEPS - 1
        stop_B = ((action_B == STOP) | forced_B) & ~idle_B
        cost_B = np.where(stop_B | idle_B, 0, self.costs_A[action_B]).astype(np.float32)
        asks_M = np.flatnonzero(legal_B & ~stop_B)
        self._step_B[~idle_B] += 1
        self._spent_B += cost_B
        shown = self._shown(asks_M, action_B[asks_M])
        lane_R, row_R = self._reveal(shown)
        target_B = np.full(self.n_lanes, NOBODY)
        target_B[asks_M] = shown.target_M

        reward_B = -self.rewards.price * cost_B
        before_BK, phi_B, spent_B = self._answers_BK, self._phi_B, self._spent_B.astype(np.float32)
        step_B = self._step_B.copy()
        ended_M = np.flatnonzero(stop_B)
        if len(ended_M):
            reward_B[ended_M] += declared(self.rewards, before_BK[ended_M], self.cases.truth_CK[case_B[ended_M]])
        begun = self._begin(ended_M)
        self._ask_detector()
        reward_B += self.rewards.shaping * (np.where(stop_B, np.float32(0), self._phi_B) - phi_B)
        reward_B[idle_B] = 0
        self.last = SocStep(
            case_B, step_B, action_B.copy(), legal_B, cost_B, spent_B, target_B, lane_R, row_R,
            np.where(stop_B[:, None], before_BK, self._answers_BK), stop_B, idle_B,
        )  # fmt: skip
        self.begun = self._alerts(ended_M, *begun)
        return Stepped(self._seen(), self._legal_BA.copy(), reward_B.astype(np.float32), stop_B | idle_B)

    def peek(self, action_B: Actions) -> tuple[Ints, Ints]:
        """Lanes and rows that these actions would newly reveal, without doing anything: for oracles."""
        asks_M = np.flatnonzero(self._legal_BA[self._lane_B, action_B] & (action_B != STOP) & ~self._idle_B)
        shown = self._shown(asks_M, action_B[asks_M])
        return shown.lane_M.repeat(shown.new_MW.sum(axis=1)), shown.page.row_MW[shown.new_MW].astype(np.int64)

    def describe(self, lane: int) -> dict[str, Any] | None:
        """What is seen of a lane's case, in names and numbers; None where it has none any more."""
        if self._idle_B[lane]:
            return None
        return described(self._seen()[lane], self._parts, self.budget, STEPS)

    def if_declared(self) -> NDArray[np.float32]:
        """What a declaration would earn now, in each lane. (B,)"""
        earned_B = declared(self.rewards, self._answers_BK, self.cases.truth_CK[self.case_B])
        found_B = np.where(self._idle_B, 0, earned_B - self.rewards.shaping * self._phi_B)
        return found_B.astype(np.float32)

    def then_declared(self, action_B: Actions) -> NDArray[np.float32]:
        """What these actions and a declaration after them would earn; nothing is done. (B,)

        The shaping of the step and of the end cancel but for what was believed before.
        """
        lane_R, row_R = self.peek(action_B)
        at_R = self._row0_B[lane_R] + row_R
        answers_BK = self._pool.foreseen(
            lane_R, self.cases.tree_N[at_R].astype(np.int64), self.cases.vector_ND[at_R].astype(np.float32)
        )
        ends_B = (action_B == STOP) | (self._step_B == STEPS - 1)
        cost_B = np.where(ends_B, 0, self.costs_A[action_B])
        said_BK = np.where(ends_B[:, None], self._answers_BK, answers_BK)
        earned_B = declared(self.rewards, said_BK, self.cases.truth_CK[self.case_B]) - self.rewards.price * cost_B
        found_B = np.where(self._idle_B, 0, earned_B - self.rewards.shaping * self._phi_B)
        return found_B.astype(np.float32)

    def state(self) -> Mapping[str, NDArray[Any]]:
        """All that decides what follows; what the detector pooled is told by the rows that it was given."""
        numbers = {"seed": np.array(self._seed), "n_begun": np.array(self._n_begun)}
        return numbers | {name: array.copy() for name, array in self._arrays().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._seed, self._n_begun = int(state["seed"]), int(state["n_begun"])
        for name, array in self._arrays().items():
            array[...] = state[name]
        self._look_up()
        self._pool.clear(self._lane_B)
        for lane_R, row_R in self._memory.history():
            self._add(lane_R, row_R)
        self._ask_detector()

    def _arrays(self) -> dict[str, NDArray[Any]]:
        names = ("case_B", "visible_BN", "_episode_B", "_step_B", "_spent_B", "_idle_B")
        own = {name: getattr(self, name) for name in names}
        parts = {"frontier": self._frontier, "stretches": self._stretches, "memory": self._memory}
        for part, holder in parts.items():
            own |= {f"{part}.{name}": each for name, each in vars(holder).items() if name[0] != "_"}
        return own

    def _look_up(self) -> None:
        """Where each lane's case lies in the set."""
        cases, case_B = self.cases, self.case_B
        self._row0_B, self._entity0_B = cases.row_C1[case_B], cases.entity_C1[case_B]
        self._pair0_B = cases.pair_C1[case_B]
        self._alert_process_B = cases.alert_process_C[case_B]
        self._key_B = mixed(mixed(np.full(self.n_lanes, self._seed, np.uint64), self._lane_B), self._episode_B)

    def _begin(self, lane_M: Ints) -> tuple[Ints, Ints]:
        """The next cases of these lanes, each with its alert revealed; gives lanes and alerts."""
        n = len(lane_M)
        if not n:
            return lane_M, lane_M
        if self.once:
            left = max(0, len(self.cases) - self._n_begun)
            self._idle_B[lane_M[left:]] = True
            lane_M = lane_M[:left]
            self.case_B[lane_M] = np.arange(self._n_begun, self._n_begun + len(lane_M))
        else:
            self.case_B[lane_M] = case_order(self._seed, self._n_begun, n, len(self.cases))
        self._n_begun += len(lane_M)
        self._episode_B[lane_M] += 1
        self._step_B[lane_M] = 0
        self._spent_B[lane_M] = 0
        self.visible_BN[lane_M] = False
        for part in (self._frontier, self._stretches, self._memory, self._pool):
            part.clear(lane_M)
        self._look_up()
        row_M = self.cases.alert_C[self.case_B[lane_M]]
        self.visible_BN[lane_M, row_M] = True
        self._frontier.see(lane_M, row_M, self._row0_B[lane_M], self._entity0_B, self._step_B)
        self._memory.begin(lane_M, row_M, self._add(lane_M, row_M))
        return lane_M, row_M

    def _shown(self, lane_M: Ints, query_M: Ints) -> _Shown:
        target_M = self._frontier.targets(
            lane_M, query_M, self.case_B, self._entity0_B, self._alert_process_B, self._key_B, self._memory.n_shown_B
        )
        case_M = self.case_B[lane_M]
        kind_M = self.cases.kind_E[self._entity0_B[lane_M] + target_M]
        pair_M = self.cases.pair_CQ1[case_M, query_M] + target_M - self.cases.kind_C1[case_M, kind_M]
        focus_M = self._frontier.via_BE[lane_M, target_M].astype(np.int64)
        page = self._stretches.page(lane_M, pair_M, self._pair0_B[lane_M], self._row0_B[lane_M], focus_M)
        new_MW = page.shown_MW & ~self.visible_BN[lane_M[:, None], page.row_MW]
        return _Shown(lane_M, query_M, target_M, pair_M, page, new_MW)

    def _reveal(self, shown: _Shown) -> tuple[Ints, Ints]:
        lane_M, query_M, _, pair_M, page, new_MW = shown
        self._stretches.keep(lane_M, pair_M, page)
        self._frontier.close(lane_M[page.closed_M], query_M[page.closed_M], pair_M[page.closed_M])
        lane_R, row_R = lane_M.repeat(new_MW.sum(axis=1)), page.row_MW[new_MW].astype(np.int64)
        self.visible_BN[lane_R, row_R] = True
        entities_B = self._frontier.see(lane_R, row_R, self._row0_B[lane_R], self._entity0_B, self._step_B)
        self._frontier.unlocked_B[lane_M[IS_TREE_Q[query_M]]] = True
        vector_RD = self._add(lane_R, row_R)
        n_M = page.shown_MW.sum(axis=1)
        self._memory.note(lane_M, query_M, n_M, new_MW.sum(axis=1), entities_B[lane_M], lane_R, row_R, vector_RD)
        return lane_R, row_R

    def _add(self, lane_R: Ints, row_R: Ints) -> Array:
        """Gives rows to the detector; their vectors. (R, D)"""
        at_R = self._row0_B[lane_R] + row_R
        vector_RD: Array = self.cases.vector_ND[at_R].astype(np.float32)
        if len(lane_R):
            self._pool.add(lane_R, self.cases.tree_N[at_R].astype(np.int64), vector_RD)
        return vector_RD

    def _ask_detector(self) -> None:
        self._answers_BK = self._pool.answers()
        self._entropy_BK = entropies(self._answers_BK)
        self._phi_B = potential(self._entropy_BK)
        payable_BA = self.costs_A <= (self.budget - self._spent_B)[:, None] + 1e-6
        self._legal_BA = np.zeros((self.n_lanes, self.n_actions), np.bool_)
        self._legal_BA[:, :STOP] = self._frontier.open(self._alert_process_B)
        self._legal_BA &= payable_BA & (~self._idle_B & (self._step_B < STEPS - 1))[:, None]
        self._legal_BA[:, STOP] = True

    def _seen(self) -> Observed:
        """What a policy sees now, by `slices`."""
        seen_BO = np.empty((self.n_lanes, self.width), np.float32)
        seen_BO[:, self._parts["belief"]] = self._answers_BK
        seen_BO[:, self._parts["entropy"]] = self._entropy_BK
        self._memory.write(seen_BO, self._parts, self._frontier)
        seen_BO[:, self._parts["open"]] = self._legal_BA[:, :STOP]
        seen_BO[:, self._parts["budget"]] = np.maximum(0, 1 - self._spent_B / self.budget)[:, None]
        seen_BO[:, self._parts["steps"]] = 1 - (self._step_B / STEPS)[:, None]
        return seen_BO

    def _alerts(self, among_M: Ints, lane_R: Ints, row_R: Ints) -> SocStep:
        nothing_B = np.zeros(self.n_lanes, np.float32)
        idle_B = np.ones(self.n_lanes, np.bool_)
        idle_B[lane_R] = False
        return SocStep(
            self.case_B.copy(), np.zeros(self.n_lanes, np.int64), np.full(self.n_lanes, _ALERT), ~idle_B, nothing_B,
            nothing_B, np.full(self.n_lanes, NOBODY), lane_R, row_R, self._answers_BK, np.zeros_like(idle_B), idle_B,
        )  # fmt: skip
