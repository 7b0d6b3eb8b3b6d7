"""Faults of a recorder that need no statistics to be seen: every recent episode has them, and few or none before had.

The chance is exact: where the episodes of a host could change places and k of N have the fault, all n recent ones
are among them with chance C(k, n) / C(N, n); it counts as often as there are faults to look for on that host. What does
not belong here: shifts of a distribution (`compare.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rlstir_core.evaluation.drift.digest import Digests
from rlstir_core.evaluation.drift.records import DriftFault

_CLOCK_S = 1.0  # an offset below this is none
_TIMES = 10  # as large as the largest before
_TOLD = 0.5  # a fault with a larger chance is none


def find_faults(digests: Digests, recent: Sequence[int], before: Sequence[int]) -> tuple[DriftFault, ...]:
    """Sources that are missing throughout, and a clock that is off and never was."""
    if not recent or not before:
        return ()
    n, every = len(recent), math.comb(len(recent) + len(before), len(recent))
    able = frozenset[str]().union(*digests.missing)  # to be missing
    tests = len(able) + 1
    found = []
    for name in sorted(frozenset.intersection(*(digests.missing[at] for at in recent))):
        had = sum(name in digests.missing[at] for at in before)
        chance = min(1.0, tests * math.comb(n + had, n) / every)
        found.append(DriftFault(what="source", name=name, n_before=had, chance=chance))
    now_s, past_s = digests.clock_s[list(recent)], digests.clock_s[list(before)]
    if now_s.min() >= max(_CLOCK_S, _TIMES * float(past_s.max())):
        found.append(DriftFault(what="clock", value_s=float(np.median(now_s)), chance=min(1.0, tests / every)))
    return tuple(each for each in found if each.chance < _TOLD)


def shared_faults(of_hosts: Sequence[tuple[DriftFault, ...]]) -> tuple[DriftFault, ...]:
    """The faults that every host of the day has, with the chance that all of them have it."""
    if len(of_hosts) < 2:
        return ()
    common = set.intersection(*({(each.what, each.name) for each in faults} for faults in of_hosts))
    return tuple(
        DriftFault(
            what=what,
            name=name,
            value_s=next((f.value_s for f in of_hosts[0] if (f.what, f.name) == (what, name)), None),
            n_before=sum(f.n_before for faults in of_hosts for f in faults if (f.what, f.name) == (what, name)),
            chance=math.prod(f.chance for faults in of_hosts for f in faults if (f.what, f.name) == (what, name)),
        )
        for what, name in sorted(common)
    )
