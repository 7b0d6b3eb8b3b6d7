"""The training loop: steps of several batches, in half precision where there is one, on one device or on several.

AdamW, gradients clipped, the learning rate warmed up and then on a cosine to 0, early stop on validation, the best
weights on validation kept. It can be stopped anywhere and goes on to the same weights. What does not belong here: what
a batch and a loss are (`training.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from rlstir_core.errors import CheckpointError
from rlstir_core.investigator.pretraining.state import States, TrainingState
from rlstir_core.investigator.pretraining.streaming import TrainingStep, give_back, prefetched
from rlstir_core.investigator.pretraining.world import ALONE, World
from rlstir_core.learning.devices import autocast
from rlstir_core.learning.loop import warm_cosine
from rlstir_core.learning.presets import Investigator
from rlstir_core.progress import Tell

_CLIP = 1.0  # norm of all gradients together
_GIVE_BACK = 3  # steps
_WEIGHT, _BEST, _MOMENT = "weight/", "best/", "moment/"


class Movable(Protocol):
    """A batch on the host, made in another thread."""

    def to(self, device: torch.device) -> Movable: ...

    def pin(self) -> Movable: ...


B = TypeVar("B", bound=Movable)


@dataclass(frozen=True, kw_only=True)
class Side(Generic[B]):
    """What is learnt from, or what is looked at after every epoch."""

    steps: Callable[[int], Sequence[TrainingStep]]  # of an epoch, from 1, each with its batches
    batch: Callable[[list[int]], B]  # of these episodes, on the host
    loss: Callable[[B, list[int]], Tensor]  # the sum over the episodes of a batch that was moved to the device


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """How the loop ended; the network has its best weights."""

    epochs: int
    best_epoch: int
    best: float
    before: float  # loss on validation, an episode, before any step
    curve: list[tuple[float, float]]  # after each epoch: loss in training, loss on validation


class Loop(Generic[B]):
    """One training. With `blind` it takes so many epochs of the same course and looks at no validation side."""

    def __init__(
        self,
        network: nn.Module,
        train: Side[B],
        held: Side[B],
        numbers: Investigator,
        *,
        seed: int,
        on: torch.device,
        half: torch.dtype | None = None,
        among: World = ALONE,
        states: States | None = None,
        tell: Tell = lambda _: None,
        blind: int | None = None,
    ) -> None:
        self.network, self.train, self.held, self.numbers = network, train, held, numbers
        self.seed, self.on, self.half, self.among, self.states, self.tell = seed, on, half, among, states, tell
        self.scaler = torch.amp.GradScaler(on.type, enabled=half is torch.float16)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), numbers.learning_rate, weight_decay=numbers.weight_decay
        )
        self.total = sum(len(train.steps(epoch)) for epoch in range(1, numbers.epochs + 1))
        self.blind = blind
        self.done = 0  # steps
        self.best, self.best_epoch, self.best_weights = math.inf, 0, _copy(network)
        self.before = math.inf
        self.curve: list[tuple[float, float]] = []

    def run(self) -> Learnt:
        """Trains to the end, from where a state on disk says."""
        epoch, first, loss_sum = self._resume()
        if self.blind is not None:
            for now in range(epoch, self.blind + 1):
                self.curve.append((self._epoch(now, first, loss_sum), math.nan))
                first, loss_sum = 0, 0.0
            return Learnt(epochs=self.blind, best_epoch=self.blind, best=math.nan, before=math.nan, curve=self.curve)
        if epoch == 1 and first == 0:
            self.before = self.best = self._look()
        for now in range(epoch, self.numbers.epochs + 1):
            if now - 1 - self.best_epoch >= self.numbers.patience:
                break
            in_training = self._epoch(now, first, loss_sum)
            first, loss_sum = 0, 0.0
            held = self._look()
            self.curve.append((in_training, held))
            if held < self.best:
                self.best, self.best_epoch, self.best_weights = held, now, _copy(self.network)
            if self.among.first:
                self.tell(f"epoch {now}, loss on the validation fold {held:.3f}, {self.before:.3f} before training")
        self.network.load_state_dict(self.best_weights)
        return Learnt(
            epochs=len(self.curve),
            best_epoch=self.best_epoch,
            best=self.best,
            before=self.before,
            curve=self.curve,
        )

    def _epoch(self, epoch: int, first: int, loss_sum: float) -> float:
        """Takes the steps of an epoch from `first` on; the mean loss of all of them."""
        steps = self.train.steps(epoch)
        self.network.train()
        with closing(self._batches(self.train, steps[first:])) as batches:
            for place, step in enumerate(steps[first:], first):
                episodes = sum(map(len, step))
                losses = [torch.zeros((), device=self.on)]
                for k, own in self.among.share(step):
                    # its own seed: what is dropped depends neither on who takes the batch nor on what came before
                    batch = next(batches)
                    torch.manual_seed(_seed(self.seed, epoch, place, k))
                    with autocast(self.half, self.on):
                        loss = self.train.loss(batch, own)
                    self.scaler.scale(loss.float() / episodes).backward()  # type: ignore[no-untyped-call]
                    losses.append(loss.detach().float())
                self._step()
                loss_sum += self.among.total(float(torch.stack(losses).sum()), self.on)
                if self.states is not None and self.among.first and self.states.due():
                    self._keep(self.states, epoch, place + 1, loss_sum)
        return loss_sum / max(1, sum(len(batch) for step in steps for batch in step))

    def _step(self) -> None:
        self.among.sum_gradients(self.network.parameters(), self.on)
        for group in self.optimiser.param_groups:
            group["lr"] = self.numbers.learning_rate * warm_cosine(self.done, self.total, self.numbers.warm_up)
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        self.done += 1
        if self.done % _GIVE_BACK == 0 and self.on.type == "cpu":
            give_back()

    @torch.no_grad()
    def _look(self) -> float:
        """The mean loss of an episode of the validation side."""
        steps = self.held.steps(1)
        self.network.eval()
        total, n = 0.0, sum(len(batch) for step in steps for batch in step)
        with closing(self._batches(self.held, steps)) as batches:
            for step in steps:
                for _, own in self.among.share(step):
                    batch = next(batches)
                    with autocast(self.half, self.on):
                        loss = self.held.loss(batch, own)
                    total += float(loss)
        return self.among.total(total, self.on) / n if n else math.inf

    def _batches(self, side: Side[B], steps: Sequence[TrainingStep]) -> Generator[B, None, None]:
        """This process's batches of these steps, on the device, made ahead."""
        pinned = self.on.type == "cuda"

        def make(places: list[int]) -> Movable:
            batch = side.batch(places)
            return batch.pin() if pinned else batch

        own = [places for step in steps for _, places in self.among.share(step)]
        with closing(prefetched(make, own)) as made:
            for batch in made:
                yield batch.to(self.on)

    def _keep(self, states: States, epoch: int, step: int, loss_sum: float) -> None:
        tensors = {f"{_WEIGHT}{name}": each for name, each in self.network.state_dict().items()}
        tensors |= {f"{_BEST}{name}": each for name, each in self.best_weights.items()}
        for place, of in self.optimiser.state_dict()["state"].items():
            tensors |= {f"{_MOMENT}{place}/{name}": each for name, each in of.items()}
        scaler = {name: float(value) for name, value in self.scaler.state_dict().items()}
        progress = TrainingState(
            key=states.key,
            epoch=epoch,
            step=step,
            steps_done=self.done,
            loss_sum=loss_sum,
            before=_finite(self.before),
            best=_finite(self.best),
            best_epoch=self.best_epoch,
            curve=[(_finite(trained), _finite(held)) for trained, held in self.curve],
            scaler=scaler,
        )
        states.write(progress, tensors)

    def _resume(self) -> tuple[int, int, float]:
        """Epoch, step and loss so far of the state on disk; those of the beginning where there is none."""
        try:
            found = None if self.states is None else self.states.read()
            if found is not None:
                self._put(*found)
        except CheckpointError as error:
            self.tell(f"{error}; training begins anew")
            found = None
        if found is None:
            return 1, 0, 0.0
        progress = found[0]
        self.tell(f"training goes on from epoch {progress.epoch}, step {progress.step}")
        return progress.epoch, progress.step, progress.loss_sum

    def _put(self, progress: TrainingState, tensors: dict[str, Tensor]) -> None:
        """Takes over a state, all of it or nothing."""
        weights, best = _under(tensors, _WEIGHT), _under(tensors, _BEST)
        own = self.network.state_dict()
        for given in (weights, best):
            if {name: each.shape for name, each in given.items()} != {name: each.shape for name, each in own.items()}:
                raise CheckpointError("the state on disk is that of another network")
        moments: dict[int, dict[str, Tensor]] = {}
        for name, each in _under(tensors, _MOMENT).items():
            place, _, what = name.partition("/")
            moments.setdefault(int(place), {})[what] = each
        self.network.load_state_dict(weights)
        self.best_weights = {name: each.to(self.on) for name, each in best.items()}
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})
        if progress.scaler:
            self.scaler.load_state_dict(
                {name: type(value)(progress.scaler[name]) for name, value in self.scaler.state_dict().items()}
            )
        self.done, self.best_epoch = progress.steps_done, progress.best_epoch
        self.before, self.best = (math.inf if each is None else each for each in (progress.before, progress.best))
        self.curve = [(_number(trained), _number(held)) for trained, held in progress.curve]


def _seed(*numbers: int) -> int:
    """A seed of its own for each of such numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
