"""What a user decides about all that is learnt from one recipe's split.

What does not belong here: the numbers of a preset (`presets.py`).
"""

from __future__ import annotations

import msgspec

from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.learning.presets import Preset, preset


class StudyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a user decides about the detectors, or about the investigator, of one recipe."""

    recipe: str
    preset: str = "smoke"
    overrides: tuple[str, ...] = ()
    split: SplitSettings = SplitSettings()

    def numbers(self) -> Preset:
        """The preset with its overrides and the seed."""
        return preset(self.preset, self.overrides, seed=self.split.seed)
