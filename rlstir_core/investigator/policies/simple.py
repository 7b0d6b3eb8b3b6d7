"""Policies that know nothing but what is legal and what it costs: the floor of every table, and its ceiling in cost.

What does not belong here: anything that is fitted.
"""

# B lanes, A actions (the last one is STOP)
from __future__ import annotations

import numpy as np

from rlstir_core.investigator.lanes import Actions, Legal, Observed
from rlstir_core.investigator.policies.reading import Reads, best, going_on


class NoQuery:
    """Declares at once, from the alert alone."""

    name = "no_query"

    def begin(self, seed: int) -> None:
        del seed

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        return np.full(len(seen_BO), legal_BA.shape[1] - 1, np.int64)


class RandomLegal:
    """Any legal query with the same chance; stops when nothing is left, or by a tuned rule."""

    name = "random"

    def begin(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        return best(self.rng.random(legal_BA.shape, np.float32), going_on(legal_BA))


class CheapestFirst:
    """The cheapest legal query that was asked least often, ties in the order of the catalogue. Knows costs alone."""

    name = "cheapest_first"

    def __init__(self, reads: Reads) -> None:
        self.reads = reads

    def begin(self, seed: int) -> None:
        del seed

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        dearer = 1 + float(self.reads.costs_A.max())  # a second page comes after every first one
        return best(-(self.reads.costs_A + dearer * self.reads.asked(seen_BO)), going_on(legal_BA))


class AllAtOnce:
    """Asks everything there is, page after page, until the environment ends the case: what a full pull costs."""

    name = "all_at_once"

    def __init__(self, reads: Reads) -> None:
        self.reads = reads

    def begin(self, seed: int) -> None:
        del seed

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        return best(-self.reads.asked(seen_BO), going_on(legal_BA))
