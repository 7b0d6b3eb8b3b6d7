"""The report's breakdowns: by phase, profile, host, completeness, start and time since the onset.

What does not belong here: the main table and the differences (`models.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import MISSING, figure, listed, number, percent, table
from rlstir_core.evaluation.report.pictures.plots import early_bands, early_field
from rlstir_core.evaluation.report.rows import column_notes, notes, ordered, picture, row_name, time_to_detect
from rlstir_core.evaluation.report.sections.verdict import chosen_model
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import ModelEvaluation, Stratum
from rlstir_core.evaluation.stats.rules import ALARM_FPR
from rlstir_core.text import escape_md

_COLUMNS_A_TABLE = 6


def phases_section(inputs: ReportInputs) -> str:
    models = ordered(inputs)
    names = list(dict.fromkeys(phase for model in models for phase in model.metrics.per_phase))
    if not names:
        return ""
    sizes = {phase: score.n_test for model in models for phase, score in model.metrics.per_phase.items()}
    head = {name: f"{escape_md(name)} (n = {sizes[name]})" for name in names}

    def cell(model: ModelEvaluation, name: str) -> str:
        score = model.metrics.per_phase.get(name)
        return MISSING if score is None else figure(score.f1, 2)

    def of(name: str) -> list[Estimate]:
        return [m.metrics.per_phase[name].f1 for m in models if name in m.metrics.per_phase]

    text = "## Per phase\n\nF1; n counts the test episodes in which the phase stands.\n\n"
    return text + _explained(_wide(inputs, names, head, cell), {escape_md(name): of(name) for name in names})


def _explained(tables: str, columns: dict[str, list[Estimate]]) -> str:
    explained = column_notes(columns)
    return f"{tables}\n\n{explained}" if explained else tables


def strata_section(
    inputs: ReportInputs, kind: str, title: str, of: Callable[[ModelEvaluation], dict[str, Stratum]]
) -> str:
    models = ordered(inputs)
    found = {name: part for model in models for name, part in of(model).items()}
    if not found:
        return f"## {title}\n\nNo {kind} has enough test episodes."
    head = {name: f"{escape_md(name)} (n = {part.n_test})" for name, part in found.items()}

    def cell(model: ModelEvaluation, name: str) -> str:
        part = of(model).get(name)
        return MISSING if part is None else figure(part.macro_f1, 2)

    over: dict[tuple[str, ...], list[str]] = {}
    for name, part in found.items():
        over.setdefault(part.phases, []).append(escape_md(name))
    averages = [
        f"- {listed(names)}: over {listed([escape_md(p) for p in phases]) or 'no phase'}"
        for phases, names in over.items()
    ]
    text = "Macro F1; n counts test episodes. The average goes over the phases tested there:"
    columns = {escape_md(name): [of(m)[name].macro_f1 for m in models if name in of(m)] for name in found}
    whole = _explained(_wide(inputs, list(found), head, cell), columns)
    return f"## {title}\n\n{text}\n\n" + "\n".join(averages) + f"\n\n{whole}"


def _wide(
    inputs: ReportInputs,
    names: Sequence[str],
    head: dict[str, str],
    cell: Callable[[ModelEvaluation, str], str],
) -> str:
    """Models down, strata across, at most six a table so that it stays readable."""
    tables = []
    for start in range(0, len(names), _COLUMNS_A_TABLE):
        some = names[start : start + _COLUMNS_A_TABLE]
        rows = [[row_name(model, inputs), *(cell(model, name) for name in some)] for model in ordered(inputs)]
        tables.append(table(["model", *(head[name] for name in some)], rows))
    return "\n\n".join(tables)


def completeness_section(inputs: ReportInputs) -> str:
    models = ordered(inputs)
    if all(model.degraded is None for model in models):
        return "## Complete and degraded episodes\n\nNo test episode is degraded."
    rows = [
        [
            row_name(model, inputs),
            *(cell for part in (model.complete, model.degraded) for cell in _part(part)),
        ]
        for model in models
    ]
    head = ["model", "complete, macro F1", "n", "degraded, macro F1", "n"]
    text = (
        "## Complete and degraded episodes\n\nA degraded episode lacks a source or lost rows. The two are "
        "scored apart; their averages may go over different phases.\n\n"
    )
    parts = {"complete": [m.complete for m in models], "degraded": [m.degraded for m in models]}
    columns = {title: [p.macro_f1 for p in found if p is not None] for title, found in parts.items()}
    return text + _explained(table(head, rows), columns)


def _part(part: Stratum | None) -> list[str]:
    return [MISSING, "0"] if part is None else [figure(part.macro_f1), str(part.n_test)]


def early_section(inputs: ReportInputs) -> str:
    models = [model for model in ordered(inputs) if model.early_detection.points]
    if not models:
        return ""
    first = models[0].early_detection
    whole = "onset" not in first.unit
    if inputs.one_sided and not whole:
        return ""
    parts = ["## Early detection", "", *picture(inputs, "early", "How the score grows with what was seen")]
    shown: list[tuple[str, str]] = (
        [
            ("macro_f1", "Macro F1 from the first part of a run alone"),
            ("accuracy", "Accuracy from the first part of a run alone"),
        ]
        if whole
        else [
            ("attack_recall", "Share of attack windows called an attack, up to that time after the onset"),
            (
                "share_detected",
                f"Share of attacked episodes with an alarm by then, at {percent(ALARM_FPR)} false positives",
            ),
        ]
    )
    if "early" in inputs.pictures:
        parts += [_caption(inputs), ""]
    for field, title in shown:
        rows = [
            [row_name(model, inputs), *(figure(getattr(p, field), 2) for p in model.early_detection.points)]
            for model in models
            if len(model.early_detection.points) == len(first.points)
        ]
        if any(cell != MISSING for row in rows for cell in row[1:]):
            head = ["model", *(f"{point.at:g} {'s' if not whole else first.unit}" for point in first.points)]
            explained = column_notes(
                {
                    head[i + 1]: [
                        x
                        for m in models
                        for p in m.early_detection.points[i : i + 1]
                        if (x := getattr(p, field)).value is not None
                    ]
                    for i in range(len(first.points))
                }
            )
            parts += [f"{title}:", "", table(head, rows), "", *([explained, ""] if explained else [])]
        else:
            reasons = notes(getattr(p, field) for m in models for p in m.early_detection.points)
            parts += [f"{title}: not given ({escape_md('; '.join(reasons))}).", ""]
    early = [(model, model.prefix_mean) for model in models if model.prefix_mean is not None]
    if early:
        rows = [[row_name(model, inputs), figure(mean.accuracy), figure(mean.macro_f1)] for model, mean in early]
        by = {escape_md(model.selected_on) for model, _ in early}
        words = (
            f"The mean over these lengths, on the same resamples of the same runs (chosen on {'; '.join(sorted(by))})"
        )
        parts += [f"{words}:", "", table(["model", "accuracy [95 %]", "macro F1 [95 %]"], rows), ""]
    if any(model.time_to_detect.mean_s.value is not None for model in models):
        parts += [_times(inputs, models)]
    return "\n".join(parts).rstrip()


def _caption(inputs: ReportInputs) -> str:
    """What the picture of early detection shows; of bands only where it draws some."""
    text = "Each panel shows one realistic model in blue over the others in grey; the dashed line is the clock."
    if early_bands(inputs):
        return f"{text} The band is the 95 % interval of the model in blue."
    field, _ = early_field(inputs)
    models = [model for model in inputs.models if model.mode == PRIMARY_MODE]
    why = notes(getattr(p, field) for m in models for p in m.early_detection.points) if field else []
    return f"{text} No band is drawn: {escape_md('; '.join(why))}." if why else text


def _times(inputs: ReportInputs, models: Sequence[ModelEvaluation]) -> str:
    """Time to detect: mean, median and the share that was detected at all."""
    rows = [
        [
            row_name(model, inputs),
            time_to_detect(model),
            "not reached" if model.time_to_detect.median_s is None else number(model.time_to_detect.median_s, 1),
            figure(model.time_to_detect.share_detected, 2),
        ]
        for model in models
    ]
    first = models[0].time_to_detect
    unseen = f"; {first.n_onset_unseen} more began before the scored part" if first.n_onset_unseen else ""
    text = (
        f"Time from the onset to the first alarm at {percent(ALARM_FPR)} false positives, in seconds, over "
        f"{first.n_episodes} attacked episodes{unseen}. The median is not reached where most are missed:"
    )
    columns = {
        "mean, s": [m.time_to_detect.mean_s for m in models],
        "share detected": [m.time_to_detect.share_detected for m in models],
    }
    return f"{text}\n\n" + _explained(table(["model", "mean, s", "median, s", "share detected"], rows), columns)


def confusion_section(inputs: ReportInputs) -> str:
    chosen = chosen_model(inputs)
    if chosen is None:
        return ""
    model = chosen[0]
    phases = [escape_md(phase) for phase in model.confusion.phases]
    rows = [
        [phase, *(_of_row(count, sum(counts)) for count in counts), f"{sum(counts):,}"]
        for phase, counts in zip(phases, model.confusion.counts, strict=True)
    ]
    return "\n".join(
        [
            "## Confusion",
            "",
            *picture(inputs, "confusion", "Confusion matrices: per cent of the windows of each true phase"),
            f"Test windows of {row_name(model, inputs)}, and in brackets their share of the windows of the true phase; "
            "rows are true phases, columns predicted ones:",
            "",
            table(["true phase", *phases, "all windows"], rows),
        ]
    )


def _of_row(count: int, total: int) -> str:
    return f"{count:,} ({100 * count / total:.0f} %)" if total else "0"


def start_section(inputs: ReportInputs) -> str:
    """Random starts beside the recordings' own start: what the clock would have given."""
    models = [model for model in ordered(inputs) if model.as_recorded is not None]
    if not models:
        return ""
    rows = [
        [row_name(m, inputs), figure(m.metrics.macro_f1), figure(m.as_recorded.macro_f1)]
        for m in models
        if m.as_recorded is not None
    ]
    text = (
        "## Random start beside the recording's own start\n\nEvery other figure scores test episodes from a "
        "uniform random start. From the recording's own start the time tells the phase, which no "
        "deployment offers.\n\n"
    )
    return text + table(["model", "random start", "own start"], rows)
