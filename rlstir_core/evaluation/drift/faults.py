"""Faults of a recorder that need no statistics to be seen: they hold in every recent episode and held in none before.

The chance is exact: if the episodes of a host could change places, those n of N that have the fault are the recent
ones with chance 1 / C(N, n). What does not belong here: shifts of a distribution (`compare.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rlstir_core.evaluation.drift.digest import Digests
from rlstir_core.evaluation.drift.records import DriftFault

_CLOCK_S = 1.0  # an offset below this is none
_TIMES = 10  # as large as the largest before


def find_faults(digests: Digests, recent: Sequence[int], before: Sequence[int]) -> tuple[DriftFault, ...]:
    """Sources that are missing now and never were, and a clock that is off and never was."""
    if not recent or not before:
        return ()
    chance = 1 / math.comb(len(recent) + len(before), len(recent))
    gone = frozenset.intersection(*(digests.missing[at] for at in recent))
    gone -= frozenset().union(*(digests.missing[at] for at in before))
    found = [DriftFault(what="source", name=name, chance=chance) for name in sorted(gone)]
    now_s, past_s = digests.clock_s[list(recent)], digests.clock_s[list(before)]
    if now_s.min() >= max(_CLOCK_S, _TIMES * float(past_s.max())):
        found.append(DriftFault(what="clock", value_s=float(np.median(now_s)), chance=chance))
    return tuple(found)


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
            chance=math.prod(f.chance for faults in of_hosts for f in faults if (f.what, f.name) == (what, name)),
        )
        for what, name in sorted(common)
    )
