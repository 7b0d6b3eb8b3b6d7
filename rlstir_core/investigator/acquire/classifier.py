"""What the classes are when only some columns are seen: masked networks, taught on random masks and on policies' own.

Each member leaves a fold of the train rows out, so that what it says of a train row is not learnt from that row: a
policy that learnt from a classifier's answers on its own train rows would take over-confidence for knowledge. Rows of
other sides get the mean of all members. What does not belong here: which column is asked for next.
"""

# N rows, C columns, P pieces, K classes, H hidden, M members
from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rlstir_core.investigator.acquire.encoding import PIECES, Encoding, fit_encoding
from rlstir_core.investigator.acquire.table import Table

FOLDS = 3


@dataclass(frozen=True, kw_only=True)
class Teaching:
    """How the members are taught."""

    hidden: int = 128
    steps: int = 1_000
    again: int = 2_000  # once more, when there are masks of policies
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 3e-2
    dropout: float = 0.25
    own: float = 0.5  # share of rows that show a policy's mask, when there are some
    all_seen: float = 0.05


class Masked(nn.Module):
    """Logits of the classes from what is seen. Hidden columns are 0, and their mask says so.

    The first layer is a sum over columns, so that one more column is one more summand: `first` and `rest` are its
    two halves.
    """

    def __init__(self, n_columns: int, n_classes: int, teaching: Teaching) -> None:
        super().__init__()
        hidden = teaching.hidden
        self.first = nn.Linear(n_columns * (PIECES + 1), hidden)
        self.rest = nn.Sequential(
            nn.ReLU(),
            nn.Dropout(teaching.dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(teaching.dropout),
            nn.Linear(hidden, n_classes),
        )

    def forward(self, column_NCP: Tensor, mask_NC: Tensor) -> Tensor:
        logit_NK: Tensor = self.rest(self.first((column_NCP * mask_NC[:, :, None]).flatten(1)))
        return logit_NK


@dataclass(frozen=True)
class Classifier:
    """Probabilities of the classes under any mask: the mean of the members that may be asked about a row."""

    encoding: Encoding
    members: list[Masked]

    def columns(self, x_NC: NDArray[np.float64]) -> Tensor:
        """(N, C, P + 1) the pieces of each value, and a 1 that says that it is seen."""
        piece_NCP = torch.from_numpy(self.encoding.pieces(x_NC))
        return torch.cat([piece_NCP, torch.ones((*piece_NCP.shape[:2], 1))], 2)

    def weights(self) -> tuple[Tensor, Tensor]:
        """The first layers taken apart: (M, C, P + 1, H) of columns, and (M, H) of nothing seen."""
        with torch.inference_mode():
            of_HI = [m.first.weight for m in self.members]
            weight_MCPH = torch.stack([w.T.reshape(-1, PIECES + 1, len(w)) for w in of_HI])
            return weight_MCPH.contiguous(), torch.stack([m.first.bias for m in self.members])


def folds(n: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 5]).permutation(np.arange(n) % FOLDS).astype(np.int64)


def fit_classifier(train: Table, validation: Table, teaching: Teaching, seed: int) -> Classifier:
    """Taught on random masks, that show telling columns more often."""
    encoding = fit_encoding(train.x_NC)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        members = [Masked(train.n_columns, len(train.classes), teaching) for _ in range(FOLDS)]
    made = Classifier(encoding, members)
    return taught(made, train, validation, teaching, seed, None)


def taught(
    classifier: Classifier,
    train: Table,
    validation: Table,
    teaching: Teaching,
    seed: int,
    own_NC: NDArray[np.bool_] | None,
) -> Classifier:
    """Members that have learnt on, under random masks and, where they are given, under masks of policies."""
    column_NCP = classifier.columns(train.x_NC)
    check_NCP = classifier.columns(validation.x_NC)
    class_N, check_N = torch.from_numpy(train.class_N), torch.from_numpy(validation.class_N)
    fold_N = folds(len(class_N), seed)
    weight_C = _telling(column_NCP.numpy(), train.class_N)
    members = []
    for number, start in enumerate(classifier.members):
        rng = np.random.default_rng([seed, number, own_NC is not None])
        row_N = np.flatnonzero(fold_N != number)
        member = copy.deepcopy(start).train()
        steps = teaching.steps if own_NC is None else teaching.again
        rate = teaching.learning_rate if own_NC is None else teaching.learning_rate / 2
        optimiser = torch.optim.AdamW(member.parameters(), lr=rate, weight_decay=teaching.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
        check_mask = torch.from_numpy(_masks(np.random.default_rng(0), len(check_N), weight_C, own_NC, teaching))
        least, kept = float("inf"), member
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed * FOLDS + number)
            for step in range(steps):
                rows = torch.from_numpy(row_N[rng.integers(0, len(row_N), teaching.batch)])
                mask = torch.from_numpy(_masks(rng, teaching.batch, weight_C, own_NC, teaching))
                loss = nn.functional.cross_entropy(member(column_NCP[rows], mask), class_N[rows])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                if step % 100 == 99 or step == steps - 1:
                    member.eval()
                    with torch.inference_mode():
                        found = float(nn.functional.cross_entropy(member(check_NCP, check_mask), check_N))
                    if found < least:
                        least, kept = found, copy.deepcopy(member)
                    member.train()
        members.append(kept.eval())
    return Classifier(classifier.encoding, members)


def _telling(piece_NCP: NDArray[np.float32], class_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """(C,) how much more often a column is shown than by chance: by how far class means lie apart in its pieces."""
    mean_KCP = np.stack([piece_NCP[class_N == k].mean(0) for k in np.unique(class_N)])
    apart_C = (mean_KCP.std(0) / (piece_NCP.std(0) + 1e-3)).max(1)
    return np.asarray(0.2 + apart_C / max(apart_C.max(), 1e-9))


def _masks(
    rng: np.random.Generator,
    n: int,
    weight_C: NDArray[np.float64],
    own_NC: NDArray[np.bool_] | None,
    teaching: Teaching,
) -> NDArray[np.float32]:
    """(n, C) columns drawn without replacement by weight, as many as small numbers are likely; some of policies."""
    n_columns = len(weight_C)
    many_N = np.floor((n_columns + 1) ** rng.random(n)).astype(int) - 1  # log-uniform, 0 included
    many_N = np.where(rng.random(n) < teaching.all_seen, n_columns, many_N)
    # Gumbel's trick: the largest perturbed log-weights are a draw without replacement; sharpness differs by row
    sharp_N1 = rng.choice([0.5, 1.0, 2.0, 4.0], (n, 1))
    waits_NC = rng.standard_exponential((n, n_columns))  # minus the log of it is Gumbel's
    key_NC = sharp_N1 * np.log(weight_C) - np.log(waits_NC + 1e-30)
    place_N1 = np.minimum(n_columns - many_N, n_columns - 1)[:, None]
    mask_NC = (key_NC >= np.take_along_axis(np.sort(key_NC, 1), place_N1, 1)) & (many_N > 0)[:, None]
    if own_NC is not None and len(own_NC):
        own_N = rng.random(n) < teaching.own
        mask_NC[own_N] = own_NC[rng.integers(0, len(own_NC), int(own_N.sum()))]
    return np.asarray(mask_NC, np.float32)
