"""Proximal policy optimisation, from top to bottom: what is gathered, what it was worth, what is learnt from it.

PPO is arXiv:1707.06347, GAE arXiv:1506.02438; equations are cited by these papers' numbers. Environments are `Lanes`,
where nothing is cut off and a discount of 1 makes the return of a case the sum of its rewards. What does not belong
here: the network and its file (`ppo_policy.py`), environments, and what they pay for.
"""

# T steps of a rollout, B lanes, N decisions, A actions, O numbers of an observation, M lanes that were cut off
from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlstir_core.arrays import Array, Bools, Ints
from rlstir_core.errors import CheckpointError, ConfigError
from rlstir_core.investigator.adam import Adam
from rlstir_core.investigator.lanes import Actions, Lanes, Legal, Observed, Policy
from rlstir_core.investigator.ppo_policy import PolicySizes, PpoPolicy, Towers
from rlstir_core.investigator.pretraining.state import States, TrainingState
from rlstir_core.investigator.pretraining.world import ALONE, World
from rlstir_core.learning.acting_numbers import PpoNumbers
from rlstir_core.learning.devices import device, half_precision
from rlstir_core.progress import Tell

_SPEAK_S = 2.0  # between two sentences of progress
_WEIGHT, _LANES = "weight/", "lanes/"  # parts of a state


# ---- what is gathered


class Rollout:
    """T steps of B lanes, one after another; `seen_BO` and `legal_BA` are what the next step begins with."""

    def __init__(self, lanes: Lanes, steps: int, seed: int) -> None:
        T, B = steps, lanes.n_lanes
        self.lanes = lanes
        self.seen_TBO = np.empty((T, B, lanes.width), np.float32)
        self.legal_TBA = np.empty((T, B, lanes.n_actions), np.bool_)
        self.action_TB = np.empty((T, B), np.int64)
        self.reward_TB = np.empty((T, B), np.float32)
        self.done_TB = np.empty((T, B), np.bool_)
        self.cut: list[tuple[int, Ints, Observed]] = []
        self.return_B = np.zeros(B, np.float32)  # of the cases that go on
        self.seen_BO, self.legal_BA = lanes.reset(seed)

    def now(self) -> dict[str, NDArray[Any]]:
        """What it goes on from, beside the lanes themselves."""
        return {"seen": self.seen_BO, "legal": self.legal_BA, "return": self.return_B}

    def gather(self, act: Callable[[int, Observed, Legal], Actions]) -> float:
        """Fills the rollout; the mean return of the cases that ended in it, NaN without any."""
        self.cut.clear()
        total, n = 0.0, 0
        for t in range(len(self.action_TB)):
            self.seen_TBO[t], self.legal_TBA[t] = self.seen_BO, self.legal_BA
            self.action_TB[t] = act(t, self.seen_TBO[t], self.legal_TBA[t])
            stepped = self.lanes.step(self.action_TB[t])
            self.seen_BO, self.legal_BA = stepped.seen_BO, stepped.legal_BA
            self.reward_TB[t], self.done_TB[t] = stepped.reward_B, stepped.done_B
            if stepped.cut is not None:
                self.cut.append((t, stepped.cut.lane_M, stepped.cut.seen_MO.copy()))
            self.return_B += stepped.reward_B
            if stepped.done_B.any():
                total += float(self.return_B[stepped.done_B].sum())
                n += int(stepped.done_B.sum())
                self.return_B[stepped.done_B] = 0.0
        return total / n if n else math.nan


# ---- what it was worth


def advantages(
    reward_TB: Array, value_TB: Array, done_TB: Bools, next_value_B: Array, *, discount: float, trace: float
) -> Array:
    """How much better than expected each decision turned out. (T, B) -> (T, B). GAE, eq. 16 of arXiv:1506.02438.

    A case that is done has nothing after it; `next_value_B` is what follows the last step.
    """
    going_TB = (~done_TB).astype(np.float32)
    advantage_TB = np.empty_like(reward_TB)
    later_B = np.zeros_like(next_value_B)
    for t in reversed(range(len(reward_TB))):
        surprise_B = reward_TB[t] + discount * going_TB[t] * next_value_B - value_TB[t]  # eq. 9, TD residual
        later_B = surprise_B + discount * trace * going_TB[t] * later_B
        advantage_TB[t] = later_B
        next_value_B = value_TB[t]
    return advantage_TB


