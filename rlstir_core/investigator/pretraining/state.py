"""The state of a training that is not done: weights, moments of the optimiser, and how far it is, in one file.

Safetensors, with JSON in its header; written whole or not at all. It belongs to the inputs whose key it carries and is
refused by others. Random numbers need no place in it: every batch draws from a seed of its own, and the order of an
epoch is a function of its number. What does not belong here: the loop (`loop.py`).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rlstir_core.atomic import replacing
from rlstir_core.errors import CheckpointError
from rlstir_core.learning.container import opened

_FORMAT = "rlstir-training-state-1"
_MOST_BYTES = 64 << 30
_HEADER = "progress"


class TrainingState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a training is."""

    format: str = _FORMAT
    key: str  # of everything that decides the result
    epoch: int  # the one that goes on, from 1
    step: int  # of the epoch, the next to be taken
    steps_done: int  # since the beginning
    loss_sum: float  # of the epoch so far, over the episodes of its steps
    before: float | None  # None stands for numbers that are none
    best: float | None
    best_epoch: int
    curve: list[tuple[float | None, float | None]]  # of whole epochs: loss in training, loss on validation
    scaler: dict[str, float]


@dataclass(kw_only=True)
class States:
    """Where the states of one training lie, and when the next is due."""

    path: Path
    key: str
    every_s: float
    _last: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        return time.monotonic() - self._last >= self.every_s

    def write(self, progress: TrainingState, tensors: dict[str, Tensor]) -> None:
        """Replaces the state on disk."""
        header = {_HEADER: msgspec.json.encode(progress).decode()}
        with replacing(self.path) as temporary:
            save_file({name: each.detach().cpu().contiguous() for name, each in tensors.items()}, temporary, header)
        self._last = time.monotonic()

    def read(self) -> tuple[TrainingState, dict[str, Tensor]] | None:
        """The state on disk, None where there is none; CheckpointError where it is damaged or of other inputs."""
        try:
            opened(self.path, _MOST_BYTES).close()
            with safe_open(self.path, framework="pt") as file:
                progress = msgspec.json.decode((file.metadata() or {})[_HEADER], type=TrainingState)
                self._need(progress)
                return progress, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except FileNotFoundError:
            return None
        except (SafetensorError, KeyError, RecursionError, msgspec.MsgspecError) as error:
            words = str(error).splitlines()[0][:120]
            raise CheckpointError(f"{self.path} is no state of a training ({words}); remove it") from None

    def remove(self) -> None:
        """Takes the state away; what is done needs none."""
        self.path.unlink(missing_ok=True)

    def _need(self, progress: TrainingState) -> None:
        numbers = [progress.loss_sum, *progress.scaler.values()]
        if (
            progress.format != _FORMAT
            or progress.epoch < 1
            or progress.step < 0
            or not all(map(math.isfinite, numbers))
        ):
            raise CheckpointError(f"{self.path} is a state that no training can be in; remove it")
        if progress.key != self.key:
            raise CheckpointError(f"{self.path} is the state of a training on other inputs or numbers; remove it")
