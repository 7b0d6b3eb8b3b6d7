"""The learned greedy policy: a network says how much each query would still help, and the most per cost is asked.

It is trained where it goes itself: tries are gathered along a random walk first, then along its own choices, for two
rounds or more (dynamic feature selection by amortised expected gain: Covert et al. 2023, Gadgil et al. 2024; on-policy
gathering as in DAgger, Ross et al. 2011). What does not belong here: more than one step of foresight.
"""

# B lanes, A actions (the last one is STOP), O numbers of an observation, N states
from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rlstir_core.investigator.lanes import Actions, Lanes, Legal, Observed, Policy
from rlstir_core.investigator.policies.exploring import Exploring
from rlstir_core.investigator.policies.probing import Experience, experience
from rlstir_core.investigator.policies.reading import Numbers, Reads, best, going_on
from rlstir_core.investigator.policies.simple import RandomLegal
from rlstir_core.investigator.policies.stopping import Unstopped
from rlstir_core.progress import Tell


class GainNetwork(nn.Module):
    """Expected gain of every query, from an observation. (B, O) -> (B, A - 1)"""

    centre_O: Tensor
    spread_O: Tensor
    scale: Tensor

    def __init__(self, width: int, n_queries: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("centre_O", torch.zeros(width))
        self.register_buffer("spread_O", torch.ones(width))
        self.register_buffer("scale", torch.ones(()))  # of the gains
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, n_queries)
        )

    def forward(self, seen_BO: Tensor) -> Tensor:
        standard_BO = ((seen_BO - self.centre_O) / self.spread_O).clamp(-10, 10)
        gain_BA: Tensor = self.layers(standard_BO) * self.scale
        return gain_BA


@dataclass(frozen=True, kw_only=True)
class Learning:
    """How the network is trained; every number is chosen on validation lanes or left as it is."""

    hidden: int = 128
    rounds: int = 2  # on its own walk, after one on a random one
    steps: int = 40  # of every lane, a round
    tries: int = 6  # of every lane and step; 0: what it does itself is enough
    explore: float = 0.1  # share of own choices that are random instead
    epochs: int = 8
    least_steps: int = 0  # of the optimiser, a round: what is small is gone through more often
    batch: int = 1_024
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2


class LearnedGreedy:
    """Asks what promises most gain per cost; the gain is what a network, fitted on train cases, expects.

    Knows the observation and costs. Looks one query ahead: what only pays together with a later query it does not see.
    """

    name = "learned_greedy"

    def __init__(self, reads: Reads, network: GainNetwork) -> None:
        self.reads, self.network = reads, network

    def begin(self, seed: int) -> None:
        del seed

    def expected(self, seen_BO: Observed, legal_BA: Legal) -> Numbers:
        """(B, A) gain per cost of each query; 0 for STOP, -inf for what is not legal."""
        with torch.inference_mode():
            gain_BA = self.network(torch.from_numpy(np.ascontiguousarray(seen_BO))).numpy()
        per_cost_BA = np.zeros(legal_BA.shape, np.float32)
        per_cost_BA[:, :-1] = gain_BA / np.maximum(self.reads.costs_A[:-1], 1e-9)
        return np.where(legal_BA, per_cost_BA, -np.inf)

    def most_expected(self, seen_BO: Observed, legal_BA: Legal) -> Numbers:
        return np.asarray(self.expected(seen_BO, legal_BA)[:, :-1].max(1), np.float32)

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        return best(self.expected(seen_BO, legal_BA), going_on(legal_BA))


# what a walk finds under a seed, and what it finds on other cases, on which the best epoch is chosen
Gather = Callable[[Policy, int], tuple[Experience, Experience | None]]
MakeNetwork = Callable[[int, int, int], GainNetwork]  # from the width of an observation, the queries and hidden units


