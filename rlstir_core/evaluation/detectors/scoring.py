"""What every checkpoint of a recipe says of one episode: phases, P(attack), and the alarm at validation's threshold.

What does not belong here: probabilities (`rlstir_core/detectors/single.py`) and how any of it is shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlstir_core.atomic import file_sha256
from rlstir_core.contract.registry import MODES, PRIMARY_MODE, Registry, load_registry, one_sided
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.datasets.split import Split
from rlstir_core.datasets.store import read_split
from rlstir_core.detectors.checkpoint import Checkpoint, Members, load_detector
from rlstir_core.detectors.ensemble.combination import Ensemble, read_ensemble, require_parts
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.models.spec import ENSEMBLE
from rlstir_core.detectors.reach import read_reaches
from rlstir_core.detectors.single import (
    IndexClaim,
    SingleEpisode,
    Standing,
    open_single,
    same_schema,
    spoken_single,
    standing_of,
)
from rlstir_core.detectors.unusual import RULE, unusual, widest_range
from rlstir_core.episodes.store.binding import command
from rlstir_core.episodes.store.index import load_index
from rlstir_core.episodes.validation.kinds import has_telemetry
from rlstir_core.errors import CheckpointError, ConfigError, SchemaMismatch, UpstreamMissing
from rlstir_core.evaluation.detectors.detector_eval import read_inputs
from rlstir_core.evaluation.detectors.saying.records import (
    EpisodeScore,
    EpisodeSpoken,
    ModelSays,
    attack_probability,
    phase_runs,
)
from rlstir_core.evaluation.report.sections.verdict import chosen_model
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.evaluation.stats.rules import ALARM_FPR
from rlstir_core.progress import Tell
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding
from rlstir_core.telemetry.schema import FeatureSchema, read_schema

# N windows, K phases


@dataclass(frozen=True, kw_only=True, eq=False)
class _Loaded:
    """A checkpoint with its detector, an ensemble with its mode's members; the evaluation, where it is of these."""

    checkpoint: Checkpoint | Ensemble
    members: Members
    evaluation: ModelEvaluation | None
    stale: bool = False  # an evaluation is there, but of another checkpoint

    @property
    def name(self) -> str:
        return f"{self.checkpoint.model}_{self.checkpoint.mode}"


def default_recipe(layout: Layout, store: Path) -> str:
    """The recipe that speaks for a data folder: the first with a report, else with a checkpoint.

    UpstreamMissing with the command that makes one where there is none.
    """
    reported = [recipe for recipe in RECIPES if layout.report(recipe).exists()]
    trained = [recipe for recipe in RECIPES if _checkpoints(layout, recipe)]
    for recipe in (*reported, *trained):
        return recipe
    known = load_index(layout.index).hosts if layout.index.exists() else ()
    if known and all(layout.validation(host).exists() for host in known) and not has_telemetry(layout, known):
        raise UpstreamMissing(
            f"the episodes of {layout.data} hold logs and no telemetry, so no detector can be trained on them; name a "
            "data folder with checkpoints"
        )
    raise UpstreamMissing(f"no checkpoint is under {layout.data}; train some with: {command(store, layout.data)}")


def _checkpoints(layout: Layout, recipe: str) -> list[Path]:
    paths = [layout.checkpoint(recipe, model, mode) for mode in MODES for model in MODELS]
    return [path for path in paths if path.exists()]


