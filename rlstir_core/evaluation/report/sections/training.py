"""The report on training: how far members and seeds lie apart, and what more train episodes give.

What does not belong here: differences between models (`models.py`).
"""

from __future__ import annotations

from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import MISSING, figure, number, signed, table
from rlstir_core.evaluation.report.rows import notes, ordered, picture, row_name
from rlstir_core.text import escape_md


def spread_section(inputs: ReportInputs) -> str:
    """Macro F1 of the members of every model, each by itself."""
    spreads = {spread.name: spread for spread in inputs.members}
    rows = [
        [
            row_name(model, inputs),
            number(spread.together),
            number(min(spread.members)),
            number(max(spread.members)),
            number(max(spread.members) - min(spread.members)),
            ", ".join(number(score) for score in spread.members),
        ]
        for model in ordered(inputs)
        if (spread := spreads.get(model.name)) is not None
    ]
    if not rows:
        return ""
    text = (
        "## Spread of members\n\nA model's probability is the mean of its members'. Each member left another fold of "
        "the train episodes out and alone would have been a model of this kind. Their macro F1 on the same test "
        "episodes shows how much a figure depends on which episodes were learnt from: two models that lie closer "
        "together than their members do should not be ranked. All members begin from one seed, so this is no spread "
        f"over seeds{', which stands below' if inputs.seeds else ''}; it is the extremes over few members and no "
        "interval.\n\n"
    )
    head = ["model", "together, macro F1", "lowest member", "highest member", "spread", "members"]
    return text + table(head, rows, "lrrrrl")


def seeds_section(inputs: ReportInputs) -> str:
    """Macro F1 of one member from several seeds, beside the spread of members."""
    if not inputs.seeds:
        return ""
    names = {model.name: row_name(model, inputs) for model in inputs.models}
    members = {spread.name: max(spread.members) - min(spread.members) for spread in inputs.members}
    rows = [
        [
            names[spread.name],
            f"{len(spread.seeds)}",
            number(min(spread.scores)),
            number(max(spread.scores)),
            number(max(spread.scores) - min(spread.scores)),
            figure(spread.deviation),
            number(members.get(spread.name)),
            ", ".join(f"{number(f1)} ({seed})" for seed, f1 in zip(spread.seeds, spread.scores, strict=True)),
        ]
        for spread in inputs.seeds
    ]
    text = (
        "## Spread over seeds\n\nThe member that leaves the first fold out, trained again from other seeds: the same "
        "episodes and windows, the same random starts and gains, the same fold to stop on. What a seed decides is "
        "which rows and columns a tree is grown on, and a network's first weights, its dropout and the order of its "
        "batches. The first seed is the checkpoint's own. Macro F1 is on the same test episodes, so this is what luck "
        "in training alone does to a figure; no interval of a score contains it. A standard deviation over so few "
        "seeds is a rough one: its interval takes the seeds for independent and their figures for normal. A "
        "range grows with the number of fits, so ranges over seeds and over members compare where there are as many "
        "of both.\n\n"
    )
    head = ["model", "seeds", "lowest", "highest", "spread", "standard deviation [95 %]", "spread of members"]
    reasons = notes(spread.deviation for spread in inputs.seeds)
    listing = "".join(f"\n- {escape_md(reason)}" for reason in reasons)
    return text + table([*head, "macro F1 (seed)"], rows, "lrrrrrrl") + (f"\n{listing}" if listing else "")


def learning_section(inputs: ReportInputs) -> str:
    """Macro F1 by share of the train episodes."""
    points = inputs.learning
    if not points:
        return ""
    rows = [
        [
            f"{100 * point.share:g} %",
            f"{point.n_episodes:,}",
            figure(point.macro_f1),
            MISSING if point.gain is None else signed(point.gain),
        ]
        for point in points
    ]
    text = (
        "`gbt` realistic, one member, on nested shares of the train episodes: whole episodes, spread over hosts, "
        "profiles and benign twins, drawn once and without a look at the test side. Its validation fold shrinks with "
        "the share; the last row is the first member of the checkpoint. Intervals resample test episodes; which train "
        "episodes a share holds is one draw and adds to them. A gain is taken on the same resamples."
    )
    caption = "Macro F1 by number of train episodes, with its 95 % interval"
    head = ["share", "train episodes", "macro F1 [95 %]", "gain over the share before"]
    parts = ["## Learning curve", "", *picture(inputs, "learning", caption), text, "", table(head, rows)]
    reasons = notes(point.macro_f1 for point in points)
    if reasons:
        parts += ["", *(f"- {escape_md(reason)}" for reason in reasons)]
    return "\n".join(parts)
