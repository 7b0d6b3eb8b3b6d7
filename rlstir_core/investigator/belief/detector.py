"""The belief as the environment uses it: row vectors of an episode, and pools of what was revealed; one file each way.

What does not belong here: how it is fitted (`fit.py`).
"""

# N log rows, D numbers of a row, K techniques
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from rlstir_core.atomic import write_bytes
from rlstir_core.errors import CheckpointError
from rlstir_core.investigator.belief.head import N_ANSWERS, BeliefHead
from rlstir_core.investigator.belief.pool import BeliefPool
from rlstir_core.investigator.belief.row_model import RowModel, vectors
from rlstir_core.investigator.belief.words import WordsAlone
from rlstir_core.learning.container import MAX_SIDECAR_BYTES, opened

_ROWS, _HEAD = "rows.", "head."


@dataclass(frozen=True, kw_only=True)
class Belief:
    """A fitted row model and the head that reads its vectors."""

    rows: RowModel
    head: BeliefHead

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return 2 + len(self.head.label_K)

    @property
    def n_answers(self) -> int:
        return N_ANSWERS

    def vectors(self, words: WordsAlone) -> NDArray[np.float16]:
        """(N, D), once an episode."""
        return vectors(self.rows, words)

    def pool(self, n_lanes: int, most_trees: int) -> BeliefPool:
        return BeliefPool(self.head, n_lanes, most_trees)

    def dump(self) -> bytes:
        """Everything as safetensors; row weights in half precision."""
        kept = {f"{_HEAD}{name}": each.numpy() for name, each in self.head.state_dict().items()}
        kept[f"{_ROWS}weight_SW"] = self.rows.weight_SW.astype(np.float16)
        kept[f"{_ROWS}naming_KV"] = self.rows.naming_KV.astype(np.float16)
        kept[f"{_ROWS}naming_K"] = self.rows.naming_K
        kept[f"{_ROWS}bias"] = np.array([self.rows.bias])
        data: bytes = save(kept)
        return data


def write_belief(path: Path, belief: Belief) -> Belief:
    """Writes the belief and gives back the one that the file holds."""
    data = belief.dump()
    write_bytes(path, data)
    return _belief(data, path)


def read_belief(path: Path) -> Belief:
    """The belief in a file; CheckpointError where it is damaged."""
    with opened(path, MAX_SIDECAR_BYTES) as handle:
        return _belief(handle.read(), path)


def _belief(data: bytes, path: Path) -> Belief:
    try:
        kept = load(data)
        own = {name.removeprefix(_HEAD): torch.from_numpy(each) for name, each in kept.items() if _HEAD in name}
        head = BeliefHead(torch.zeros_like(own["label_K"]), torch.zeros_like(own["base_L"]))
        head.load_state_dict(own)
        rows = RowModel(
            weight_SW=kept[f"{_ROWS}weight_SW"].astype(np.float32),
            bias=float(kept[f"{_ROWS}bias"][0]),
            naming_KV=kept[f"{_ROWS}naming_KV"].astype(np.float32),
            naming_K=kept[f"{_ROWS}naming_K"],
        )
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} holds no belief ({type(error).__name__}); make ppo_policy again") from None
    return Belief(rows=rows, head=head.eval().requires_grad_(False))
