"""Our PPO beside Stable-Baselines3's on CartPole-v1, and beside sb3-contrib's MaskablePPO on a batched toy.

Both sides step the very same vectorised environment, with the same numbers: on CartPole those of rl-baselines3-zoo, on
the toy ours. Figures are samples per CPU second of learning (after a first update), one thread, and what was learnt:
mean return of 100 deterministic episodes, or the exact score. The peers come with the extra `rl-bench`; without them
our side is measured alone. Usage: python -m benchmarks ppo [--quick] [--seeds 10] [--no-peer]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.acting.cartpole import LONGEST, CartPole
from rlstir_core.investigator.lanes import Actions, Lanes, Legal, Observed
from rlstir_core.investigator.ppo import train_ppo
from rlstir_core.investigator.toys.exact import solved
from rlstir_core.investigator.toys.games import TOYS
from rlstir_core.investigator.toys.lanes import ToyLanes
from rlstir_core.investigator.toys.tables import tables_of
from rlstir_core.learning.acting_numbers import PpoNumbers

CARTPOLE = PpoNumbers(
    steps=100_000,
    rollout=32,
    batch=256,
    epochs=20,
    learning_rate=1e-3,
    anneal_clip=True,
    discount=0.98,
    trace=0.8,
    entropy=0.0,
    stop_logit=0.0,
)
POLES, LANES, EPISODES, SOLVED = 8, 64, 100, 475.0
TOY = "branch2"
Act = Callable[[Observed, Legal], Actions]


def cartpole_return(act: Act) -> float:
    """The mean return of deterministic episodes, the same for every policy."""
    env = CartPole(EPISODES)
    seen, legal = env.reset(12_345)
    total_B, going_B = np.zeros(EPISODES), np.ones(EPISODES, np.bool_)
    for _ in range(LONGEST):
        stepped = env.step(act(seen, legal))
        seen = stepped.seen_BO
        total_B += going_B
        going_B &= ~stepped.done_B
    return float(total_B.mean())


def physics_differ() -> float:
    """The largest difference of a state between gymnasium's CartPole-v1 and ours, over a few thousand steps."""
    import gymnasium

    peer, env, chance, worst = gymnasium.make("CartPole-v1"), CartPole(1), np.random.default_rng(0), 0.0
    env.reset(0)
    for episode in range(100):
        seen, _ = peer.reset(seed=episode)
        env.state_4B[:, 0], env.age_B[0] = peer.get_wrapper_attr("state"), 0
        ended = False
        while not ended:
            action = int(chance.integers(2))
            seen, _, fell, cut, _ = peer.step(action)
            stepped = env.step(np.array([action]))
            ended = fell or cut
            assert ended == stepped.done_B[0]
            if not ended:
                worst = max(worst, float(np.abs(seen - stepped.seen_BO[0]).max()))
    return worst


def ours(lanes: Lanes, numbers: PpoNumbers, seed: int) -> tuple[Act, float]:
    """A policy, and the CPU seconds that learning it took."""
    began = time.process_time()
    policy = train_ppo(lanes, numbers, seed=seed)
    return policy.act, time.process_time() - began


def theirs(lanes: Lanes, numbers: PpoNumbers, seed: int, *, masked: bool) -> tuple[Act, float]:
    """The same of Stable-Baselines3's PPO, or of MaskablePPO."""
    from benchmarks.acting.sb3_lanes import LanesVecEnv

    def falling(value: float, falls: bool) -> Callable[[float], float]:
        return lambda left: value * (left if falls else 1.0)

    if masked:
        from sb3_contrib import MaskablePPO

        learner = MaskablePPO
    else:
        from stable_baselines3 import PPO

        learner = PPO
    model = learner(
        "MlpPolicy",
        LanesVecEnv(lanes),
        n_steps=numbers.rollout,
        batch_size=numbers.batch,
        n_epochs=numbers.epochs,
        gamma=numbers.discount,
        gae_lambda=numbers.trace,
        ent_coef=numbers.entropy,
        vf_coef=numbers.value,
        max_grad_norm=numbers.max_gradient,
        learning_rate=falling(numbers.learning_rate, numbers.anneal),
        clip_range=falling(numbers.clip, numbers.anneal_clip),
        policy_kwargs={"net_arch": [numbers.width] * numbers.layers},
        device="cpu",
        seed=seed,
    )
    began = time.process_time()
    model.learn(numbers.steps)
    took = time.process_time() - began

    def act(seen: Observed, legal: Legal) -> Actions:
        masks = {"action_masks": legal} if masked else {}
        action_B: Actions = model.predict(seen, deterministic=True, **masks)[0]
        return action_B

    return act, took


