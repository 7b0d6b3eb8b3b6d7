"""The report's main table: every model beside the baselines, their differences, and what a random split hides.

What does not belong here: the strata of the test side (`breakdowns.py`) and the verdict (`verdict.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import MISSING, figure, number, p_value, percent, plural, signed, table
from rlstir_core.evaluation.report.rows import notes, ordered, picture, row_name
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.evaluation.stats.rules import ALARM_FPR
from rlstir_core.text import escape_md


def models_section(inputs: ReportInputs) -> str:
    rows = []
    models = ordered(inputs)
    no_new_host = {m.new_host.note for m in models if m.new_host.lo is None and m.new_host.note}
    for model in models:
        at = model.recall_at_fpr[0].recall if model.recall_at_fpr else Estimate(value=None)
        new_host = figure(model.new_host, 2) if model.new_host.lo is not None else MISSING
        rows.append(
            [
                row_name(model, inputs),
                figure(model.metrics.macro_f1),
                new_host,
                figure(model.metrics.accuracy, 2),
                figure(model.attack_vs_rest.f1, 2),
                figure(model.attack_vs_rest.auroc, 2),
                figure(at, 2),
                figure(model.calibration, 2),
                figure(model.time_to_detect.mean_s, 1),
            ]
        )
    if inputs.chance is not None:
        rows.append(["guessing by train frequencies", number(inputs.chance), *([MISSING] * 7)])
    head = [
        "model",
        "macro F1 [95 %]",
        "macro F1, new host",
        "accuracy",
        "attack F1",
        "attack AUROC",
        f"recall at {percent(ALARM_FPR)} FP",
        "calibration error",
        "mean time to detect, s",
    ]
    parts = ["## Models", "", *picture(inputs, "forest", "Macro F1 of every model with its 95 % interval")]
    parts.append(table(head, rows))
    footnotes = sorted(no_new_host) + notes(
        estimate
        for model in models
        for estimate in (
            model.metrics.macro_f1,
            model.attack_vs_rest.f1,
            *(at.recall for at in model.recall_at_fpr),
            model.calibration,
            model.time_to_detect.mean_s,
        )
    )
    parts += ["", *(f"- {escape_md(note)}" for note in dict.fromkeys(footnotes))] if footnotes else []
    parts += ["", *_thresholds(inputs, models)]
    return "\n".join(parts).rstrip()


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
    return [text, "", table(head, rows)]


def paired_section(inputs: ReportInputs) -> str:
    if not inputs.paired:
        return ""
    rows = [
        [
            f"{escape_md(row.model)} − {escape_md(row.reference)}",
            signed(row.difference),
            p_value(row.p),
            p_value(row.p_holm),
        ]
        for row in inputs.paired
    ]
    return (
        "## Paired differences\n\nMacro F1 of the first minus the second, on the same resamples of the same "
        f"episodes. Holm's correction covers all {plural(len(rows), 'comparison')}.\n\n"
        + table(["difference", "macro F1 [95 %]", "p", "p, Holm"], rows)
    )


def gap_section(inputs: ReportInputs) -> str:
    if not inputs.gaps:
        return ""
    rows = [[escape_md(g.model), figure(g.random), figure(g.held_out), signed(g.gap)] for g in inputs.gaps]
    return (
        f"## Random split beside the {escape_md(inputs.recipe)} split\n\nThe same models on the same "
        "store, with test episodes drawn at random: hosts and samples then stand on both sides. The gap is "
        "what that hides.\n\n" + table(["model", "random split", f"{escape_md(inputs.recipe)} split", "gap"], rows)
    )
