"""The story of one episode: five stages in a circle, and the offset at which the recording falls into it.

The offset is uniform over the circle, so the time since the recording's start says nothing of the stage.
A benign twin walks the same circle, and its label is `clean` throughout. What does not belong here: what a
stage does (`sensors/profiles.py`) and what the sensors see of it (`sensors/activity.py`, `sensors/sources.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlstir_core.arrays import Floats
from rlstir_core.lab.sensors.profiles import STAGES
from rlstir_core.lab.signals import STEP_S, between, lognormal, stream


@dataclass(frozen=True, kw_only=True)
class StoryKnobs:
    """Mean seconds of the stages and their spread from episode to episode.

    The circle is about as long as a recording, so that most infected episodes show every phase; a longer one costs
    phases, a shorter one costs windows that lie within one phase.
    """

    stage_s: tuple[float, ...] = (22.0, 25.0, 23.0, 36.0, 28.0)
    spread: float = 0.15


KNOBS = StoryKnobs()


@dataclass(frozen=True, kw_only=True)
class Circle:
    """Stage lengths of the circle in seconds, and where in it the recording starts."""

    lengths_s: Floats
    offset_s: float
    duration_s: float

    @property
    def circle_s(self) -> float:
        return float(self.lengths_s.sum())

    def stretches(self) -> list[tuple[float, float, int]]:
        """(begin, end, stage) in seconds of the recording of all stages from the lap that it falls into, so from
        before its start."""
        found: list[tuple[float, float, int]] = []
        at = -self.offset_s
        while at < self.duration_s:
            for stage, length in enumerate(self.lengths_s):
                if at < self.duration_s:
                    found.append((round(at, 6), round(at + float(length), 6), stage))
                at += float(length)
        return found

    def visits(self) -> list[tuple[float, int]]:
        """(begin in seconds of the recording, stage) of every stage visited, the first at 0."""
        return [(max(0.0, begin), stage) for begin, end, stage in self.stretches() if end > 0]

    def stage_at(self, n_steps: int) -> npt.NDArray[np.int64]:
        """(n_steps,) the visit's number at each step of the grid."""
        begins = np.array([begin for begin, _ in self.visits()])
        return np.searchsorted(begins, STEP_S * np.arange(n_steps) + STEP_S / 2, side="right") - 1


def tell(seed: int, episode: str, duration_s: float) -> Circle:
    """The story of an episode; it does not depend on the label."""
    rng = stream(seed, episode, "story")
    lengths = np.array(KNOBS.stage_s) * lognormal(rng, KNOBS.spread, len(STAGES))
    return Circle(lengths_s=lengths, offset_s=between(rng, 0.0, float(lengths.sum())), duration_s=duration_s)
