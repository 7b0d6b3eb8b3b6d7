"""PPO on toys that are solved exactly, beside tuned greedy, the best fixed order and a random policy.

A score is exact, without simulation: asking nothing is 0, the optimum 1. Greedy (expected drop of entropy for its cost)
has the stop rule that earns most on the toy itself, the fixed order stops wherever that is best: both are given more
than they could learn. Usage: python -m benchmarks toys [--out O.jsonl] [--seeds 3] [--steps 200000] [--quick]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.acting.asked import check_asked
from rlstir_core.atomic import write_text
from rlstir_core.errors import RlstirError
from rlstir_core.investigator.ppo import train_ppo
from rlstir_core.investigator.toys.exact import Solved, fixed_order, greedy, solved
from rlstir_core.investigator.toys.games import TOYS
from rlstir_core.investigator.toys.lanes import ToyLanes
from rlstir_core.investigator.toys.tables import tables_of
from rlstir_core.learning.acting_numbers import PpoNumbers
from rlstir_core.text import plain

LANES = 64
ENTROPY = 0.02  # with the default of .01 one seed in twenty ends in a local optimum of `case`
TIE = 0.03  # of the way from no query to the optimum
BARS = {"pointer": 0.99, "branch2": 0.99, "case": 0.99}  # for PPO, in every seed
AHEAD = {"branch2": 0.15, "case": 0.15}  # of the better of greedy and fixed order


def random_score(toy: Solved) -> float:
    """Of a policy that picks any legal action."""
    tables = toy.tables
    worth_S = toy.stop_S.copy()
    for level in reversed(tables.levels):
        legal_SQ = tables.legal_SQ[level]
        ahead_SQ = toy.ask_SQ[level] + (tables.chance_SQR[level] * worth_S[tables.next_SQR[level]]).sum(2)
        worth_S[level] = (toy.stop_S[level] + np.where(legal_SQ, ahead_SQ, 0.0).sum(1)) / (1 + legal_SQ.sum(1))
    return toy.score(float(worth_S[0]))


def measured(name: str, seeds: int, steps: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A line for each policy and seed, and what follows from them."""
    toy = solved(tables_of(TOYS[name]()))
    scores = {"no_query": [0.0], "random": [random_score(toy)], "greedy": [greedy(toy)[0]]}
    scores["fixed_order"] = [fixed_order(toy)[0]]
    began = time.process_time()
    scores["ppo"] = [
        toy.score_of(train_ppo(ToyLanes(toy.tables, LANES), PpoNumbers(steps=steps, entropy=ENTROPY), seed=seed))
        for seed in range(seeds)
    ]
    took = time.process_time() - began
    rival = max(scores["greedy"][0], scores["fixed_order"][0])
    ahead = float(np.mean(scores["ppo"])) - rival
    says = "a tie" if abs(ahead) <= TIE else f"PPO is {'ahead' if ahead > 0 else 'behind'}"
    held = min(scores["ppo"]) >= BARS.get(name, -1.0) and min(scores["ppo"]) - rival >= AHEAD.get(name, -TIE)
    found = {
        "states": len(toy.stop_S),
        **{policy: [round(score, 4) for score in each] for policy, each in scores.items()},
        "ppo_ahead": round(ahead, 4),
        "verdict": says,
        "held": held,
        "samples_per_cpu_s": round(seeds * steps / took),
    }
    lines = [
        {"toy": name, "policy": policy, "seed": seed, "score": score}
        for policy, each in scores.items()
        for seed, score in enumerate(each)
    ]
    return lines, found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, help="a JSON line for each toy, policy and seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200_000, help="decisions that PPO learns from")
    parser.add_argument("--quick", action="store_true", help="one seed, and not the largest toy")
    options = parser.parse_args(argv)
    try:
        check_asked(options.seeds, options.out)
        PpoNumbers(steps=options.steps)
    except RlstirError as error:
        print(plain(f"Error: {error}"), file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    lines: list[dict[str, Any]] = []
    results: dict[str, Any] = {}
    for name in TOYS:
        if options.quick and name == "case":
            continue
        of_toy, results[name] = measured(name, 1 if options.quick else options.seeds, options.steps)
        lines += of_toy
    if options.out:
        write_text(options.out, "".join(json.dumps(line) + "\n" for line in lines))
    print(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
