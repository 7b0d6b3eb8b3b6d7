"""The report's main table: every model beside the baselines, and their differences.

What does not belong here: the strata of the test side (`breakdowns.py`), other splits (`honesty.py`) and the verdict
(`verdict.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.detectors.models.spec import ENSEMBLE
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import (
    MISSING,
    figure,
    listed,
    number,
    p_value,
    percent,
    plural,
    signed,
    table,
)
from rlstir_core.evaluation.report.rows import (
    coded,
    column_notes,
    no_attack,
    ordered,
    picture,
    repeated,
    row_name,
    time_to_detect,
)
from rlstir_core.evaluation.report.sections.honesty import gap_picture
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.evaluation.stats.rules import ALARM_FPR
from rlstir_core.text import escape_md

_TIME = "mean time to detect, s"
_RECALL = f"recall at {percent(ALARM_FPR)} FP"
_HARMS_SHOWN = 12  # sources and channels, for each detector that falls
_OF_ATTACK = ("attack F1", "attack AUROC", _RECALL, _TIME)


def forest_picture(inputs: ReportInputs) -> list[str]:
    """Every model's figure with its interval."""
    return picture(inputs, "forest", "Macro F1 of every model with its 95 % interval")[:1]


def models_section(inputs: ReportInputs) -> str:
    models = ordered(inputs)
    columns: dict[str, Callable[[ModelEvaluation], Estimate]] = {
        "macro F1 [95 %]": lambda m: m.metrics.macro_f1,
        "macro F1, new host": lambda m: m.new_host,
        "accuracy": lambda m: m.metrics.accuracy,
        "attack F1": lambda m: m.attack_vs_rest.f1,
        "attack AUROC": lambda m: m.attack_vs_rest.auroc,
        _RECALL: _recall,
        "calibration error": lambda m: m.calibration,
        _TIME: lambda m: m.time_to_detect.mean_s,
    }
    if inputs.one_sided:
        columns = {title: of for title, of in columns.items() if title not in _OF_ATTACK}
    rows = [[row_name(model, inputs), *(_cell(model, title, of(model)) for title, of in columns.items())]
            for model in models]  # fmt: skip
    if inputs.chance is not None:
        rows.append(["guessing by train frequencies", number(inputs.chance), *([MISSING] * (len(columns) - 1))])
    shown_first = bool(gap_picture(inputs))  # so this one did not stand there
    parts = ["## Models", "", *([*forest_picture(inputs), ""] if shown_first else []), table(["model", *columns], rows)]
    explained = column_notes({title: map(of, models) for title, of in columns.items()})
    undetected = [m for m in models if m.time_to_detect.share_detected.value == 0]
    if undetected:
        n = undetected[0].time_to_detect.n_episodes
        words = f"none of {n} says that no alarm came in any of the {n} attacked episodes"
        explained += f"\n- {_TIME}: {words}; such a model has no time"
    parts += ["", explained.strip()] if explained else []
    parts += ["", no_attack(inputs)] if inputs.one_sided else []
    parts += ["", same] if (same := repeated(inputs)) else []
    parts += ["", *_thresholds(inputs, models)]
    return "\n".join(parts).rstrip()


def _recall(model: ModelEvaluation) -> Estimate:
    return model.recall_at_fpr[0].recall if model.recall_at_fpr else Estimate(value=None)


def _cell(model: ModelEvaluation, title: str, estimate: Estimate) -> str:
    if title == _TIME:
        return time_to_detect(model)
    if title == "macro F1, new host" and estimate.lo is None:
        return MISSING
    return figure(estimate, 3 if title.startswith("macro F1 [") else 2)


def _thresholds(inputs: ReportInputs, models: Sequence[ModelEvaluation]) -> list[str]:
    """The rates that thresholds set on validation gave on the test side, and the recall there."""
    given = [model for model in models if any(at.recall.value is not None for at in model.recall_at_fpr)]
    if not given:
        return []
    head = ["model", "validation negatives"]
    for at in given[0].recall_at_fpr:
        head += [f"at {percent(at.fpr)}: rate on test", "recall on test"]
    rows = []
    for model in given:
        row = [row_name(model, inputs), f"{model.recall_at_fpr[0].n_validation_negatives:,}"]
        for at in model.recall_at_fpr:
            row += [figure(at.realised_fpr), figure(at.recall)]
        rows.append(row)
    text = "Thresholds for a rate of false positives were set on validation; on the test side they gave:"
    explained = column_notes(
        {
            f"at {percent(at.fpr)}": [e for model in given for e in _both(model, i)]
            for i, at in enumerate(given[0].recall_at_fpr)
        }
    )
    return [text, "", table(head, rows), *(["", explained] if explained else [])]


