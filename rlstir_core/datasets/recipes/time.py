"""`time`: training uses the past only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes.base import (
    TEST_SHARE,
    Division,
    Exclusion,
    RecipeSpec,
    Sides,
    SplitCheck,
    SplitSettings,
)


def _divide(episodes: Sequence[EpisodeInfo], settings: SplitSettings) -> Division:
    begun = sorted(episode.t_start_wall_ns for episode in episodes)
    cut = begun[min(len(begun) - 1, round(len(begun) * (1 - TEST_SHARE)))]
    outer = [episode for episode in episodes if episode.t_end_wall_ns <= cut]
    test = [episode for episode in episodes if episode.t_start_wall_ns >= cut]
    across = len(episodes) - len(outer) - len(test)
    excluded = [
        Exclusion(what="episodes across the cut", reason="they begin before it and end after it", n_episodes=across)
    ]
    return Division(rounds=[Sides(train=outer, test=test, held_out=(str(cut),))], excluded=excluded if across else [])


def _check(sides: Sides) -> SplitCheck:
    latest, earliest = max(e.t_end_wall_ns for e in sides.train), min(e.t_start_wall_ns for e in sides.test)
    detail = f"train ends {(earliest - latest) / 1e9:.0f} s before test begins"
    return SplitCheck(name="time_order", holds=latest <= earliest, detail=detail)


def _joins(sides: Sides, _: SplitSettings) -> Callable[[EpisodeInfo], bool]:
    cut = int(sides.held_out[0])
    return lambda episode: episode.t_start_wall_ns >= cut


RECIPE = RecipeSpec(
    name="time",
    words="Training uses the past only: every test episode began after the last train episode had ended.",
    divide=_divide,
    check=_check,
    joins=_joins,
)
