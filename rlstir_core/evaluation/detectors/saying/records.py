"""What detectors say of one episode, as data: phases, P(attack) and the alarm at validation's threshold.

What does not belong here: opening checkpoints and scoring with them (`rlstir_core/evaluation/detectors/scoring.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.detectors.unusual import Unusual

if TYPE_CHECKING:
    from rlstir_core.detectors.single import SingleEpisode, Standing

# N windows, K phases


class PhaseRun(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of windows of one most probable phase; a window speaks for what it adds to the one before."""

    phase: str
    start_s: float
    end_s: float
    probability: float  # of that phase, the mean over the windows


class ModelSays(msgspec.Struct, frozen=True, kw_only=True):
    """What one detector says of one episode."""

    name: str
    model: str
    mode: str
    chosen: bool  # by validation, to be the one to speak of
    side: str  # of the split the episode was on, for this checkpoint: test, train, none, unknown
    n_members: int  # that may speak of it
    phases: tuple[PhaseRun, ...]
    attack: tuple[float, ...]  # its probability, by window; none where no phase, or every, is an attack
    highest: float | None
    highest_at_s: float | None
    threshold: float | None
    threshold_from: str  # where it came from, or why there is none
    first_alarm_s: float | None
    same_as: str = ""  # the detector with the same channels and weights, which says the same

    @property
    def alarm(self) -> str:
        if self.highest is None:
            return "no alarm can be told"
        if self.threshold is None:
            return "no threshold, so no alarm can be told"
        return "no alarm" if self.first_alarm_s is None else f"first alarm {self.first_alarm_s:g} s after the start"


class EpisodeScore(msgspec.Struct, frozen=True, kw_only=True):
    """One episode as all detectors of a recipe see it; the chosen one stands first."""

    path: str
    episode_id: str
    host_id: str
    duration_s: float
    verdict: str
    reasons: dict[str, str]  # why it is not ok, in words
    detail: str
    missing_sources: tuple[str, ...]
    missing_channels: tuple[str, ...]  # that some detector uses and this recording never has
    side: str  # in words
    rule: str  # when a channel counts as unusual
    distance: float | None  # from what was trained on, 1 is the train side's mean; None where that was not kept
    far_beyond: float | None  # distance beyond which few train episodes lie when they are left out
    outside: float | None  # share of the channels outside the train side's quantiles
    unusual: tuple[Unusual, ...] | None  # None: no checkpoint keeps what it takes to tell
    silent: tuple[str, ...]  # which ensembles cannot speak, and why
    window_end_s: tuple[float, ...]
    models: tuple[ModelSays, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeSpoken:
    """What every detector says of every window of an episode."""

    single: SingleEpisode
    place: Standing  # where the last checkpoint knows the episode from
    proba: dict[str, NDArray[np.float64]]  # (N, K) by detector, the chosen one first
    says: dict[str, ModelSays]
    used: frozenset[str]  # channels that some detector sees


def attack_probability(
    proba_NK: NDArray[np.float64], phases: Sequence[str], attack: Sequence[str]
) -> NDArray[np.float64]:
    """P(attack): the sum over the phases that are one, (N, K) -> (N,)."""
    return np.asarray(proba_NK[:, [phase in attack for phase in phases]].sum(axis=1))


def phase_runs(
    proba_NK: NDArray[np.float64], seconds_N: NDArray[np.float64], phases: Sequence[str]
) -> tuple[PhaseRun, ...]:
    """Runs of equal most probable phase; the first begins with the recording."""
    best_N = proba_NK.argmax(axis=1)
    cuts = np.flatnonzero(np.diff(best_N)) + 1
    begins, ends = [0, *cuts.tolist()], [*cuts.tolist(), len(best_N)]
    return tuple(
        PhaseRun(
            phase=phases[best_N[begin]],
            start_s=0.0 if not begin else float(seconds_N[begin - 1]),
            end_s=float(seconds_N[end - 1]),
            probability=float(proba_NK[begin:end, best_N[begin]].mean()),
        )
        for begin, end in zip(begins, ends, strict=True)
    )