class Fixed:
    """An act as a policy."""

    name = "fixed"

    def __init__(self, act: Act) -> None:
        self.act = act

    def begin(self, seed: int) -> None: ...


def on_cartpole(seeds: int, peer: bool) -> dict[str, Any]:
    """Returns and speeds of both on CartPole."""
    found: dict[str, Any] = {}
    sides: dict[str, Callable[[int], tuple[Act, float]]] = {"ours": lambda seed: ours(CartPole(POLES), CARTPOLE, seed)}
    if peer:
        theirs(CartPole(POLES), PpoNumbers(steps=256, batch=64), 0, masked=False)  # loads what it needs
        found["physics_differ"] = physics_differ()
        sides["sb3"] = lambda seed: theirs(CartPole(POLES), CARTPOLE, seed, masked=False)
    for name, learnt in _in_turn(sides, seeds).items():
        returns = [round(cartpole_return(act), 1) for act, _ in learnt]
        found[name] = {
            "returns": returns,
            "solved": sum(each >= SOLVED for each in returns),
            "samples_per_cpu_s": round(seeds * CARTPOLE.steps / sum(took for _, took in learnt)),
        }
    return _compared(found, "sb3")


def on_toy(seeds: int, peer: bool) -> dict[str, Any]:
    """Exact scores and speeds of both on a toy with masks."""
    toy, numbers = solved(tables_of(TOYS[TOY]())), PpoNumbers()
    sides: dict[str, Callable[[int], tuple[Act, float]]] = {
        "ours": lambda seed: ours(ToyLanes(toy.tables, LANES), numbers, seed)
    }
    if peer:
        theirs(ToyLanes(toy.tables, LANES), PpoNumbers(steps=2_048), 0, masked=True)
        sides["maskable_ppo"] = lambda seed: theirs(ToyLanes(toy.tables, LANES), numbers, seed, masked=True)
    found: dict[str, Any] = {}
    for name, learnt in _in_turn(sides, seeds).items():
        found[name] = {
            "scores": [round(toy.score_of(Fixed(act)), 4) for act, _ in learnt],
            "samples_per_cpu_s": round(seeds * numbers.steps / sum(took for _, took in learnt)),
        }
    return _compared(found, "maskable_ppo")


def _in_turn(sides: dict[str, Callable[[int], tuple[Act, float]]], seeds: int) -> dict[str, list[tuple[Act, float]]]:
    """What every side learnt from every seed; one after the other, so that a slow minute strikes all of them."""
    learnt: dict[str, list[tuple[Act, float]]] = {name: [] for name in sides}
    for seed in range(seeds):
        for name, learn in sides.items():
            learnt[name].append(learn(seed))
    return learnt


def _compared(found: dict[str, Any], peer: str) -> dict[str, Any]:
    if peer in found:
        found["times_faster"] = round(found["ours"]["samples_per_cpu_s"] / found[peer]["samples_per_cpu_s"], 2)
    return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one seed of each")
    parser.add_argument("--seeds", type=int, default=10, help="of CartPole")
    parser.add_argument("--no-peer", action="store_true", help="measure our side alone")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    peer = not options.no_peer and importlib.util.find_spec("sb3_contrib") is not None
    seeds = 1 if options.quick else options.seeds
    results = {"cartpole": on_cartpole(seeds, peer), f"toy_{TOY}": on_toy(min(seeds, 3), peer)}
    if not peer:
        results["peer"] = {"note": "Stable-Baselines3 is not measured; install '.[rl-bench]'"}
    print(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