class Decisions(NamedTuple):
    """Decisions to learn from, on the device."""

    seen_NO: Tensor
    legal_NA: Tensor
    action_N: Tensor
    log_p_N: Tensor  # of the action, when it was taken
    value_N: Tensor  # expected then
    advantage_N: Tensor
    return_N: Tensor  # what the value should have been

    def ordered(self, row_N: Tensor) -> Decisions:
        return Decisions(*(each.index_select(0, row_N) for each in self))

    def normalised(self) -> Decisions:
        """With advantages of mean 0 and spread 1."""
        spread, mean = torch.std_mean(self.advantage_N)
        return self._replace(advantage_N=(self.advantage_N - mean) / (spread + 1e-8))

    def split(self, parts: int) -> list[Decisions]:
        """Parts of nearly one size, which share this one's memory."""
        if parts == 1:
            return [self]
        return [Decisions(*part) for part in zip(*(each.tensor_split(parts) for each in self), strict=True)]


def _of(action_N: Tensor, x_AN: Tensor) -> Tensor:
    """What belongs to the action of each decision. (N), (A, N) -> (N)."""
    return x_AN.gather(0, action_N[None]).squeeze(0)


def judged(rollout: Rollout, logit_TBA: Tensor, towers: Towers, numbers: PpoNumbers, trace: float) -> Decisions:
    """The rollout with what its decisions were worth; the logits are what they were drawn by."""
    (T, B), on = rollout.action_TB.shape, towers.on
    N = T * B
    seen_NO = torch.from_numpy(np.concatenate((rollout.seen_TBO.reshape(N, -1), rollout.seen_BO))).to(on)
    legal_NA = torch.from_numpy(rollout.legal_TBA.reshape(N, -1)).to(on)
    action_N = torch.from_numpy(rollout.action_TB.reshape(-1)).to(on)
    log_p_AN = logit_TBA.reshape(N, -1).to(on).mT.log_softmax(0)
    value_N = towers.values(seen_NO)
    value_host_N = value_N.cpu().numpy()
    reward_TB = rollout.reward_TB
    if rollout.cut:
        reward_TB = reward_TB.copy()
        for t, lane_M, seen_MO in rollout.cut:  # what would have followed stands in for the rest of the case
            ahead_M = towers.values(torch.from_numpy(seen_MO).to(on)).cpu().numpy()
            reward_TB[t, lane_M] += np.float32(numbers.discount) * ahead_M
    value_TB = value_host_N[:N].reshape(T, B)
    advantage_TB = advantages(
        reward_TB, value_TB, rollout.done_TB, value_host_N[N:], discount=numbers.discount, trace=trace
    )
    advantage_N = torch.from_numpy(advantage_TB.reshape(-1)).to(on)
    value_N = value_N[:N]
    log_p_N = _of(action_N, log_p_AN)
    return Decisions(seen_NO[:N], legal_NA, action_N, log_p_N, value_N, advantage_N, advantage_N + value_N)


# ---- what is learnt from it


class Slopes(NamedTuple):
    """Derivatives of a loss by what the towers said, of each decision by itself."""

    by_logit_AN: Tensor
    by_value_N: Tensor


