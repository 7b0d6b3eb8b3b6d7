"""The few lines that close a command: counts, the best result with its interval, what was not tested, what next.

What does not belong here: the report itself (`document.py`).
"""

from __future__ import annotations

from pathlib import Path

from rlstir_core.evaluation.detectors.detector_eval import read_inputs
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import figure, listed, number
from rlstir_core.evaluation.report.sections.verdict import chosen_model, is_void
from rlstir_core.evaluation.stats.rules import VOID_MARGIN
from rlstir_core.results.layout import Layout

_MOST = 25


def closing_summary(data: Path, reports: dict[str, Path]) -> list[str]:
    """At most 25 lines about the reports that lie in `data`."""
    lines: list[str] = []
    room = _MOST // max(1, len(reports))
    for recipe, path in reports.items():
        inputs = read_inputs(Layout(data), recipe)
        if inputs is not None:
            lines += [*_of_recipe(inputs)[: room - 2], f"report: {path}", f"        {path.with_suffix('.html')}"]
    if not reports:
        lines.append("no report was made; run without --select to make one")
    return [*lines[: _MOST - 1], "next: make ui (the same runs in the Dagster UI), or open the HTML report"]


def _of_recipe(inputs: ReportInputs) -> list[str]:
    counts = inputs.manifest.counts
    kind = "synthetic episodes" if inputs.synthetic else "episodes"
    lines = [
        "",
        f"recipe {inputs.recipe}: {counts['episodes_read']} {kind}, {counts['episodes_ok']} ok, "
        f"{counts['episodes_degraded']} degraded, {counts['episodes_rejected']} rejected; "
        f"{inputs.split.test.episodes} held out for the test",
    ]
    chosen = chosen_model(inputs)
    if chosen is not None:
        model, side = chosen
        lines.append(f"best by {side}: {model.name}, macro F1 {figure(model.metrics.macro_f1)} on these hosts")
        if model.new_host.lo is not None:
            lines.append(f"  for a new host like them: {figure(model.new_host)}")
    for baseline in inputs.baselines:
        lines.append(f"  {baseline.name}: {figure(baseline.metrics.macro_f1)}")
    for gap in inputs.gaps[:1]:
        lines.append(f"random split of {gap.model}: {figure(gap.random)}, gap {figure(gap.gap)}")
    if is_void(inputs):
        lines.append(f"the comparison is void: the clock alone beats chance by more than {number(VOID_MARGIN)}")
    if inputs.untested:
        lines.append(f"untested: {listed([f'{u.kind} {u.name}' for u in inputs.untested[:8]])}")
    for fault in inputs.quality.index_faults[:3]:
        lines.append(f"index line {fault.line}: {fault.detail}")
    return lines
