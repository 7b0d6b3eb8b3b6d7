"""Two policies that cheat on purpose: what can be reached by whoever knows the labels, one query ahead.

Only they are given `Peeks`, or the lanes themselves; every other policy is made of `Reads` and gets nothing but
observations. They still have to reveal rows, and the frozen detector still declares.
"""

# B lanes, A actions (the last one is STOP)
from __future__ import annotations

from typing import Protocol

import numpy as np

from rlstir_core.investigator.lanes import Actions, Lanes, Legal, Observed
from rlstir_core.investigator.policies.probing import gains
from rlstir_core.investigator.policies.reading import Numbers, best, going_on

_SLIGHT = 1e-3  # of a technique: new rows decide only among queries that show no new technique


class Peeks(Protocol):
    """What each query would reveal of the case that each lane is in now, by the labels. Asking changes nothing."""

    costs_A: Numbers

    def new_techniques(self, legal_BA: Legal) -> Numbers:
        """(B, A - 1) how many techniques would have their first labelled row revealed."""
        ...

    def new_rows(self, legal_BA: Legal) -> Numbers:
        """(B, A - 1) how many rows it would newly reveal, labelled or not."""
        ...


class LabelOracle:
    """Asks what lowers the loss of the declaration most, per cost. It picks the detector's lucky errors: no bar.

    Everything is tried in the lanes that it is judged in, and gone back from.
    """

    name = "label_oracle"

    def __init__(self, lanes: Lanes, price: float) -> None:
        self.lanes, self.price = lanes, price

    def begin(self, seed: int) -> None:
        del seed

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        del seen_BO
        return _most(gains(self.lanes, legal_BA, self.price), self.lanes.costs_A, legal_BA)


class EvidenceOracle:
    """Asks what shows most techniques that were not shown yet, per cost.

    Where no query does, the one with most new rows per cost, since evidence lies behind others. One query ahead: a
    longer look can do better, so it is a bar and no bound.
    """

    name = "evidence_oracle"

    def __init__(self, peeks: Peeks) -> None:
        self.peeks = peeks

    def begin(self, seed: int) -> None:
        del seed

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        del seen_BO
        rows_BA = self.peeks.new_rows(legal_BA)
        worth_BA = self.peeks.new_techniques(legal_BA) + _SLIGHT * rows_BA / (1 + rows_BA.max(initial=0))
        return _most(worth_BA, self.peeks.costs_A, legal_BA)


def _most(worth_BA: Numbers, costs_A: Numbers, legal_BA: Legal) -> Actions:
    per_cost_BA = np.full(legal_BA.shape, -np.inf, np.float32)
    per_cost_BA[:, :-1] = np.nan_to_num(worth_BA, nan=-np.inf) / np.maximum(costs_A[:-1], 1e-9)
    per_cost_BA[:, -1] = -1e30  # only where nothing else is legal
    return best(per_cost_BA, going_on(legal_BA))
