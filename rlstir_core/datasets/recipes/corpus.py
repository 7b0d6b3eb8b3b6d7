"""`corpus`: whole corpora, the recordings of one lab or author, are held out."""

from __future__ import annotations

from collections import Counter
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
from rlstir_core.errors import SplitRefused


def _divide(episodes: Sequence[EpisodeInfo], settings: SplitSettings) -> Division:
    sizes = Counter(episode.corpus for episode in episodes)
    names = sorted(sizes)
    if len(names) < 2:
        raise SplitRefused(
            f"recipe 'corpus' holds out whole corpora, but every usable episode is of corpus {names[0]!r}; import "
            "another one with --corpus NAME, or use --recipe host"
        )
    if unknown := sorted(set(settings.train_corpora) - set(names)):
        raise SplitRefused(f"train corpus {unknown[0]!r} has no usable episode; corpora that have: {', '.join(names)}")
    # the largest are trained on: a small corpus says little, and tests well enough
    ranked = sorted(names, key=lambda name: (-sizes[name], rank(name, 0)))
    train = set(settings.train_corpora or ranked[: len(names) - max(1, round(len(names) * TEST_SHARE))])
    held_out = tuple(name for name in names if name not in train)
    if not held_out:
        raise SplitRefused("every corpus is named as a train corpus; leave at least one out for the test side")
    sides = Sides(
        train=[episode for episode in episodes if episode.corpus in train],
        test=[episode for episode in episodes if episode.corpus not in train],
        held_out=held_out,
    )
    return Division(rounds=[sides])


RECIPE = RecipeSpec(
    name="corpus",
    words="Whole corpora are held out: nothing recorded by a test corpus's lab or author was seen in training.",
    divide=_divide,
    check=apart("corpus"),
    joins=unless_trained("corpus"),
    settings=frozenset({"train_corpora"}),
)
