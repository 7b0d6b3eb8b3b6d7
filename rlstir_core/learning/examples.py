"""Examples in blocks: what the training loop draws from, where not all of it is in memory at once.

What does not belong here: what an example is (each model's inputs).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# N examples, B examples of a batch
Batches = Callable[[Tensor], Tensor]  # places within a block, on the device -> inputs there


class CacheBudget:
    """Bytes that may be kept in memory; whoever does not get what it asks for makes its data again."""

    def __init__(self, n_bytes: int) -> None:
        self.left = n_bytes

    def take(self, n_bytes: int) -> bool:
        """Whether so many bytes may be kept; if so they are taken."""
        if n_bytes > self.left:
            return False
        self.left -= n_bytes
        return True


@dataclass(frozen=True, kw_only=True)
class ExampleBlock:
    """Some examples: `open()` gives their batches, `label_N` their classes."""

    label_N: NDArray[np.int64]
    open: Callable[[], Batches]


class Examples:
    """Blocks of examples. `change` is what training does to a batch before it is shown."""

    def __init__(self, blocks: Sequence[ExampleBlock], change: Callable[[Tensor], Tensor] | None = None) -> None:
        self.change = change
        self.blocks = [block for block in blocks if len(block.label_N)]
        self.label_N = np.concatenate([np.empty(0, np.int64), *(block.label_N for block in self.blocks)])

    def steps(self, batch: int, at_least: int) -> int:
        """Batches of one epoch."""
        if len(self.blocks) == 1:
            return max(at_least, math.ceil(len(self.label_N) / batch))
        return sum(math.ceil(len(block.label_N) / batch) for block in self.blocks)

    def epoch(
        self, batch: int, at_least: int, rng: np.random.Generator, on: torch.device
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffled batches and their labels; blocks come in random order, one at a time.

        The order of a block and its labels go to the device once, so that no batch waits for the host.
        """
        one = len(self.blocks) == 1
        for place in (0,) if one else rng.permutation(len(self.blocks)):
            block = self.blocks[place]
            n = len(block.label_N)
            gather = block.open()
            steps = self.steps(batch, at_least) if one else math.ceil(n / batch)
            order = torch.as_tensor(_draws(n, steps, batch, rng), device=on)
            labels = torch.as_tensor(block.label_N, device=on)[order]
            for places_B, label_B in zip(order.tensor_split(steps), labels.tensor_split(steps), strict=True):
                x_B = gather(places_B)
                yield x_B if self.change is None else self.change(x_B), label_B

    def in_order(self, batch: int, on: torch.device) -> Iterator[Tensor]:
        """All examples in their order."""
        for block in self.blocks:
            n = len(block.label_N)
            gather = block.open()
            for at in range(0, n, batch):
                yield gather(torch.arange(at, min(n, at + batch), device=on))


def _draws(n: int, steps: int, batch: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The places of so many steps, shuffled; a block smaller than they ask for is gone through again."""
    need = steps * min(batch, n)
    return np.concatenate([rng.permutation(n) for _ in range(math.ceil(need / n))])[:need]
