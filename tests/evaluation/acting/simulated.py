"""Investigations by random walks over cases whose truth is known, and small tables written by hand.

What does not belong here: anything that is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rlstir_core.evaluation.acting.table import InvestigationWriter, RecordedCase, SaidStretch
from rlstir_core.evaluation.acting.truth import EpisodeTruth, TrueStretch

QUERIES = ("proc_tree", "sockets", "autoruns", "script_blocks", "lateral_logon", "log_gaps")
COSTS = (1.0, 2.0, 2.0, 6.0, 8.0, 5.0)
BUDGET = 16.0
SKILL = {  # how likely a step goes to a place that holds something
    "all_at_once": 0.2,
    "cheapest": 0.15,
    "evidence_oracle": 1.0,
    "fixed_order": 0.35,
    "greedy": 0.3,
    "label_oracle": 0.9,
    "learned_greedy": 0.5,
    "no_query": 0.0,
    "playbook": 0.3,
    "ppo": 0.7,
    "ppo_no_shaping": 0.6,
    "random": 0.1,
}


def truths(episodes: int, hosts: int, seed: int = 0) -> list[EpisodeTruth]:
    """Half of them attacks, with one to four techniques in rows of places of their own."""
    rng = np.random.default_rng(seed)
    found = []
    for e in range(episodes):
        attack = bool(rng.random() < 0.5)
        n = int(rng.integers(1, 5)) if attack else 0
        rows = {f"T{1001 + t}": (100 * t, 100 * t + 1) for t in rng.permutation(6)[:n].tolist()}
        tamper = (TrueStretch(channel="evtx", t_start_wall_ns=1_000, t_end_wall_ns=2_000),) if attack and e % 5 else ()
        found.append(
            EpisodeTruth(episode_id=f"ep-{e:05d}", host=f"h{e % hosts:02d}", attack=attack, rows=rows, tamper=tamper)
        )
    return found


def walk(truth: EpisodeTruth, skill: float, rng: np.random.Generator, budget: float) -> RecordedCase:
    """Asks until the budget is spent or nothing is left; belief moves with what is found."""
    left = list(range(6))
    own = [int(name[1:]) - 1001 for name in truth.rows]
    logit = rng.normal(0.3 if truth.attack else -0.3, 0.8)
    actions, costs, rows, belief = ["alert"], [0.0], [[]], [logit]  # type: ignore[list-item]
    paid = 0.0
    while left and skill > 0:
        wanted = [q for q in left if q in own]
        at = int(rng.choice(wanted)) if wanted and rng.random() < skill else int(rng.choice(left))
        if paid + COSTS[at] > budget:
            break
        left.remove(at)
        paid += COSTS[at]
        hit = at in own
        logit += rng.normal(1.2, 0.5) if hit else rng.normal(-0.15, 0.4)
        actions.append(QUERIES[at])
        costs.append(COSTS[at])
        rows.append([100 * at, 100 * at + 1, 100 * at + 5])
        belief.append(logit)
    actions.append("stop")
    costs.append(0.0)
    rows.append([])
    belief.append(logit)
    seen = [name for name, where in truth.rows.items() if any(where[0] in each for each in rows)]
    said = [*seen, "T1006", "T1999"]
    p = 1 / (1 + np.exp(-np.array(belief)))
    tampered = bool(truth.tamper) and rng.random() < 0.7
    spans = [SaidStretch(channel="evtx", t_start_wall_ns=900, t_end_wall_ns=2_100, score=0.8)] if tampered else []
    return RecordedCase(
        episode_id=truth.episode_id,
        host=truth.host,
        actions=actions,
        costs=costs,
        rows=rows,
        p_risk=p,
        p_tampered=np.full(len(p), 0.8 if tampered else 0.2),
        techniques=said,
        scores=[0.9 - 0.1 * r for r in range(len(said))],
        spans=spans,
    )


def write(
    path: Path, of: Sequence[EpisodeTruth], *, skill: Mapping[str, float] = SKILL, seeds: int = 3, seed: int = 0
) -> Path:
    """A table of walks by policies of these skills; PPO and the learned greedy policy have several training seeds."""
    with InvestigationWriter(path) as writer:
        for place, (policy, share) in enumerate(sorted(skill.items())):
            for own in range(seeds if policy.startswith(("ppo", "learned")) else 1):
                rng = np.random.default_rng([seed, place, own])
                budget = 99.0 if policy == "all_at_once" else BUDGET
                writer.add(policy, own, (walk(each, share, rng, budget) for each in of))
    return path


def by_hand(
    episode: str, *steps: tuple[str, float, Sequence[int], float], host: str = "h", **more: object
) -> RecordedCase:
    """A case from (action, cost, rows, probability of an attack), the alert first."""
    action, cost, rows, p = zip(*steps, strict=True)
    return RecordedCase(
        episode_id=episode,
        host=host,
        actions=action,
        costs=cost,
        rows=rows,
        p_risk=p,
        p_tampered=more.pop("tampered", [0.0] * len(p)),  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )
