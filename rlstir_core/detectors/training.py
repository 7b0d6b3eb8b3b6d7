"""The training of one detector: a member for each fold of each round, and what must hold of the checkpoint.

What does not belong here: the models and their loop, and scoring the test side (`evaluation/`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from rlstir_core.atomic import sweep
from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.datasets.recipes.base import SplitCheck
from rlstir_core.detectors.blocks import Blocks, in_blocks
from rlstir_core.detectors.checkpoint import (
    Checkpoint,
    Fitted,
    copy_checkpoint,
    is_whole,
    read_checkpoint,
    write_checkpoint,
)
from rlstir_core.detectors.episode_set import Recording
from rlstir_core.detectors.inputs import InputSchema
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.sources import blind_columns, judged_sources
from rlstir_core.detectors.study import Study, open_study
from rlstir_core.detectors.views import View, validation_views
from rlstir_core.errors import CheckpointError, SplitRefused, UpstreamMissing
from rlstir_core.learning.examples import CacheBudget
from rlstir_core.learning.options import StudyOptions
from rlstir_core.progress import Tell
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding

_VALIDATION_SHARE = 0.5  # of `max_train_windows`: early stopping looks at no more


def train_checkpoint(
    layout: Layout, options: StudyOptions, model: str, mode: str, tell: Tell
) -> tuple[Checkpoint, tuple[SplitCheck, ...], bool]:
    """Trains one detector and writes its checkpoint; the last value is False where nothing had changed since.

    A mode that shows no more channels than another is not trained: the other's weights, made first if need be, serve.
    """
    recipe, twin = options.recipe, _twin(layout, options, model, mode, tell)
    with contextlib.ExitStack() as held:
        if twin:  # taken first, as whoever scores both takes them
            held.enter_context(holding(layout.checkpoint_lock(recipe, model, twin), shared=True, waiting=tell))
        held.enter_context(holding(layout.checkpoint_lock(recipe, model, mode), waiting=tell))
        study = open_study(layout, options)
        kept = kept_checkpoint(study, model, mode)
        checkpoint = kept or _taken_over(study, model, mode, twin) or _train(study, model, mode, tell)
        return checkpoint, check_checkpoint(study, checkpoint), kept is None


def _twin(layout: Layout, options: StudyOptions, model: str, mode: str, tell: Tell) -> str:
    """The mode whose checkpoint serves this one too, which is then there; empty where this one is trained or kept."""
    if mode == PRIMARY_MODE:
        return ""
    study = open_study(layout, options)
    if kept_checkpoint(study, model, mode) is not None or not (twin := study.same_as(mode)):
        return ""
    tell(f"mode {mode} has the same channels as {twin}, so {model} is trained once")
    train_checkpoint(layout, options, model, twin, tell)
    return twin


def _taken_over(study: Study, model: str, mode: str, twin: str) -> Checkpoint | None:
    """The twin's checkpoint under this mode's name; None where there is none to be believed."""
    source = kept_checkpoint(study, model, twin) if twin else None
    if source is None:
        return None
    recipe, layout = study.options.recipe, study.layout
    path = layout.checkpoint(recipe, model, mode)
    sweep(path.parent, f"{model}_{mode}.")
    return copy_checkpoint(
        layout.checkpoint(recipe, model, twin),
        source,
        path,
        mode=mode,
        input_schema=study.input_schema(MODELS[model].kind, mode),
        input_sha256=study.training_sha256(model, mode),
    )


def kept_checkpoint(study: Study, model: str, mode: str) -> Checkpoint | None:
    """The checkpoint on disk where it is what training it now would give, and may be relied on."""
    path = study.layout.checkpoint(study.options.recipe, model, mode)
    try:
        checkpoint = read_checkpoint(path)
    except (CheckpointError, UpstreamMissing):
        return None
    good = checkpoint.input_sha256 == study.training_sha256(model, mode) and is_whole(path, checkpoint)
    return checkpoint if good and all(check.holds for check in check_checkpoint(study, checkpoint)) else None


def member_sides(study: Study, place: int, fold: int) -> tuple[list[Recording], list[Recording]]:
    """What a member of round `place` is trained on and what it is stopped on; SplitRefused where one has nothing."""
    each = study.split.rounds[place]
    kept_out = set(each.folds[fold])
    train = study.episodes.select(name for name in each.train if name not in kept_out)
    held = study.episodes.select(each.folds[fold])
    if not train or not held:
        raise SplitRefused(
            f"the train side of recipe {study.split.recipe!r} has too few episodes with labelled windows for "
            f"{len(each.folds)} folds; record more of them, name other hosts, or choose another recipe"
        )
    return train, held


def training_blocks(
    study: Study, train: Sequence[Recording], inputs: InputSchema, views: Sequence[View], blind: Sequence[int] = ()
) -> list[Blocks]:
    """What a member is trained on, by view; at most the preset's windows and bytes."""
    training = study.numbers.train
    budget = CacheBudget(training.cache_mib << 20)
    return [
        in_blocks(
            study.episodes,
            train,
            inputs,
            view,
            min_purity=training.min_purity,
            most=training.max_train_windows,
            budget=budget,
            blind=blind,
        )
        for view in views
    ]


