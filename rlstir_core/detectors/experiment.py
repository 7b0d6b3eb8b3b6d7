"""One experiment: a corpus, its split and the channels a mode may see; and the training of one detector on it.

What does not belong here: scoring the test side (`evaluation/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from rlstir_core.atomic import canonical_sha256, sweep
from rlstir_core.contract.registry import MODES
from rlstir_core.datasets.checks import Proof, prove_coverage, prove_disjoint
from rlstir_core.datasets.recipes import Split, SplitSettings, make_split
from rlstir_core.detectors.base import Tell
from rlstir_core.detectors.checkpoint import DETECTORS, Checkpoint, is_whole, read_checkpoint, write_checkpoint
from rlstir_core.detectors.corpus import Corpus, Recording, load_corpus
from rlstir_core.detectors.inputs import (
    Inputs,
    InputSchema,
    input_schema,
    sequence_inputs,
    shared_channels,
    summary_inputs,
)
from rlstir_core.detectors.views import View, scoring_view, training_views
from rlstir_core.errors import CheckpointError, SplitRefused, UpstreamMissing
from rlstir_core.learning.presets import Preset, preset
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding
from rlstir_core.results.versions import version
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
    def test(self) -> list[Recording]:
        return self.corpus.select(self.split.test)

    @property
    def split_sha256(self) -> str:
        return canonical_sha256(self.split)

    @property
    def train_sha256(self) -> str:
        """The hash of the train side alone: a new test episode does not make a checkpoint stale."""
        return canonical_sha256([self.split.recipe, self.split.train, self.split.folds])


def open_experiment(
    layout: Layout, plan: Plan, modes: Sequence[str] = tuple(MODES), waiting: Tell | None = None
) -> Experiment:
    """Loads the corpus with the columns that `modes` may see, splits it and proves the split.

    SplitRefused names the proof that fails: nothing is trained on a split that would lie.
    """
    schema = read_schema(layout.feature_schema)
    visible = {vantage for mode in modes for vantage in MODES[mode]}
    channels = tuple(channel.name for channel in schema.channels if channel.vantage in visible)
    corpus = load_corpus(layout, plan.hosts, schema.columns_of(channels), waiting)
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


def make_inputs(experiment: Experiment, recordings: Sequence[Recording], schema: InputSchema, view: View) -> Inputs:
    """What a detector of `schema` sees of `recordings` under `view`."""
    make = summary_inputs if schema.kind == "summary" else sequence_inputs
    return make(experiment.corpus, recordings, schema.channels, view)


def train_checkpoint(
    layout: Layout, plan: Plan, model: str, mode: str, tell: Tell
) -> tuple[Checkpoint, Experiment, bool]:
    """Trains one detector and writes its checkpoint; the last value is False where nothing had changed since."""
    with holding(layout.checkpoint_lock(plan.recipe, model, mode), waiting=tell):
        return _train_checkpoint(layout, plan, model, mode, tell)


def _train_checkpoint(
    layout: Layout, plan: Plan, model: str, mode: str, tell: Tell
) -> tuple[Checkpoint, Experiment, bool]:
    settings = preset(plan.preset)
    experiment = open_experiment(layout, plan, (mode,), tell)
    path = layout.checkpoint(plan.recipe, model, mode)
    key = training_sha256(experiment, settings, model, mode)
    kept = _kept(layout, plan, model, mode, key)
    if kept is not None:
        return kept, experiment, False
    sweep(path.parent, f"{model}_{mode}.")
    schema = model_input_schema(experiment, model, mode)
    members = []
    for place, fold in enumerate(experiment.split.folds):
        kept_out = set(fold)
        train = [recording for recording in experiment.train if recording.info.episode_id not in kept_out]
        views = [make_inputs(experiment, train, schema, view) for view in train_views_of(experiment, settings, model)]
        held = make_inputs(experiment, experiment.corpus.select(fold), schema, scoring_view(experiment.corpus.schema))
        detector = DETECTORS[model]()
        said = f"member {place + 1} of {len(experiment.split.folds)}"
        facts = detector.fit(views, [held], len(schema.phases), settings, _prefixed(tell, said))
        members.append((detector, facts, fold))
    checkpoint = write_checkpoint(
        path,
        members,
        mode=mode,
        recipe=plan.recipe,
        preset=plan.preset,
        seed=settings.seed,
        input_schema=schema,
        input_sha256=key,
        train_sha256=experiment.train_sha256,
        n_train_episodes=len(experiment.split.train),
    )
    return checkpoint, experiment, True


def train_views_of(experiment: Experiment, settings: Preset, model: str) -> tuple[View, ...]:
    """The views that `model` is trained on."""
    training = settings.training
    gain = settings.trees.gain if model == "gbt" else training.gain
    return training_views(experiment.corpus.schema, training.views, training.drop, gain)


def is_current(layout: Layout, experiment: Experiment, model: str, mode: str) -> bool:
    """Whether the checkpoint on disk is what training it now would give."""
    plan = experiment.plan
    key = training_sha256(experiment, preset(plan.preset), model, mode)
    return _kept(layout, plan, model, mode, key) is not None


def training_sha256(experiment: Experiment, settings: Preset, model: str, mode: str) -> str:
    """The hash of everything that decides a checkpoint."""
    used = set(experiment.split.train)
    contents = sorted(
        (episode, recording.row.sha256, recording.row.decode_sha256)
        for episode, recording in experiment.corpus.recordings.items()
        if episode in used
    )
    return canonical_sha256(
        [version("weights"), model, mode, settings, experiment.train_sha256, experiment.corpus.schema.sha256, contents]
    )


def _kept(layout: Layout, plan: Plan, model: str, mode: str, key: str) -> Checkpoint | None:
    try:
        checkpoint = read_checkpoint(layout.checkpoint(plan.recipe, model, mode))
    except (CheckpointError, UpstreamMissing):
        return None
    whole = is_whole(layout.checkpoint(plan.recipe, model, mode), checkpoint)
    return checkpoint if whole and checkpoint.input_sha256 == key else None


def check_checkpoint(experiment: Experiment, checkpoint: Checkpoint) -> tuple[Proof, ...]:
    """What must hold of a checkpoint before anything is concluded from it."""
    schema, split = experiment.corpus.schema, experiment.split
    apart = [proof for proof in experiment.proofs if proof.name != "class_coverage"]
    coverage = next(proof for proof in experiment.proofs if proof.name == "class_coverage")
    held = [set(member.validation_episodes) for member in checkpoint.members]
    fitted = set(split.train)
    clean = (
        checkpoint.train_sha256 == experiment.train_sha256
        and not fitted & set(split.test)
        and set().union(*held) == fitted
        and all(held)
    )
    return (
        Proof(
            name="split_overlap",
            holds=all(proof.holds for proof in apart),
            detail="; ".join(f"{proof.name}: {proof.detail}" for proof in apart),
        ),
        coverage,
        Proof(
            name="schema_hash",
            holds=checkpoint.input_schema.feature_schema_sha256 == schema.sha256,
            detail=f"checkpoint {checkpoint.input_schema.feature_schema_sha256}, data {schema.sha256}",
        ),
        Proof(
            name="leaked_fits",
            holds=clean,
            detail=f"members left out {', '.join(str(len(part)) for part in held)} of {len(fitted)} episodes",
        ),
    )


def _prefixed(tell: Tell, said: str) -> Tell:
    return lambda text: tell(f"{said}, {text}")
