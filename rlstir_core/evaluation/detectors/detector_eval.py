"""The evaluation of one recipe: its checkpoints, their ensembles and what stands beside them, on held-out episodes.

Predictions are written first; labels are read afterwards. One model's predictions are in memory at a time. What does
not belong here: training of any kind (`detectors/`), single figures (`stats/`, `detection.py`) and the report's words.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from rlstir_core.arrays import Ints
from rlstir_core.atomic import file_sha256, sweep, write_bytes, write_json
from rlstir_core.contract.registry import MODES, PRIMARY_MODE, Registry
from rlstir_core.datasets.renewal import Strayed
from rlstir_core.detectors.beside import learning_curve, reseeding
from rlstir_core.detectors.beside.fitted import Baselines
from rlstir_core.detectors.checkpoint import Checkpoint, load_detector
from rlstir_core.detectors.ensemble.combination import Ensemble
from rlstir_core.detectors.ensemble.making import make_ensemble
from rlstir_core.detectors.episode_set import EpisodeSet
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.models.spec import ENSEMBLE
from rlstir_core.detectors.scenes import (
    AS_RECORDED,
    BASELINE,
    TEST,
    VALIDATION,
    Scored,
    Spent,
    scenes,
    write_predictions,
)
from rlstir_core.detectors.study import Study
from rlstir_core.errors import SplitRefused
from rlstir_core.evaluation.detectors.chosen import look_closer
from rlstir_core.evaluation.detectors.context import (
    describe_quality,
    describe_setup,
    describe_split,
    make_manifest,
    never_shown,
)
from rlstir_core.evaluation.detectors.cost import write_costs
from rlstir_core.evaluation.detectors.elsewhere.falls import falls
from rlstir_core.evaluation.detectors.evaluate import ModelEvaluation, evaluate_scores, split_gap, to_json
from rlstir_core.evaluation.detectors.pairs import ScoredPair, ScoreReader, read_random_split
from rlstir_core.evaluation.detectors.probes import leak_probes
from rlstir_core.evaluation.detectors.spread import learning_points, member_spread, seed_spread
from rlstir_core.evaluation.detectors.upstream import Checkpoints, evaluation_sha256, opened_study, read_upstream
from rlstir_core.evaluation.drift.find import attack_scores, find_drift
from rlstir_core.evaluation.drift.records import Drift
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.sections.verdict import chosen_model
from rlstir_core.evaluation.stats.across import set_sums_aside, write_sums
from rlstir_core.evaluation.stats.counts import tested_phases
from rlstir_core.evaluation.stats.details import CloserLook, LearningPoint, MemberSpread, SeedSpread
from rlstir_core.evaluation.stats.metrics import chance_macro_f1, untested
from rlstir_core.evaluation.stats.paired import Contender, contender, default_family, paired_differences
from rlstir_core.evaluation.stats.scored import Truth
from rlstir_core.learning.options import StudyOptions
from rlstir_core.progress import Tell
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding

# N windows, K phases
Trained = Checkpoint | Ensemble


def evaluate_recipe(
    layout: Layout, options: StudyOptions, hosts: tuple[str, ...], registry: Registry, tell: Tell
) -> tuple[ReportInputs, bool]:
    """Scores every checkpoint of the recipe; (inputs of the report, False) where nothing had changed since."""
    with held_for(layout, options.recipe, tell):
        study = opened_study(layout, options)
        checkpoints, baselines = read_upstream(study)
        key = evaluation_sha256(study, registry, checkpoints, baselines)
        kept = read_inputs(layout, options.recipe)
        if kept is not None and _still_tells(layout, options.recipe, kept, key):
            return kept, False
        # written last: while it is absent, nothing here is whole
        layout.report_inputs(options.recipe).unlink(missing_ok=True)
        sweep(layout.evaluation(options.recipe), deep=True)
        set_sums_aside(layout.episode_sums(options.recipe, "phases"), layout.former_sums(options.recipe))
        result = _Evaluation(study, checkpoints, baselines, registry, tell).run(hosts, key)
        for evaluation in (*result.models, *result.baselines):
            write_json(layout.evaluation(options.recipe) / f"{evaluation.name}_eval.json", to_json(evaluation))
        if result.drift is not None:
            write_json(layout.strayed(options.recipe), _strayed(study, result.drift))
        write_json(layout.report_inputs(options.recipe), msgspec.to_builtins(result))
        return result, True


def _strayed(study: Study, drift: Drift) -> Strayed:
    """What the next split is told of drift."""
    trained = {info.host for info in study.split.trained_on}
    return Strayed(train_sha256=study.split.train_sha256, hosts=drift.strayed, n_hosts=len(trained))


def evaluation_is_current(study: Study, registry: Registry) -> bool:
    """Whether the evaluation on disk is what evaluating now would give."""
    recipe = study.options.recipe
    kept = read_inputs(study.layout, recipe)
    if kept is None:
        return False
    key = evaluation_sha256(study, registry, *read_upstream(study))
    return _still_tells(study.layout, recipe, kept, key)


@contextlib.contextmanager
def held_for(layout: Layout, recipe: str, tell: Tell | None) -> Iterator[None]:
    """Holds what the evaluation of `recipe` is made under: its own lock, and those of checkpoints and baselines."""
    with contextlib.ExitStack() as held:
        held.enter_context(holding(layout.evaluation_lock(recipe), waiting=tell))
        held.enter_context(holding(layout.lock("baselines", recipe), shared=True, waiting=tell))
        for mode in MODES:
            for model in MODELS:
                held.enter_context(holding(layout.checkpoint_lock(recipe, model, mode), shared=True, waiting=tell))
        yield


def read_inputs(layout: Layout, recipe: str) -> ReportInputs | None:
    """What `evaluate_recipe` wrote, or None where it has not, or wrote it in another form."""
    try:
        return msgspec.json.decode(layout.report_inputs(recipe).read_bytes(), type=ReportInputs)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _still_tells(layout: Layout, recipe: str, kept: ReportInputs, key: str) -> bool:
    """Whether what was kept was made from the same inputs and all its files are there."""
    files = [layout.evaluation(recipe) / f"{each.name}_eval.json" for each in (*kept.models, *kept.baselines)]
    files += [layout.predictions(recipe, each.model, each.mode) for each in kept.models]
    files += [layout.episode_sums(recipe, "phases"), *[layout.reach(recipe)] * (kept.chosen is not None)]
    # an ensemble speaks from the very files of its parts: another file of the same weights asks for another ensemble
    made = {layout.checkpoint(recipe, each.model, each.mode): each.checkpoint_sha256 for each in kept.models}
    whole = kept.manifest.hashes.get("evaluation_inputs") == key and all(path.exists() for path in (*files, *made))
    return whole and all(file_sha256(path) == sha256 for path, sha256 in made.items())


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """What is kept of one model's predictions once it was evaluated."""

    evaluation: ModelEvaluation
    contender: Contender


