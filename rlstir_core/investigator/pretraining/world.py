"""The processes that train together: who this one is, and sums over all of them.

A step's batches are shared out and gradients summed before the optimiser sees them, so that any number of processes
takes the steps that one alone would take. What does not belong here: the loop (`loop.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor, nn

_BUCKET = 1 << 25  # bytes that are summed at once


@dataclass(frozen=True, kw_only=True)
class World:
    """One of `size` processes."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and tells."""
        return self.rank == 0

    def share(self, batches: Sequence[list[int]]) -> list[tuple[int, list[int]]]:
        """This process's batches of a step, with their places in it."""
        return [(k, batch) for k, batch in enumerate(batches) if k % self.size == self.rank]

    def total(self, value: float, on: torch.device) -> float:
        """The sum of every process's value."""
        if self.size == 1:
            return value
        summed = torch.tensor([value], dtype=torch.float64, device=on)
        torch.distributed.all_reduce(summed)
        return float(summed)

    def sum_gradients(self, parameters: Iterable[nn.Parameter], on: torch.device) -> None:
        """Gives every process the sum of all gradients; a parameter that none has used stays without one."""
        if self.size == 1:
            return
        known = list(parameters)
        used = torch.tensor([each.grad is not None for each in known], dtype=torch.uint8, device=on)
        torch.distributed.all_reduce(used, torch.distributed.ReduceOp.MAX)
        grads: list[Tensor] = []
        for parameter, wanted in zip(known, used.tolist(), strict=True):
            if wanted:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                grads.append(parameter.grad)
        for bucket in _buckets(grads):
            flat = torch.cat([grad.flatten() for grad in bucket])
            torch.distributed.all_reduce(flat)
            for grad, part in zip(bucket, torch.split(flat, [grad.numel() for grad in bucket]), strict=True):
                grad.copy_(part.view_as(grad))


ALONE = World()


def world() -> World:
    """The processes of this group; this one alone where none was begun."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return ALONE
    return World(rank=torch.distributed.get_rank(), size=torch.distributed.get_world_size())


def _buckets(grads: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Neighbours of one type, some megabytes at a time."""
    bucket: list[Tensor] = []
    n = 0
    for grad in grads:
        if bucket and (n + grad.nbytes > _BUCKET or grad.dtype != bucket[0].dtype):
            yield bucket
            bucket, n = [], 0
        bucket.append(grad)
        n += grad.nbytes
    if bucket:
        yield bucket
