"""One experiment: a corpus, its split and the channels a mode may see; and the training of one detector on it.

What does not belong here: scoring the test side (`evaluation/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from rlstir_core.atomic import canonical_sha256
from rlstir_core.detectors.base import Tell
from rlstir_core.detectors.checkpoint import DETECTORS, Checkpoint, read_checkpoint, write_checkpoint
from rlstir_core.detectors.corpus import Corpus, Recording, load_corpus
from rlstir_core.detectors.inputs import (
    Inputs,
    InputSchema,
    input_schema,
    sequence_inputs,
    shared_channels,
    summary_inputs,
)
from rlstir_core.detectors.presets import Preset, preset
from rlstir_core.detectors.views import View, selection_views, training_views
from rlstir_core.errors import CheckpointError, SplitRefused, UpstreamMissing
from rlstir_core.layout import Layout
from rlstir_core.registry import MODES
from rlstir_core.splits.proofs import Proof, prove_coverage, prove_disjoint
from rlstir_core.splits.recipes import Split, SplitSettings, make_split
from rlstir_core.telemetry.schema import read_schema


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a user decides about an experiment."""

    recipe: str
    hosts: tuple[str, ...]  # every host of the store
    preset: str = "smoke"
    split: SplitSettings = SplitSettings()


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The corpus and its split; the same for every detector of one recipe."""

    plan: Plan
    corpus: Corpus
    split: Split
    proofs: tuple[Proof, ...]

    @property
    def train(self) -> list[Recording]:
        return self.corpus.select(self.split.train)

    @property
    def validation(self) -> list[Recording]:
        return self.corpus.select(self.split.validation)

    @property
    def test(self) -> list[Recording]:
        return self.corpus.select(self.split.test)

    @property
    def split_sha256(self) -> str:
        return canonical_sha256(self.split)


def open_experiment(layout: Layout, plan: Plan, modes: Sequence[str] = tuple(MODES)) -> Experiment:
    """Loads the corpus with the columns that `modes` may see, splits it and proves the split.

    SplitRefused names the proof that fails: nothing is trained on a split that would lie.
    """
    schema = read_schema(layout.feature_schema)
    visible = {vantage for mode in modes for vantage in MODES[mode]}
    channels = tuple(channel.name for channel in schema.channels if channel.vantage in visible)
    corpus = load_corpus(layout, plan.hosts, schema.columns_of(channels))
    split = make_split(plan.recipe, corpus.infos, plan.split)
    proofs = (*prove_disjoint(split, corpus.infos), prove_coverage(split, corpus.infos))
    for proof in proofs:
        if not proof.holds:
            raise SplitRefused(f"split {plan.recipe!r} fails its proof {proof.name!r}: {proof.detail}")
    return Experiment(plan=plan, corpus=corpus, split=split, proofs=proofs)


def model_input_schema(experiment: Experiment, model: str, mode: str) -> InputSchema:
    """The input schema that `model` has under `mode` on this experiment's train side."""
    channels = shared_channels(experiment.corpus.schema, mode, experiment.train)
    return input_schema(experiment.corpus.schema, mode, DETECTORS[model].kind, channels)


def make_inputs(
    experiment: Experiment, recordings: Sequence[Recording], schema: InputSchema, view: View
) -> Inputs:
    """What a detector of `schema` sees of `recordings` under `view`."""
    make = summary_inputs if schema.kind == "summary" else sequence_inputs
    return make(experiment.corpus, recordings, schema.channels, view)


def train_checkpoint(
    layout: Layout, plan: Plan, model: str, mode: str, tell: Tell
) -> tuple[Checkpoint, bool]:
    """Trains one detector and writes its checkpoint; (checkpoint, False) where nothing had changed since."""
    settings = preset(plan.preset)
    experiment = open_experiment(layout, plan, (mode,))
    path = layout.checkpoint(plan.recipe, model, mode)
    key = training_sha256(experiment, settings, model, mode)
    kept = _kept(layout, plan, model, mode, key)
    if kept is not None:
        return kept, False
    schema = model_input_schema(experiment, model, mode)
    views = [
        make_inputs(experiment, experiment.train, schema, view)
        for view in train_views_of(experiment, settings)
    ]
    held = [
        make_inputs(experiment, experiment.validation, schema, view) for view in selection_views(experiment.corpus.schema)
    ]
    detector = DETECTORS[model]()
    facts = detector.fit(views, held, len(schema.phases), settings, tell)
    checkpoint = write_checkpoint(
        path,
        detector,
        mode=mode,
        recipe=plan.recipe,
        preset=plan.preset,
        seed=settings.seed,
        input_schema=schema,
        input_sha256=key,
        split_sha256=experiment.split_sha256,
        n_train_episodes=len(experiment.split.train),
        n_validation_episodes=len(experiment.split.validation),
        facts=facts,
    )
    return checkpoint, True


def train_views_of(experiment: Experiment, settings: Preset) -> tuple[View, ...]:
    """The views that every detector of the experiment is trained on."""
    training = settings.training
    return training_views(experiment.corpus.schema, training.views, training.drop, training.gain)


def training_sha256(experiment: Experiment, settings: Preset, model: str, mode: str) -> str:
    """The hash of everything that decides a checkpoint."""
    used = {*experiment.split.train, *experiment.split.validation}
    contents = sorted(
        (episode, recording.row.sha256, recording.row.decode_sha256)
        for episode, recording in experiment.corpus.recordings.items()
        if episode in used
    )
    return canonical_sha256(
        [model, mode, settings, experiment.split_sha256, experiment.corpus.schema.sha256, contents]
    )


def _kept(layout: Layout, plan: Plan, model: str, mode: str, key: str) -> Checkpoint | None:
    try:
        checkpoint = read_checkpoint(layout.checkpoint(plan.recipe, model, mode))
    except (CheckpointError, UpstreamMissing):
        return None
    whole = (layout.artifacts(plan.recipe) / checkpoint.sidecar).is_file()
    return checkpoint if whole and checkpoint.input_sha256 == key else None
