"""How the numbers of an observation are read, which is all that a policy knows of a case.

What does not belong here: what only oracles may see (`oracles.py`).
"""

# B lanes, A actions (the last one is STOP), K answers of the belief
from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.lanes import Actions, Legal, Observed

Numbers = NDArray[np.float32]
_SMALL = 1e-6


class Reads(Protocol):
    """What stands where in an observation. Whoever makes observations gives it; it holds no case."""

    names: tuple[str, ...]  # of the actions, STOP last
    costs_A: Numbers

    def belief(self, seen_BO: Observed) -> Numbers:
        """(B, K) probabilities of the frozen detector; the first is that of an attack."""
        ...

    def asked(self, seen_BO: Observed) -> Numbers:
        """(B, A) how often each action was taken in the case so far."""
        ...


class Parts:
    """`Reads` of an observation of named parts, where counts may stand as log(1 + n) divided by `log_scale`."""

    def __init__(
        self, names: Sequence[str], costs_A: Numbers, *, belief: slice, asked: slice, log_scale: float | None = None
    ) -> None:
        self.names, self.costs_A = tuple(names), costs_A
        self._belief, self._asked, self._log_scale = belief, asked, log_scale

    def belief(self, seen_BO: Observed) -> Numbers:
        return seen_BO[:, self._belief]

    def asked(self, seen_BO: Observed) -> Numbers:
        count_BQ = seen_BO[:, self._asked]
        if self._log_scale is not None:
            count_BQ = np.rint(np.expm1(count_BQ * self._log_scale))
        return np.pad(count_BQ, ((0, 0), (0, 1)))  # STOP is never among what was asked


def entropy(belief_BK: Numbers) -> Numbers:
    """Mean binary entropy of the answers, in nats. (B,)"""
    p = np.clip(belief_BK.astype(np.float64), _SMALL, 1 - _SMALL)
    return np.asarray(-(p * np.log(p) + (1 - p) * np.log1p(-p)).mean(1), np.float32)


def spent(reads: Reads, seen_BO: Observed) -> Numbers:
    """What the case has cost so far. (B,)"""
    return np.asarray(reads.asked(seen_BO) @ reads.costs_A, np.float32)


def best(score_BA: Numbers, legal_BA: Legal) -> Actions:
    """The legal action of the highest score; the first of equals."""
    return np.asarray(np.where(legal_BA, score_BA, -np.inf).argmax(1), np.int64)


def going_on(legal_BA: Legal) -> Legal:
    """The same choice without STOP, where anything else is left."""
    legal = legal_BA.copy()
    legal[:, -1] = ~legal_BA[:, :-1].any(1)
    return legal
