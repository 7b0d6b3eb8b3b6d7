"""Greedy information gain: the query from which most entropy of the belief is expected to go, per cost.

The expectation is one ridge regression a query, from the observation to the share of the entropy that it took on train
cases. What does not belong here: labels; a belief that is wrong is trusted all the same.
"""

# B lanes, A actions (the last one is STOP), O numbers of an observation, N queries that were asked, F of a regression
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.lanes import Actions, Lanes, Legal, Observed, Policy
from rlstir_core.investigator.policies.exploring import Exploring
from rlstir_core.investigator.policies.reading import Numbers, Reads, best, entropy, going_on
from rlstir_core.investigator.policies.simple import RandomLegal
from rlstir_core.investigator.policies.stopping import Unstopped
from rlstir_core.progress import Tell

_RIDGES = (0.1, 1.0, 10.0, 100.0, 1_000.0)  # in units of a row; chosen on lanes that were left out
_FEW = 10  # that a query must have been asked for a regression of its own


class Greedy:
    """Asks what promises to take most entropy from the belief per cost; stops by a tuned rule.

    Knows the observation and costs. It trusts the belief, and looks one query ahead.
    """

    name = "greedy"

    def __init__(self, reads: Reads, centre_O: Numbers, spread_O: Numbers, weight_AF: Numbers) -> None:
        self.reads, self.centre_O, self.spread_O, self.weight_AF = reads, centre_O, spread_O, weight_AF

    def begin(self, seed: int) -> None:
        del seed

    def expected(self, seen_BO: Observed, legal_BA: Legal) -> Numbers:
        """(B, A) entropy that is expected to go, per cost; 0 for STOP, -inf for what is not legal."""
        feature_BF = _features(self.reads, seen_BO, self.centre_O, self.spread_O)
        per_cost_BA = np.zeros(legal_BA.shape, np.float32)
        per_cost_BA[:, :-1] = feature_BF @ self.weight_AF.T / np.maximum(self.reads.costs_A[:-1], 1e-9)
        return np.where(legal_BA, per_cost_BA, -np.inf)

    def most_expected(self, seen_BO: Observed, legal_BA: Legal) -> Numbers:
        return np.asarray(self.expected(seen_BO, legal_BA)[:, :-1].max(1), np.float32)

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        return best(self.expected(seen_BO, legal_BA), going_on(legal_BA))


def _features(reads: Reads, seen_BO: Observed, centre_O: Numbers, spread_O: Numbers) -> Numbers:
    """The observation and a 1, all times the entropy: no query takes more than there is. (B, O + 1)"""
    standard_BO = np.clip((seen_BO - centre_O) / spread_O, -5, 5)
    feature_BF = np.hstack([standard_BO, np.ones((len(seen_BO), 1), np.float32)])
    return np.asarray(feature_BF * entropy(reads.belief(seen_BO))[:, None], np.float32)


@dataclass(frozen=True)
class Drops:
    """What single queries took from the entropy of the belief."""

    seen_NO: Observed
    action_N: NDArray[np.int64]
    drop_N: Numbers
    lane_N: NDArray[np.int64]


def drops(policy: Policy, reads: Reads, lanes: Lanes, seed: int, steps: int) -> Drops:
    """Of the queries that the policy asks; the last query of a case is left out, since it shows nothing afterwards."""
    policy.begin(seed)
    seen_BO, legal_BA = lanes.reset(seed)
    found: list[tuple[Observed, NDArray[np.int64], Numbers, NDArray[np.int64]]] = []
    for _ in range(steps):
        before_B = entropy(reads.belief(seen_BO))
        action_B = policy.act(seen_BO, legal_BA)
        stepped = lanes.step(action_B)
        kept = np.flatnonzero(~stepped.done_B & (action_B < lanes.n_actions - 1))
        drop_B = before_B - entropy(reads.belief(stepped.seen_BO))
        found.append((seen_BO[kept], action_B[kept], drop_B[kept], kept))
        seen_BO, legal_BA = stepped.seen_BO, stepped.legal_BA
    return Drops(*(np.concatenate(each) for each in zip(*found, strict=True)))


def fit_greedy(reads: Reads, lanes: Lanes, *, seed: int, tell: Tell, steps: int = 40, rounds: int = 2) -> Greedy:
    """Fitted on train lanes along a random walk, and then along its own, as the learned greedy policy is."""
    found: list[Drops] = []
    walk: Policy = RandomLegal()
    policy: Greedy | None = None
    for number in range(1 + rounds):
        tell(f"greedy: round {number + 1} of {1 + rounds}")
        found.append(drops(Unstopped(walk), reads, lanes, seed + number, steps))
        policy = fitted(reads, found, lanes.n_actions - 1)
        walk = Exploring(policy, 0.3)
    assert policy is not None
    return policy


def fitted(reads: Reads, found: Sequence[Drops], n_queries: int) -> Greedy:
    """One regression a query; its ridge is the one that predicts every fourth lane best from the others."""
    seen_NO = np.concatenate([each.seen_NO for each in found])
    action_N = np.concatenate([each.action_N for each in found])
    drop_N = np.concatenate([each.drop_N for each in found]).astype(np.float64)
    out_N = np.concatenate([each.lane_N for each in found]) % 4 == 3
    centre_O = seen_NO.mean(0, dtype=np.float64).astype(np.float32)
    spread_O = np.maximum(seen_NO.std(0, dtype=np.float64), 1e-2).astype(np.float32)
    feature_NF = _features(reads, seen_NO, centre_O, spread_O).astype(np.float64)
    entropy_N = feature_NF[:, -1]
    whole = float(entropy_N @ drop_N) / max(float(entropy_N @ entropy_N), 1e-9)
    weight_AF = np.zeros((n_queries, feature_NF.shape[1]))
    weight_AF[:, -1] = whole  # of a query that was hardly ever asked: what a query takes as a rule
    for query in range(n_queries):
        own_N = action_N == query
        if own_N.sum() < _FEW:
            continue
        errors = []
        for ridge in _RIDGES:
            weight_F = _ridge(feature_NF[own_N & ~out_N], drop_N[own_N & ~out_N], ridge, whole)
            errors.append(((feature_NF[own_N & out_N] @ weight_F - drop_N[own_N & out_N]) ** 2).sum())
        weight_AF[query] = _ridge(feature_NF[own_N], drop_N[own_N], _RIDGES[int(np.argmin(errors))], whole)
    return Greedy(reads, centre_O, spread_O, weight_AF.astype(np.float32))


def _ridge(
    feature_NF: NDArray[np.float64], drop_N: NDArray[np.float64], ridge: float, whole: float
) -> NDArray[np.float64]:
    """Shrunk towards the same share for all."""
    gram_FF = feature_NF.T @ feature_NF + ridge * np.eye(feature_NF.shape[1])
    start_F = np.zeros(feature_NF.shape[1])
    start_F[-1] = whole
    return start_F + np.linalg.solve(gram_FF, feature_NF.T @ (drop_N - feature_NF @ start_F))
