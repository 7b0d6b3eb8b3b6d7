"""The split recipes, a file each: a recipe is added by its file and its line here."""

from __future__ import annotations

from rlstir_core.datasets.recipes import corpus, host, loho, random, sample, time
from rlstir_core.datasets.recipes.base import RecipeSpec

RECIPES: dict[str, RecipeSpec] = {
    spec.name: spec for spec in (host.RECIPE, loho.RECIPE, sample.RECIPE, time.RECIPE, corpus.RECIPE, random.RECIPE)
}