def _both(model: ModelEvaluation, i: int) -> list[Estimate]:
    return [model.recall_at_fpr[i].realised_fpr, model.recall_at_fpr[i].recall]


def paired_section(inputs: ReportInputs) -> str:
    if not inputs.paired:
        return ""
    hosts = any(row.new_host is not None and row.new_host.lo is not None for row in inputs.paired)
    rows = [
        [
            f"{escape_md(row.model)} − {escape_md(row.reference)}",
            signed(row.difference),
            *([MISSING if row.new_host is None else signed(row.new_host)] if hosts else []),
            p_value(row.p),
            p_value(row.p_holm),
        ]
        for row in inputs.paired
    ]
    return (
        "## Paired differences\n\nMacro F1 of the first minus the second, on the same resamples of the same "
        f"episodes. Holm's correction covers all {plural(len(rows), 'comparison')}.\n\n"
        + table(["difference", "macro F1 [95 %]", *["new host [95 %]"] * hosts, "p", "p, Holm"], rows)
        + _ensemble_words(inputs)
        + _falls_words(inputs)
    )


def _ensemble_words(inputs: ReportInputs) -> str:
    """Whether the ensemble is worth its parts on a new host: above the trees by an interval over hosts, or not."""
    pair = (f"{ENSEMBLE}_{PRIMARY_MODE}", f"gbt_{PRIMARY_MODE}")
    row = next((row for row in inputs.paired if (row.model, row.reference) == pair), None)
    gap = None if row is None else row.new_host
    if gap is None:
        return ""
    if gap.lo is None or gap.hi is None:
        return f"\n\nWhether the ensemble is above `gbt` on a new host cannot be said: {escape_md(gap.note)}."
    says = "is above" if gap.lo > 0 else "is below" if gap.hi < 0 else "cannot be told apart from"
    return f"\n\nOn a new host like the test hosts the ensemble {says} `gbt`: {signed(gap)}, over hosts."


def _falls_words(inputs: ReportInputs) -> str:
    """Whether a mode that sees more says less, and which of the channels that it adds do it."""
    realistic = {model.name: model.model for model in inputs.models if model.mode == PRIMARY_MODE}
    wider = {model.name: model.model for model in inputs.models if model.mode != PRIMARY_MODE}
    gaps = {row.model: row.difference for row in inputs.paired
            if row.model in wider and realistic.get(row.reference) == wider[row.model]}  # fmt: skip
    gaps = {name: gap for name, gap in gaps.items() if gap.hi is not None}
    if not gaps:
        return ""
    if not inputs.falls:
        name, gap = min(gaps.items(), key=lambda item: item[1].value or 0.0)
        return (
            "\n\nNo model that sees more lies below its realistic row by more than noise; the lowest is "
            f"{escape_md(name)}, {signed(gap)}."
        )
    parts = [
        "### Models that see more and say less",
        "These lie below their realistic row by more than noise. What the wider mode adds was shown to them as "
        "missing, a source or a channel at a time, on test episodes: this explains their figures and chooses nothing. "
        "The change is macro F1 without it minus with it, so what is above 0 does harm.",
    ]
    for fall in inputs.falls:
        harmful = [each.what for each in fall.without if each.change.lo is not None and each.change.lo > 0]
        text = f"**{escape_md(fall.name)}** ({signed(fall.gap)} against {escape_md(fall.reference)}): "
        text += (
            f"it would be better off without {listed([coded(what) for what in harmful])}, by more than noise."
            if harmful
            else "none of them does it alone by more than noise: what is first in the table changes most."
        )
        rows = [[escape_md(each.what), str(each.channels), signed(each.change)] for each in fall.without[:_HARMS_SHOWN]]
        parts += [text, table([f"without, on {plural(fall.n_episodes, 'episode')}", "channels", "change"], rows)]
        if len(fall.without) > _HARMS_SHOWN:
            parts.append(f"{len(fall.without) - _HARMS_SHOWN} more change it less.")
    return "\n\n" + "\n\n".join(parts)
