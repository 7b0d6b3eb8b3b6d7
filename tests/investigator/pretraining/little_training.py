"""A training of a moment for the tests of the loop; under torchrun, one of several processes that share it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from rlstir_core.investigator.pretraining.loop import Loop, Side
from rlstir_core.investigator.pretraining.streaming import TrainingStep, plan
from rlstir_core.learning.presets import Investigator

N, WIDTH = 14, 3


@dataclass(frozen=True)
class Few:
    """A batch."""

    x: torch.Tensor

    def to(self, device: torch.device) -> Few:
        return Few(self.x.to(device))

    def pin(self) -> Few:
        return self


def little_loop(*, batch: int = 2, accumulate: int = 2, dropout: float = 0.3, width: int = 8, **more: Any) -> Loop[Few]:
    """A linear truth, learnt by a net with dropout in five epochs of four steps."""
    torch.manual_seed(0)
    x = torch.randn(N, WIDTH)
    y = x.sum(dim=1)
    network = nn.Sequential(nn.Linear(WIDTH, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, 1))

    def steps(epoch: int) -> list[TrainingStep]:
        generator = torch.Generator().manual_seed(epoch)
        return plan(torch.randperm(N, generator=generator).tolist(), [1] * N, batch, accumulate)

    def loss(few: Few, places: list[int]) -> torch.Tensor:
        return functional.mse_loss(network(few.x)[:, 0].float(), y[places], reduction="sum")

    sides = [Side(steps=steps, batch=lambda places: Few(x[places]), loss=loss) for _ in range(2)]
    numbers = Investigator(epochs=5, patience=5, learning_rate=0.02, accumulate=accumulate)
    return Loop(network, *sides, numbers, seed=1, on=torch.device("cpu"), **more)


def weights_of(loop: Loop[Few]) -> list[torch.Tensor]:
    return [each.detach().clone() for each in loop.network.parameters()]


def shared(out: Path) -> None:
    """What one of the processes does; the first writes the curve."""
    from rlstir_core.investigator.pretraining.world import world

    torch.distributed.init_process_group("gloo")
    result = little_loop(batch=2, accumulate=3, among=world()).run()
    if world().first:
        out.write_text(json.dumps(result.curve))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    shared(Path(sys.argv[1]))
