"""The report on cost: what scoring took on the machine that did it, and how large the models are.

What does not belong here: any figure that two runs share.
"""

from __future__ import annotations

from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import number, table
from rlstir_core.evaluation.report.rows import ordered, row_name


def cost_section(inputs: ReportInputs) -> str:
    """Time by window, size and parameters of every model; empty where nothing was measured."""
    costs = {cost.name: cost for cost in inputs.costs}
    rows = [
        [
            row_name(model, inputs),
            cost.device,
            number(cost.inputs_cpu_ms, 2),
            number(cost.predict_cpu_ms, 2),
            f"{cost.windows_per_s:,.0f}",
            f"{cost.members}",
            f"{cost.parameters:,}",
            f"{cost.checkpoint_bytes / 1024:,.0f}",
        ]
        for model in ordered(inputs)
        if (cost := costs.get(model.name)) is not None
    ]
    if not rows:
        return ""
    text = (
        "## Cost\n\nMeasured while the episodes of this report were scored, on the machine that did it and beside "
        "whatever else ran there: another run gives other times, so none of this is part of the result or of its hash. "
        "A window is scored by several members (all of a round on the test side, one on validation). Making its inputs "
        "means reading its tensor or its features and normalising them, in blocks of episodes; a single window at a "
        "time takes longer. "
        "An ensemble costs what its parts cost, with inputs of one kind made once, and what combining them took; "
        "fitting its weights is in no row, nor is any training. "
        "What counts as a parameter of trees is a tree of one phase.\n\n"
    )
    head = ["model", "device", "inputs, ms CPU a window", "prediction, ms CPU a window", "windows a second"]
    head += ["members", "parameters of all", "checkpoint, KiB"]
    return text + table(head, rows, "llrrrrrr")
