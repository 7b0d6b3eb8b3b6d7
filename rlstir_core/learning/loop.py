"""The one training loop of all neural models.

Class-weighted cross-entropy, AdamW, learning rate warmed up over 5 % of the steps and then on a cosine to 0,
early stop on validation macro F1, the best weights on validation kept. What does not belong here: the networks,
and how inputs become examples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rlstir_core.learning.devices import autocast, half_precision
from rlstir_core.learning.examples import Examples
from rlstir_core.learning.presets import Training
from rlstir_core.learning.scores import look
from rlstir_core.progress import Tell, looked

# N examples, B examples of a batch, K classes


@dataclass(frozen=True, kw_only=True)
class LoopResult:
    """How the loop ended."""

    epochs: int
    best_epoch: int
    best_macro_f1: float


def train(
    network: nn.Module,
    views: Sequence[Examples],
    validation: Sequence[Examples],
    weights_K: NDArray[np.float64],
    training: Training,
    seed: int,
    tell: Tell,
) -> LoopResult:
    """Trains `network` in place and leaves it with its best weights on validation; one view per epoch, in turn."""
    device = next(network.parameters()).device
    half = half_precision(training.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=half is torch.float16)
    rng = np.random.default_rng(seed)
    steps_of = [view.steps(training.batch, training.min_epoch_steps) for view in views]
    total = sum(steps_of[k % len(views)] for k in range(training.epochs))
    optimiser = torch.optim.AdamW(network.parameters(), training.learning_rate, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_cosine(step, total, training.warm_up))
    loss_of = nn.CrossEntropyLoss(weight=torch.as_tensor(weights_K, dtype=torch.float32, device=device))
    best, best_epoch, best_weights = (-1.0, -math.inf), 0, _copy(network)
    done = 0
    for done in range(1, training.epochs + 1):
        view = views[(done - 1) % len(views)]
        network.train()
        for x_B, label_B in view.epoch(training.batch, training.min_epoch_steps, rng, device):
            with autocast(half, device):
                logits_BK = network(x_B)
            loss = loss_of(logits_BK.float(), label_B)
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            scaler.step(optimiser)
            scaler.update()
            schedule.step()
        probas = [predict(network, held.in_order(4 * training.batch, device)) for held in validation]
        now = look([held.label_N for held in validation], probas)
        if now > best:
            best, best_epoch, best_weights = now, done, _copy(network)
        tell(f"epoch {done}, validation macro F1 {now[0]:.3f}")
        looked(done, now[0])
        if done - best_epoch >= training.patience:
            break
    network.load_state_dict(best_weights)
    return LoopResult(epochs=done, best_epoch=best_epoch, best_macro_f1=best[0])


@torch.no_grad()
def predict(network: nn.Module, batches: Iterable[Tensor]) -> NDArray[np.float64]:
    """Probabilities, (N, K)."""
    network.eval()
    logits_NK = torch.cat([network(x_B) for x_B in batches])  # on the device: one wait for all batches
    return np.asarray(torch.softmax(logits_NK.double(), dim=1).cpu().numpy())


def warm_cosine(step: int, total: int, warm_up: float) -> float:
    """Share of the full learning rate at `step`: linear to 1 over the warm-up, then a cosine to 0."""
    warm = max(1, round(total * warm_up))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm))))


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
