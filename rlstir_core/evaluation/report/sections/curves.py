"""The report on thresholds and probabilities: ROC, precision and recall, reliability.

What does not belong here: what happens at the alarm threshold (`alarms.py`).
"""

from __future__ import annotations

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import MISSING, figure, listed, number, percent, table
from rlstir_core.evaluation.report.rows import notes, ordered, picture, row_name
from rlstir_core.evaluation.stats.records import Curves
from rlstir_core.evaluation.stats.rules import FPRS
from rlstir_core.text import escape_md


def curves_section(inputs: ReportInputs) -> str:
    """ROC and precision-recall curves, their areas, and where the thresholds lie."""
    models = [(model, model.curves) for model in ordered(inputs) if model.curves is not None]
    if not models:
        return ""
    given = {each.asked_fpr for _, curves in models for each in curves.operating}
    fprs = [fpr for fpr in FPRS if fpr in given]
    rows = [
        [
            row_name(model, inputs),
            figure(model.attack_vs_rest.auroc),
            figure(curves.average_precision),
            *(cell for fpr in fprs for cell in _operating(curves, fpr)),
        ]
        for model, curves in models
    ]
    head = ["model", "AUROC [95 %]", "average precision [95 %]"]
    head += [f"at {percent(fpr)}: {what}" for fpr in fprs for what in ("recall", "precision")]
    caption = f"ROC and precision-recall curves of the {PRIMARY_MODE} models, with their thresholds"
    share = models[0][1].attack_share
    marks = (
        f"Marks are the thresholds that validation chose for {listed([percent(fpr) for fpr in fprs])} false positives, "
        "where the test side puts them; recall there has its interval in the table of thresholds above. "
    )
    text = (
        f"Attack against the rest, by the summed attack probability of a window. {marks if fprs else ''}Average "
        f"precision must be read against {number(share, 2)}, the share of test windows under attack, which calling "
        "everything an attack would give."
    )
    parts = ["## ROC and precision-recall", "", *picture(inputs, "curves", caption), text, "", table(head, rows)]
    reasons = notes(curves.average_precision for _, curves in models)
    if reasons:
        parts += ["", *(f"- {escape_md(reason)}" for reason in reasons)]
    return "\n".join(parts)


def _operating(curves: Curves, fpr: float) -> tuple[str, str]:
    at = next((each.at for each in curves.operating if each.asked_fpr == fpr), None)
    return (MISSING, MISSING) if at is None else (number(at.recall, 2), number(at.precision, 2))


def reliability_section(inputs: ReportInputs) -> str:
    """How often windows are under attack, by the attack probability that they were given."""
    chosen = inputs.chosen
    if chosen is None or not chosen.reliability:
        return ""
    model = next(each for each in inputs.models if each.name == chosen.name)
    rows = [
        [
            f"{each.low:.1f} to {each.high:.1f}",
            f"{each.n_windows:,}",
            f"{each.n_episodes:,}",
            number(each.mean_probability, 2),
            figure(each.share, 2),
        ]
        for each in chosen.reliability
    ]
    text = (
        f"Test windows of {row_name(model, inputs)} by attack probability, and the share of them that are under "
        "attack: on the diagonal a probability means what it says. The calibration error in the table of models is "
        f"that of the most probable phase, {figure(model.calibration, 2)} here."
    )
    caption = "Attack probability against the share under attack, with 95 % intervals of the chosen model"
    head = ["attack probability", "windows", "episodes", "mean probability", "share under attack [95 %]"]
    parts = ["## Reliability", "", *picture(inputs, "reliability", caption), text, "", table(head, rows)]
    reasons = notes(each.share for each in chosen.reliability)
    if reasons:
        parts += ["", *(f"- {escape_md(reason)}" for reason in reasons)]
    return "\n".join(parts)
