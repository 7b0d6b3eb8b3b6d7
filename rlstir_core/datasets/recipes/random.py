"""`random`: episodes drawn at random, to show what the honest recipes cost. Hosts and samples stand on both sides."""

from __future__ import annotations

from collections.abc import Sequence

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes.base import (
    TEST_SHARE,
    Division,
    RecipeSpec,
    Sides,
    SplitSettings,
    apart,
    rank,
    unless_trained,
)


def _divide(episodes: Sequence[EpisodeInfo], settings: SplitSettings) -> Division:
    drawn = sorted(episodes, key=lambda episode: rank(episode.episode_id, settings.seed))
    test = {episode.episode_id for episode in drawn[: max(1, round(len(drawn) * TEST_SHARE))]}
    sides = Sides(
        train=[episode for episode in episodes if episode.episode_id not in test],
        test=[episode for episode in episodes if episode.episode_id in test],
        held_out=(),
    )
    return Division(rounds=[sides])


RECIPE = RecipeSpec(
    name="random",
    words="Episodes are drawn at random: hosts, samples and days stand on both sides, so these figures show what the "
    "honest recipes cost and are no result.",
    divide=_divide,
    check=apart("episode_id"),
    joins=unless_trained("episode_id"),
    headline=False,
)
