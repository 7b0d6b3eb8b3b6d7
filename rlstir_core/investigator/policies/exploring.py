"""Another policy that now and then asks something random instead, so that its neighbourhood is seen in training too.

What does not belong here: how a policy decides when it is judged.
"""

# B lanes, A actions (the last one is STOP)
from __future__ import annotations

import numpy as np

from rlstir_core.investigator.lanes import Actions, Legal, Observed, Policy
from rlstir_core.investigator.policies.simple import RandomLegal


class Exploring:
    """A share of the choices is random, by lane and step."""

    def __init__(self, policy: Policy, share: float) -> None:
        self.policy, self.share, self.name = policy, share, policy.name
        self.random = RandomLegal()

    def begin(self, seed: int) -> None:
        self.policy.begin(seed)
        self.random.begin(seed)

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        own_B, random_B = self.policy.act(seen_BO, legal_BA), self.random.act(seen_BO, legal_BA)
        return np.where(self.random.rng.random(len(own_B)) < self.share, random_B, own_B)
