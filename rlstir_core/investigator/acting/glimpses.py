"""What somebody who asks at random has seen of each case at some moments: what the belief is fitted and calibrated on.

What does not belong here: fitting it (`belief/fit.py`).
"""

# B lanes, C cases, G glimpses
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.belief.fit import Glimpse
from rlstir_core.investigator.belief.head import N_ANSWERS
from rlstir_core.investigator.policies.simple import RandomLegal
from rlstir_core.investigator.soc.cases import CaseSet
from rlstir_core.investigator.soc.detecting import ConstantDetector
from rlstir_core.investigator.soc.lanes import SocLanes, SocStep
from rlstir_core.investigator.soc.reward import Rewards

_LOOKS = 0.25  # of the steps
_FURTHER = 2.0  # times the budget, so that more than a policy sees is told too


def glimpses_of(cases: CaseSet, budget: float, n: int, n_lanes: int, seed: int) -> list[Glimpse]:
    """About `n` glimpses of each case; the alert alone is one of them."""
    detector = ConstantDetector(np.full(N_ANSWERS, 0.5, np.float32), cases.vector_ND.shape[1])
    lanes = SocLanes(cases, detector, Rewards(), _FURTHER * budget, min(n_lanes, len(cases)), once=True)
    rng = np.random.default_rng(seed)
    found = [Glimpse(case=case, row_M=np.array([alert], np.int32)) for case, alert in enumerate(cases.alert_C.tolist())]
    walk = 0
    while len(found) < n * len(cases):
        policy = RandomLegal()
        policy.begin(seed + walk)
        found += _walked(lanes, policy, rng, seed + walk)
        walk += 1
    return found


def _walked(lanes: SocLanes, policy: RandomLegal, rng: np.random.Generator, seed: int) -> list[Glimpse]:
    """Every case once."""
    seen_BO, legal_BA = lanes.reset(seed)
    revealed: list[list[NDArray[np.int64]]] = [[] for _ in range(lanes.n_lanes)]
    found: list[Glimpse] = []
    _note(revealed, lanes.begun)
    while True:
        stepped = lanes.step(policy.act(seen_BO, legal_BA))
        told = lanes.last
        _note(revealed, told)
        looks_B = (rng.random(lanes.n_lanes) < _LOOKS) | told.declared_B
        for lane in np.flatnonzero(looks_B & ~told.idle_B).tolist():
            rows = np.concatenate(revealed[lane])
            found.append(Glimpse(case=int(told.case_B[lane]), row_M=rows.astype(np.int32)))
        for lane in np.flatnonzero(told.declared_B).tolist():
            revealed[lane].clear()
        _note(revealed, lanes.begun)
        if told.idle_B.all():
            return found
        seen_BO, legal_BA = stepped.seen_BO, stepped.legal_BA


def _note(revealed: list[list[NDArray[np.int64]]], told: SocStep) -> None:
    if not len(told.lane_R):
        return
    order = np.argsort(told.lane_R, kind="stable")
    lanes, firsts = np.unique(told.lane_R[order], return_index=True)
    for lane, rows in zip(lanes.tolist(), np.split(told.row_R[order], firsts[1:]), strict=True):
        revealed[lane].append(rows)