def fit_learned_greedy(
    reads: Reads,
    lanes: Lanes,
    *,
    price: float,
    seed: int,
    tell: Tell,
    learning: Learning | None = None,
    check: Lanes | None = None,
    start: LearnedGreedy | None = None,
) -> LearnedGreedy:
    """Fits it on train lanes; `check` are lanes of other cases, on which the best epoch of each round is chosen.

    From `start` on, where there is one (of another detector, say): its own walk takes the place of the random one.
    """
    numbers = learning or Learning()

    def gather(walk: Policy, seed: int) -> tuple[Experience, Experience | None]:
        def along(cases: Lanes) -> Experience:
            return experience(walk, cases, price=price, seed=seed, steps=numbers.steps, tries=numbers.tries)

        return along(lanes), None if check is None else along(check)

    return fit_in_rounds(reads, gather, seed=seed, tell=tell, learning=numbers, start=start)


def fit_in_rounds(
    reads: Reads,
    gather: Gather,
    *,
    seed: int,
    tell: Tell,
    learning: Learning,
    start: LearnedGreedy | None = None,
    make: MakeNetwork = GainNetwork,
) -> LearnedGreedy:
    """Walks, fits to what the last two walks found, and walks as the fit says. How a walk is judged is `gather`'s."""
    policy: Policy = start or RandomLegal()
    network = start.network if start is not None else None
    gathered: list[Experience] = []
    rounds = learning.rounds + (start is None)
    for number in range(rounds):
        tell(f"learned greedy: round {number + 1} of {rounds}")
        found, checked = gather(Unstopped(Exploring(policy, learning.explore)), seed + number)
        gathered = [*gathered, found][-2:]
        network = _fitted(network or _unfitted(make, found, learning.hidden, seed), gathered, checked, learning, seed)
        policy = LearnedGreedy(reads, network)
    assert isinstance(policy, LearnedGreedy)
    return policy


def _unfitted(make: MakeNetwork, found: Experience, hidden: int, seed: int) -> GainNetwork:
    """A network that knows what is usual, and nothing else."""
    seen_NO, gain_NA = _together([found])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make(seen_NO.shape[1], gain_NA.shape[1], hidden)
    network.centre_O.copy_(seen_NO.mean(0))
    network.spread_O.copy_(seen_NO.std(0).clamp_min(1e-2))
    network.scale.copy_(gain_NA[~gain_NA.isnan()].std().clamp_min(1e-6))
    return network


def _fitted(
    start: GainNetwork, gathered: Sequence[Experience], checked: Experience | None, learning: Learning, seed: int
) -> GainNetwork:
    """Least squares on what was found, from `start` on; the epoch that predicts `checked` best."""
    seen_NO, gain_NA = _together(gathered)
    check = None if checked is None else _together([checked])
    generator = torch.Generator().manual_seed(seed)
    network = copy.deepcopy(start)
    optimiser = torch.optim.AdamW(
        network.layers.parameters(), lr=learning.learning_rate, weight_decay=learning.weight_decay
    )
    a_pass = max(1, len(seen_NO) // learning.batch)
    epochs = max(learning.epochs, math.ceil(learning.least_steps / a_pass))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning.learning_rate, total_steps=epochs * a_pass + 1)
    least, kept = float("inf"), network
    for _ in range(epochs):
        order_N = torch.randperm(len(seen_NO), generator=generator)
        for k in range(a_pass):
            batch = order_N[k * learning.batch : (k + 1) * learning.batch]
            loss = _loss(network, seen_NO[batch], gain_NA[batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        if check is not None:
            with torch.inference_mode():
                found = float(_loss(network, *check))
            if found < least:
                least, kept = found, copy.deepcopy(network)
    return kept


def _together(tries: Sequence[Experience]) -> tuple[Tensor, Tensor]:
    return (
        torch.from_numpy(np.concatenate([t.seen_NO for t in tries])),
        torch.from_numpy(np.concatenate([t.gain_NA for t in tries])),
    )


def _loss(network: GainNetwork, seen_NO: Tensor, gain_NA: Tensor) -> Tensor:
    """Over what was tried, in units of the gains' spread."""
    tried_NA = ~gain_NA.isnan()
    apart_NA = torch.where(tried_NA, network(seen_NO) - gain_NA, 0.0) / network.scale
    return (apart_NA**2).sum() / tried_NA.sum()