class _Evaluation:
    """One evaluation as it is made."""

    def __init__(
        self, study: Study, checkpoints: Checkpoints, baselines: Baselines, registry: Registry, tell: Tell
    ) -> None:
        self.study, self.checkpoints, self.baselines = study, checkpoints, baselines
        self.registry, self.tell = registry, tell
        self.layout, self.recipe = study.layout, study.options.recipe
        self.twins = {  # detectors that are another mode's, and that mode
            (model, mode): twin
            for (model, mode), each in checkpoints.items()
            if (twin := study.same_as(mode)) and each.weights_sha256 == checkpoints[model, twin].weights_sha256
        }
        self.episodes: EpisodeSet = study.load(study.split.episodes, tell)
        tested = self.episodes.select(info.episode_id for info in study.split.tested)
        if not tested:
            raise SplitRefused(
                f"no test episode of recipe {self.recipe!r} has telemetry with labelled windows, so there is nothing "
                "for detectors to tell; name other test hosts, or choose another recipe"
            )
        self.reader = ScoreReader(
            tested,
            self.episodes.select(info.episode_id for info in study.split.trained_on),
            study.schema,
        )

    def run(self, hosts: tuple[str, ...], key: str) -> ReportInputs:
        study, tell, draws = self.study, self.tell, self.study.numbers.bootstrap_draws
        spent = self._predict()
        trained = self._with_ensembles(spent)
        own = {names: each for names, each in trained.items() if names not in self.twins}
        write_costs(self.layout, study, own.values(), spent)
        found: dict[str, _Found] = {}
        truth: Truth | None = None
        spreads: list[MemberSpread | None] = []
        first_members: dict[str, Ints] = {}  # what the member that left the first fold out named, by realistic model
        names = [(f"{model}_{mode}", model, mode) for model, mode in own]
        names += [(name, name, BASELINE) for name in self.baselines.files]
        for name, model, mode in names:
            pairs = self.reader.read(self.layout.predictions(self.recipe, model, mode), name, model, mode)
            found[name] = _Found(
                evaluation=self._evaluate(pairs, trained.get((model, mode)), draws),
                contender=contender(*pairs[TEST]),
            )
            truth = truth or pairs[TEST][0]
            if name in spent:
                called = spent.pop(name).called
                spreads.append(member_spread(*pairs[TEST], called))
                if mode == PRIMARY_MODE and model in (learning_curve.MODEL, *reseeding.RESEEDED):
                    firsts = [block[learning_curve.FOLD] for block in called]
                    first_members[model] = np.concatenate(firsts).astype(np.int64)
            tell(f"{name} scored")
        assert truth is not None  # there are twelve checkpoints
        realistic = {f"{m}_{mode}": found[f"{m}_{mode}"].contender for m, mode in own if mode == PRIMARY_MODE}
        write_sums(
            self.layout.episode_sums(self.recipe, "phases"),
            truth.episodes.episode_id[truth.scored_E],
            {name: each.confusion_ES for name, each in realistic.items()},
        )
        apart = [found[f"{model}_{mode}"].contender for model, mode in own]
        family = default_family(apart, [found[name].contender for name in self.baselines.files])
        gaps = []
        for mode in self.baselines.random_split:
            if f"gbt_{mode}" in found:
                path = self.layout.predictions(self.recipe, "gbt-random-split", mode)
                held_out = found[f"gbt_{mode}"].evaluation.metrics.macro_f1
                gaps.append(split_gap(read_random_split(path, self.episodes, mode), held_out, draws=draws))
        chance = chance_macro_f1(study.train_frequencies, truth)
        held = {name: each.evaluation.metrics.macro_f1 for name, each in found.items()}
        inputs = ReportInputs(
            recipe=self.recipe,
            headline=study.split.headline,
            store=self.registry.name,
            synthetic=any(info.synthetic for info in study.split.tested),
            models=tuple(self._evaluation(found, each) for each in trained.values()),
            baselines=tuple(found[name].evaluation for name in self.baselines.files),
            chance=chance,
            paired=paired_differences(truth, family),
            gaps=tuple(gaps),
            split=describe_split(self.layout, study.split, self.registry),
            untested=untested(truth, profiles=self.registry.profiles) + never_shown(study.split),
            quality=describe_quality(self.layout, hosts, self.registry, study.split.hosts),
            one_sided=truth.one_sided,
            probes=leak_probes(study, self.episodes, held, chance, gaps),
            manifest=make_manifest(study, hosts, self.registry, key, list(self.checkpoints.values())),
            facts=describe_setup(study, list(self.checkpoints.values())),
        )
        return msgspec.structs.replace(
            inputs,
            falls=falls(study, self.episodes, trained, inputs.paired, tested_phases(truth), draws=draws),
            chosen=self._chosen(inputs, draws),
            members=tuple(spread for spread in spreads if spread is not None),
            seeds=self._seeds(truth, first_members),
            learning=self._learning(truth, first_members[learning_curve.MODEL], draws),
            drift=self._drift(inputs, hosts),
        )

    def _learning(self, truth: Truth, called_N: Ints, draws: int) -> tuple[LearningPoint, ...]:
        """The shares that were fitted beside the baselines, and the whole: the checkpoint's own first member."""
        named = []
        for of in self.baselines.learning:
            name = learning_curve.share_name(of.part)
            path = self.layout.predictions(self.recipe, name, BASELINE)
            _, scores = self.reader.read(path, name, learning_curve.MODEL, PRIMARY_MODE)[TEST]
            named.append((1 / of.part, of.n_episodes, scores.predicted_N))
        rounds = self.study.split.rounds
        n_episodes = round(sum(len(self.episodes.select(each.train)) for each in rounds) / len(rounds))
        return learning_points(truth, [*named, (1.0, n_episodes, called_N)], draws=draws)

    def _seeds(self, truth: Truth, first_members: dict[str, Ints]) -> tuple[SeedSpread, ...]:
        """The checkpoint's own first member and those that were trained from other seeds beside the baselines."""
        found = []
        for model in reseeding.RESEEDED:
            named = [(self.study.numbers.seed, first_members[model])]
            for of in self.baselines.reseeded:
                if of.model == model:
                    path = self.layout.predictions(self.recipe, of.name, BASELINE)
                    named.append((of.seed, self.reader.read(path, of.name, model, PRIMARY_MODE)[TEST][1].predicted_N))
            found.append(seed_spread(truth, f"{model}_{PRIMARY_MODE}", named))
        return tuple(spread for spread in found if spread is not None)

    def _chosen(self, inputs: ReportInputs, draws: int) -> CloserLook | None:
        if (chosen := chosen_model(inputs)) is None:
            return None
        model = chosen[0]
        path = self.layout.predictions(self.recipe, model.model, model.mode)
        pairs = self.reader.read(path, model.name, model.model, model.mode)
        return look_closer(model.name, pairs, self.episodes, self.study, self.registry, draws=draws)

    def _drift(self, inputs: ReportInputs, hosts: tuple[str, ...]) -> Drift:
        """Of the last day, on every host; scores are those of the chosen model."""
        chosen, scores = chosen_model(inputs), {}
        if chosen is not None:
            model = chosen[0]
            path = self.layout.predictions(self.recipe, model.model, model.mode)
            said = self.reader.read(path, model.name, model.model, model.mode)[TEST]
            scores = attack_scores(*said, self.study.split.by_name)
        return find_drift(self.study, self.registry, hosts, scores, chosen[0].name if chosen else "", self.tell)

    def _predict(self) -> dict[str, Spent]:
        """Writes what every checkpoint says of every scene; what stands beside them has been written already."""
        scored = []
        own = {names: checkpoint for names, checkpoint in self.checkpoints.items() if names not in self.twins}
        for model, mode in own:
            inputs = self.study.input_schema(MODELS[model].kind, mode)
            _, members = load_detector(self.layout.checkpoint(self.recipe, model, mode), inputs)
            path = self.layout.predictions(self.recipe, model, mode)
            scored.append(Scored(path=path, inputs=inputs, predictor=members, by_member=True))
        spent = write_predictions(self.study, self.episodes, scored, self.tell)
        for (model, mode), twin in self.twins.items():
            said = self.layout.predictions(self.recipe, model, twin).read_bytes()
            write_bytes(self.layout.predictions(self.recipe, model, mode), said)
        return {f"{c.model}_{c.mode}": each for c, each in zip(own.values(), spent, strict=True)}

    def _with_ensembles(self, spent: dict[str, Spent]) -> dict[tuple[str, str], Trained]:
        """The checkpoints, and after those of each mode their ensemble, which is made now: it learns from validation.

        One whose parts are all another mode's is that mode's too. What combining took is added to `spent`.
        """
        trained: dict[tuple[str, str], Trained] = {}
        for mode in MODES:
            parts = {model: each for (model, of), each in self.checkpoints.items() if of == mode}
            twin = self.study.same_as(mode) if all((model, mode) in self.twins for model in parts) else ""
            if twin:
                self.twins[ENSEMBLE, mode] = twin
            trained |= {(model, mode): each for model, each in parts.items()}
            made, spent[f"{ENSEMBLE}_{mode}"] = make_ensemble(self.study, self.episodes, parts, mode, twin)
            trained[ENSEMBLE, mode] = made
            self.tell(f"{ENSEMBLE}_{mode} weighted")
        return trained

    def _evaluation(self, found: dict[str, _Found], of: Trained) -> ModelEvaluation:
        """What was found of a model; of one whose channels and weights are another's, what was found of that one."""
        model, mode = of.model, of.mode
        twin = self.twins.get((model, mode))
        if twin is None:
            return found[f"{model}_{mode}"].evaluation
        return msgspec.structs.replace(
            found[f"{model}_{twin}"].evaluation,
            name=f"{model}_{mode}",
            mode=mode,
            same_as=f"{model}_{twin}",
            schema_sha256=of.schema_sha256,
            checkpoint_sha256=file_sha256(self.layout.checkpoint(self.recipe, model, mode)),
        )

    def _evaluate(self, pairs: dict[str, ScoredPair], checkpoint: Trained | None, draws: int) -> ModelEvaluation:
        schema, split = self.study.schema, self.study.split
        truth, scores = pairs[TEST]
        early = [scene for scene in scenes(schema) if scene.prefix_bins]
        prefixes = [(scene.prefix_bins, *pairs[scene.name]) for scene in early if scene.side == "test"]
        choosing = [pairs[scene.name] for scene in early if scene.side == "validation"]
        if prefixes:
            prefixes.append((round(schema.windowing.length_s * schema.windowing.bin_hz), truth, scores))
        path = None if checkpoint is None else self.layout.checkpoint(self.recipe, checkpoint.model, checkpoint.mode)
        return evaluate_scores(
            truth,
            scores,
            validation=pairs[VALIDATION],
            choosing=[*choosing, pairs[VALIDATION]] if choosing else [],
            recipe=self.recipe,
            seeds=() if checkpoint is None else (checkpoint.seed,),
            n_train_episodes=len(split.trained_on),
            schema_sha256="" if checkpoint is None else checkpoint.schema_sha256,
            checkpoint_sha256="" if path is None else file_sha256(path),
            profiles=self.registry.profiles,
            prefixes=prefixes,
            as_recorded=pairs.get(AS_RECORDED),
            stride_s=schema.windowing.length_s if schema.windowing.whole else schema.windowing.stride_s,
            draws=draws,
        )
