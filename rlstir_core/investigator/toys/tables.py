"""All that can be known in a toy: its states, what is believed in each, and where each query leads.

A state is the answers that were given. What does not belong here: what to do in it (`exact.py`).
"""

# S states, H hypotheses, Q queries, R answers of a query, O numbers of an observation
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Array, Bools, Floats, Ints
from rlstir_core.investigator.toys.toy import Toy


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The states that can be reached, in order of how many queries were asked; the first is the beginning."""

    toy: Toy
    answer_SQ: NDArray[np.int8]  # 0 where not asked, from 1 on the answer
    belief_SH: Floats
    attack_S: Floats  # the probability of an attack
    legal_SQ: Bools
    chance_SQR: Floats  # of the answer; 0 where not legal
    next_SQR: NDArray[np.int32]  # the state after it; itself where there is no such answer
    levels: tuple[slice, ...]  # the states after 0, 1, 2 … queries
    seen_SO: Array  # what a policy sees in each


def tables_of(toy: Toy) -> Tables:
    """Every state that some order of queries and answers leads to."""
    _, Q, R = toy.chance_HQR.shape
    place_Q = (R + 1) ** np.arange(Q, dtype=np.int64)
    levels = [np.zeros(1, np.int64)]
    while len(levels[-1]):
        answer_SQ = levels[-1][:, None] // place_Q % (R + 1)
        legal_SQ = _legal(toy, answer_SQ)
        chance_SQR = np.einsum("sh,hqr->sqr", _belief(toy, answer_SQ), toy.chance_HQR)
        reached = np.nonzero(legal_SQ[:, :, None] & (chance_SQR > 0))
        levels.append(np.unique(levels[-1][reached[0]] + place_Q[reached[1]] * (reached[2] + 1)))
    code_S = np.concatenate(levels)
    ends = np.cumsum([len(level) for level in levels])
    answer_SQ = code_S[:, None] // place_Q % (R + 1)
    belief_SH = _belief(toy, answer_SQ)
    legal_SQ = _legal(toy, answer_SQ)
    chance_SQR = np.einsum("sh,hqr->sqr", belief_SH, toy.chance_HQR) * legal_SQ[:, :, None]
    order = np.argsort(code_S)
    after_SQR = code_S[:, None, None] + place_Q[:, None] * np.arange(1, R + 1)
    next_SQR = order[np.searchsorted(code_S[order], after_SQR).clip(max=len(code_S) - 1)].astype(np.int32)
    itself_S11 = np.arange(len(code_S), dtype=np.int32)[:, None, None]
    return Tables(
        toy=toy,
        answer_SQ=answer_SQ.astype(np.int8),
        belief_SH=belief_SH,
        attack_S=belief_SH @ toy.attack_H,
        legal_SQ=legal_SQ,
        chance_SQR=chance_SQR,
        next_SQR=np.where(chance_SQR > 0, next_SQR, itself_S11),
        levels=tuple(slice(int(end) - len(level), int(end)) for end, level in zip(ends, levels, strict=True)),
        seen_SO=_seen(toy, answer_SQ, belief_SH),
    )


def _seen(toy: Toy, answer_SQ: Ints, belief_SH: Floats) -> Array:
    """The belief, where it thinks the evidence lies, what was answered, and what is left. (S, Q), (S, H) -> (S, O).

    No number says which hypothesis is true.
    """
    attack_S = belief_SH @ toy.attack_H
    columns = [attack_S[:, None], entropy(attack_S)[:, None]]
    for place_H in toy.places:
        columns.append(np.stack([belief_SH[:, place_H == k].sum(1) for k in np.unique(place_H)], axis=1))
    answers = range(1, toy.chance_HQR.shape[2] + 1)
    columns += [(answer_SQ == answer).astype(np.float64) for answer in answers]
    asked_SQ = (answer_SQ > 0).astype(np.float64)
    columns += [asked_SQ, 1.0 - (asked_SQ @ toy.cost_Q / toy.cost_Q.sum())[:, None]]
    return np.concatenate(columns, axis=1).astype(np.float32)


def entropy(p: Floats) -> Floats:
    """Of yes or no, in bits."""
    inside = np.clip(p, 1e-12, 1 - 1e-12)
    bits: Floats = -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside))
    return bits


def _belief(toy: Toy, answer_SQ: Ints) -> Floats:
    """Bayes' rule; answers are independent given the hypothesis."""
    weight_SH = np.repeat(toy.prior_H[None], len(answer_SQ), axis=0)
    for q in range(answer_SQ.shape[1]):
        given_HR = np.concatenate((np.ones((len(toy.prior_H), 1)), toy.chance_HQR[:, q]), axis=1)
        weight_SH *= given_HR.T[answer_SQ[:, q]]
    belief_SH: Floats = weight_SH / weight_SH.sum(1, keepdims=True)
    return belief_SH


def _legal(toy: Toy, answer_SQ: Ints) -> Bools:
    """Queries that were not asked yet and whose door is open."""
    open_SQ = np.ones(answer_SQ.shape, np.bool_)
    for q, before in enumerate(toy.after_Q):
        if before >= 0:
            open_SQ[:, q] = answer_SQ[:, before] > 0
    legal_SQ: Bools = open_SQ & (answer_SQ == 0)
    return legal_SQ
