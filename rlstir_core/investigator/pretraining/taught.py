"""What the truth says of the parts that are learnt from, and the loss of a network's answers against it.

Rows of recordings are asked for an attack, for tampering and, where a technique was running, which; imported logs for
the techniques of the file. What does not belong here: the loop (`loop.py`), and what is shown (`inputs.py`).
"""

# E episodes, I parts, X rows of a batch, M pairs of a row and a technique, K techniques
# ruff: noqa: N802 - names of arrays carry their shapes
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rlstir_core.arrays import Floats
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.investigator.inputs import LogPart
from rlstir_core.investigator.network.heads import Answers
from rlstir_core.investigator.techniques.labels import episode_techniques, label_matrix
from rlstir_core.investigator.techniques.row_truth import RowTruth, row_truth, says_rows
from rlstir_core.results.layout import Layout

# Weights of the losses of rows beside that of a file's techniques.
_ATTACK, _TAMPER, _WHICH = 4.0, 0.5, 0.3


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What is known of some episodes."""

    technique_EK: NDArray[np.bool_]  # carried
    attack_E: NDArray[np.bool_]
    rows_E: NDArray[np.bool_]  # whether the truth speaks of single rows, and says whether it is an attack
    truth: list[RowTruth | None]  # of the rows, where it does
    files: bool = True  # whether imported logs are asked for the techniques of the file

    def among(self, chosen: Sequence[int]) -> Taught:
        """What is known of some of these episodes, by their places."""
        at_E = np.asarray(chosen, np.int64)
        return Taught(
            technique_EK=self.technique_EK[at_E],
            attack_E=self.attack_E[at_E],
            rows_E=self.rows_E[at_E],
            truth=[self.truth[episode] for episode in chosen],
            files=self.files,
        )

    @cached_property
    def carried_K(self) -> NDArray[np.bool_]:
        return np.asarray(self.technique_EK.any(axis=0), np.bool_)


def taught_of(layout: Layout, episodes: Sequence[EpisodeInfo], *, rows: bool = True) -> Taught:
    """What the truth says of these episodes; of their rows only where `rows` asks for it."""
    carried = episode_techniques(layout, episodes)
    rows_E = np.array([says_rows(info) for info in episodes], np.bool_)
    return Taught(
        technique_EK=label_matrix([carried[info.episode_id] for info in episodes]),
        attack_E=np.array([not info.benign for info in episodes], np.bool_),
        rows_E=rows_E,
        truth=[
            row_truth(layout, info) if rows and says else None
            for info, says in zip(episodes, rows_E.tolist(), strict=True)
        ],
    )


def base_log_odds(yes_EK: NDArray[np.bool_]) -> Floats:
    """The log-odds of every answer, as if each had been given half a time more. (K,)"""
    yes_K, n = yes_EK.sum(axis=0), len(yes_EK)
    odds: Floats = np.log(yes_K + 0.5) - np.log(n - yes_K + 0.5)
    return odds


def loss_of(
    answers: Answers, n_rows: Sequence[int], taught: Taught, parts: Sequence[LogPart], asked_K: NDArray[np.bool_]
) -> Tensor:
    """The sum over the parts of a batch, which stand in the answers with so many rows each.

    Of techniques that no train episode carries (`asked_K`) nothing is asked.
    """
    on = answers.attack_X.device

    def tensor(values: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(values).to(on, non_blocking=True)

    n_X = sum(n_rows)
    attack_X, tampered_X, weight_X = (np.zeros(n_X, np.float32) for _ in range(3))
    row, technique, share = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    first = 0
    for part, n in zip(parts, n_rows, strict=True):
        truth = taught.truth[part.episode]
        if truth is not None and part.last > part.first:
            own = slice(first, first + n)
            attack_X[own] = truth.attack_N[part.first : part.last]
            tampered_X[own] = truth.tampered_N[part.first : part.last]
            weight_X[own] = 1.0 / n
            inside_M = (truth.row_M >= part.first) & (truth.row_M < part.last) & asked_K[truth.technique_M]
            row.append(truth.row_M[inside_M] - part.first + first)
            technique.append(truth.technique_M[inside_M])
            share.append(np.full(inside_M.sum(), _WHICH / max(1, inside_M.sum()), np.float32))
        first += n
    total = functional.binary_cross_entropy_with_logits(
        torch.stack([answers.attack_X, answers.tamper_X]),
        tensor(np.stack([attack_X, tampered_X])),
        weight=tensor(np.stack([_ATTACK * weight_X, _TAMPER * weight_X])),
        reduction="sum",
    )
    if len(row_M := np.concatenate(row)):
        said_MK = answers.technique_XK[tensor(row_M)].masked_fill(~tensor(asked_K), -torch.inf)
        which_M = functional.cross_entropy(said_MK, tensor(np.concatenate(technique)), reduction="none")
        total = total + (which_M * tensor(np.concatenate(share))).sum()
    files = [e for e, part in enumerate(parts) if part.digest and taught.files]
    if files:
        y_EK = tensor(taught.technique_EK[[parts[e].episode for e in files]].astype(np.float32))
        total = total + functional.binary_cross_entropy_with_logits(
            answers.technique_EK[files],
            y_EK,
            weight=tensor(asked_K.astype(np.float32)).expand_as(y_EK),
            reduction="sum",
        )
    return total
