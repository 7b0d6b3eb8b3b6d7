"""The learned greedy policy of a table, taught by how far a column would move the belief instead of by what it earned.

A belief that is calibrated loses, on average, as much Brier loss by an answer as the answer moves it, in squares, and
what moves it varies far less from row to row than what it earned. How much a move is worth, where the belief is not
quite calibrated, is counted column by column. What does not belong here: the policy, its rounds and how a network is
fitted (`policies/learned_greedy.py`).
"""

# B lanes, N states, C columns, K classes, O numbers of an observation
from __future__ import annotations

import numpy as np
from torch import Tensor

from rlstir_core.investigator.acquire.lanes import TableLanes, TableReads
from rlstir_core.investigator.lanes import Policy
from rlstir_core.investigator.policies.learned_greedy import GainNetwork, LearnedGreedy, Learning, fit_in_rounds
from rlstir_core.investigator.policies.probing import Experience
from rlstir_core.investigator.policies.reading import Numbers
from rlstir_core.progress import Tell


class ShareNetwork(GainNetwork):
    """Gains as shares of the loss that is expected now: no column takes more than there is. (B, O) -> (B, C)"""

    def __init__(self, width: int, n_columns: int, hidden: int, *, n_classes: int) -> None:
        super().__init__(width, n_columns, hidden)
        self.n_columns, self.n_classes = n_columns, n_classes

    def forward(self, seen_BO: Tensor) -> Tensor:
        p_BK = seen_BO[:, 2 * self.n_columns : 2 * self.n_columns + self.n_classes]
        gain_BC: Tensor = super().forward(seen_BO) * (1 - p_BK.square().sum(1, keepdim=True))
        return gain_BC


def fit_by_moves(
    reads: TableReads,
    lanes: TableLanes,
    check: TableLanes,
    *,
    seed: int,
    tell: Tell,
    learning: Learning,
    start: LearnedGreedy | None = None,
) -> LearnedGreedy:
    """Fitted on train lanes; `check` are lanes of other rows, on which the best epoch of each round is chosen."""

    def gather(walk: Policy, seed: int) -> tuple[Experience, Experience]:
        seen_NO, gain_NC, move_NC = _walked(walk, lanes, seed, learning.steps)
        worth_C = worth(gain_NC, move_NC)  # of train rows, on both sides
        seen_check_NO, _, move_check_NC = _walked(walk, check, seed, learning.steps)
        return Experience(seen_NO, move_NC * worth_C), Experience(seen_check_NO, move_check_NC * worth_C)

    def make(width: int, n_columns: int, hidden: int) -> ShareNetwork:
        return ShareNetwork(width, n_columns, hidden, n_classes=reads.n_classes)

    return fit_in_rounds(reads, gather, seed=seed, tell=tell, learning=learning, start=start, make=make)


def _walked(policy: Policy, lanes: TableLanes, seed: int, steps: int) -> tuple[Numbers, Numbers, Numbers]:
    """(N, O) what was seen on the policy's way, and (N, C) what each column would have earned and moved there."""
    policy.begin(seed)
    seen_BO, legal_BA = lanes.reset(seed)
    found = []
    for _ in range(steps):
        found.append((seen_BO, *lanes.outlook()))
        stepped = lanes.step(policy.act(seen_BO, legal_BA))
        seen_BO, legal_BA = stepped.seen_BO, stepped.legal_BA
    seen_NO, gain_NC, move_NC = (np.concatenate(each) for each in zip(*found, strict=True))
    return seen_NO, gain_NC, move_NC


def worth(gain_NC: Numbers, move_NC: Numbers) -> Numbers:
    """(C,) what was earned for what was moved; the less a column moves, the more it is worth the usual."""
    gain_C, move_C = np.nansum(gain_NC, 0, np.float64), np.nansum(move_NC, 0, np.float64)
    usual, weight = gain_C.sum() / max(move_C.sum(), 1e-12), max(move_C.mean(), 1e-12)
    return np.asarray((gain_C + usual * weight) / (move_C + weight), np.float32)
