"""Which trails an episode of depth has, and in which of their four forms, so that no part of one tells by itself.

Every episode has one trail in each place. A trail has two names, each odd or usual. In an attack one trail has both
odd, and another both usual; in an honest episode one has the first odd, and another the second. So each text, and how
many of them there are, is as frequent in both, and only what stands together tells: that one alarm is explained, and
another is not. What does not belong here: what happens on a trail (`<os>/trails/*.toml`), and playing it (`play.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

import numpy as np

from rlstir_core.lab.life.language import Trail, TrailPlace
from rlstir_core.lab.life.play import FITS, pick
from rlstir_core.lab.story import Circle

# the forms of the other trails: usual in both more often, so that it says little where one is
_HONEST: Final = ((True, False), (False, True), (False, False), (False, False))
_ROOM_S: Final = 25.0  # about as long as a trail takes


@dataclass(frozen=True, kw_only=True)
class TrailPlan:
    """One trail of an episode, and beside which scenario it is told.

    `odd` says it of the first and the second of its pair of names; it begins `at_s` in the recording.
    """

    name: str
    place: TrailPlace
    odd: tuple[bool, bool]
    at_s: float
    scenario: str

    @property
    def attack(self) -> bool:
        """Whether it is a part of the attack."""
        return all(self.odd)


def plan_trails(
    known: Mapping[str, Trail], scenario: str, benign: bool, circle: Circle, rng: np.random.Generator
) -> list[TrailPlan]:
    """The trails of an episode; all draws are the same whatever its label.

    `scenario` is the attack's, and of a benign twin the one that an attack would have had in its stead.
    """
    places: list[TrailPlace] = [get_args(TrailPlace)[at] for at in rng.permutation(len(get_args(TrailPlace)))]
    forms = [(True, False), (False, True)] if benign else [(True, True), (False, False)]
    forms += [_HONEST[int(rng.integers(len(_HONEST)))] for _ in places[2:]]
    found = []
    for place, odd in zip(places, forms, strict=True):
        names = sorted(name for name, trail in known.items() if trail.place == place)
        odds = [FITS if scenario in known[name].goes_with else 1.0 for name in names]
        name = pick(names, float(rng.random()), odds)
        found.append(TrailPlan(name=name, place=place, odd=odd, at_s=_beginning(circle, rng), scenario=scenario))
    return found


def declared(trail: Trail, odd: tuple[bool, bool]) -> dict[str, tuple[str, ...]]:
    """The names of a trail in one of its forms."""
    pair = {
        name: side.odd if is_odd else side.usual for (name, side), is_odd in zip(trail.pair.items(), odd, strict=True)
    }
    return {**pair, **trail.names}


def _beginning(circle: Circle, rng: np.random.Generator) -> float:
    """Somewhere in the recording where the story is past its first stage, in seconds."""
    last = max(circle.duration_s - _ROOM_S, 1.0)
    stretches = [(max(begin, 0.0), min(end, last)) for begin, end, stage in circle.stretches() if stage > 0]
    stretches = [(begin, end) for begin, end in stretches if end > begin] or [(0.0, last)]
    left = float(rng.random()) * sum(end - begin for begin, end in stretches)
    for begin, end in stretches:
        if left <= end - begin:
            return round(begin + left, 6)
        left -= end - begin
    return round(stretches[-1][1], 6)
