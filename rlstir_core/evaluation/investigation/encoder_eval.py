"""The evaluation of a recipe's encoder: predictions are written, then labels are read, then figures made.

What does not belong here: training, what is said (`saying.py`), figures (`judging.py`) and the report's words.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from rlstir_core.atomic import canonical_sha256, file_sha256, sweep, write_json, write_text
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.split import Split
from rlstir_core.errors import UpstreamMissing
from rlstir_core.evaluation.investigation.judging import judge
from rlstir_core.evaluation.investigation.records import EncoderEvaluation
from rlstir_core.evaluation.investigation.saying import PREDICTIONS, say
from rlstir_core.evaluation.investigation.sigma_baseline import sigma_key, sigma_lacks
from rlstir_core.evaluation.report.encoder_card import render_encoder_card
from rlstir_core.investigator.checkpoint import EncoderCheckpoint
from rlstir_core.investigator.pretraining.training import kept_encoder
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.knowledge import NO_KNOWLEDGE
from rlstir_core.investigator.techniques.labels import LABELS, exact_techniques
from rlstir_core.investigator.techniques.row_truth import says_rows
from rlstir_core.progress import Tell
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import held_sha256
from rlstir_core.results.lock import holding
from rlstir_core.results.versions import version


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
        for path in _paths(layout, recipe).values():
            sweep(path.parent, path.name)
        result = _evaluate(study, checkpoint, key, tell)
        write_text(_paths(layout, recipe)["card"], render_encoder_card(result, checkpoint))
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
        for path in _paths(layout, recipe).values():
            path.unlink(missing_ok=True)


def _files_are_there(layout: Layout, recipe: str) -> bool:
    return all(path.exists() for path in _paths(layout, recipe).values())


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
            study.knowledge_sha256,
            sigma_key(study.layout),
        ]
    )


def _evaluate(study: InvestigatorStudy, checkpoint: EncoderCheckpoint, key: str, tell: Tell) -> EncoderEvaluation:
    layout, recipe, draws = study.layout, study.options.recipe, study.numbers.bootstrap_draws
    learnt, chosen = study.sides
    knowledge, sigma = say(study, checkpoint, tell)
    # from here on labels of the test side are read, and predictions only from their files
    tell("reading the labels of the test side")
    carried = exact_techniques(layout, study.test)
    seen = {technique for each in exact_techniques(layout, study.train).values() for technique in each}
    known = [info for info in study.test if says_rows(info)]
    tags = [technique for each in carried.values() for technique in each]
    judged = judge(layout, _paths(layout, recipe), study.test, carried, seen, draws=draws)
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
        row_prevalence=judged.row_prevalence,
        models=judged.models,
        risks=judged.risks,
        tamper=judged.tamper,
        tamper_rows=judged.tamper_rows,
        tamper_prevalence=judged.tamper_prevalence,
        paired=judged.paired,
        paired_risk=judged.paired_risk,
        paired_rows=judged.paired_rows,
        paired_spans=judged.paired_spans,
        files_by=checkpoint.calibration.files_by,
        unseen_logs=tuple(sorted(_logs(study.test) - _logs(study.train))),
        sigma=sigma,
        lacks=(*(() if knowledge is not None else (NO_KNOWLEDGE,)), *sigma_lacks(layout)),
        knowledge_sha256=checkpoint.knowledge_sha256,
        tokenizer_sha256=checkpoint.tokenizer_sha256,
        checkpoint_sha256=file_sha256(layout.encoder(recipe)),
        pieces=checkpoint.pieces,
        n_parameters=checkpoint.facts.n_parameters,
        started=bool(checkpoint.numbers.get("start")),
    )


def _logs(episodes: Sequence[EpisodeInfo]) -> set[str]:
    return {log for info in episodes for log in info.logs}


def _paths(layout: Layout, recipe: str) -> dict[str, Path]:
    """Predictions by what they are of, the counts that figures are made from, and the model card."""
    said = {what: layout.encoder_predictions(recipe, what) for what in PREDICTIONS}
    beside = layout.encoder(recipe).with_name("encoder.card.md")
    return said | {"counts": layout.episode_sums(recipe, "techniques"), "card": beside}
