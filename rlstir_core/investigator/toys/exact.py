"""What is best in a toy and what a policy earns there, without chance: exact dynamic programming over its states.

Scores are normalised: asking nothing is 0, the optimum 1. What does not belong here: policies that learn.
"""

# S states, Q queries, A = Q + 1 actions (the last one is STOP), R answers, K steps of an order
from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.investigator.lanes import Policy
from rlstir_core.investigator.toys.tables import Tables, entropy

Choice = Ints  # (S,): an action for each state


@dataclass(frozen=True, kw_only=True)
class Solved:
    """A toy with its optimum, and what else earns there."""

    tables: Tables
    stop_S: Floats  # what declaring now earns
    ask_SQ: Floats  # what asking earns at once
    best_SA: Floats  # what each action earns if all that follows is best; minus infinity where it is not legal

    def worth(self, choice_S: Choice) -> Floats:
        """What a policy earns from each state on. (S,) -> (S,)."""
        tables, worth_S = self.tables, self.stop_S.copy()
        for level in reversed(tables.levels):
            state_M = np.arange(level.start, level.stop)[choice_S[level] < len(tables.toy.cost_Q)]
            query_M = choice_S[state_M]
            ahead_M = (tables.chance_SQR[state_M, query_M] * worth_S[tables.next_SQR[state_M, query_M]]).sum(1)
            worth_S[state_M] = self.ask_SQ[state_M, query_M] + ahead_M
        return worth_S

    def plan(self, actions: tuple[int, ...]) -> float:
        """What asking these one after another earns, whatever is answered, and declaring then.

        What is not legal changes nothing and costs what it would have cost.
        """
        tables, earned = self.tables, 0.0
        chance_S = np.zeros(len(self.stop_S))
        chance_S[0] = 1.0
        for query in actions:
            asks_S = tables.legal_SQ[:, query] & (chance_S > 0)
            earned += float(chance_S[asks_S] @ self.ask_SQ[asks_S, query])
            earned -= float(chance_S[~asks_S].sum()) * tables.toy.price * float(tables.toy.cost_Q[query])
            after_S = np.where(asks_S, 0.0, chance_S)
            answered_MR = chance_S[asks_S, None] * tables.chance_SQR[asks_S, query]
            np.add.at(after_S, tables.next_SQR[asks_S, query], answered_MR)
            chance_S = after_S
        return earned + float(chance_S @ self.stop_S)

    def score(self, worth: float) -> float:
        """0 for asking nothing, 1 for the optimum."""
        nothing = float(self.stop_S[0])
        return (worth - nothing) / (float(self.best_SA[0].max()) - nothing)

    def choice_of(self, policy: Policy, seed: int = 0) -> Choice:
        """What a policy does in every state, asked about all of them at once."""
        policy.begin(seed)
        legal_SA = np.concatenate((self.tables.legal_SQ, np.ones((len(self.stop_S), 1), np.bool_)), axis=1)
        return policy.act(self.tables.seen_SO, legal_SA)

    def score_of(self, policy: Policy) -> float:
        """The exact score of a policy that draws nothing."""
        return self.score(float(self.worth(self.choice_of(policy))[0]))


def solved(tables: Tables, *, kappa: float = 0.0, end_is_0: bool = True, said_S: Floats | None = None) -> Solved:
    """The toy with its optimum, by going back from the states in which everything was asked.

    `kappa` weighs the shaping by minus the entropy, which is 0 at every end unless `end_is_0` is false; `said_S` is
    what a detector says that is not calibrated.
    """
    toy, p_S = tables.toy, tables.attack_S
    said_S = p_S if said_S is None else said_S
    potential_S = -kappa * entropy(said_S)
    brier_S = p_S * (1 - said_S) ** 2 + (1 - p_S) * said_S**2
    stop_S = -brier_S - (potential_S if end_is_0 else 0.0)
    shaping_SQ = (tables.chance_SQR * potential_S[tables.next_SQR]).sum(2) - potential_S[:, None]
    ask_SQ = -toy.price * toy.cost_Q + shaping_SQ
    best_SA = np.full((len(stop_S), len(toy.cost_Q) + 1), -np.inf)
    best_SA[:, -1] = worth_S = stop_S.copy()
    for level in reversed(tables.levels):
        ahead_SQ = (tables.chance_SQR[level] * worth_S[tables.next_SQR[level]]).sum(2)
        best_SA[level, :-1] = np.where(tables.legal_SQ[level], ask_SQ[level] + ahead_SQ, -np.inf)
        worth_S[level] = best_SA[level].max(1)
    return Solved(tables=tables, stop_S=stop_S, ask_SQ=ask_SQ, best_SA=best_SA)


