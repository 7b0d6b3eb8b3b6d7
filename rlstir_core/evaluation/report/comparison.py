"""The files of the report: markdown, one offline HTML file, pictures, manifest, model cards.

All are a function of the evaluation and, for what is set beside it, of those of other recipes, but for the lines on the
page that say when it was made and what changed since the last one (`history.py`). What does not belong here: the words
(`sections/`) and the figures (`detectors/detector_eval.py`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rlstir_core.atomic import canonical_sha256, sweep, write_bytes, write_json, write_text
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.datasets.store import read_split
from rlstir_core.detectors.checkpoint import Checkpoint, read_checkpoint
from rlstir_core.detectors.ensemble.combination import Ensemble, read_ensemble
from rlstir_core.detectors.models.base import TrainingFacts
from rlstir_core.detectors.models.spec import ENSEMBLE
from rlstir_core.errors import UpstreamMissing
from rlstir_core.evaluation.acting.investigation_eval import read_acting_evaluation
from rlstir_core.evaluation.detectors.cost import read_costs
from rlstir_core.evaluation.detectors.detector_eval import held_for, read_inputs
from rlstir_core.evaluation.investigation.encoder_eval import read_encoder_evaluation
from rlstir_core.evaluation.report.beside import beside_sha256
from rlstir_core.evaluation.report.document import render_markdown
from rlstir_core.evaluation.report.history import continued, history_path, made_lines, read_history, write_history
from rlstir_core.evaluation.report.honesty import make_honesty
from rlstir_core.evaluation.report.html import render_html
from rlstir_core.evaluation.report.inputs import Manifest, ReportInputs
from rlstir_core.evaluation.report.model_card import render_model_card
from rlstir_core.evaluation.report.pictures.acting import draw_acting
from rlstir_core.evaluation.report.pictures.curves import draw_curves
from rlstir_core.evaluation.report.pictures.episodes import draw_episodes
from rlstir_core.evaluation.report.pictures.inline import inline_forest
from rlstir_core.evaluation.report.pictures.plots import draw_all
from rlstir_core.evaluation.report.pictures.scores import draw_scores
from rlstir_core.evaluation.report.rows import distinct
from rlstir_core.evaluation.report.sections.scores import scores_section
from rlstir_core.evaluation.report.sections.verdict import chosen_model
from rlstir_core.evaluation.stats.across import read_sums
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.progress import Tell
from rlstir_core.remedies import how_to_make
from rlstir_core.results.champion import keep_champion
from rlstir_core.results.layout import Layout
from rlstir_core.results.versions import version

_OTHERS = "other_recipes"
_SOURCES_SAID = 6  # verdicts on sources that a card gives in full
_PICTURE = re.compile(r"\((plots/[a-z0-9_-]+\.png)\)")


@dataclass(frozen=True, kw_only=True)
class Written:
    """Where the report lies, and what the UI shows of it."""

    markdown: Path
    html: Path
    inline: str
    chosen: ModelEvaluation | None  # the realistic model that validation chose
    inputs: ReportInputs
    sha256: str


def write_comparison(layout: Layout, recipe: str, tell: Tell | None = None) -> Written:
    """Writes everything that is shown of the evaluation of `recipe`; the manifest comes last and makes it whole."""
    with held_for(layout, recipe, tell):
        return _write_comparison(layout, recipe)


def _write_comparison(layout: Layout, recipe: str) -> Written:
    inputs = _read(layout, recipe)
    if inputs is None:
        raise UpstreamMissing(
            f"{layout.report_inputs(recipe)} is missing; make it with: {how_to_make('detector_eval', recipe)}"
        )
    path = layout.report(recipe)
    _manifest_path(layout, recipe).unlink(missing_ok=True)
    sweep(path.parent, deep=True)
    beside = beside_sha256(layout, recipe)
    inputs = msgspec.structs.replace(inputs, honesty=make_honesty(layout, inputs))
    plots = draw_all(inputs) | draw_curves(inputs) | draw_episodes(inputs)
    if inputs.acting is not None:
        plots |= draw_acting(inputs.acting)
    for old in (path.parent / "plots").glob("*.png"):
        if old.stem not in plots:
            old.unlink()
    for name, png in plots.items():
        write_bytes(path.parent / "plots" / f"{name}.png", png)
    inputs = msgspec.structs.replace(inputs, pictures={name: f"plots/{name}.png" for name in plots})
    sha256 = canonical_sha256(render_markdown(inputs))  # of all that is a function of the inputs, so without costs
    inputs = msgspec.structs.replace(inputs, costs=read_costs(layout, recipe))
    for evaluation in inputs.models:
        made = layout.checkpoint(recipe, evaluation.model, evaluation.mode)
        facts = _combining(read_ensemble(made)) if evaluation.model == ENSEMBLE else _training(read_checkpoint(made))
        card = _card_path(layout, recipe, evaluation.name)
        sweep(card.parent, card.name)
        write_text(card, render_model_card(evaluation, facts))
    html = path.with_suffix(".html")
    before, now = read_sums(layout.former_sums(recipe)), read_sums(layout.episode_sums(recipe, "phases"))
    history = continued(read_history(path), inputs, time.time(), before, now)
    scores = scores_section(history)
    write_text(html, render_html(inputs, plots | draw_scores(history), made_lines(history), scores))
    write_text(path, render_markdown(inputs))
    write_history(path, history)
    write_json(layout.honesty(recipe), msgspec.to_builtins(inputs.honesty))
    write_json(_manifest_path(layout, recipe), _manifest(inputs, beside))
    keep_champion(layout, recipe)
    chosen = chosen_model(inputs)
    return Written(
        markdown=path,
        html=html,
        inline=inline_forest(distinct(inputs), inputs.baselines),
        chosen=chosen[0] if chosen is not None and chosen[1] == "validation" else None,
        inputs=inputs,
        sha256=sha256,
    )


def report_is_current(layout: Layout, recipe: str) -> bool:
    """Whether the report that lies there is whole and tells of the evaluations that lie there."""
    inputs, told = _read(layout, recipe), _told(layout, recipe)
    if inputs is None or told is None or told != _manifest(inputs, beside_sha256(layout, recipe)):
        return False
    path = layout.report(recipe)
    if not path.exists():
        return False
    files = [
        path.with_suffix(".html"),
        history_path(path),
        layout.honesty(recipe),
        *(_card_path(layout, recipe, each.name) for each in inputs.models),
    ]
    files += [path.parent / name for name in _PICTURE.findall(path.read_text())]
    return all(each.exists() for each in files)


def outdated_pages(layout: Layout) -> list[str]:
    """The recipes whose report tells of its own evaluation, but not of those of other recipes as they are now."""
    found = []
    for recipe in RECIPES:
        inputs, told = _read(layout, recipe), _told(layout, recipe)
        if inputs is None or told is None:
            continue
        now = _manifest(inputs, beside_sha256(layout, recipe))
        trained = all(layout.checkpoint(recipe, each.model, each.mode).exists() for each in inputs.models)
        if trained and told != now and _but_for_others(told) == _but_for_others(now):
            found.append(recipe)
    return found


def _but_for_others(told: Manifest) -> Manifest:
    return msgspec.structs.replace(told, hashes={k: sha for k, sha in told.hashes.items() if k != _OTHERS})


def _told(layout: Layout, recipe: str) -> Manifest | None:
    try:
        return msgspec.json.decode(_manifest_path(layout, recipe).read_bytes(), type=Manifest)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _read(layout: Layout, recipe: str) -> ReportInputs | None:
    """What the detectors' evaluation wrote, and beside it the encoder's, where that is of the same split."""
    inputs = read_inputs(layout, recipe)
    if inputs is None:
        return None
    try:
        split = read_split(layout, recipe)
    except UpstreamMissing:
        return inputs
    return msgspec.structs.replace(
        inputs,
        investigation=read_encoder_evaluation(layout, recipe, split),
        acting=read_acting_evaluation(layout, recipe, split),
    )


def _manifest(inputs: ReportInputs, others: str) -> Manifest:
    """The evaluation's manifest, the version of the report's own code, and which other evaluations it tells of.

    `others` is the hash of those of other recipes: it asks for another report, and never for another evaluation.
    """
    found = inputs.manifest
    read = {"encoder_eval": inputs.investigation, "investigation_eval": inputs.acting}
    beside = {name: canonical_sha256(each) for name, each in read.items() if each is not None}
    return msgspec.structs.replace(
        found,
        versions=found.versions | {"report": str(version("report"))},
        hashes=found.hashes | beside | ({_OTHERS: others} if others else {}),
    )


def _card_path(layout: Layout, recipe: str, name: str) -> Path:
    return layout.artifacts(recipe) / f"{name}.card.md"


def _manifest_path(layout: Layout, recipe: str) -> Path:
    return layout.report(recipe).with_name("manifest.json")


def _training(checkpoint: Checkpoint) -> dict[str, object]:
    facts = [member.facts for member in checkpoint.members]
    return {
        **({"same channels and weights as": checkpoint.same_as} if checkpoint.same_as else {}),
        "preset": checkpoint.preset,
        "members": f"{len(facts)}, each with one fold of its round's train side left out",
        "train windows of a member": ", ".join(f"{f.n_train_windows:,}" for f in facts),
        f"best number of {facts[0].unit} of a member": ", ".join(f"{f.best} of {f.done}" for f in facts),
        "windows left undrawn": f"{max(f.n_left_out_windows for f in facts):,}",
        "macro F1 on the fold left out": ", ".join(f"{f.best_validation_macro_f1:.3f}" for f in facts),
        "parameters of a member": f"{facts[0].n_parameters:,}",
        **_step(facts),
        **_sources(checkpoint),
        "channels": ", ".join(checkpoint.input_schema.channels),
    }


def _combining(ensemble: Ensemble) -> dict[str, object]:
    """What an ensemble's card says of its making; of many rounds the mean weights and their extremes."""
    rounds = [each.mixture for each in ensemble.rounds]
    found: dict[str, object] = {
        **({"same channels and weights as": ensemble.same_as} if ensemble.same_as else {}),
        "preset": ensemble.preset,
        "weights fitted on": "what each model says of the fold that its member left out, by votes over resampled "
        "episodes; on validation a fold is spoken of with weights fitted on the others",
        "episodes fitted on, by round": _extremes([each.n_episodes for each in ensemble.rounds], "{:,.0f}"),
    }
    for at, part in enumerate(ensemble.parts):
        weight = _extremes([each.weights[at] for each in rounds], "{:.2f}")
        heat = _extremes([each.temperatures[at] for each in rounds], "{:.2f}")
        found[f"weight of {part.model}"] = f"{weight}, its temperature {heat}"
        found[f"checkpoint of {part.model}"] = part.checkpoint_sha256
    return found


def _extremes(values: Sequence[float], form: str) -> str:
    mean = form.format(sum(values) / len(values))
    return mean if len(values) == 1 else f"{mean} ({form.format(min(values))} to {form.format(max(values))} by round)"


def _step(facts: Sequence[TrainingFacts]) -> dict[str, object]:
    largest = max(each.step_bytes for each in facts)
    if not largest:
        return {}
    words = f"{largest / 2**20:.1f} MiB: weights, gradients, moments and activations in float32, without the inputs"
    return {"memory of a training step, calculated": words}


def _sources(checkpoint: Checkpoint) -> dict[str, object]:
    """What each member does not see of what the mode adds, and why."""
    out = [(m.round + 1, m.fold + 1, each) for m in checkpoint.members for each in m.sources if not each.kept]
    if not out:
        return {}
    words = [f"round {place}, fold {fold}: {each.words}" for place, fold, each in out[:_SOURCES_SAID]]
    more = [f"and {len(out) - _SOURCES_SAID} more"] if len(out) > _SOURCES_SAID else []
    return {"sources left out": "; ".join([*words, *more])}
