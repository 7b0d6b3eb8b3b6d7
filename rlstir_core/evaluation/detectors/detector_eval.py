"""The evaluation of one recipe: twelve checkpoints and the baselines on the held-out episodes.

Predictions are written first; labels are read afterwards, from the features. What does not belong here: single
figures (`metrics.py`, `detection.py`) and the report's words (`report.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from rlstir_core.atomic import canonical_sha256, file_sha256, sweep, write_json
from rlstir_core.contract.registry import MODES, Registry
from rlstir_core.detectors.base import CrossFitted, Predictor
from rlstir_core.detectors.baselines import Majority, MiniRocketBaseline, clock, has_minirocket, metadata_only
from rlstir_core.detectors.checkpoint import Checkpoint, load_detector, read_checkpoint
from rlstir_core.detectors.experiment import (
    Experiment,
    Plan,
    make_inputs,
    model_input_schema,
    open_experiment,
    train_views_of,
    training_sha256,
)
from rlstir_core.detectors.inputs import Inputs, InputSchema, input_schema
from rlstir_core.detectors.trees import GradientBoostedTrees
from rlstir_core.detectors.views import View, scoring_view, training_views
from rlstir_core.errors import UpstreamMissing, how_to_make
from rlstir_core.evaluation.detectors.context import describe_quality, describe_split, make_manifest
from rlstir_core.evaluation.detectors.evaluate import ModelEvaluation, evaluate_scores, to_json
from rlstir_core.evaluation.detectors.probes import leak_probes
from rlstir_core.evaluation.detectors.random_split import random_split_gap
from rlstir_core.evaluation.detectors.scenes import (
    AS_RECORDED,
    TEST,
    VALIDATION,
    Stage,
    read_predictions,
    write_predictions,
)
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.verdict import PRIMARY_MODE
from rlstir_core.evaluation.stats.metrics import chance_macro_f1, untested
from rlstir_core.evaluation.stats.paired import default_family, paired_differences
from rlstir_core.evaluation.stats.scored import Scores, Truth
from rlstir_core.learning.presets import MODELS, preset
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding
from rlstir_core.results.versions import version

# N windows, K phases
Tell = Callable[[str], None]
_DROP_ALL_CHANNELS = 0.5
BASELINE = "baseline"  # stands where a mode stands for the detectors
Pairs = dict[str, tuple[Truth, Scores]]  # by scene


def inputs_path(layout: Layout, recipe: str) -> Path:
    """Everything that the report of `recipe` is made of."""
    return layout.evaluation(recipe) / "comparison_inputs.json"


def evaluate_recipe(layout: Layout, plan: Plan, registry: Registry, tell: Tell) -> tuple[ReportInputs, bool]:
    """Scores every checkpoint of `plan.recipe`; (inputs of the report, False) where nothing had changed since."""
    with held_for(layout, plan.recipe, tell):
        return _evaluate_recipe(layout, plan, registry, tell)


def _evaluate_recipe(layout: Layout, plan: Plan, registry: Registry, tell: Tell) -> tuple[ReportInputs, bool]:
    checkpoints = _read_checkpoints(layout, plan)
    experiment = open_experiment(layout, plan, waiting=tell)
    key = _evaluation_sha256(layout, experiment, registry, checkpoints)
    kept = read_inputs(layout, plan.recipe)
    if kept is not None and _still_tells(layout, plan.recipe, kept, key):
        return kept, False
    _require_fresh(experiment, checkpoints)
    sweep(layout.evaluation(plan.recipe), deep=True)
    inputs_path(layout, plan.recipe).unlink(missing_ok=True)  # written last: while it is absent, nothing here is whole
    pairs = _predict_all(layout, experiment, checkpoints, tell)
    result = _report_inputs(layout, experiment, registry, checkpoints, pairs, key, tell)
    for evaluation in (*result.models, *result.baselines):
        write_json(layout.evaluation(plan.recipe) / f"{evaluation.name}_eval.json", to_json(evaluation))
    write_json(inputs_path(layout, plan.recipe), msgspec.to_builtins(result))
    return result, True


def evaluation_is_current(layout: Layout, experiment: Experiment, registry: Registry) -> bool:
    """Whether the evaluation on disk is what evaluating now would give."""
    kept = read_inputs(layout, experiment.plan.recipe)
    if kept is None:
        return False
    checkpoints = _read_checkpoints(layout, experiment.plan)
    key = _evaluation_sha256(layout, experiment, registry, checkpoints)
    return _still_tells(layout, experiment.plan.recipe, kept, key)


@contextlib.contextmanager
def held_for(layout: Layout, recipe: str, tell: Tell | None) -> Iterator[None]:
    """Holds what the evaluation of `recipe` is made under: its own lock, and every checkpoint's, shared."""
    with contextlib.ExitStack() as held:
        held.enter_context(holding(layout.evaluation_lock(recipe), waiting=tell))
        for mode in MODES:
            for model in MODELS:
                held.enter_context(holding(layout.checkpoint_lock(recipe, model, mode), shared=True, waiting=tell))
        yield


