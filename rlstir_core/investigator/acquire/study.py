"""The comparison on one table: everything fitted on train rows, chosen on validation rows, read off on test rows once.

What does not belong here: reading files (`table.py`) and writing lines (`benchmarks/acting/acquire.py`).
"""

# B lanes, N rows, C columns, K classes, T picks
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from rlstir_core.investigator.acquire.classifier import Teaching, fit_classifier, folds, taught
from rlstir_core.investigator.acquire.lanes import TableLanes, TableReads
from rlstir_core.investigator.acquire.learned import fit_by_moves
from rlstir_core.investigator.acquire.table import DealtRows, Table, sides
from rlstir_core.investigator.lanes import Policy
from rlstir_core.investigator.policies.fixed_order import best_order
from rlstir_core.investigator.policies.greedy import fit_greedy
from rlstir_core.investigator.policies.learned_greedy import LearnedGreedy, Learning
from rlstir_core.investigator.policies.probing import run
from rlstir_core.investigator.policies.reading import Numbers
from rlstir_core.investigator.policies.simple import RandomLegal
from rlstir_core.investigator.policies.stopping import Unstopped, tuned
from rlstir_core.investigator.ppo import train_ppo
from rlstir_core.learning.acting_numbers import PpoNumbers
from rlstir_core.progress import Tell

PICKS = (1, 2, 3, 5, 10, 15, 20)
PRICES = (0.005, 0.01, 0.02, 0.05)  # lambda: what a unit of cost takes from the return
_STARTS = ("static", "learned_greedy")


@dataclass(frozen=True, kw_only=True)
class AcquireNumbers:
    """Sizes of the comparison."""

    picks: tuple[int, ...] = PICKS
    prices: tuple[float, ...] = PRICES
    lanes: int = 512  # that greedy policies are fitted in
    many_lanes: int = 1_400  # that the learned greedy policy is fitted in once the classifier has seen policies' masks
    rows: int = 4_096  # at most, of train and validation rows that orders and stop rules are measured on
    teaching: Teaching = field(default_factory=Teaching)
    learning: Learning = field(
        default_factory=lambda: Learning(steps=20, batch=512, epochs=6, least_steps=1_200, learning_rate=2e-3)
    )
    ppo_lanes: int = 256
    ppo: PpoNumbers = field(
        default_factory=lambda: PpoNumbers(
            steps=300_000, imitate_steps=200_000, batch=512, learning_rate=1e-3, entropy=0.003
        )
    )


class PointLine(msgspec.Struct, frozen=True, kw_only=True):
    """One method, seed and point. A return is minus the Brier loss minus lambda times cost, where there is a lambda."""

    method: str
    seed: int
    point: int | str  # picks, or "lambda=..."
    cost: float
    accuracy: float
    auroc: float
    earned: float | None = msgspec.field(default=None, name="return")


def compare(table: Table, seed: int, numbers: AcquireNumbers, tell: Tell) -> Iterator[PointLine]:
    """All methods with one seed, which deals the rows and decides every fit."""
    split = sides(table, seed)
    most = min(max(numbers.picks), table.n_columns)
    picks = [n for n in numbers.picks if n <= most]
    make = _Making(split, seed, most, numbers, tell)
    policies = make.policies()
    for method, policy in policies.items():
        yield from make.at_picks(method, policy, picks)
    for price in sorted(numbers.prices):
        ppo = make.ppo(policies, price)
        if price == min(numbers.prices):  # where asking is cheapest, it has learnt most about what to ask late
            yield from make.at_picks("ppo", ppo, picks)
        for method, policy in {**policies, "ppo": ppo}.items():
            yield make.at_price(method, policy, price)


