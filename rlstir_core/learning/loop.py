"""The one training loop of all neural detectors.

Class-weighted cross-entropy, AdamW, learning rate warmed up over 5 % of the steps and then on a cosine to 0,
early stop on validation macro F1, the best weights on validation kept. What does not belong here: the networks
and how inputs become batches (`neural.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rlstir_core.detectors.base import look
from rlstir_core.learning.presets import Training
from rlstir_core.progress import Tell

# N windows, B windows of a batch, K phases
Batches = Callable[[NDArray[np.intp]], Tensor]  # window places -> standardised inputs on the device


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Windows that can be drawn: `batch(places)` gives inputs, `label_N` their phases."""

    batch: Batches
    label_N: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LoopResult:
    """How the loop ended."""

    rounds: int
    best_round: int
    best_macro_f1: float


def train(
    network: nn.Module,
    views: Sequence[Fold],
    validation: Sequence[Fold],
    weights_K: NDArray[np.float64],
    training: Training,
    seed: int,
    tell: Tell,
) -> LoopResult:
    """Trains `network` in place and leaves it with its best weights on validation; one view a round, in turn."""
    device = next(network.parameters()).device
    rng = np.random.default_rng(seed)
    steps_of = [max(training.min_round_steps, math.ceil(len(v.label_N) / training.batch)) for v in views]
    total = sum(steps_of[k % len(views)] for k in range(training.rounds))
    optimiser = torch.optim.AdamW(network.parameters(), training.learning_rate, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_cosine(step, total, training.warm_up))
    loss_of = nn.CrossEntropyLoss(weight=torch.as_tensor(weights_K, dtype=torch.float32, device=device))
    best, best_round, best_weights = (-1.0, -math.inf), 0, _copy(network)
    done = 0
    for done in range(1, training.rounds + 1):
        fold = views[(done - 1) % len(views)]
        network.train()
        for places in _draws(len(fold.label_N), steps_of[(done - 1) % len(views)], training.batch, rng):
            label_B = torch.as_tensor(fold.label_N[places], device=device)
            loss = loss_of(network(fold.batch(places)), label_B)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        probas = [predict(network, fold, training.batch) for fold in validation]
        now = look([fold.label_N for fold in validation], probas)
        if now > best:
            best, best_round, best_weights = now, done, _copy(network)
        tell(f"round {done}, validation macro F1 {now[0]:.3f}")
        if done - best_round >= training.patience:
            break
    network.load_state_dict(best_weights)
    return LoopResult(rounds=done, best_round=best_round, best_macro_f1=best[0])


@torch.no_grad()
def predict(network: nn.Module, fold: Fold, batch: int) -> NDArray[np.float64]:
    """Probabilities, (N, K)."""
    network.eval()
    n = len(fold.label_N)
    parts = [
        torch.softmax(network(fold.batch(np.arange(at, min(n, at + 4 * batch)))).double(), dim=1).cpu().numpy()
        for at in range(0, n, 4 * batch)
    ]
    return np.concatenate(parts)


def warm_cosine(step: int, total: int, warm_up: float) -> float:
    """Share of the full learning rate at `step`: linear to 1 over the warm-up, then a cosine to 0."""
    warm = max(1, round(total * warm_up))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm))))


def _draws(n: int, steps: int, batch: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Shuffled batches; a fold smaller than the steps ask for is gone through again."""
    need = steps * min(batch, n)
    order = np.concatenate([rng.permutation(n) for _ in range(math.ceil(need / n))])
    return np.array_split(order[:need], steps)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
