"""The fit of the belief: what is learnt from cases of which some rows were revealed, and its calibration.

A glimpse is the set of rows that somebody who asks at random has seen of a case at some moment. The head learns from
glimpses of the train side whose row vectors were made by models that did not see their host; a fold of the train side
calibrates it. What does not belong here: how glimpses come about (`acting/glimpses.py`).
"""

# G glimpses, M their rows, J trees of a batch, D numbers of a row, A answers, L labels
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlstir_core.investigator.belief.head import (
    ATTACK,
    N_ANSWERS,
    TAMPERED,
    TECHNIQUES,
    BeliefHead,
    Pooled,
    Whole,
    base_rates,
    loss_of,
)
from rlstir_core.investigator.belief.row_model import FARTHEST
from rlstir_core.investigator.techniques.row_truth import RowTruth
from rlstir_core.progress import Tell

_GLIMPSES = 64  # of a step
_RATE = 5e-3
_DECAY = 0.01


@dataclass(frozen=True, kw_only=True)
class Glimpse:
    """Rows of a case that were revealed at some moment."""

    case: int
    row_M: NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class TaughtCase:
    """What is known of one case: the vectors and trees of its rows, and the answers."""

    vector_ND: NDArray[np.float16]
    tree_N: NDArray[np.int32]
    truth_A: NDArray[np.float32]


def answers(truth: RowTruth) -> NDArray[np.float32]:
    """The answers of a case: attack, tampered, and each technique of the label space. (2 + L,)"""
    found_A = np.zeros(N_ANSWERS, np.float32)
    found_A[ATTACK], found_A[TAMPERED] = truth.attack_N.any(), truth.tampered_N.any()
    found_A[TECHNIQUES + np.unique(truth.technique_M)] = 1.0
    return found_A


def fit_head(
    cases: Sequence[TaughtCase],
    glimpses: Sequence[Glimpse],
    technique_K: NDArray[np.int64],
    seed: int,
    tell: Tell,
    steps: int,
    by_tree: bool = True,
) -> BeliefHead:
    """The head, fitted by so many steps of AdamW on the log loss of its answers."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    truth_EA = np.stack([case.truth_A for case in cases])
    n_L = torch.from_numpy(truth_EA[:, TECHNIQUES:].sum(0))
    head = BeliefHead(torch.from_numpy(technique_K), base_rates(n_L, len(cases)), by_tree)
    optimiser = torch.optim.AdamW(head.parameters(), _RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps + 1)
    for step in range(steps):
        if step % 500 == 0:
            tell(f"belief, step {step:,} of {steps:,}")
        chosen = [glimpses[k] for k in rng.integers(len(glimpses), size=_GLIMPSES)]
        said_BA = head(pooled(head, cases, chosen))
        truth_BA = torch.from_numpy(truth_EA[[each.case for each in chosen]])
        loss = loss_of(said_BA, truth_BA)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return head


def calibrate(head: BeliefHead, cases: Sequence[TaughtCase], glimpses: Sequence[Glimpse]) -> None:
    """Slopes and offsets of the answers by glimpses of cases that taught nothing (Platt 1999), in place."""
    said, truth = [], []
    with torch.no_grad():
        for at in range(0, len(glimpses), _GLIMPSES):
            chosen = glimpses[at : at + _GLIMPSES]
            said.append(head(pooled(head, cases, chosen)))
            truth.append(torch.from_numpy(np.stack([cases[each.case].truth_A for each in chosen])))
    said_GA, truth_GA = torch.cat(said), torch.cat(truth)
    parts = (
        (said_GA[:, ATTACK], truth_GA[:, ATTACK]),
        (said_GA[:, TAMPERED], truth_GA[:, TAMPERED]),
        (said_GA[:, TECHNIQUES:][:, head.label_K].flatten(), truth_GA[:, TECHNIQUES:][:, head.label_K].flatten()),
    )
    for k, (said_G, truth_G) in enumerate(parts):
        if 0 < truth_G.sum() < len(truth_G):
            head.platt_32[k] = _platt(said_G, truth_G)


def _platt(said_G: Tensor, truth_G: Tensor) -> Tensor:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=10.0, max_iter=1_000).fit(said_G.numpy()[:, None], truth_G.numpy() > 0)
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return torch.tensor([slope, offset] if slope > 0 else [1.0, 0.0])


def pooled(head: BeliefHead, cases: Sequence[TaughtCase], glimpses: Sequence[Glimpse]) -> Whole:
    """What the trees of each glimpse say together, in an order that gradients go through."""
    lane_M = np.repeat(np.arange(len(glimpses)), [len(each.row_M) for each in glimpses])
    tree_M = np.concatenate([cases[each.case].tree_N[each.row_M] for each in glimpses]).astype(np.int64)
    tree_M *= int(head.by_tree)
    vector_MD = np.concatenate([cases[each.case].vector_ND[each.row_M] for each in glimpses]).astype(np.float32)
    cell_M = lane_M * (int(tree_M.max(initial=0)) + 1) + tree_M
    order = np.argsort(cell_M, kind="stable")
    cell_M, vector_MD = cell_M[order], vector_MD[order]
    first_J = np.flatnonzero(np.r_[True, cell_M[1:] != cell_M[:-1]][: len(cell_M)])
    n_J = np.diff(np.r_[first_J, len(cell_M)])
    p_MD = 1.0 / (1.0 + np.exp(-vector_MD))
    max_JD, odds_JD = np.maximum.reduceat(vector_MD, first_J), np.add.reduceat(p_MD, first_J)
    attack_J, technique_JK = head.trees(
        Pooled(
            max_TD=torch.from_numpy(max_JD),
            odds_TD=torch.from_numpy(odds_JD),
            n_T=torch.from_numpy(n_J.astype(np.float32)),
        )
    )
    B = len(glimpses)
    lane_J = torch.from_numpy(lane_M[order][first_J])
    rules_max_B = np.full(B, -FARTHEST, np.float32)
    np.maximum.at(rules_max_B, lane_J.numpy(), max_JD[:, 1])
    return Whole(
        attack_B=torch.zeros(B).index_add(0, lane_J, attack_J),
        technique_BK=torch.zeros(B, technique_JK.shape[1]).index_add(0, lane_J, technique_JK),
        rows_B=torch.from_numpy(np.bincount(lane_M, minlength=B).astype(np.float32)),
        trees_B=torch.from_numpy(np.bincount(lane_J.numpy(), minlength=B).astype(np.float32)),
        rules_max_B=torch.from_numpy(rules_max_B),
        rules_odds_B=torch.zeros(B).index_add(0, lane_J, torch.from_numpy(odds_JD[:, 1])),
    )
