"""The best fixed order of queries: one list for all cases, found by building it up query by query on train cases.

What does not belong here: when to stop (`stopping.py`).
"""

# B lanes, A actions (the last one is STOP)
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.lanes import Actions, Lanes, Legal, Observed
from rlstir_core.investigator.policies.probing import gains
from rlstir_core.investigator.policies.reading import Numbers, Reads

Worth = Callable[[Lanes], Numbers]  # (B, A - 1) of one more query, before its own cost


class FixedOrder:
    """Walks one list of queries, whatever is found; what is not legal yet is gone back to when it has become so.

    A query that stands in the list twice is asked for its second page. Stops at the end of the list.
    """

    name = "fixed_order"

    def __init__(self, reads: Reads, order: Sequence[int]) -> None:
        self.reads, self.order = reads, tuple(order)
        earlier: dict[int, int] = {}
        page = []
        for action in self.order:
            page.append(earlier.get(action, 0))
            earlier[action] = page[-1] + 1
        self._order_L = np.array(self.order, np.int64)
        self._page_L = np.array(page, np.float32)  # how often the action stands before it

    def begin(self, seed: int) -> None:
        del seed

    def open(self, seen_BO: Observed, legal_BA: Legal) -> NDArray[np.bool_]:
        """(B, L) the places of the list that are still to be asked and can be."""
        asked_BA = np.rint(self.reads.asked(seen_BO))
        return (asked_BA[:, self._order_L] <= self._page_L) & legal_BA[:, self._order_L]

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        stop = legal_BA.shape[1] - 1
        if not self.order:
            return np.full(len(seen_BO), stop, np.int64)
        open_BL = self.open(seen_BO, legal_BA)
        return np.where(open_BL.any(1), self._order_L[open_BL.argmax(1)], stop)


def best_order(
    reads: Reads, lanes: Lanes, *, price: float, seed: int, longest: int, pages: int = 1, worth: Worth | None = None
) -> FixedOrder:
    """Appends, again and again, the query that gives most per cost after all that stands before it.

    Measured on the first case of each train lane: the drop of the terminal loss, or `worth` (new evidence, say).
    Greedy forward construction; an order that is better only as a whole is not found.
    """
    order: list[int] = []
    while len(order) < longest:
        given_A = _given(FixedOrder(reads, order), lanes, price, seed, worth)
        given_A[[a for a in range(lanes.n_actions - 1) if order.count(a) >= pages]] = -np.inf
        per_cost_A = given_A / np.maximum(lanes.costs_A[:-1], 1e-9)
        if not np.isfinite(per_cost_A.max()):
            break
        order.append(int(per_cost_A.argmax()))
    return FixedOrder(reads, order)


def _given(order: FixedOrder, lanes: Lanes, price: float, seed: int, worth: Worth | None) -> Numbers:
    """(A - 1,) what each query gives a case, if it is asked where the order has come to its end; -inf: never legal."""
    total_A, ever_A = np.zeros(lanes.n_actions - 1), np.zeros(lanes.n_actions - 1, bool)
    order.begin(seed)
    seen_BO, legal_BA = lanes.reset(seed)
    alive_B = np.ones(lanes.n_lanes, bool)
    while alive_B.any():
        action_B = order.act(seen_BO, legal_BA)
        ended_B = alive_B & (action_B == lanes.n_actions - 1)
        if ended_B.any():
            asked_BA = legal_BA & ended_B[:, None]
            gain_BA = gains(lanes, legal_BA, price, asked_BA) if worth is None else worth(lanes)
            gain_BA = np.where(asked_BA[:, :-1], gain_BA, 0)
            total_A += gain_BA.sum(0, np.float64) / lanes.n_lanes
            ever_A |= asked_BA[:, :-1].any(0)
        stepped = lanes.step(action_B)
        seen_BO, legal_BA = stepped.seen_BO, stepped.legal_BA
        alive_B &= ~stepped.done_B
    return np.asarray(np.where(ever_A, total_A, -np.inf), np.float32)
