"""Many decision problems side by side: the one interface of environments that policies act in and PPO learns from.

Toys with a known optimum, tables of features with costs and the log investigation are all of this kind. What does not
belong here: any environment, and any policy.
"""

# B lanes, A actions (the last one is STOP), O numbers of an observation
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Observed = NDArray[np.float32]  # (B, O)
Legal = NDArray[np.bool_]  # (B, A)
Actions = NDArray[np.int64]  # (B,)


class Cut(NamedTuple):
    """Lanes whose case was cut off before its end, and what was last seen of it; its worth is still to come."""

    lane_M: NDArray[np.int64]
    seen_MO: Observed


class Stepped(NamedTuple):
    """What one step of all lanes gives. A lane that is done has begun its next case: `seen_BO` is of that one."""

    seen_BO: Observed
    legal_BA: Legal
    reward_B: NDArray[np.float32]
    done_B: NDArray[np.bool_]  # also where a case was cut off
    cut: Cut | None = None  # None in every environment of ours


class Lanes(Protocol):
    """Cases that run side by side, each from its beginning to a declaration.

    Every end of ours is a declaration and worth what it is worth: nothing is cut off, so nothing is bootstrapped there,
    and with a discount of 1 the return of a case is the sum of its rewards (`Cut` is for other people's environments).
    STOP is always legal. An action that is not legal changes nothing but costs what it would have cost. Buffers that
    are given belong to the caller.
    """

    n_lanes: int
    n_actions: int
    width: int  # of an observation
    costs_A: NDArray[np.float32]  # of each action; 0 for STOP

    def reset(self, seed: int) -> tuple[Observed, Legal]:
        """Begins every lane anew; the same seed gives the same cases and the same chances, bit for bit."""
        ...

    def step(self, action_B: Actions) -> Stepped: ...

    def state(self) -> Mapping[str, NDArray[Any]]:
        """All that decides what follows, so that a training can stop and go on as if it had not."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None: ...


class Policy(Protocol):
    """Who decides what is asked next, for all lanes at once, from what is seen alone."""

    name: str

    def begin(self, seed: int) -> None:
        """Before the first observation of a run; draws of chance follow from the seed."""
        ...

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions: ...
