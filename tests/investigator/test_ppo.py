"""PPO: worth and derivatives by hand, an environment learnt in a second, and the same weights however it is run."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed
from numpy.typing import NDArray
from torch.nn import functional

from rlstir_core.errors import CheckpointError, ConfigError
from rlstir_core.investigator.lanes import Actions, Cut, Legal, Observed, Stepped
from rlstir_core.investigator.ppo import (
    Adam,
    Decisions,
    PpoTraining,
    Rollout,
    advantages,
    divergence,
    imitation_slopes,
    judged,
    ppo_slopes,
    train_ppo,
)
from rlstir_core.investigator.ppo_policy import PolicySizes, PpoPolicy, Towers, load_policy
from rlstir_core.investigator.pretraining.state import States
from rlstir_core.investigator.pretraining.world import World, world
from rlstir_core.learning.acting_numbers import PpoNumbers

LITTLE = PpoNumbers(steps=2_048, rollout=8, batch=64, width=16, learning_rate=5e-3)


class Identity:
    """The action that is seen is the one that pays; each case is one step long, and one action is never legal."""

    n_actions, width = 4, 4
    costs_A = np.zeros(4, np.float32)

    def __init__(self, n_lanes: int = 16, *, cut: bool = False) -> None:
        self.n_lanes, self.cut = n_lanes, cut
        self.clock = np.zeros(2, np.int64)

    def reset(self, seed: int) -> tuple[Observed, Legal]:
        self.clock = np.array([seed, 0])
        return self._look()

    def _look(self) -> tuple[Observed, Legal]:
        self.right_B = np.random.default_rng(self.clock).choice([0, 2, 3], self.n_lanes)
        legal_BA = np.ones((self.n_lanes, 4), np.bool_)
        legal_BA[:, 1] = False
        return np.eye(4, dtype=np.float32)[self.right_B], legal_BA

    def step(self, action_B: Actions) -> Stepped:
        assert (action_B != 1).all()
        reward_B = (action_B == self.right_B).astype(np.float32)
        seen_BO = np.eye(4, dtype=np.float32)[self.right_B]
        self.clock[1] += 1
        cut = Cut(np.array([1]), seen_BO[1:2]) if self.cut else None
        return Stepped(*self._look(), reward_B, np.ones(self.n_lanes, np.bool_), cut)

    def state(self) -> Mapping[str, NDArray[Any]]:
        return {"clock": self.clock}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.clock = state["clock"].copy()
        self._look()


def towers(actions: int = 4, seen: int = 4, seed: int = 0) -> Towers:
    made = Towers(PolicySizes(seen=seen, actions=actions, width=8, layers=2), torch.device("cpu"))
    made.draw(seed, -1.0)
    return made


def test_advantages_are_those_worked_out_by_hand() -> None:
    # lane 0 ends after its first step; lane 1 goes on past the last
    got = advantages(
        np.array([[1.0, 1.0], [2.0, 0.0]], np.float32),
        np.array([[0.5, 0.5], [1.0, 2.0]], np.float32),
        np.array([[True, False], [False, False]]),
        np.array([4.0, 3.0], np.float32),
        discount=0.9,
        trace=0.5,
    )
    last = (2.0 + 0.9 * 4.0 - 1.0, 0.0 + 0.9 * 3.0 - 2.0)
    first = (1.0 - 0.5, (1.0 + 0.9 * 2.0 - 0.5) + 0.9 * 0.5 * last[1])
    assert got == pytest.approx(np.array([first, last]), rel=1e-6)


def test_what_was_cut_off_is_worth_what_was_expected_of_it() -> None:
    made = towers()
    made.flat.zero_()
    made.named["bias/critic"].fill_(3.0)
    rollout = Rollout(Identity(2, cut=True), 1, seed=0)
    rollout.gather(lambda t, seen, legal: np.zeros(2, np.int64))
    numbers = replace(LITTLE, discount=0.5)
    returned = judged(rollout, torch.zeros(rollout.legal_TBA.shape), made, numbers, 0.95).return_N
    assert returned == pytest.approx(rollout.reward_TB[0] + np.array([0.0, 0.5 * 3.0]))


def assert_near(got: torch.Tensor, want: torch.Tensor | None) -> None:
    assert want is not None
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-4, atol=1e-5)


def some_decisions(made: Towers, n: int = 50) -> Decisions:
    draw = torch.Generator().manual_seed(1)
    seen, legal = torch.randn(n, 4, generator=draw), torch.rand(n, 4, generator=draw) < 0.7
    legal[:, -1] = True
    log_p, value, _ = towers(seed=5).forward(seen, legal)  # an older policy
    action = torch.multinomial(log_p.exp().T, 1, generator=draw).squeeze(1)
    taken = log_p[action, torch.arange(n)]
    noise = torch.randn(3, n, generator=draw)
    # some ratios far outside of what clipping allows
    return Decisions(seen, legal, action, taken + noise[0] * 0.3, value, noise[1], value + noise[2])


@pytest.mark.parametrize("clip_value", [0.0, 0.1])
def test_derivatives_by_hand_are_those_of_the_papers_loss(clip_value: float) -> None:
    numbers = replace(LITTLE, clip_value=clip_value, entropy=0.03)
    made = towers()
    taken = some_decisions(made)
    log_p, value, hidden = made.forward(taken.seen_NO, taken.legal_NA)
    slopes = ppo_slopes(log_p, value, taken, numbers, 0.2)
    made.backward(hidden, slopes.by_logit_AN, slopes.by_value_N)

    part = {name: each.clone().requires_grad_() for name, each in made.named.items()}
    h = taken.seen_NO.expand(2, -1, -1)
    for layer in range(2):
        h = torch.tanh(h @ part[f"weight/{layer}"] + part[f"bias/{layer}"])
    logit = (h[0] @ part["weight/actor"].T + part["bias/actor"].T).masked_fill(~taken.legal_NA, -1e9)
    worth = (h[1] @ part["weight/critic"].T + part["bias/critic"]).squeeze(1)
    ratio = (logit.log_softmax(1)[torch.arange(50), taken.action_N] - taken.log_p_N).exp()
    gain = torch.minimum(ratio * taken.advantage_N, ratio.clamp(0.8, 1.2) * taken.advantage_N)
    error = (worth - taken.return_N).square()
    if clip_value:
        near = taken.value_N + (worth - taken.value_N).clamp(-clip_value, clip_value)
        error = torch.maximum(error, (near - taken.return_N).square())
    entropy = -(logit.softmax(1) * logit.log_softmax(1)).sum(1)
    (0.5 * error - gain - 0.03 * entropy).sum().backward()
    for name, each in part.items():
        assert_near(made.slopes[name], each.grad)
    assert ((ratio > 1.2) | (ratio < 0.8)).any()
    ratio = ratio.detach()
    assert divergence(log_p, taken) == pytest.approx(float((ratio - 1 - ratio.log()).sum()), rel=1e-4)


def test_half_precision_gives_nearly_the_same_derivatives() -> None:
    made, taken = towers(), some_decisions(towers())
    half = Towers(made.sizes, torch.device("cpu"), torch.bfloat16)
    half.take(made.named)
    for each in (made, half):
        log_p, value, hidden = each.forward(taken.seen_NO, taken.legal_NA)
        each.backward(hidden, *imitation_slopes(log_p, value, taken, LITTLE))
    assert half.slope_P.dtype == torch.float32
    assert not torch.equal(half.slope_P, made.slope_P)
    assert torch.nn.functional.cosine_similarity(half.slope_P, made.slope_P, dim=0) > 0.999


def test_derivatives_of_imitation_are_those_of_cross_entropy() -> None:
    taken = some_decisions(towers())
    logit, value = torch.randn(50, 4, requires_grad=True), torch.randn(50, requires_grad=True)
    slopes = imitation_slopes(logit.detach().log_softmax(1).T, value.detach(), taken, LITTLE)
    loss = functional.cross_entropy(logit, taken.action_N, reduction="sum")
    (loss + 0.5 * (value - taken.return_N).square().sum()).backward()
    assert_near(slopes.by_logit_AN.T, logit.grad)
    assert_near(slopes.by_value_N, value.grad)


def test_adams_steps_are_those_of_its_paper() -> None:
    weight = torch.tensor([1.0, -2.0])
    adam = Adam(weight)
    first, second, want = 0.0, 0.0, np.array([1.0, -2.0])
    for t, slope in enumerate((np.array([0.5, -1.0]), np.array([0.1, 3.0])), 1):
        adam.step(torch.tensor(slope, dtype=torch.float32), 0.1)
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        want = want - 0.1 * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-5)
    assert weight.numpy() == pytest.approx(want, rel=1e-5)


def test_an_environment_that_pays_for_what_is_seen_is_learnt() -> None:
    policy = train_ppo(Identity(), LITTLE, seed=0)
    seen, legal = Identity().reset(9)
    policy.begin(0)
    assert np.array_equal(policy.act(seen, legal), seen.argmax(1))
    assert np.abs(policy.worth(seen).numpy() - 1.0).max() < 0.3


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    numbers = replace(LITTLE, steps=512)
    first, again, other = (train_ppo(Identity(), numbers, seed=seed).towers.flat for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_batch_in_parts_gives_the_weights_of_a_whole_one() -> None:
    whole, parts = (train_ppo(Identity(), replace(LITTLE, steps=512, accumulate=n), seed=1).towers.flat for n in (1, 4))
    assert_near(whole, parts)


def test_a_policy_that_has_moved_far_enough_is_left_alone_until_the_next_rollout() -> None:
    steps = []
    for limit in (0.0, 1e-7):
        numbers = replace(LITTLE, steps=512, stop_at_kl=limit)
        training = PpoTraining(Identity(), numbers, seed=1, among=World(), states=None)
        training.run(None, lambda _: None)
        steps.append(training.adam.steps)
    assert steps == [4 * 4 * 2, 4 * 1]  # updates, passes and batches; one step of each update


class Stopped(Exception):
    pass


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    numbers = replace(LITTLE, steps=1_024)
    whole = train_ppo(Identity(), numbers, seed=3).towers.flat
    states = States(path=tmp_path / "state.safetensors", key="k", every_s=0)
    lanes, steps, step = Identity(), iter(range(41)), Identity.step

    def stopping(action_B: Actions) -> Stepped:
        if next(steps, None) is None:
            raise Stopped
        return step(lanes, action_B)

    lanes.step = stopping  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        train_ppo(lanes, numbers, seed=3, states=states)
    told: list[str] = []
    gone_on = train_ppo(Identity(), numbers, seed=3, states=states, tell=told.append).towers.flat
    assert told == ["training goes on after update 5"]
    assert torch.equal(whole, gone_on)


@pytest.mark.parametrize("change", [{"width": 8}, {"steps": 256}])
def test_the_state_of_another_training_is_not_gone_on_from(tmp_path: Path, change: dict[str, int]) -> None:
    states = States(path=tmp_path / "state.safetensors", key="k", every_s=0)
    train_ppo(Identity(), replace(LITTLE, steps=512), seed=3, states=states)
    told: list[str] = []
    numbers = replace(LITTLE, **{"steps": 512, **change})
    anew = train_ppo(Identity(), numbers, seed=3, states=states, tell=told.append).towers.flat
    assert told[0].endswith("training begins anew")
    assert torch.equal(anew, train_ppo(Identity(), numbers, seed=3).towers.flat)


class Knows:
    """A policy that is right."""

    name = "knows"

    def begin(self, seed: int) -> None: ...

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        return seen_BO.argmax(1)


def test_another_policy_is_imitated_or_taken_over() -> None:
    barely = replace(LITTLE, steps=128, learning_rate=1e-8, imitate_steps=4_000)
    seen, legal = Identity().reset(9)
    assert not np.array_equal(train_ppo(Identity(), barely, seed=0).act(seen, legal), seen.argmax(1))
    taught = train_ppo(Identity(), replace(barely, learning_rate=5e-3), seed=0, start=Knows())
    assert np.array_equal(taught.act(seen, legal), seen.argmax(1))
    assert np.array_equal(train_ppo(Identity(), barely, seed=1, start=taught).act(seen, legal), seen.argmax(1))


def _together(rank: int, meeting: str, put: Any) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    put.put(
        train_ppo(Identity(), replace(LITTLE, steps=512, stop_at_kl=0.05), seed=1, among=world()).towers.flat.numpy()
    )
    torch.distributed.destroy_process_group()


def test_processes_that_train_together_end_with_the_same_weights(tmp_path: Path) -> None:
    several = multiprocessing.get_context("fork")
    put = several.Queue()
    running = [several.Process(target=_together, args=(rank, str(tmp_path / "meeting"), put)) for rank in range(2)]
    for each in running:
        each.start()
    one, other = put.get(timeout=60), put.get(timeout=60)
    for each in running:
        each.join()
    assert np.array_equal(one, other)
    assert not np.array_equal(one, train_ppo(Identity(), replace(LITTLE, steps=512), seed=1).towers.flat.numpy())


def test_a_policy_draws_by_its_probabilities_from_its_seed() -> None:
    policy = PpoPolicy(towers(), sampled=True)
    seen = np.repeat(np.array([[0.3, -0.2, 0.1, 0.9]], np.float32), 4_000, axis=0)
    legal = np.ones((4_000, 4), np.bool_)
    legal[:, 1] = False
    policy.begin(5)
    first = policy.act(seen, legal)
    policy.begin(5)
    assert np.array_equal(policy.act(seen, legal), first)
    shares = np.bincount(first, minlength=4) / len(first)
    assert shares == pytest.approx(policy.logits(seen[:1], legal[:1]).softmax(1)[0].numpy(), abs=0.04)


def test_a_policy_is_the_same_when_it_was_written_and_read(tmp_path: Path) -> None:
    policy, path = PpoPolicy(towers()), tmp_path / "ppo_policy.safetensors"
    policy.save(path, key="k")
    assert torch.equal(load_policy(path, key="k", seen=4, actions=4).towers.flat, policy.towers.flat)
    for wrong in ({"key": "other"}, {"seen": 5}, {"actions": 3}):
        with pytest.raises(CheckpointError, match="train it again"):
            load_policy(path, **{"key": "k", "seen": 4, "actions": 4, **wrong})


@pytest.mark.parametrize("damage", ["missing", "cut", "number", "size"])
def test_a_policy_that_is_damaged_is_refused(tmp_path: Path, damage: str) -> None:
    policy, path = PpoPolicy(towers()), tmp_path / "ppo_policy.safetensors"
    if damage == "number":
        policy.towers.flat[3] = float("nan")
    if damage == "size":
        policy.towers.sizes = PolicySizes(seen=4, actions=4, width=1 << 40, layers=2)
    policy.save(path, key="k")
    if damage == "missing":
        path.unlink()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match="train it again"):
        load_policy(path, key="k", seen=4, actions=4)


def test_numbers_that_cannot_be_are_refused_and_so_is_a_training_that_loses_its_numbers() -> None:
    for change in ({"batch": 64, "accumulate": 5}, {"device": "tpu"}, {"precision": "fp8"}, {"trace": 1.5}):
        with pytest.raises(ConfigError, match="PpoNumbers"):
            replace(LITTLE, **change)
    with pytest.raises(ConfigError, match="one lane"):
        train_ppo(Identity(1), replace(LITTLE, rollout=1), seed=0)
    lost = Identity()
    lost.step = lambda action_B: Identity.step(lost, action_B)._replace(  # type: ignore[method-assign]
        reward_B=np.full(16, 1e30, np.float32)
    )
    with pytest.raises(ConfigError, match="lost its numbers"):
        train_ppo(lost, LITTLE, seed=0)