def validation_blocks(
    study: Study, held: Sequence[Recording], inputs: InputSchema, blind: Sequence[int] = ()
) -> list[Blocks]:
    """What a member is stopped on: its fold under the views that choose."""
    training = study.numbers.train
    most = max(1, round(training.max_train_windows * _VALIDATION_SHARE))
    budget = CacheBudget(training.cache_mib << 20)
    # in the order of the files that stored features are read from
    held = sorted(held, key=study.episodes.place) if inputs.kind == "summary" else held  # type: ignore[arg-type]
    views = validation_views(study.schema)
    return [in_blocks(study.episodes, held, inputs, view, most=most, budget=budget, blind=blind) for view in views]


def _train(study: Study, model: str, mode: str, tell: Tell) -> Checkpoint:
    options, split = study.options, study.split
    path = study.layout.checkpoint(options.recipe, model, mode)
    sweep(path.parent, f"{model}_{mode}.")
    inputs = study.input_schema(MODELS[model].kind, mode)
    views = study.training_views(model)
    folds = [(r, f) for r, each in enumerate(split.rounds) for f in range(len(each.folds))]
    members = []
    for done, (r, f) in enumerate(folds, 1):
        train, held = member_sides(study, r, f)
        sources = judged_sources(study.episodes, train, inputs)
        blind = blind_columns(inputs, [each.source for each in sources if not each.kept])
        detector = MODELS[model].build()
        facts = detector.fit(
            training_blocks(study, train, inputs, views, blind),
            validation_blocks(study, held, inputs, blind),
            len(inputs.phases),
            study.numbers,
            _prefixed(tell, f"member {done} of {len(folds)}"),
        )
        fold = split.rounds[r].folds[f]
        members.append(
            Fitted(detector=detector, facts=facts, validation_episodes=fold, round=r, fold=f, sources=sources)
        )
    return write_checkpoint(
        path,
        model,
        members,
        mode=mode,
        recipe=options.recipe,
        preset=options.preset,
        seed=study.numbers.seed,
        input_schema=inputs,
        input_sha256=study.training_sha256(model, mode),
        train_sha256=split.train_sha256,
        n_train_episodes=len(split.trained_on),
    )


def check_checkpoint(study: Study, checkpoint: Checkpoint) -> tuple[SplitCheck, ...]:
    """What must hold of a checkpoint before anything is concluded from it."""
    split = study.split
    given = checkpoint.input_schema.feature_schema_sha256
    learnt = {episode.episode_id for episode in split.trained_on if episode.windows}
    own = checkpoint.train_sha256 == split.train_sha256
    clean = all(
        learnt.intersection(name for m in checkpoint.members if m.round == place for name in m.validation_episodes)
        == learnt.intersection(each.train)
        and not set(each.train) & set(each.test)
        for place, each in enumerate(split.rounds)
    )
    return (
        SplitCheck(
            name="schema_hash",
            holds=given == study.schema_sha256,
            detail=f"checkpoint {given[:12]}, data {study.schema_sha256[:12]}",
        ),
        SplitCheck(
            name="leaked_fits",
            holds=own and clean,
            detail=f"{len(checkpoint.members)} members, each fitted on the train side of its round less one fold",
        ),
    )


def believed_checkpoint(study: Study, model: str, mode: str) -> Checkpoint:
    """The checkpoint on disk, which was trained on today's data and whose checks hold; UpstreamMissing otherwise."""
    checkpoint = read_checkpoint(study.layout.checkpoint(study.options.recipe, model, mode))
    if checkpoint.input_sha256 != study.training_sha256(model, mode):
        raise UpstreamMissing(
            f"checkpoint {model}_{mode} was trained on other data, another split or another preset than today's"
        )
    for check in check_checkpoint(study, checkpoint):
        if not check.holds:
            raise UpstreamMissing(
                f"checkpoint {model}_{mode} fails its check {check.name!r} ({check.detail}), so nothing is concluded "
                "from it"
            )
    return checkpoint


def _prefixed(tell: Tell, prefix: str) -> Tell:
    return lambda text: tell(f"{prefix}, {text}")
