"""The evaluation of a recipe's encoder: predictions are written, then labels are read, then figures made.

What does not belong here: training, single figures (`figures.py`) and the report's words.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.atomic import canonical_sha256, file_sha256, sweep, write_json
from rlstir_core.datasets.split import Split
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.evaluation.investigation.baselines import baseline_scores
from rlstir_core.evaluation.investigation.figures import micro_f1, technique_scores
from rlstir_core.evaluation.investigation.predictions import (
    read_risk,
    read_techniques,
    write_risk,
    write_techniques,
)
from rlstir_core.evaluation.investigation.records import ENCODER, EncoderEvaluation
from rlstir_core.evaluation.stats.across import write_sums
from rlstir_core.evaluation.stats.intervals import estimate
from rlstir_core.evaluation.stats.paired import minus
from rlstir_core.investigator.checkpoint import EncoderCheckpoint, load_encoder
from rlstir_core.investigator.inputs import LogInputs
from rlstir_core.investigator.reading.tokenizer import load_tokenizer
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.decide import choose_threshold
from rlstir_core.investigator.techniques.knowledge import NO_KNOWLEDGE, Knowledge, fit_knowledge
from rlstir_core.investigator.techniques.labels import LABELS, episode_techniques
from rlstir_core.investigator.training import IMPORTED, kept_encoder, predict, taught_of
from rlstir_core.learning.devices import device
from rlstir_core.learning.examples import CacheBudget
from rlstir_core.progress import Tell
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import held_sha256
from rlstir_core.results.lock import holding
from rlstir_core.results.versions import version

_NOTHING_KEPT = CacheBudget(0)  # every episode is read once


def evaluate_encoder(study: InvestigatorStudy, tell: Tell) -> tuple[EncoderEvaluation, bool]:
    """Scores the recipe's encoder and its baselines; the last value is False where nothing had changed since."""
    layout, recipe = study.layout, study.options.recipe
    with contextlib.ExitStack() as held:
        held.enter_context(holding(layout.evaluation_lock(recipe), waiting=tell))
        held.enter_context(holding(layout.lock("encoder", recipe), shared=True, waiting=tell))
        checkpoint = _believed(study)
        key = _evaluation_sha256(study, checkpoint)
        kept = read_encoder_evaluation(layout, recipe)
        if kept is not None and kept.input_sha256 == key and _files_are_there(layout, recipe):
            return kept, False
        layout.encoder_evaluation(recipe).unlink(missing_ok=True)
        for path in _files(layout, recipe):
            sweep(path.parent, path.name)
        result = _evaluate(study, checkpoint, key, tell)
        write_json(layout.encoder_evaluation(recipe), msgspec.to_builtins(result))
        return result, True


def encoder_evaluation_is_current(study: InvestigatorStudy) -> bool:
    """Whether the evaluation on disk is what evaluating now would give."""
    checkpoint, recipe = kept_encoder(study), study.options.recipe
    kept = read_encoder_evaluation(study.layout, recipe)
    if checkpoint is None or kept is None:
        return False
    return kept.input_sha256 == _evaluation_sha256(study, checkpoint) and _files_are_there(study.layout, recipe)


def read_encoder_evaluation(layout: Layout, recipe: str, split: Split | None = None) -> EncoderEvaluation | None:
    """What `evaluate_encoder` wrote, of this very `split` where one is given; None where it did not."""
    try:
        found = msgspec.json.decode(layout.encoder_evaluation(recipe).read_bytes(), type=EncoderEvaluation)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return found if split is None or found.split_sha256 == split.sha256 else None


def forget_evaluation(layout: Layout, recipe: str) -> None:
    """Takes away what was said of a test side that carries nothing to judge by any more."""
    with holding(layout.evaluation_lock(recipe)):
        layout.encoder_evaluation(recipe).unlink(missing_ok=True)
        for path in _files(layout, recipe):
            path.unlink(missing_ok=True)


def _files(layout: Layout, recipe: str) -> list[Path]:
    said = [layout.encoder_predictions(recipe, what) for what in ("techniques", "risk")]
    return [*said, layout.episode_sums(recipe, "techniques")]


def _files_are_there(layout: Layout, recipe: str) -> bool:
    return all(path.exists() for path in _files(layout, recipe))


def _believed(study: InvestigatorStudy) -> EncoderCheckpoint:
    """The checkpoint of this very split and these numbers; another may have seen what is the test side now."""
    found = kept_encoder(study)
    if found is None:
        recipe = study.options.recipe
        raise UpstreamMissing(
            f"{study.layout.encoder(recipe)} is missing, damaged, or was trained on other data, another split "
            f"or another preset than today's; make it with: {how_to_make('encoder', recipe)}"
        )
    return found