def greedy(toy: Solved) -> tuple[float, Choice]:
    """Most expected drop of entropy for its cost, with the stop rule that earns most here; score and choice.

    Two kinds of rule are tried, at every value that makes a difference: the drop for its cost is too small, or the
    entropy is small enough.
    """
    tables = toy.tables
    uncertain_S = entropy(tables.attack_S)
    drop_SQ = uncertain_S[:, None] - (tables.chance_SQR * uncertain_S[tables.next_SQR]).sum(2)
    for_cost_SQ = np.where(tables.legal_SQ, drop_SQ / tables.toy.cost_Q, -np.inf)
    # where nothing promises a drop, the cheapest is asked
    ask_S = (for_cost_SQ.round(12) - 1e-15 * tables.toy.cost_Q).argmax(1)
    most_S = for_cost_SQ.max(1)
    goes_S, stop = np.isfinite(most_S), len(tables.toy.cost_Q)
    met_M = _met(tables, np.where(goes_S, ask_S, stop))
    best = (-np.inf, np.full(len(most_S), stop))
    for promise_S in (most_S, uncertain_S):
        for limit in (-1.0, *np.unique(promise_S[met_M][goes_S[met_M]])):
            choice_S = np.where(goes_S & (promise_S > limit), ask_S, stop)
            best = max(best, (toy.score(float(toy.worth(choice_S)[0])), choice_S), key=lambda each: each[0])
    return best


def _met(tables: Tables, choice_S: Choice) -> Ints:
    """The states that a policy can come to."""
    levels = [np.zeros(1, np.int64)]
    while len(levels[-1]):
        asks = levels[-1][choice_S[levels[-1]] < len(tables.toy.cost_Q)]
        possible_MR = tables.chance_SQR[asks, choice_S[asks]] > 0
        levels.append(np.unique(tables.next_SQR[asks, choice_S[asks]][possible_MR]))
    return np.concatenate(levels)


def fixed_order(toy: Solved, most: int = 200_000) -> tuple[float, tuple[int, ...]]:
    """The best order of queries for all cases, stopping wherever that is best; score and order, exactly.

    What is not legal is skipped. Best first: the bound of an order's beginning is that everything after it adapts.
    """
    optimum_S = toy.best_SA.max(1)
    waiting: list[tuple[float, tuple[int, ...]]] = [(-float(optimum_S[0]), ())]
    best: tuple[float, tuple[int, ...]] = (float(toy.stop_S[0]), ())
    for _ in range(most):
        bound, order = heapq.heappop(waiting) if waiting else (np.inf, ())
        if -bound <= best[0] + 1e-12:
            return toy.score(best[0]), best[1]
        layers = _reached(toy, order, optimum_S)
        for query in set(range(len(toy.tables.toy.cost_Q))) - set(order):
            after = _asked(toy, layers[-1], query, optimum_S)
            if after is None:
                continue  # it would be skipped in every case
            longer = (*order, query)
            bound, worth = _worth_of(toy, longer, [*layers, after], optimum_S)
            best = max(best, (worth, longer), key=lambda each: each[0])
            if bound > best[0] + 1e-12:
                heapq.heappush(waiting, (-bound, longer))
    raise ArithmeticError(f"{toy.tables.toy.name} has too many orders to find the best one")


def _reached(toy: Solved, order: tuple[int, ...], optimum_S: Floats) -> list[Ints]:
    """The states before each query of an order, and after the last."""
    layers = [np.zeros(1, np.int64)]
    for query in order:
        after = _asked(toy, layers[-1], query, optimum_S)
        layers.append(layers[-1] if after is None else after)
    return layers


def _asks(toy: Solved, state_M: Ints, query: int, optimum_S: Floats) -> Bools:
    """Where a query is legal and stopping is not best whatever follows."""
    asks_M: Bools = toy.tables.legal_SQ[state_M, query] & (optimum_S[state_M] > toy.stop_S[state_M])
    return asks_M


def _asked(toy: Solved, state_M: Ints, query: int, optimum_S: Floats) -> Ints | None:
    """The states after a query; None where it is asked in none."""
    asks_M = _asks(toy, state_M, query, optimum_S)
    if not asks_M.any():
        return None
    return np.unique(np.concatenate((state_M[~asks_M], toy.tables.next_SQR[state_M[asks_M], query].ravel())))


def _worth_of(toy: Solved, order: tuple[int, ...], layers: list[Ints], optimum_S: Floats) -> tuple[float, float]:
    """What an order earns if all after it adapts, and if nothing follows it."""
    tables, stop_S = toy.tables, toy.stop_S
    ahead_2M = np.stack((optimum_S[layers[-1]], stop_S[layers[-1]]))
    for before, after, query in zip(layers[-2::-1], layers[:0:-1], order[::-1], strict=True):
        asks_M = _asks(toy, before, query, optimum_S)
        asked = before[asks_M]
        value_2M = np.empty((2, len(before)))
        value_2M[:, ~asks_M] = ahead_2M[:, np.searchsorted(after, before[~asks_M])]
        answered_2MR = ahead_2M[:, np.searchsorted(after, tables.next_SQR[asked, query])]
        value_2M[:, asks_M] = toy.ask_SQ[asked, query] + (tables.chance_SQR[asked, query] * answered_2MR).sum(2)
        ahead_2M = np.maximum(value_2M, stop_S[before])
    return float(ahead_2M[0, 0]), float(ahead_2M[1, 0])
