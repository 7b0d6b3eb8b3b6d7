"""Episodes as batches of tokens, every distinct row of a batch once.

Rows are packed (`network/packing.py`), the shortest first. What does not belong here: reading rows (`rows.py`), and
which episodes stand in which batch (`investigator/streaming.py`).
"""

# E episodes, M rows of an episode, X rows of all episodes, R distinct rows, N tokens of these, K outputs
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlstir_core.arrays import Floats
from rlstir_core.investigator.network.packing import Spans, spans
from rlstir_core.investigator.network.sage import GraphBatch
from rlstir_core.investigator.reading.tokenizer import PAD

Rows = list[bytes]  # of an episode: each the tokens of a row, as int32
_ITEM = 4  # bytes of a token


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some episodes on a device."""

    tokens_N: Tensor  # of the distinct rows
    rows: Spans  # where these begin
    row_X: Tensor  # which distinct row each row of the episodes is, episode after episode
    episodes: Spans  # where these begin
    place_X: Tensor  # where each row stands in (E, M), counted through
    mask_EM: Tensor
    prior_EK: Tensor  # what is known of the episodes beforehand
    graph: GraphBatch | None = None
    node_X: Tensor | None = None  # the process in the graph that each row is about, -1 for none

    def to(self, device: torch.device) -> Batch:
        """The same on a device; from pinned memory the copy goes on beside other work."""
        return self._each(
            lambda part: part.to(device, non_blocking=True) if isinstance(part, Tensor) else part.to(device)
        )

    def pin(self) -> Batch:
        """The same in memory that a device can copy from by itself."""
        return self._each(lambda part: part.pin_memory() if isinstance(part, Tensor) else part.pin())

    def _each(self, change: Callable[[Any], Any]) -> Batch:
        return replace(self, **{name: change(part) for name, part in vars(self).items() if part is not None})


def packed(tokens: Sequence[Sequence[int]]) -> Rows:
    """Rows of tokens as they are kept."""
    return [np.asarray(row, np.int32).tobytes() for row in tokens]


def n_tokens(rows: Rows) -> int:
    return sum(map(len, rows)) // _ITEM


def collate(episodes: Sequence[Rows], prior_EK: Floats) -> Batch:
    """The batch of these episodes; an episode without rows has one that is empty."""
    episodes = [rows or [np.asarray([PAD], np.int32).tobytes()] for rows in episodes]
    distinct = sorted({row for rows in episodes for row in rows}, key=lambda row: (len(row), row))
    place = {row: r for r, row in enumerate(distinct)}
    n_E = [len(rows) for rows in episodes]
    mask_EM = np.arange(max(n_E)) < np.array(n_E)[:, None]
    return Batch(
        tokens_N=torch.from_numpy(np.frombuffer(b"".join(distinct), np.int32).astype(np.int64)),
        rows=spans([len(row) // _ITEM for row in distinct]),
        row_X=torch.tensor([place[row] for rows in episodes for row in rows]),
        episodes=spans(n_E),
        place_X=torch.from_numpy(np.flatnonzero(mask_EM)),
        mask_EM=torch.from_numpy(mask_EM),
        prior_EK=torch.as_tensor(prior_EK, dtype=torch.float32),
    )