class _Making:
    """What one seed shares: rows, classifier, lanes."""

    def __init__(self, split: DealtRows, seed: int, most: int, numbers: AcquireNumbers, tell: Tell) -> None:
        self.split, self.seed, self.most, self.numbers, self.tell = split, seed, most, numbers, tell
        self.reads = TableReads(split.train)
        self.fold_N = folds(len(split.train.class_N), seed)
        tell(f"seed {seed}: the classifier, on random masks")
        self.classifier = fit_classifier(split.train, split.validation, numbers.teaching, seed)

    def lanes(self, table: Table, price: float, n: int = 0) -> TableLanes:
        """Lanes of these rows, a row each where no number is given."""
        fold_N = self.fold_N if table is self.split.train else None
        n = min(n or self.numbers.rows, len(table.class_N))
        return TableLanes(table, self.classifier, n_lanes=n, price=price, most=self.most, fold_N=fold_N)

    def policies(self) -> dict[str, Policy]:
        """Fitted twice: the second time under a classifier that has seen the masks of the first."""
        split, numbers, seed, tell = self.split, self.numbers, self.seed, self.tell
        found = self._fitted(replace(numbers.learning, rounds=1), None)
        tell(f"seed {seed}: the classifier, on masks of policies")
        own_NC = np.concatenate([self._masks(policy) for policy in found.values()])
        self.classifier = taught(self.classifier, split.train, split.validation, numbers.teaching, seed, own_NC)
        start = found["learned_greedy"]
        assert isinstance(start, LearnedGreedy)
        return self._fitted(numbers.learning, start)

    def _fitted(self, learning: Learning, start: LearnedGreedy | None) -> dict[str, Policy]:
        split, numbers, seed, tell = self.split, self.numbers, self.seed, self.tell
        price = min(numbers.prices)
        lanes = self.lanes(split.train, price, numbers.lanes)
        many = lanes if start is None else self.lanes(split.train, price, numbers.many_lanes)
        check = self.lanes(split.validation, price, numbers.lanes)
        tell(f"seed {seed}: the best fixed order")
        # one step more than an order can have, so that no case ends before the last place is measured
        rows = self.lanes(split.train, price)
        rows.most += 1
        return {
            "random": RandomLegal(),
            "static": best_order(self.reads, rows, price=price, seed=seed, longest=self.most),
            "greedy": fit_greedy(self.reads, lanes, seed=seed, tell=tell),
            "learned_greedy": fit_by_moves(
                self.reads, many, check, seed=seed, tell=tell, learning=learning, start=start
            ),
        }

    def ppo(self, policies: dict[str, Policy], price: float) -> Policy:
        """Learnt twice, once from the fixed order and once from the learned greedy policy; the one that earns more.

        Which one that is, train and validation rows say together: either side alone is small or well known.
        """
        train, validation = self.split.train, self.split.validation
        found: list[tuple[float, Policy]] = []
        for name in _STARTS:
            self.tell(f"seed {self.seed}: PPO at lambda {price:g}, beginning like {name}")
            start, _ = tuned(policies[name], self.reads, self.lanes(validation, price), self.seed)
            lanes = self.lanes(train, price, self.numbers.ppo_lanes)
            ppo = train_ppo(lanes, self.numbers.ppo, seed=self.seed, tell=self.tell, start=start)
            earned = [run(ppo, self.lanes(rows, price), self.seed).return_B for rows in (train, validation)]
            found.append((float(np.concatenate(earned).mean()), ppo))
        return max(found, key=lambda each: each[0])[1]

    def _masks(self, policy: Policy) -> NDArray[np.bool_]:
        """Of a policy on train rows, after every pick."""
        lanes, found = self.lanes(self.split.train, 0.0), []
        policy.begin(self.seed)
        seen_BO, legal_BA = lanes.reset(self.seed)
        for _ in range(self.most - 1):  # by the last one a case is over
            stepped = lanes.step(Unstopped(policy).act(seen_BO, legal_BA))
            seen_BO, legal_BA = stepped.seen_BO, stepped.legal_BA
            found.append(lanes.mask_BC.copy())
        return np.concatenate(found)

    def at_picks(self, method: str, policy: Policy, picks: list[int]) -> Iterator[PointLine]:
        """Test rows, read off after so many picks; nothing stops before."""
        lanes, policy = self.lanes(self.split.test, 0.0, len(self.split.test.class_N)), Unstopped(policy)
        policy.begin(self.seed)
        seen_BO, legal_BA = lanes.reset(self.seed)
        class_B, cost_B = lanes.table.class_N[lanes.row_B], np.zeros(lanes.n_lanes)
        for number in range(1, self.most + 1):
            action_B = policy.act(seen_BO, legal_BA)
            stepped = lanes.step(action_B)
            cost_B += lanes.costs_A[action_B]
            seen_BO, legal_BA = stepped.seen_BO, stepped.legal_BA
            if number in picks:
                yield self._line(method, number, lanes.told_BK, class_B, cost_B, None)

    def at_price(self, method: str, policy: Policy, price: float) -> PointLine:
        """Test rows under a stop rule that was tuned on validation rows at this price."""
        stopping, _ = tuned(policy, self.reads, self.lanes(self.split.validation, price), self.seed)
        lanes = self.lanes(self.split.test, price, len(self.split.test.class_N))
        stopping.begin(self.seed)
        seen_BO, legal_BA = lanes.reset(self.seed)
        class_B, cost_B = lanes.table.class_N[lanes.row_B], np.zeros(lanes.n_lanes)
        answer_BK = np.zeros((lanes.n_lanes, self.reads.n_classes), np.float32)
        alive_B = np.ones(lanes.n_lanes, bool)
        while alive_B.any():
            action_B = stopping.act(seen_BO, legal_BA)
            stepped = lanes.step(action_B)
            cost_B += np.where(alive_B, lanes.costs_A[action_B], 0)
            answer_BK[alive_B] = lanes.told_BK[alive_B]
            alive_B &= ~stepped.done_B
            seen_BO, legal_BA = stepped.seen_BO, stepped.legal_BA
        return self._line(method, f"lambda={price:g}", answer_BK, class_B, cost_B, price)

    def _line(
        self,
        method: str,
        point: int | str,
        answer_BK: Numbers,
        class_B: NDArray[np.int64],
        cost_B: NDArray[np.float64],
        price: float | None,
    ) -> PointLine:
        brier = float(((answer_BK - np.eye(self.reads.n_classes)[class_B]) ** 2).sum(1).mean())
        cost = float(cost_B.mean())
        return PointLine(
            method=method,
            seed=self.seed,
            point=point,
            cost=round(cost, 4),
            accuracy=round(float((answer_BK.argmax(1) == class_B).mean()), 4),
            auroc=round(auroc(answer_BK, class_B), 4),
            earned=None if price is None else round(-brier - price * cost, 5),
        )


def auroc(answer_NK: Numbers, class_N: NDArray[np.int64]) -> float:
    """Of the second class of two; of more, the mean of each against all others."""
    which = range(answer_NK.shape[1]) if answer_NK.shape[1] > 2 else [1]
    found = []
    for each in which:
        own_N = class_N == each
        n, m = int(own_N.sum()), int((~own_N).sum())
        found.append((rankdata(answer_NK[:, each])[own_N].sum() - n * (n + 1) / 2) / (n * m))
    return float(np.mean(found))
