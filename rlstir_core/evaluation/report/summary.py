"""The few lines that close a command: the store, the best result with its interval, what was not tested, what next.

What does not belong here: the report itself (`document.py`), and which command comes next: the command line knows how
it was called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from rlstir_core.episodes.store.index import load_index
from rlstir_core.errors import UpstreamMissing
from rlstir_core.evaluation.detectors.detector_eval import read_inputs
from rlstir_core.evaluation.investigation.encoder_eval import read_encoder_evaluation
from rlstir_core.evaluation.report.encoder_card import encoder_line
from rlstir_core.evaluation.report.history import made_lines, read_history
from rlstir_core.evaluation.report.honesty import read_honesty
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import figure, listed, number, plural
from rlstir_core.evaluation.report.rows import causes
from rlstir_core.evaluation.report.sections.honesty import closing_line
from rlstir_core.evaluation.report.sections.verdict import chosen_model, is_void
from rlstir_core.evaluation.stats.rules import VOID_MARGIN
from rlstir_core.results.layout import Layout

_MOST = 25


def closing_summary(data: Path, reports: Mapping[str, Path], next_step: str) -> list[str]:
    """At most 25 lines about the reports that lie in `data`; `next_step` is a whole command, or a whole sentence."""
    layout = Layout(data)
    found = {}
    for recipe, path in reports.items():
        inputs = read_inputs(layout, recipe)
        if inputs is not None:
            encoder = read_encoder_evaluation(layout, recipe)
            inputs = msgspec.structs.replace(inputs, honesty=read_honesty(layout, recipe), investigation=encoder)
            found[recipe] = (inputs, path)
    try:
        stored: Mapping[str, int] = Counter(entry.host_id for entry in load_index(layout.index).entries)
    except UpstreamMissing:
        stored = {}
    return closing_lines(found, stored=stored, next_step=next_step)


def closing_lines(
    found: Mapping[str, tuple[ReportInputs, Path]], *, stored: Mapping[str, int], next_step: str
) -> list[str]:
    """The same from what was read: inputs and path of the report by recipe, episodes in the store by host."""
    lines = [f"store: {plural(sum(stored.values()), 'episode')} of {plural(len(stored), 'host')}"] if stored else []
    room = (_MOST - 2) // max(1, len(found))
    for inputs, path in found.values():
        lines += [*_of_recipe(inputs, path)[: room - 2], f"report: {path}", f"        {path.with_suffix('.html')}"]
    if not found:
        lines.append("no report was made")
    return [*lines[: _MOST - 1], f"next: {next_step}"]


def _of_recipe(inputs: ReportInputs, path: Path) -> list[str]:
    counts, test = inputs.manifest.counts, inputs.split.test
    kind = "synthetic episodes" if inputs.synthetic else "episodes"
    read, ok, degraded, rejected = (counts.get(f"episodes_{n}", 0) for n in ("read", "ok", "degraded", "rejected"))
    lines = [
        "",
        f"recipe {inputs.recipe}: {read:,} {kind}, {ok:,} ok, {degraded:,} degraded, {rejected:,} rejected; "
        f"{test.episodes:,} held out for the test",
    ]
    chosen = chosen_model(inputs)
    if chosen is not None:
        model, side = chosen
        lines.append(f"best by {side}: {model.name}; on test, macro F1 {figure(model.metrics.macro_f1)}")
        if model.new_host.lo is not None:
            lines.append(f"  for a new host like them: {figure(model.new_host)}")
    if inputs.investigation is not None:
        lines.append(encoder_line(inputs.investigation))
    if is_void(inputs):
        lines.append(f"the comparison is void: the clock alone beats chance by more than {number(VOID_MARGIN)}")
    if test.degraded:
        why = causes(test.causes, of=test.degraded, most=3)
        lines.append(f"  {test.degraded:,} of {plural(test.episodes, 'test episode')} were degraded ({why})")
    history = read_history(path)
    if history is not None and history.previous is not None:
        lines += made_lines(history)[1:]
    for baseline in inputs.baselines:
        lines.append(f"  baseline {baseline.name}: macro F1 {figure(baseline.metrics.macro_f1)}")
    if inputs.honesty is not None and (line := closing_line(inputs.honesty)):
        lines.append(line)
    if inputs.untested:
        lines.append(f"untested: {listed([f'{u.kind} {u.name}' for u in inputs.untested[:8]])}")
    for fault in inputs.quality.index_faults[:3]:
        lines.append(f"index line {fault.line}: {fault.detail}")
    return lines
