"""Episodes as batches of tokens: a budget of tokens each, every distinct row of a batch once.

Rows of like length stand together, so that little is padded. What does not belong here: reading rows (`rows.py`).
"""

# E episodes, M rows of an episode, R rows, T tokens, K outputs
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlstir_core.arrays import Floats
from rlstir_core.investigator.reading.tokenizer import PAD
from rlstir_core.learning.examples import CacheBudget

Rows = list[bytes]  # of an episode: each the tokens of a row, as int32
_ITEM = 4  # bytes of a token
_ALIKE = 256  # rows that are padded to one length


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some episodes on a device."""

    rows: list[tuple[Tensor, Tensor]]  # (R, T) tokens and mask, in blocks of like length
    row_EM: Tensor  # which of all those rows each row of an episode is
    mask_EM: Tensor
    prior_EK: Tensor  # what is known of the episodes beforehand


class EpisodeRows:
    """The rows of episodes as tokens: kept while there is room, made again where there is none."""

    def __init__(self, read: Callable[[int], Rows], budget: CacheBudget) -> None:
        self._read, self._budget = read, budget
        self._kept: dict[int, Rows] = {}

    def __getitem__(self, place: int) -> Rows:
        found = self._kept.get(place)
        if found is None:
            found = self._read(place)
            if self._budget.take(sum(len(row) + 48 for row in found)):
                self._kept[place] = found
        return found


def packed(tokens: Sequence[Sequence[int]]) -> Rows:
    """Rows of tokens as they are kept."""
    return [np.asarray(row, np.int32).tobytes() for row in tokens]


def n_tokens(rows: Rows) -> int:
    return sum(map(len, rows)) // _ITEM


def batches(rows: EpisodeRows, order: Sequence[int], budget: int) -> Iterator[tuple[list[int], list[Rows]]]:
    """Places and rows of episodes, in `order`, that together have at most `budget` tokens; one always fits."""
    places: list[int] = []
    held: list[Rows] = []
    n = 0
    for place in order:
        own = rows[place]
        size = n_tokens(own)
        if places and n + size > budget:
            yield places, held
            places, held, n = [], [], 0
        places.append(place)
        held.append(own)
        n += size
    if places:
        yield places, held


def collate(episodes: Sequence[Rows], prior_EK: Floats, device: torch.device) -> Batch:
    """The batch of these episodes; an episode without rows has one that is empty."""
    episodes = [rows or [np.asarray([PAD], np.int32).tobytes()] for rows in episodes]
    distinct = sorted({row for rows in episodes for row in rows}, key=lambda row: (len(row), row))
    place = {row: r for r, row in enumerate(distinct)}
    row_EM = np.zeros((len(episodes), max(map(len, episodes))), np.int64)
    mask_EM = np.zeros(row_EM.shape, np.bool_)
    for e, rows in enumerate(episodes):
        row_EM[e, : len(rows)] = [place[row] for row in rows]
        mask_EM[e, : len(rows)] = True
    return Batch(
        rows=[_padded(distinct[at : at + _ALIKE], device) for at in range(0, len(distinct), _ALIKE)],
        row_EM=torch.from_numpy(row_EM).to(device),
        mask_EM=torch.from_numpy(mask_EM).to(device),
        prior_EK=torch.as_tensor(prior_EK, dtype=torch.float32, device=device),
    )


def _padded(rows: Sequence[bytes], device: torch.device) -> tuple[Tensor, Tensor]:
    """(R, T) tokens and where there are any."""
    longest = max(map(len, rows)) // _ITEM
    tokens_RT = np.full((len(rows), longest), PAD, np.int64)
    mask_RT: NDArray[np.bool_] = np.zeros((len(rows), longest), np.bool_)
    for r, row in enumerate(rows):
        tokens = np.frombuffer(row, np.int32)
        tokens_RT[r, : len(tokens)] = tokens
        mask_RT[r, : len(tokens)] = True
    return torch.from_numpy(tokens_RT).to(device), torch.from_numpy(mask_RT).to(device)
