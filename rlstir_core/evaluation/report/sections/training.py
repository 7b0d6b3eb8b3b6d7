"""The report on training: how far members lie apart, and what more train episodes give.

What does not belong here: differences between models (`models.py`).
"""

from __future__ import annotations

from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import number, table
from rlstir_core.evaluation.report.rows import ordered, row_name


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
        "over seeds; it is the extremes over few members and no interval.\n\n"
    )
    head = ["model", "together, macro F1", "lowest member", "highest member", "spread", "members"]
    return text + table(head, rows, "lrrrrl")
