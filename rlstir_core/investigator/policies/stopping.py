"""When to stop: one kind of rule for every policy that does not know by itself, tuned on validation lanes alike.

A policy is run once without stopping; what it would have been worth to stop is known at every step, so all rules are
compared on the same walk. What does not belong here: what is asked before.
"""

# B lanes, A actions (the last one is STOP), T steps
from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import msgspec
import numpy as np

from rlstir_core.investigator.lanes import Actions, Lanes, Legal, Observed, Policy
from rlstir_core.investigator.policies.probing import declared
from rlstir_core.investigator.policies.reading import Numbers, Reads, entropy, going_on, spent

_QUANTILES = 40
_MOST_STEPS = 100_000


@runtime_checkable
class Scoring(Protocol):
    """A policy that says how much it expects of each query."""

    def most_expected(self, seen_BO: Observed, legal_BA: Legal) -> Numbers:
        """(B,) the most that any legal query is expected to give per cost."""
        ...


By = Literal["never", "margin", "entropy", "cost", "gain"]


class StopRule(msgspec.Struct, frozen=True, kw_only=True):
    """Stop as soon as a number that is read from the observation has reached a threshold."""

    by: By = "never"
    threshold: float = 0.0


def urge(by: By, reads: Reads, policy: Policy, seen_BO: Observed, legal_BA: Legal) -> Numbers:
    """(B,) the number that a rule compares; the higher, the sooner it stops."""
    if by == "margin":  # how far the first answer is from undecided
        return np.asarray(np.abs(reads.belief(seen_BO)[:, 0] - 0.5), np.float32)
    if by == "entropy":
        return -entropy(reads.belief(seen_BO))
    if by == "cost":
        return spent(reads, seen_BO)
    if by == "gain" and isinstance(policy, Scoring):
        return -policy.most_expected(seen_BO, legal_BA)
    return np.full(len(seen_BO), -np.inf, np.float32)


class Stopping:
    """Another policy that stops by `rule`, or earlier where the policy itself does."""

    def __init__(self, policy: Policy, reads: Reads, rule: StopRule) -> None:
        self.policy, self.reads, self.rule = policy, reads, rule
        self.name = policy.name

    def begin(self, seed: int) -> None:
        self.policy.begin(seed)

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        action_B = self.policy.act(seen_BO, legal_BA)
        if self.rule.by == "never":
            return action_B
        stop_B = urge(self.rule.by, self.reads, self.policy, seen_BO, legal_BA) >= self.rule.threshold
        return np.where(stop_B, legal_BA.shape[1] - 1, action_B)


class Unstopped:
    """Another policy that never stops while a query is legal: walks are compared at the same number of queries so."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.name = policy, policy.name

    def begin(self, seed: int) -> None:
        self.policy.begin(seed)

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        return self.policy.act(seen_BO, going_on(legal_BA))


def tuned(policy: Policy, reads: Reads, lanes: Lanes, seed: int) -> tuple[Stopping, float]:
    """The policy under the rule with the highest mean return on these lanes, and that return.

    `never` is among the rules, so nothing is made worse where the lanes were chosen on.
    """
    kinds: list[By] = ["margin", "entropy", "cost"]
    if isinstance(policy, Scoring):
        kinds.append("gain")
    policy.begin(seed)
    seen_BO, legal_BA = lanes.reset(seed)
    return_B = np.zeros(lanes.n_lanes)
    alive_B = np.ones(lanes.n_lanes, bool)
    if_stopped, urges = [], []
    for _ in range(_MOST_STEPS):
        if_stopped.append(np.where(alive_B, return_B + declared(lanes), return_B))
        urges.append(np.stack([urge(by, reads, policy, seen_BO, legal_BA) for by in kinds]))
        urges[-1][:, ~alive_B] = -np.inf
        stepped = lanes.step(policy.act(seen_BO, legal_BA))
        return_B += np.where(alive_B, stepped.reward_B, 0)
        alive_B &= ~stepped.done_B
        if not alive_B.any():
            break
        seen_BO, legal_BA = stepped.seen_BO, stepped.legal_BA
    if_stopped_TB, urge_TKB = np.stack([*if_stopped, return_B]), np.stack(urges)
    rule, most = StopRule(), float(return_B.mean())
    for k, by in enumerate(kinds):
        reached = urge_TKB[:, k][np.isfinite(urge_TKB[:, k])]
        for threshold in np.unique(np.quantile(reached, np.linspace(0, 1, _QUANTILES), method="lower")):
            over_TB = np.vstack([urge_TKB[:, k] >= threshold, np.ones((1, lanes.n_lanes), bool)])
            mean = float(np.take_along_axis(if_stopped_TB, over_TB.argmax(0)[None], 0).mean())
            if mean > most:
                rule, most = StopRule(by=by, threshold=float(threshold)), mean
    return Stopping(policy, reads, rule), most
