"""`rlstir/SocInvestigation-v0`: one investigation after the other behind gymnasium's interface, masks in `info`.

What does not belong here: the rules (`investigation.py`), and many at once (`lanes.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import gymnasium
import numpy as np

from rlstir_core.arrays import Array
from rlstir_core.errors import ConfigError
from rlstir_core.investigator.queries.catalogue import ACTIONS
from rlstir_core.investigator.soc.cases import Case
from rlstir_core.investigator.soc.chance import case_order, mixed_one
from rlstir_core.investigator.soc.detecting import FrozenDetector
from rlstir_core.investigator.soc.investigation import Investigation
from rlstir_core.investigator.soc.observation import observation_width, slices
from rlstir_core.investigator.soc.reward import Rewards

ENVIRONMENT: Final = "rlstir/SocInvestigation-v0"
_FARTHEST = float(np.finfo(np.float16).max)  # of a row's numbers
_COUNTS = 4.0  # no logarithm of a count is above it


class SocInvestigation(gymnasium.Env[Array, np.int64]):
    """`reset(seed=s)` begins the first case that `SocLanes` of one lane begins with that seed, `reset()` the next one.

    With `options={"case": place}` it is that one. `info` has `action_mask` (A,), the rows that were revealed, the
    entity that was asked about, the cost so far and the belief.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, cases: Sequence[Case], detector: FrozenDetector, rewards: Rewards, budget: float) -> None:
        if not cases or not budget > 0:
            raise ConfigError(f"{len(cases)} cases and a budget of {budget}: both must be above 0")
        self._cases, self._rewards, self._budget = cases, rewards, budget
        self._pool = detector.pool(1, max(case.n_trees for case in cases))
        self._seed = self._n_begun = 0
        self._now: Investigation | None = None
        low = np.zeros(observation_width(detector.n_answers, detector.width), np.float32)
        high = np.full_like(low, _COUNTS)
        parts = slices(detector.n_answers, detector.width)
        for name in ("alert", "page", "mean", "most"):
            low[parts[name]], high[parts[name]] = -_FARTHEST, _FARTHEST
        self.observation_space = gymnasium.spaces.Box(low, high)
        self.action_space = gymnasium.spaces.Discrete(len(ACTIONS))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None or not self._n_begun:
            self._seed = seed if seed is not None else int(self.np_random.integers(2**31))
            self._n_begun = 0
        case = int(case_order(self._seed, self._n_begun, 1, len(self._cases))[0])
        self._n_begun += 1
        if options is not None and "case" in options:
            case = int(options["case"])
        key = episode_key(self._seed, 0, self._n_begun)
        self._now = Investigation(self._cases[case], self._pool, self._rewards, self._budget, key)
        return self._now.observation(), self._info()

    def step(self, action: np.int64) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        assert self._now is not None, "reset first"
        reward, done = self._now.act(int(action))
        return self._now.observation(), float(reward), done, False, self._info()

    def _info(self) -> dict[str, Any]:
        assert self._now is not None
        now = self._now
        return {
            "action_mask": now.legal().astype(np.int8),
            "episode_id": now.case.episode_id,
            "rows": list(now.new) if now.step else [now.case.alert],
            "target": now.target,
            "cost": now.spent,
            "belief": now.answers_K.copy(),
        }


def episode_key(seed: int, lane: int, number: int) -> int:
    """What decides chance in the so many-th episode (from 1) of a lane."""
    return mixed_one(mixed_one(seed, lane), number)


if ENVIRONMENT not in gymnasium.registry:
    gymnasium.register(ENVIRONMENT, entry_point=f"{__name__}:SocInvestigation")
