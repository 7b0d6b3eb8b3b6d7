"""A study: one split, one preset and the channels a mode may see; the same for every detector of a recipe.

What does not belong here: training (`training.py`) and scoring (`evaluation/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from rlstir_core.atomic import canonical_sha256
from rlstir_core.contract.registry import MODES, PRIMARY_MODE
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.split import Split
from rlstir_core.datasets.store import read_split
from rlstir_core.detectors.episode_set import EpisodeSet, load_episodes
from rlstir_core.detectors.inputs import InputSchema, input_schema, shared_channels
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.views import View, training_views
from rlstir_core.learning.options import StudyOptions
from rlstir_core.learning.presets import Preset
from rlstir_core.progress import Tell
from rlstir_core.results.layout import Layout
from rlstir_core.results.versions import version
from rlstir_core.telemetry.schema import FeatureSchema, read_schema


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """Opened once per step; tensors stay closed until somebody asks for them."""

    layout: Layout
    options: StudyOptions
    numbers: Preset
    split: Split
    schema: FeatureSchema

    @cached_property
    def schema_sha256(self) -> str:
        return self.schema.sha256

    @cached_property
    def shared(self) -> dict[str, tuple[str, ...]]:
        """Channels by mode that the train hosts of every round record."""
        train = self.episodes.select(e.episode_id for e in self.split.trained_on)
        return {mode: shared_channels(self.schema, mode, train) for mode in MODES}

    def same_as(self, mode: str) -> str:
        """The mode whose detectors see the very same channels, so that one training serves both; else empty."""
        same = mode != PRIMARY_MODE and self.shared[mode] == self.shared[PRIMARY_MODE]
        return PRIMARY_MODE if same else ""

    @cached_property
    def episodes(self) -> EpisodeSet:
        """The train side: all that a training step may open."""
        return self.load(self.split.trained_on)

    def load(self, infos: Sequence[EpisodeInfo], tell: Tell | None = None) -> EpisodeSet:
        return load_episodes(self.layout, infos, tell)

    def input_schema(self, kind: str, mode: str, channels: tuple[str, ...] | None = None) -> InputSchema:
        """What detectors of `kind` see under `mode`: the channels that all train hosts share, or those given."""
        return input_schema(self.schema, mode, kind, self.shared[mode] if channels is None else channels)

    def training_views(self, model: str) -> tuple[View, ...]:
        """The views that `model` is trained on: trees lose more by random gains than networks.

        Of sequences, gains and lost sources are drawn anew for each window; summary features are made once a view.
        """
        training, spec = self.numbers.train, MODELS[model]
        gain = self.numbers.trees.gain if spec.device == "cpu" else training.gain
        fresh = spec.kind == "sequence"
        return training_views(self.schema, training.views, training.drop, gain, fresh=fresh)

    def training_sha256(self, model: str, mode: str) -> str:
        """The hash of everything that decides a checkpoint."""
        deciding = self._deciding
        del deciding["seeds"]  # trained beside the checkpoints
        return canonical_sha256(
            [version("weights"), model, mode, deciding, self.split.train_sha256, self.schema_sha256]
        )

    @property
    def train_frequencies(self) -> list[float]:
        """Labelled windows of the train side, by phase."""
        counted = [info.windows for info in self.split.trained_on]
        return [float(sum(windows.get(phase, 0) for windows in counted)) for phase in self.schema.phases]

    @property
    def _deciding(self) -> dict[str, object]:
        """The numbers of the preset that decide detectors."""
        numbers: dict[str, object] = msgspec.to_builtins(self.numbers)
        del numbers["investigator"]
        return numbers

    @cached_property
    def baselines_sha256(self) -> str:
        """The hash of everything that decides the baselines and what they predict."""
        return canonical_sha256([version("baselines"), self._deciding, self.split.sha256, self.schema_sha256])


def open_study(layout: Layout, options: StudyOptions) -> Study:
    """The study of a recipe; UpstreamMissing where it was not split, or with other settings."""
    return Study(
        layout=layout,
        options=options,
        numbers=options.numbers(),
        split=read_split(layout, options.recipe, options.split),
        schema=read_schema(layout.feature_schema),
    )