def _still_tells(layout: Layout, recipe: str, kept: ReportInputs, key: str) -> bool:
    """Whether what was kept was made from the same inputs and all its files are there."""
    files = [layout.evaluation(recipe) / f"{each.name}_eval.json" for each in (*kept.models, *kept.baselines)]
    files += [layout.predictions(recipe, each.model, each.mode) for each in kept.models]
    return kept.manifest.hashes.get("evaluation_inputs") == key and all(path.exists() for path in files)


def read_inputs(layout: Layout, recipe: str) -> ReportInputs | None:
    """What `evaluate_recipe` wrote, or None where it has not, or wrote it in another form."""
    try:
        return msgspec.json.decode(inputs_path(layout, recipe).read_bytes(), type=ReportInputs)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _read_checkpoints(layout: Layout, plan: Plan) -> dict[tuple[str, str], Checkpoint]:
    return {
        (model, mode): read_checkpoint(layout.checkpoint(plan.recipe, model, mode))
        for mode in MODES
        for model in MODELS
    }


def _predict_all(
    layout: Layout, experiment: Experiment, checkpoints: dict[tuple[str, str], Checkpoint], tell: Tell
) -> dict[str, Pairs]:
    recipe, phases = experiment.plan.recipe, experiment.corpus.schema.phases
    stage = Stage(experiment)
    names: list[tuple[str, str, str]] = []
    for model, mode in checkpoints:
        schema = model_input_schema(experiment, model, mode)
        _, detector = load_detector(layout.checkpoint(recipe, model, mode), schema)
        parts = []
        for scene in stage.scenes:
            inputs = stage.inputs(scene, schema)
            predict = detector.predict_held_out if scene.name == VALIDATION else detector.predict_proba
            parts.append((scene, inputs.windows, predict(inputs)))
        write_predictions(layout.predictions(recipe, model, mode), parts, phases)
        names.append((f"{model}_{mode}", model, mode))
        tell(f"predictions of {model} {mode} written")
    for name, schema, predictor in fit_beside(experiment):
        parts = []
        for scene in stage.scenes:
            inputs = stage.inputs(scene, schema)
            predict = predictor.predict_held_out if scene.name == VALIDATION else predictor.predict_proba
            parts.append((scene, inputs.windows, predict(inputs)))
        write_predictions(layout.predictions(recipe, name, BASELINE), parts, phases)
        names.append((name, name, BASELINE))
        tell(f"predictions of {name} written")
    stage.forget()
    return {
        name: read_predictions(layout.predictions(recipe, model, mode), name, model, mode, experiment)
        for name, model, mode in names
    }


def fit_beside(experiment: Experiment) -> Iterator[tuple[str, InputSchema, CrossFitted]]:
    """Everything that stands beside the twelve detectors, fitted on the same folds: name, inputs, predictor.

    The baselines, and `gbt-all-channels` where some train hosts have channels that others lack: trained with
    sources left out at random, because a channel that few hosts have tells hosts apart.
    """
    settings = preset(experiment.plan.preset)
    corpus = experiment.corpus
    schema = model_input_schema(experiment, "cnn", PRIMARY_MODE)
    n_phases = len(schema.phases)

    def crossed(
        inputs: InputSchema, views: Sequence[View], make: Callable[[list[Inputs], Inputs], Predictor]
    ) -> CrossFitted:
        members = []
        for fold in experiment.split.folds:
            rest = [recording for recording in experiment.train if recording.info.episode_id not in set(fold)]
            train = [make_inputs(experiment, rest, inputs, view) for view in views]
            held = make_inputs(experiment, corpus.select(fold), inputs, scoring_view(corpus.schema))
            members.append((make(train, held), fold))
        return CrossFitted(members)

    views = train_views_of(experiment, settings, "cnn")
    yield "majority", schema, crossed(schema, views[-1:], lambda train, _: Majority(train, n_phases))
    yield "clock", schema, crossed(schema, views, lambda train, _: clock(train, n_phases))
    yield (
        "metadata-only",
        schema,
        crossed(schema, views[-1:], lambda train, _: metadata_only(train, n_phases, corpus.recordings)),
    )
    if has_minirocket(round(corpus.schema.windowing.length_s * corpus.schema.windowing.bin_hz)):
        rocket = crossed(schema, views[-1:], lambda train, _: MiniRocketBaseline(train[0], n_phases, settings.seed))
        yield "minirocket", schema, rocket
    every = tuple(channel.name for channel in corpus.schema.channels if channel.vantage in MODES[PRIMARY_MODE])
    if set(every) != set(schema.channels):
        wide = input_schema(corpus.schema, PRIMARY_MODE, "summary", every)
        dropped = training_views(corpus.schema, settings.training.views, _DROP_ALL_CHANNELS, settings.trees.gain)

        def fit_trees(train: list[Inputs], held: Inputs) -> Predictor:
            trees = GradientBoostedTrees()
            trees.fit(train, [held], n_phases, settings, lambda _: None)
            return trees

        yield "gbt-all-channels", wide, crossed(wide, dropped, fit_trees)


