"""Rows of episodes as a batch of tokens, every distinct text of a batch once.

Texts are packed (`network/packing.py`), the shortest first. What does not belong here: what is shown of an episode
(`shown.py`), and which episodes stand in which batch (`pretraining/streaming.py`).
"""

# E episodes, X rows of all episodes, R distinct texts, N tokens of these, P processes, K techniques, A numbers of a row
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlstir_core.arrays import Array
from rlstir_core.investigator.network.packing import Sequences, sequences
from rlstir_core.investigator.network.sage import GraphBatch, batch_graphs, process_offsets
from rlstir_core.investigator.reading.shown import Shown, packed
from rlstir_core.investigator.reading.tokenizer import PAD

_ITEM = 4  # bytes of a token
_EMPTY = packed([[PAD]])[0]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some episodes on a device."""

    tokens_N: Tensor  # of the distinct texts
    texts: Sequences  # where these begin
    text_X: Tensor  # which of them each row says, episode after episode
    text_P: Tensor  # and each process
    episodes: Sequences  # where the rows of each episode begin
    aux_XA: Tensor  # numbers of each row
    look_X: Tensor  # the first look's log-odds of an attack
    process_X: Tensor  # behind each row, -1 for none
    graph: GraphBatch  # its features of processes are numbers that stand beside their texts
    prior_EK: Tensor  # what is known of the episodes' techniques beforehand

    def to(self, device: torch.device) -> Batch:
        """The same on a device; from pinned memory the copy goes on beside other work."""
        return self._each(
            lambda part: part.to(device, non_blocking=True) if isinstance(part, Tensor) else part.to(device)
        )

    def pin(self) -> Batch:
        """The same in memory that a device can copy from by itself."""
        return self._each(lambda part: part.pin_memory() if isinstance(part, Tensor) else part.pin())

    def _each(self, change: Callable[[Any], Any]) -> Batch:
        return replace(self, **{name: change(part) for name, part in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the first look said of the rows of an episode."""

    look_X: Array
    around_XA: Array
    process_PC: Array  # numbers of each process


def collate(episodes: Sequence[tuple[Shown, Looked]]) -> Batch:
    """The batch of these episodes; one without rows has a row that is empty."""
    distinct = sorted({text for shown, _ in episodes for text in shown.tokens} | {_EMPTY}, key=lambda t: (len(t), t))
    place = {text: r for r, text in enumerate(distinct)}
    text_X, text_P, process_X, aux_XA, look_X, n_E = [], [], [], [], [], []
    around = [shown.around for shown, _ in episodes]
    offsets = process_offsets([each.edges for each in around])
    for (shown, looked), offset in zip(episodes, offsets.tolist(), strict=True):
        own_U = np.array([place[text] for text in shown.tokens], np.int64)
        n = shown.n_rows
        aux = np.concatenate([looked.around_XA, shown.features_XF], axis=1)
        text_X.append(own_U[shown.text_X] if n else np.array([place[_EMPTY]]))
        text_P.append(own_U[shown.text_P] if len(own_U) else np.zeros(0, np.int64))
        process = shown.process_X.astype(np.int64)
        process_X.append(np.where(process >= 0, process + offset, -1) if n else np.array([-1]))
        aux_XA.append(aux if n else np.zeros((1, aux.shape[1]), np.float32))
        look_X.append(looked.look_X if n else np.zeros(1, np.float32))
        n_E.append(max(1, n))
    features = [
        (looked.process_PC, each.file_FC, each.socket_SC) for (_, looked), each in zip(episodes, around, strict=True)
    ]
    return Batch(
        tokens_N=torch.from_numpy(np.frombuffer(b"".join(distinct), np.int32).astype(np.int64)),
        texts=sequences([len(text) // _ITEM for text in distinct]),
        text_X=torch.from_numpy(np.concatenate(text_X)),
        text_P=torch.from_numpy(np.concatenate(text_P)),
        episodes=sequences(n_E),
        aux_XA=torch.from_numpy(np.concatenate(aux_XA).astype(np.float32)),
        look_X=torch.from_numpy(np.concatenate(look_X).astype(np.float32)),
        process_X=torch.from_numpy(np.concatenate(process_X)),
        graph=batch_graphs([each.edges for each in around], features),
        prior_EK=torch.from_numpy(np.stack([shown.prior_K for shown, _ in episodes])),
    )
