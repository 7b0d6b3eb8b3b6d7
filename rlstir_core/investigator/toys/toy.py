"""A toy: who may be guilty, what can be asked, what the answers are worth and what they cost.

An attack is one or it is none; what else a hypothesis says is where the evidence lies. Each query can be asked once and
its answer is drawn given the hypothesis alone. What does not belong here: the toys themselves (`games.py`), and what
follows from them (`tables.py`, `exact.py`).
"""

# H hypotheses, Q queries, R answers of a query
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Toy:
    """A small decision problem under uncertainty."""

    name: str
    prior_H: Floats
    attack_H: Bools
    places: tuple[Ints, ...]  # each (H,): in which of several places what is sought lies
    chance_HQR: Floats  # of an answer, given the hypothesis; answers that a query has not are 0
    cost_Q: Floats
    after_Q: tuple[int, ...]  # the query that must have been asked before; -1 for none
    price: float  # of a unit of cost; a wrong verdict costs at most 1

    def __post_init__(self) -> None:
        H, Q, R = self.chance_HQR.shape
        if not np.allclose(self.chance_HQR.sum(2), 1.0) or (self.chance_HQR < 0).any():
            raise ConfigError(f"chances of {self.name}'s answers do not sum to 1 for every hypothesis and query")
        if self.prior_H.shape != (H,) or self.attack_H.shape != (H,) or not np.isclose(self.prior_H.sum(), 1.0):
            raise ConfigError(f"{self.name}'s prior needs one probability for each of {H} hypotheses, which sum to 1")
        if self.cost_Q.shape != (Q,) or (self.cost_Q <= 0).any() or self.price <= 0:
            raise ConfigError(f"{self.name} has a query that costs nothing; asking for ever would be free")
        if len(self.after_Q) != Q or any(not -1 <= before < q for q, before in enumerate(self.after_Q)):
            raise ConfigError(f"{self.name} has a query that waits for a later one; put what opens it first")
        if (R + 1) ** Q >= 1 << 62:
            raise ConfigError(f"{self.name} has too many queries to be solved exactly")