def _report_inputs(
    layout: Layout,
    experiment: Experiment,
    registry: Registry,
    checkpoints: dict[tuple[str, str], Checkpoint],
    pairs: dict[str, Pairs],
    key: str,
    tell: Tell,
) -> ReportInputs:
    plan = experiment.plan
    draws = preset(plan.preset).bootstrap_draws
    evaluations: dict[str, ModelEvaluation] = {}
    for name, scenes_ in pairs.items():
        model, mode = scenes_[TEST][1].model, scenes_[TEST][1].mode
        evaluations[name] = _evaluate(layout, experiment, registry, scenes_, checkpoints.get((model, mode)), draws)
        tell(f"{name} scored")
    models = tuple(evaluations[f"{model}_{mode}"] for model, mode in checkpoints)
    baselines = tuple(e for name, e in evaluations.items() if name not in {m.name for m in models})
    truth = pairs[models[0].name][TEST][0]
    scores = {name: scenes_[TEST][1] for name, scenes_ in pairs.items()}
    family = default_family([scores[m.name] for m in models], [scores[b.name] for b in baselines])
    gaps = []
    for mode in MODES:
        gaps.append(random_split_gap(experiment, mode, evaluations[f"gbt_{mode}"].metrics.macro_f1, draws))
        tell(f"random split of gbt {mode} scored")
    chance = chance_macro_f1(_train_frequencies(experiment), truth)
    held = {name: e.metrics.macro_f1 for name, e in evaluations.items()}
    schema = experiment.corpus.schema
    windowing = schema.windowing
    return ReportInputs(
        recipe=plan.recipe,
        store=registry.name,
        synthetic=any(recording.row.synthetic for recording in experiment.test),
        models=models,
        baselines=baselines,
        chance=chance,
        paired=paired_differences(truth, family),
        gaps=tuple(gaps),
        split=describe_split(experiment),
        untested=untested(truth, profiles=registry.profiles),
        quality=describe_quality(layout, plan.hosts, registry),
        probes=leak_probes(experiment, held, chance, gaps),
        manifest=make_manifest(layout, experiment, registry, key, list(checkpoints.values())),
        facts={
            "preset": plan.preset,
            "window": "the whole run"
            if windowing.whole
            else f"{windowing.length_s:g} s long, {windowing.stride_s:g} s stride, {windowing.bin_hz:g} bins a second",
            "normaliser": schema.normalise,
        },
    )


def _evaluate(
    layout: Layout,
    experiment: Experiment,
    registry: Registry,
    scenes_: Pairs,
    checkpoint: Checkpoint | None,
    draws: int,
) -> ModelEvaluation:
    truth, scores = scenes_[TEST]
    bin_hz = experiment.corpus.schema.windowing.bin_hz
    lengths = {scene.name: scene.prefix_bins for scene in Stage(experiment).scenes if scene.prefix_bins}
    prefixes = [(bins, *scenes_[name]) for name, bins in lengths.items()]
    if prefixes:
        prefixes.append((round(experiment.corpus.schema.windowing.length_s * bin_hz), truth, scores))
    sha256 = ""
    if checkpoint is not None:
        sha256 = file_sha256(layout.checkpoint(checkpoint.recipe, checkpoint.model, checkpoint.mode))
    return evaluate_scores(
        truth,
        scores,
        validation=scenes_[VALIDATION],
        recipe=experiment.plan.recipe,
        seeds=() if checkpoint is None else (checkpoint.seed,),
        n_train_episodes=len(experiment.split.train),
        schema_sha256="" if checkpoint is None else checkpoint.input_schema.sha256,
        checkpoint_sha256=sha256,
        profiles=registry.profiles,
        prefixes=prefixes,
        as_recorded=scenes_.get(AS_RECORDED),
        draws=draws,
    )


def _train_frequencies(experiment: Experiment) -> list[float]:
    n_phases = len(experiment.corpus.schema.phases)
    label_N = np.concatenate([recording.label_W for recording in experiment.train])
    return [float(n) for n in np.bincount(label_N[label_N >= 0], minlength=n_phases)]


def _require_fresh(experiment: Experiment, checkpoints: dict[tuple[str, str], Checkpoint]) -> None:
    """Refuses checkpoints of another split: they may have seen what is the test side now."""
    settings = preset(experiment.plan.preset)
    for (model, mode), checkpoint in checkpoints.items():
        if checkpoint.input_sha256 != training_sha256(experiment, settings, model, mode):
            raise UpstreamMissing(
                f"checkpoint {model}_{mode} was trained on other data, another split or another preset than today's; "
                f"train it again with: {how_to_make(f'checkpoint/{mode}/{model}', experiment.plan.recipe)}"
            )


def _evaluation_sha256(
    layout: Layout, experiment: Experiment, registry: Registry, checkpoints: dict[tuple[str, str], Checkpoint]
) -> str:
    return canonical_sha256(
        [
            version("evaluation"),
            experiment.plan,
            registry.sha256,
            experiment.split_sha256,
            [(c.model, c.mode, c.input_sha256, c.weights_sha256) for c in checkpoints.values()],
            sorted((e, r.row.sha256, r.row.decode_sha256) for e, r in experiment.corpus.recordings.items()),
            file_sha256(layout.index) if layout.index.exists() else "",
        ]
    )
