"""What a data folder is made with when nobody is there to say it: as it was made last.

What does not belong here: remembering it (`places.py`), and the defaults (`resources.py`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rlstir_assets import places
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.remedies import absolute
from rlstir_core.results.layout import Layout

if TYPE_CHECKING:
    from rlstir_assets.resources import Settings

_VARIABLES = {
    "preset": "RLSTIR_PRESET",
    "overrides": "RLSTIR_SET",
    "train_hosts": "RLSTIR_TRAIN_HOSTS",
    "normalise": "RLSTIR_NORMALISE",
    "retrain": "RLSTIR_RETRAIN",
}


def standing(settings: Settings) -> Settings:
    """`settings` with what `rlstir materialize` was last given for this data folder; the environment goes first."""
    remembered = places.choices_of(absolute(settings.data))
    kept = {name: each for name, each in remembered.items() if not os.environ.get(_VARIABLES.get(name, ""))}
    return settings.model_copy(update=kept)


def tracked_recipes(layout: Layout) -> tuple[str, ...]:
    """The recipes that were made before, in their usual order; `host` where none was."""
    return tuple(recipe for recipe in RECIPES if layout.split(recipe).exists()) or ("host",)
