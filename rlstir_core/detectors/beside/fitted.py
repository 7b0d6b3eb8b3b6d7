"""What stands beside the detectors in the table: fitted on the same folds, its predictions written, labels unread.

The baselines, `gbt` on all channels where train hosts differ in channels, `gbt` on a random split of windows to
show what holding out costs and on shares of the train episodes, and members from other seeds. What does not belong
here: the baselines themselves (`baselines.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from rlstir_core.atomic import file_sha256, sweep, write_json
from rlstir_core.contract.registry import MODES, PRIMARY_MODE
from rlstir_core.detectors.beside.baselines import Majority, MiniRocketBaseline, clock, has_minirocket, metadata_only
from rlstir_core.detectors.beside.learning_curve import LearntFrom, fit_shares, share_name
from rlstir_core.detectors.beside.random_split import write_random_split
from rlstir_core.detectors.beside.reseeding import Reseeded, fit_reseeded
from rlstir_core.detectors.blocks import Blocks
from rlstir_core.detectors.checkpoint import Members
from rlstir_core.detectors.inputs import InputSchema
from rlstir_core.detectors.models.gbt import GradientBoostedTrees
from rlstir_core.detectors.scenes import BASELINE, Scored, write_predictions
from rlstir_core.detectors.study import Study, open_study
from rlstir_core.detectors.training import member_sides, training_blocks, validation_blocks
from rlstir_core.detectors.views import View, training_views
from rlstir_core.learning.options import StudyOptions
from rlstir_core.progress import Tell
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding

_DROP_ALL_CHANNELS = 0.5
_Fit = Callable[[list[Blocks], list[Blocks]], object]


class Baselines(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in `baselines.json`."""

    input_sha256: str
    files: dict[str, str]  # name: sha256 of its predictions
    random_split: dict[str, str]  # mode with channels of its own: sha256 of what `gbt` predicts on a random split
    learning: tuple[LearntFrom, ...]  # `gbt` on shares of the train episodes
    reseeded: tuple[Reseeded, ...]


def fit_baselines(layout: Layout, options: StudyOptions, tell: Tell) -> tuple[Baselines, bool]:
    """Fits them and writes their predictions; (what was written, False) where nothing had changed since."""
    with holding(layout.lock("baselines", options.recipe), waiting=tell):
        study = open_study(layout, options)
        kept = kept_baselines(study)
        if kept is not None:
            return kept, False
        path = layout.baselines(options.recipe)
        path.unlink(missing_ok=True)  # written last: while it is absent, none of them is whole
        sweep(path.parent, path.name)
        episodes = study.load(study.split.episodes, tell)
        scored = {}
        for name, inputs, predictor in _fitted(study, tell):
            scored[name] = Scored(
                path=layout.predictions(options.recipe, name, BASELINE), inputs=inputs, predictor=predictor
            )
        shares = list(fit_shares(study, layout, tell))
        reseeded = list(fit_reseeded(study, layout, tell))
        single = [each for _, each in (*shares, *reseeded)]
        write_predictions(study, episodes, [*scored.values(), *single], tell)
        random = {}
        for mode in MODES:
            if study.same_as(mode):
                continue
            tell(f"gbt {mode} on a random split")
            random[mode] = write_random_split(study, episodes, mode)
        made = Baselines(
            input_sha256=study.baselines_sha256,
            files={name: file_sha256(each.path) for name, each in scored.items()},
            random_split={mode: file_sha256(file) for mode, file in random.items()},
            learning=tuple(msgspec.structs.replace(of, sha256=file_sha256(each.path)) for of, each in shares),
            reseeded=tuple(msgspec.structs.replace(of, sha256=file_sha256(each.path)) for of, each in reseeded),
        )
        write_json(path, made)
        return made, True


def kept_baselines(study: Study) -> Baselines | None:
    """The baselines on disk where they are what fitting them now would give."""
    layout, recipe = study.layout, study.options.recipe
    try:
        kept = msgspec.json.decode(layout.baselines(recipe).read_bytes(), type=Baselines)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return kept if kept.input_sha256 == study.baselines_sha256 and _whole(layout, recipe, kept) else None


def prediction_files(layout: Layout, recipe: str, kept: Baselines) -> list[tuple[Path, str]]:
    """Every file of predictions and its hash, those of baselines first."""
    files: list[tuple[Path, str]] = [(layout.predictions(recipe, n, BASELINE), sha) for n, sha in kept.files.items()]
    files += [(layout.predictions(recipe, "gbt-random-split", mode), sha) for mode, sha in kept.random_split.items()]
    files += [(layout.predictions(recipe, share_name(of.part), BASELINE), of.sha256) for of in kept.learning]
    files += [(layout.predictions(recipe, of.name, BASELINE), of.sha256) for of in kept.reseeded]
    return files


def _whole(layout: Layout, recipe: str, kept: Baselines) -> bool:
    return all(path.is_file() and file_sha256(path) == sha for path, sha in prediction_files(layout, recipe, kept))


def _fitted(study: Study, tell: Tell) -> Iterator[tuple[str, InputSchema, Members]]:
    """Name, inputs, predictor."""
    numbers, schema = study.numbers, study.schema
    inputs = study.input_schema("sequence", PRIMARY_MODE)
    n_phases = len(schema.phases)
    views = study.training_views("cnn")
    yield "majority", inputs, _crossed(study, inputs, views[-1:], lambda train, _: Majority(train, n_phases))
    yield "clock", inputs, _crossed(study, inputs, views, lambda train, _: clock(train, n_phases))
    yield (
        "metadata-only",
        inputs,
        _crossed(study, inputs, views[-1:], lambda train, _: metadata_only(train, n_phases, study.split.by_name)),
    )
    if has_minirocket(round(schema.windowing.length_s * schema.windowing.bin_hz)):
        tell("fitting minirocket")
        yield (
            "minirocket",
            inputs,
            _crossed(study, inputs, views[-1:], lambda train, _: MiniRocketBaseline(train[0], n_phases, numbers.seed)),
        )
    every = tuple(channel.name for channel in schema.channels if channel.vantage in MODES[PRIMARY_MODE])
    if set(every) != set(inputs.channels):
        # sources are left out at random in training, because a channel that few hosts have tells hosts apart
        dropped = training_views(schema, numbers.train.views, _DROP_ALL_CHANNELS, numbers.trees.gain)

        def fit_trees(train: list[Blocks], held: list[Blocks]) -> object:
            trees = GradientBoostedTrees()
            trees.fit(train, held, n_phases, numbers, lambda _: None)
            return trees

        tell("fitting gbt on all channels")
        wide = study.input_schema("summary", PRIMARY_MODE, every)
        yield "gbt-all-channels", wide, _crossed(study, wide, dropped, fit_trees)


def _crossed(study: Study, inputs: InputSchema, views: Sequence[View], fit: _Fit) -> Members:
    """A member for each fold of each round, as for the detectors."""
    members = []
    for place, each in enumerate(study.split.rounds):
        for fold in range(len(each.folds)):
            train, held = member_sides(study, place, fold)
            stopped_on = validation_blocks(study, held, inputs)
            members.append((place, fold, fit(training_blocks(study, train, inputs, views), stopped_on)))
    return Members(members)  # type: ignore[arg-type]