class Scorer:
    """Every checkpoint of a recipe, opened once for as many episodes as are asked for."""

    def __init__(self, layout: Layout, store: Path, recipe: str, tell: Tell) -> None:
        if recipe not in RECIPES:
            raise ConfigError(f"recipe {recipe!r} is unknown; choose one of {', '.join(RECIPES)}")
        paths = _checkpoints(layout, recipe)
        if not paths:
            with_recipe = command(store, layout.data, "--recipe", recipe)
            raise UpstreamMissing(f"no checkpoint is under {layout.artifacts(recipe)}; train some with: {with_recipe}")
        self.layout, self.recipe = layout, recipe
        self.schema: FeatureSchema = read_schema(layout.feature_schema)
        self.registry: Registry = load_registry(store)
        if self.registry.sha256 != self.schema.registry_sha256:
            raise SchemaMismatch(
                f"{layout.feature_schema} was made for registry {self.schema.registry!r} as it was then, which is not "
                f"that of {store}; name the store that {layout.data} was made from with --store"
            )
        self.split = _split(layout, recipe)
        inputs = read_inputs(layout, recipe)
        evaluated = {} if inputs is None else {each.name: each for each in inputs.models}
        chosen = None if inputs is None else chosen_model(inputs)
        self.chosen = chosen[0].name if chosen is not None and chosen[1] == "validation" else ""
        self.loaded: list[_Loaded] = []
        for path in paths:
            tell(f"opening {path.name.removesuffix('.ckpt.json')}")
            with holding(path_lock(layout, recipe, path), shared=True, waiting=tell):
                checkpoint, members = load_detector(path)
                sha256 = file_sha256(path)
            same_schema(checkpoint, self.schema)
            evaluation = evaluated.get(f"{checkpoint.model}_{checkpoint.mode}")
            is_its = evaluation is not None and evaluation.checkpoint_sha256 == sha256
            self.loaded.append(
                _Loaded(
                    checkpoint=checkpoint,
                    members=members,
                    evaluation=evaluation if is_its else None,
                    stale=evaluation is not None and not is_its,
                )
            )
        self.loaded += self._ensembles(evaluated, tell)
        self.weights = {each.name: each.checkpoint.weights_sha256 for each in self.loaded}
        self.loaded.sort(key=lambda each: (each.name != self.chosen, each.checkpoint.mode != PRIMARY_MODE))
        own = [(each.checkpoint, each.members) for each in self.loaded if isinstance(each.checkpoint, Checkpoint)]
        self.range = widest_range(own)
        self.reaches = read_reaches(layout, recipe)

    def _reach_of(self, single: SingleEpisode, place: Standing) -> dict[str, float | None]:
        """Median distance of the windows and what is usual, the mean over the rounds that speak."""
        spoken = [self.reaches[r] for r in sorted({r for r, _ in place.members}) if r < len(self.reaches)]
        known = set(self.schema.channel_names)
        if not spoken or not known.issuperset(spoken[0].channels):
            return {"distance": None, "far_beyond": None, "outside": None}
        x_NF = single.episodes.features(spoken[0].columns)(single.recording)
        usual = [each.usual for each in spoken if each.usual is not None]
        return {
            "distance": float(np.mean([np.median(each.distance(x_NF)) for each in spoken])),
            "far_beyond": float(np.mean(usual)) if len(usual) == len(spoken) else None,
            "outside": float(np.mean([each.outside(x_NF).mean() for each in spoken])),
        }

    def _ensembles(self, evaluated: Mapping[str, ModelEvaluation], tell: Tell) -> list[_Loaded]:
        """The ensembles that can speak; why another cannot is kept in `silent`, raised where it is chosen."""
        found, self.silent = [], list[str]()
        for mode in MODES:
            path = self.layout.checkpoint(self.recipe, ENSEMBLE, mode)
            if not path.exists() and f"{ENSEMBLE}_{mode}" not in evaluated:
                continue
            tell(f"opening {ENSEMBLE}_{mode}")
            own = [each.checkpoint for each in self.loaded if isinstance(each.checkpoint, Checkpoint)]
            try:
                ensemble = read_ensemble(path)
                require_parts(self.layout, ensemble, {each.model: each for each in own if each.mode == mode})
            except (CheckpointError, UpstreamMissing) as error:
                if self.chosen == f"{ENSEMBLE}_{mode}":
                    raise
                self.silent.append(f"{ENSEMBLE}_{mode} does not speak: {error}")
                continue
            evaluation = evaluated.get(f"{ENSEMBLE}_{mode}")
            is_its = evaluation is not None and evaluation.checkpoint_sha256 == file_sha256(path)
            found.append(
                _Loaded(
                    checkpoint=ensemble,
                    members=Members([]),
                    evaluation=evaluation if is_its else None,
                    stale=evaluation is not None and not is_its,
                )
            )
        return found

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The hosts of the train side."""
        return () if self.split is None else tuple(sorted({info.host for info in self.split.trained_on}))

    def speak(self, path: Path, claims: IndexClaim, tell: Tell) -> EpisodeSpoken:
        """What every checkpoint says of every window of a tarball; StoreError where it cannot be read."""
        tell(f"reading {path.name}")
        single = open_single(path, claims, self.registry, self.schema)
        proba: dict[str, NDArray[np.float64]] = {}
        spoken: dict[tuple[str, str], list[tuple[int, int, NDArray[np.float64]]]] = {}
        used: set[str] = set()
        place: Standing | None = None
        says: dict[str, ModelSays] = {}
        for each in self.loaded:
            checkpoint = each.checkpoint
            if isinstance(checkpoint, Checkpoint):
                tell(f"{each.name} on {single.decoded.meta.episode_id}")
                place = standing_of(checkpoint, self.split, single.recording.info)
                said = spoken_single(each.members, checkpoint.input_schema, single, place)
                spoken[checkpoint.mode, checkpoint.model] = said
                proba[each.name] = np.asarray(np.mean([proba_NK for *_, proba_NK in said], axis=0))
                says[each.name] = self._says(each, place, single.seconds_W, proba[each.name])
                used.update(checkpoint.input_schema.channels)
        assert place is not None  # there is no ensemble without its parts
        for each in self.loaded:
            if isinstance(each.checkpoint, Ensemble):
                parts = {part.model: spoken[each.checkpoint.mode, part.model] for part in each.checkpoint.parts}
                proba[each.name] = each.checkpoint.predict(parts, left_out=place.side == "train")
                says[each.name] = self._says(each, place, single.seconds_W, proba[each.name])
        return EpisodeSpoken(
            single=single,
            place=place,
            proba={each.name: proba[each.name] for each in self.loaded},
            says={each.name: says[each.name] for each in self.loaded},
            used=frozenset(used),
        )

    def score(self, path: Path, claims: IndexClaim, tell: Tell) -> EpisodeScore:
        """What every checkpoint says of the episode in a tarball; StoreError where it cannot be read."""
        spoken, names = self.speak(path, claims, tell), self.schema.channel_names
        single, place, used = spoken.single, spoken.place, spoken.used
        decoded = single.decoded
        known = dict(zip(names, single.recording.known_C.tolist(), strict=True))
        return EpisodeScore(
            path=str(path),
            episode_id=decoded.meta.episode_id,
            host_id=decoded.meta.host_id,
            duration_s=(decoded.meta.t_end_wall_ns - decoded.meta.t_start_wall_ns) / 1e9,
            verdict=single.verdict.verdict,
            reasons={str(reason): reason.meaning for reason in single.verdict.reasons},
            detail=single.verdict.detail,
            missing_sources=tuple(name for name in self.registry.sources if not _recorded(single, name)),
            missing_channels=tuple(name for name in names if name in used and not known[name]),
            side=self._side_in_words(place),
            rule=RULE,
            **self._reach_of(single, place),
            unusual=None if self.range is None else unusual(self.range, single.x_CT, single.recording.grid, names),
            silent=tuple(self.silent),
            window_end_s=tuple(single.seconds_W.tolist()),
            models=tuple(spoken.says.values()),
        )

    def _says(
        self, each: _Loaded, place: Standing, seconds_N: NDArray[np.float64], proba_NK: NDArray[np.float64]
    ) -> ModelSays:
        phases = self.schema.phases
        untold = one_sided(phases, self.schema.attack_phases)
        attack_N = attack_probability(proba_NK, phases, self.schema.attack_phases)
        threshold, came_from = (None, untold) if untold else self._threshold(each, place)
        alarm_N = attack_N >= (np.inf if threshold is None else threshold)
        top, twin = int(attack_N.argmax()), each.checkpoint.same_as
        return ModelSays(
            name=each.name,
            model=each.checkpoint.model,
            mode=each.checkpoint.mode,
            chosen=each.name == self.chosen,
            side=place.side,
            n_members=len(place.members),
            phases=phase_runs(proba_NK, seconds_N, phases),
            attack=() if untold else tuple(attack_N.tolist()),
            highest=None if untold else float(attack_N[top]),
            highest_at_s=None if untold else float(seconds_N[top]),
            threshold=threshold,
            threshold_from=came_from,
            first_alarm_s=float(seconds_N[int(alarm_N.argmax())]) if alarm_N.any() else None,
            same_as=twin if self.weights.get(twin) == each.checkpoint.weights_sha256 else "",
        )

    def _threshold(self, each: _Loaded, place: Standing) -> tuple[float | None, str]:
        """The threshold of the round that speaks, and where it came from; or None, and why."""
        if each.evaluation is None:
            why = "the evaluation is of another checkpoint" if each.stale else "this checkpoint was not evaluated"
            return None, f"{why}; make it with: {how_to_make('detector_eval', self.recipe)}"
        found = next((r for r in each.evaluation.recall_at_fpr if r.fpr == ALARM_FPR), None)
        if found is None:
            return None, "validation gave none"
        if not found.of_rounds:
            if found.threshold is not None or found.recall.value is not None:  # it had one, of a round not known
                again = how_to_make("detector_eval", self.recipe)
                return None, f"the evaluation is of an earlier form; make it again with: {again}"
            return None, found.recall.note or "validation gave none"
        if place.round is None:
            return None, (
                f"recipe {self.recipe} has a threshold for each of its {len(found.of_rounds)} rounds, and this episode "
                "is in the test of none"
            )
        of_round = f" of round {place.round + 1}" if len(found.of_rounds) > 1 else ""
        words = (
            f"{100 * ALARM_FPR:g} % false positives on validation{of_round} ({found.n_validation_negatives} windows)"
        )
        return found.of_rounds.get(str(place.round + 1)), f"{words}, {each.name}_eval.json"

    def _side_in_words(self, first: Standing) -> str:
        recipe, every = f"recipe {self.recipe}", max(len(each.members.members) for each in self.loaded)
        if first.side == "unknown":
            return (
                f"which side of {recipe} this episode was on is not known, because the split is another than the one "
                "trained on: members may have been trained on it"
            )
        if not first.by:
            return f"this episode is not known to the split of {recipe} by content or name"
        named = first.by == "name"
        where = f"on the {first.side} side of {recipe}" if first.side != "none" else f"in the split of {recipe}"
        known = f"this episode {'carries the name of one' if named else 'was'} {where}"
        known += ", with other content" if named else ""
        if first.side != "train":
            return f"{known}: no member was trained on {'that one' if named else 'it'}"
        return (
            f"{known}: {len(first.members)} of {every} members, trained without {'that one' if named else 'it'} but "
            "stopped by it, speak of it here; do not take this for a test"
        )


def path_lock(layout: Layout, recipe: str, path: Path) -> Path:
    """The lock of the checkpoint at `path`."""
    model, _, mode = path.name.removesuffix(".ckpt.json").partition("_")
    return layout.checkpoint_lock(recipe, model, mode)


def _split(layout: Layout, recipe: str) -> Split | None:
    with contextlib.suppress(UpstreamMissing):
        return read_split(layout, recipe)
    return None


def _recorded(single: SingleEpisode, source: str) -> bool:
    """Whether the source is there; one that counts events may be there and have no row."""
    return source in single.decoded.sources