def ppo_slopes(log_p_AN: Tensor, value_N: Tensor, taken: Decisions, numbers: PpoNumbers, clip: float) -> Slopes:
    """Of PPO's loss, eq. 9 of arXiv:1707.06347: clipped surrogate (eq. 7), squared error of the value, entropy."""
    taken_1N = taken.action_N[None]
    ratio_1N = log_p_AN.gather(0, taken_1N).sub_(taken.log_p_N).exp_()  # eq. 6
    # min(ratio A, clip(ratio) A) is flat where the ratio has already gone too far the way that A wants
    rises_1N = torch.where(taken.advantage_N > 0, ratio_1N < 1.0 + clip, ratio_1N > 1.0 - clip)
    by_log_p_1N = ratio_1N.mul_(taken.advantage_N).mul_(rises_1N).neg_()
    p_AN = log_p_AN.exp()
    entropy_1N = (p_AN * log_p_AN).sum(0, keepdim=True).neg_()
    by_logit_AN = (log_p_AN + entropy_1N).mul_(numbers.entropy).sub_(by_log_p_1N).mul_(p_AN)
    by_logit_AN.scatter_add_(0, taken_1N, by_log_p_1N)
    error_N = value_N - taken.return_N
    by_value_N = error_N * (2.0 * numbers.value)
    if numbers.clip_value:
        near_N = taken.value_N + (value_N - taken.value_N).clamp(-numbers.clip_value, numbers.clip_value)
        by_value_N *= error_N.square() >= (near_N - taken.return_N).square()  # the larger of both errors counts
    return Slopes(by_logit_AN, by_value_N)


def divergence(log_p_AN: Tensor, taken: Decisions) -> float:
    """How far the policy has moved since these decisions, in sum: (ratio - 1) - log ratio, never negative."""
    log_ratio_N = _of(taken.action_N, log_p_AN) - taken.log_p_N
    return float((log_ratio_N.exp() - 1.0 - log_ratio_N).sum())


def imitation_slopes(log_p_AN: Tensor, value_N: Tensor, taken: Decisions, numbers: PpoNumbers) -> Slopes:
    """Of the cross-entropy of another policy's actions, and of the squared error of what it went on to earn."""
    by_logit_AN = log_p_AN.exp()
    by_logit_AN.scatter_add_(0, taken.action_N[None], torch.full_like(value_N, -1.0)[None])
    return Slopes(by_logit_AN, 2.0 * numbers.value * (value_N - taken.return_N))


_SlopesOf = Callable[[Tensor, Tensor, Decisions], Slopes]


# ---- the course of a training


