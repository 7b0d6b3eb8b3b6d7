"""A stranger's recipe: announced in one line, it splits and is checked like the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny_store import Tiny

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.datasets.recipes.base import Division, RecipeSpec, Sides, SplitSettings, apart, unless_trained
from rlstir_core.datasets.store import build_split, read_split, split_is_current
from rlstir_core.errors import SplitRefused

# ---- what a stranger writes into a file of their own


def _divide(episodes: Sequence[EpisodeInfo], settings: SplitSettings) -> Division:
    names = sorted({episode.profile for episode in episodes})
    return Division(
        rounds=[
            Sides(
                train=[episode for episode in episodes if episode.profile != name],
                test=[episode for episode in episodes if episode.profile == name],
                held_out=(name,),
            )
            for name in names
        ]
    )


RECIPE = RecipeSpec(
    name="profile",
    words="Every profile is tested once, by models that never saw it.",
    divide=_divide,
    check=apart("profile"),
    joins=unless_trained("profile"),
)


# ---- what they may then expect


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    monkeypatch.setitem(RECIPES, RECIPE.name, RECIPE)
    tiny = Tiny(tmp_path)
    for k in range(9):
        tiny.add(f"ep-{k}", seed=k, profile=("worm", "bot", "miner")[k % 3])
    tiny.build_all()
    return tiny


def test_a_new_recipe_splits_and_is_checked_and_kept(tiny: Tiny) -> None:
    settings = SplitSettings(folds=2)
    made, is_new = build_split(tiny.layout, "profile", tiny.hosts, settings)
    assert is_new and [each.held_out for each in made.rounds] == [("bot",), ("miner",), ("worm",)]
    assert [(len(each.train), len(each.test), len(each.folds)) for each in made.rounds] == [(6, 3, 2)] * 3
    checks = {check.name: check for check in made.checks}
    assert all(check.holds for check in made.checks)
    assert checks["profile_overlap"].detail == "0 profiles on both sides"
    assert checks["tested_once"].detail == "9 episodes tested in 3 rounds, 0 twice"
    assert made.headline and read_split(tiny.layout, "profile", settings) == made
    assert split_is_current(tiny.layout, "profile", tiny.hosts, settings)


def test_a_new_recipe_whose_sides_overlap_is_refused_by_its_check(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(episodes: Sequence[EpisodeInfo], settings: SplitSettings) -> Division:
        return Division(rounds=[Sides(train=episodes[1:], test=episodes[:1], held_out=())])

    spec = RecipeSpec(name="profile", words=RECIPE.words, divide=careless, check=RECIPE.check, joins=RECIPE.joins)
    monkeypatch.setitem(RECIPES, "profile", spec)
    with pytest.raises(SplitRefused, match="'profile' fails its check 'profile_overlap': 1 profiles on both sides"):
        build_split(tiny.layout, "profile", tiny.hosts, SplitSettings(folds=2))
    assert not tiny.layout.split("profile").exists()