def _evaluation_sha256(study: InvestigatorStudy, checkpoint: EncoderCheckpoint) -> str:
    return canonical_sha256(
        [
            version("encoder_eval"),
            checkpoint.input_sha256,
            checkpoint.sidecar_sha256,
            study.split.sha256,
            study.numbers.bootstrap_draws,
            [held_sha256(study.layout.log_events(host), "log_rows") for host in study.split.hosts],
        ]
    )


def _evaluate(study: InvestigatorStudy, checkpoint: EncoderCheckpoint, key: str, tell: Tell) -> EncoderEvaluation:
    layout, recipe, draws = study.layout, study.options.recipe, study.numbers.bootstrap_draws
    learnt, chosen = study.sides
    taught = taught_of(study, learnt)
    knowledge = fit_knowledge(layout)
    scores = {ENCODER: _encoder_scores(study, checkpoint, knowledge, tell)}
    scores |= baseline_scores(study, taught, (learnt, chosen, study.test), knowledge, tell)
    of_chosen = taught_of(study, chosen).y_EK[:, : len(LABELS)]
    thresholds = {name: choose_threshold(each[0][:, : len(LABELS)], of_chosen) for name, each in scores.items()}
    paths = {what: layout.encoder_predictions(recipe, what) for what in ("techniques", "risk")}
    write_techniques(
        paths["techniques"], study.test, {name: (each[1], thresholds[name]) for name, each in scores.items()}
    )
    risks = {name: each[1][:, -1] for name, each in scores.items() if np.isfinite(each[1][:, -1]).all()}
    write_risk(paths["risk"], study.test, risks)
    # from here on labels of the test side are read, and predictions only from their files
    carried = episode_techniques(layout, study.test)
    said, risk = read_techniques(paths["techniques"]), read_risk(paths["risk"])
    known = [info for info in study.test if info.profile != IMPORTED]
    models = tuple(
        technique_scores(
            name,
            thresholds[name],
            said[name],
            {info.episode_id: risk[name][info.episode_id] for info in known} if name in risk else None,
            carried,
            study.test,
            draws=draws,
        )
        for name in scores
    )
    f1 = {name: micro_f1(said[name], carried, study.test) for name in scores}
    names = [info.episode_id for info in study.test]
    write_sums(layout.episode_sums(recipe, "techniques"), names, {name: each.sums_US for name, each in f1.items()})
    tags = [technique for each in carried.values() for technique in each]
    seen = {LABELS[k] for k in np.flatnonzero(taught.y_EK[:, : len(LABELS)].any(axis=0))}
    return EncoderEvaluation(
        recipe=recipe,
        input_sha256=key,
        split_sha256=study.split.sha256,
        made_with={
            "preset": study.options.preset,
            "set": ", ".join(study.options.overrides) or "nothing",
            "seed": study.numbers.seed,
            "folds": study.split.settings.folds,
            "version": version("encoder_eval"),
        },
        synthetic=any(info.synthetic for info in study.test),
        n_train_episodes=len(learnt),
        n_validation_episodes=len(chosen),
        n_test_episodes=len(study.test),
        n_test_hosts=len({info.host for info in study.test}),
        n_with_technique=sum(bool(each) for each in carried.values()),
        n_tags=len(tags),
        n_tags_unseen=sum(technique not in seen for technique in tags),
        n_tags_outside=sum(technique not in LABELS for technique in tags),
        prevalence=sum(not info.benign for info in known) / len(known) if known else None,
        models=models,
        paired={n: estimate(minus(f1[ENCODER], each), draws=draws) for n, each in f1.items() if n != ENCODER},
        lacks=() if knowledge is not None else (NO_KNOWLEDGE,),
        knowledge_sha256=checkpoint.knowledge_sha256,
        tokenizer_sha256=checkpoint.tokenizer_sha256,
        checkpoint_sha256=file_sha256(layout.encoder(recipe)),
        pieces=checkpoint.pieces,
        n_parameters=checkpoint.facts.n_parameters,
    )


def _encoder_scores(
    study: InvestigatorStudy, checkpoint: EncoderCheckpoint, knowledge: Knowledge | None, tell: Tell
) -> tuple[Floats, Floats]:
    """Probabilities of the fold that chose, and of the test side."""
    tokenizer, manifest = load_tokenizer(study)
    _, network = load_encoder(study.layout, checkpoint.recipe, manifest.model_sha256)
    if network.encoder.pieces.num_embeddings != tokenizer.size:
        raise CheckpointError(f"{study.layout.encoder(checkpoint.recipe)} has other pieces than its tokenizer")
    on = device(study.numbers.train.device)
    network.to(on)
    found = []
    for words, side in (("validation", study.sides[1]), ("test", study.test)):
        tell(f"encoder: scoring the {words} side, {len(side)} episodes")
        shown = LogInputs(study, side, tokenizer, knowledge, hosts=study.split.hosts, budget=_NOTHING_KEPT)
        found.append(predict(network, shown, on))
    return found[0], found[1]