class PpoTraining:
    """One training, alone or as one of several processes that each have lanes of their own and share every step."""

    def __init__(self, lanes: Lanes, numbers: PpoNumbers, *, seed: int, among: World, states: States | None) -> None:
        self.numbers, self.seed, self.among, self.states, self.lanes = numbers, seed, among, states, lanes
        on = device(numbers.device)
        sizes = PolicySizes(seen=lanes.width, actions=lanes.n_actions, width=numbers.width, layers=numbers.layers)
        self.towers = Towers(sizes, on, half_precision(numbers.precision, on))
        self.towers.draw(seed, numbers.stop_logit)  # every process the same
        self.policy, self.adam = PpoPolicy(self.towers), Adam(self.towers.flat)
        self.decisions = numbers.rollout * lanes.n_lanes  # of an update, here
        if self.decisions < 2:
            raise ConfigError("PpoNumbers.rollout 1 with one lane is too short to learn from; take longer rollouts")
        self.updates = max(1, numbers.steps // (self.decisions * among.size))
        self.done = 0  # updates
        self.curve: list[tuple[float | None, float | None]] = []  # of each update: the mean return; nothing is held out
        self._spoke = time.monotonic()

    @torch.inference_mode()  # derivatives are worked out by hand, and each operation takes a little less time
    def run(self, start: Policy | None, tell: Tell) -> None:
        """Trains to the end, from where a state on disk says."""
        rollout = Rollout(self.lanes, self.numbers.rollout, self._lane_seed(0))
        if not self._resume(rollout, tell) and start is not None:
            self.imitate(start, tell)
            rollout = Rollout(self.lanes, self.numbers.rollout, self._lane_seed(0))
        while self.done < self.updates:
            left = 1.0 - self.done / self.updates
            rate = self.numbers.learning_rate * (left if self.numbers.anneal else 1.0)
            clip = self.numbers.clip * (left if self.numbers.anneal_clip else 1.0)
            chance = self._chance(1, self.done)
            gumbel_TBA = chance.gumbel(size=rollout.legal_TBA.shape).astype(np.float32)
            logit_TBA = torch.empty(rollout.legal_TBA.shape)
            earned = rollout.gather(partial(self._sampled, gumbel_TBA, logit_TBA))
            decisions = judged(rollout, logit_TBA, self.towers, self.numbers, self.numbers.trace)
            slopes = partial(ppo_slopes, numbers=self.numbers, clip=clip)
            self._learn(decisions, chance, rate, slopes, self.numbers.stop_at_kl)
            self.done += 1
            self.curve.append((None if math.isnan(earned) else earned, None))
            self._say(tell, f"{self.done} of {self.updates} updates, mean return {earned:.3f}")
            if self.states is not None and self.states.due() and self.done < self.updates:
                self._keep(self.states, rollout)

    def _sampled(self, gumbel_TBA: Array, logit_TBA: Tensor, t: int, seen_BO: Observed, legal_BA: Legal) -> Actions:
        """Actions drawn by their probabilities: the largest logit with Gumbel noise."""
        logit_TBA[t] = logit_BA = self.policy.logits(seen_BO, legal_BA)
        action_B: Actions = logit_BA.add_(torch.from_numpy(gumbel_TBA[t])).argmax(1).numpy()
        return action_B

    def _learn(
        self, decisions: Decisions, chance: np.random.Generator, rate: float, slopes: _SlopesOf, limit: float = 0.0
    ) -> None:
        """Takes the steps of one update, until the policy has moved further than the limit, where there is one."""
        numbers, n = self.numbers, len(decisions.action_N)
        for _ in range(numbers.epochs):
            order_N = torch.from_numpy(chance.permutation(n)).to(self.towers.on)
            for drawn in decisions.ordered(order_N).split(max(1, n // numbers.batch)):
                batch = drawn.normalised() if numbers.normalise else drawn
                self.towers.slope_P.zero_()
                size = len(batch.action_N)
                moved = sum(self._part(part, slopes, limit) for part in batch.split(numbers.accumulate)) / size
                if limit and self.among.total(moved, self.towers.on) / self.among.size > limit:
                    return
                self._step(size, rate)

    def _part(self, part: Decisions, slopes: _SlopesOf, limit: float) -> float:
        """Adds the derivatives of a part; how far the policy has moved, where that is asked."""
        log_p_AN, value_N, h_2NH = self.towers.forward(part.seen_NO, part.legal_NA)
        self.towers.backward(h_2NH, *slopes(log_p_AN, value_N, part))
        return divergence(log_p_AN, part) if limit else 0.0

    def _step(self, n: int, rate: float) -> None:
        """One step of the optimiser along the mean over this batch and those of the other processes."""
        self.among.sum_gradients([self.towers.flat], self.towers.on)
        slope_P = self.towers.slope_P
        mean = 1.0 / (n * self.among.size)
        norm = mean * math.sqrt(float(slope_P @ slope_P))
        if not math.isfinite(norm):
            raise ConfigError("PPO has lost its numbers; lower PpoNumbers.learning_rate, or set precision to fp32")
        slope_P *= mean * min(1.0, self.numbers.max_gradient / (norm + 1e-6))
        self.adam.step(slope_P, rate)

    # ---- where it begins, and goes on

    def imitate(self, start: Policy, tell: Tell) -> None:
        """Takes over another PPO's weights, or imitates what another policy does while it does it."""
        if isinstance(start, PpoPolicy):
            self.towers.take(start.towers.named)
            return
        rollout = Rollout(self.lanes, self.numbers.rollout, self._lane_seed(1))
        start.begin(self._lane_seed(1))
        rounds = math.ceil(self.numbers.imitate_steps / (self.decisions * self.among.size))
        for place in range(rounds):
            earned = rollout.gather(lambda _, seen, legal: start.act(seen, legal))
            unknown_TBA = torch.zeros(rollout.legal_TBA.shape)  # no ratio is looked at
            decisions = judged(rollout, unknown_TBA, self.towers, self.numbers, 1.0)
            learning = partial(imitation_slopes, numbers=self.numbers)
            self._learn(decisions, self._chance(2, place), self.numbers.learning_rate, learning)
            self._say(tell, f"{place + 1} of {rounds} rounds of imitating {start.name}, mean return {earned:.3f}")
        self.adam = Adam(self.towers.flat)  # what it knew of steps was about another loss

    def _keep(self, states: States, rollout: Rollout) -> None:
        tensors = {f"{_WEIGHT}{name}": each for name, each in self.towers.named.items()}
        tensors |= {"first": self.adam.first_P, "second": self.adam.second_P, "adam": torch.tensor(self.adam.steps)}
        for name, each in rollout.now().items():
            tensors[name] = torch.from_numpy(each)
        tensors |= {f"{_LANES}{name}": torch.from_numpy(np.array(each)) for name, each in self.lanes.state().items()}
        progress = TrainingState(
            key=states.key,
            epoch=1,
            step=self.done,
            steps_done=self.done * self.decisions,
            loss_sum=0.0,
            before=None,
            best=None,
            best_epoch=0,
            curve=self.curve,
            scaler={},
        )
        states.write(progress, tensors)

    def _resume(self, rollout: Rollout, tell: Tell) -> bool:
        """Takes over a state on disk, all of it or nothing; whether there was one."""
        try:
            found = None if self.states is None else self.states.read()
            if found is None:
                return False
            progress, tensors = found
            weights, lanes = (
                {name.removeprefix(under): each for name, each in tensors.items() if name.startswith(under)}
                for under in (_WEIGHT, _LANES)
            )
            first_P, second_P, steps = tensors["first"], tensors["second"], int(tensors["adam"])
            here = {name: tensors[name].numpy() for name in rollout.now()}
            if progress.step > self.updates or any(
                here[name].shape != own.shape for name, own in rollout.now().items()
            ):
                raise CheckpointError("the state on disk is that of other lanes, or of a longer training")
            if not first_P.shape == second_P.shape == self.towers.flat.shape:
                raise CheckpointError("the state on disk is that of another network")
            self.towers.take(weights)
        except (CheckpointError, KeyError) as error:
            tell(f"{error}; training begins anew")
            return False
        self.adam.steps = steps
        self.adam.first_P.copy_(first_P)
        self.adam.second_P.copy_(second_P)
        self.lanes.restore({name: each.numpy() for name, each in lanes.items()})
        rollout.seen_BO, rollout.legal_BA, rollout.return_B = here.values()
        self.done, self.curve = progress.step, list(progress.curve)
        tell(f"training goes on after update {self.done}")
        return True

    def _chance(self, *what: int) -> np.random.Generator:
        """Draws of their own for each update of each process: nothing of chance needs a place in a state."""
        return np.random.default_rng((self.seed, self.among.rank, *what))

    def _lane_seed(self, what: int) -> int:
        return int(self._chance(0, what).integers(1 << 31))

    def _say(self, tell: Tell, text: str) -> None:
        if self.among.first and time.monotonic() - self._spoke >= _SPEAK_S:
            self._spoke = time.monotonic()
            tell(text)


def train_ppo(
    lanes: Lanes,
    numbers: PpoNumbers,
    *,
    seed: int,
    tell: Tell = lambda _: None,
    start: Policy | None = None,
    states: States | None = None,
    among: World = ALONE,
) -> PpoPolicy:
    """The policy that PPO learns in these lanes; the same seed gives the same weights, stopped in between or not.

    `start` is whose weights are taken over (a PpoPolicy) or who is imitated first, `states` where a state is kept, and
    `among` the processes of torchrun that train together, each with lanes of its own.
    """
    training = PpoTraining(lanes, numbers, seed=seed, among=among, states=states)
    training.run(start, tell)
    return training.policy
