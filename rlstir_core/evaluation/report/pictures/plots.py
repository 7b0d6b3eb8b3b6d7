"""The report's pictures: forest plot, confusion matrices, early-detection curves, at most 700 px wide.

Drawn on Figure objects with the Agg canvas and no global state, so the same inputs give the same bytes.
matplotlib is imported when the first picture is drawn. What does not belong here: computing figures, and the
tiny inline picture of the Dagster UI (`inline.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.drawing import FAINT, GRID, INK, PAPER, Drawn, canvas, png
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.pictures.splits import splits
from rlstir_core.evaluation.report.rows import ordered
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.text import drawable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#1f6fb4", "#c8611a", "#7b8794"
_ACROSS = 3  # panels of the early-detection picture in a row
STRONGEST = 0.57  # how much of a cell's paper its shade covers at most: its number stays readable in ink


def draw_all(inputs: ReportInputs) -> dict[str, Drawn]:
    """Every picture that the inputs have figures for, by the name that the report uses."""
    drawn = {"forest": forest(inputs), "honesty": splits(inputs), "confusion": confusion(inputs)}
    drawn["early"] = early(inputs)
    return {name: picture for name, picture in drawn.items() if picture}


def forest(inputs: ReportInputs) -> Drawn:
    """Macro F1 of every model and baseline with its interval, and the line of chance."""
    models = [m for m in ordered(inputs) if m.metrics.macro_f1.value is not None]
    if not models:
        return Drawn()
    figure, axes = _canvas(0.62 + 0.27 * len(models))
    baselines = {baseline.name for baseline in inputs.baselines}
    place, ticks = 0.0, []
    before = ""
    for model in models:
        group = "baseline" if model.name in baselines else model.mode
        place += 1.0 if group == before or not before else 1.5
        before = group
        ticks.append(place)
        colour = GREY if group == "baseline" else BLUE if group == PRIMARY_MODE else ORANGE
        _interval(axes, place, model, colour, filled=group != "baseline")
    labels = [_plain(m.model if m.name in baselines else f"{m.model}  {m.mode}") for m in models]
    axes.set_yticks(ticks, labels)
    axes.set_ylim(place + 0.8, 0.2)
    axes.set_xlim(0, 1)
    axes.set_xlabel("macro F1 on test, 95 % interval by episode")
    if inputs.chance is not None:
        axes.axvline(inputs.chance, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        above = axes.get_xaxis_transform()  # x in figures, y in shares of the axes
        axes.text(
            inputs.chance, 1.005, "guessing", color=FAINT, ha="center", va="bottom", fontsize=7.5, transform=above
        )
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    return png(figure)


def confusion(inputs: ReportInputs) -> Drawn:
    """Small multiples of the confusion matrices: per cent of the windows of each true phase, shaded likewise."""
    from matplotlib.patches import Rectangle

    models = [m for m in ordered(inputs) if m.name not in {b.name for b in inputs.baselines}]
    if not models:
        return Drawn()
    across = min(4, len(models))
    down = -(-len(models) // across)
    figure = canvas(0.75 + 1.86 * down, "constrained")
    for i, model in enumerate(models):
        axes = figure.add_subplot(down, across, i + 1)
        matrix = np.asarray(model.confusion.counts, np.float64)
        total = matrix.sum(axis=1, keepdims=True)
        share = np.divide(matrix, total, out=np.zeros_like(matrix), where=total > 0)
        K = len(model.confusion.phases)
        axes.set_xlim(-0.5, K - 0.5)
        axes.set_ylim(K - 0.5, -0.5)
        axes.set_aspect("equal")
        for row, column in zip(*np.nonzero(share >= 0.005), strict=True):
            alpha = STRONGEST * share[row, column]
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=BLUE, alpha=alpha, linewidth=0))
            text = f"{100 * share[row, column]:.0f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=INK)
        short = [_short(phase) for phase in model.confusion.phases]
        counted = [f"{name} ({int(n):,})" for name, n in zip(short, total[:, 0], strict=True)]
        axes.set_xticks(range(K), short if i >= len(models) - across else [""] * K, rotation=90)
        axes.set_yticks(range(K), counted if i % across == 0 else [""] * K)
        axes.set_title(_plain(f"{model.model} {model.mode}"), fontsize=8, color=INK, pad=4)
        axes.tick_params(length=0, labelsize=7, colors=INK)
        _frame(axes, GRID)
    words = "a cell: % of the windows of its true phase, which has (n) windows"
    figure.supxlabel(words, fontsize=8, color=INK)
    figure.supylabel("true phase", fontsize=8, color=INK)
    return png(figure)


def early(inputs: ReportInputs) -> Drawn:
    """How the score grows with what was seen: a panel per realistic model, over all others in grey, with the clock.

    One picture of all would hide most of them: detectors that find the same episodes have the same curve.
    """
    models = [m for m in ordered(inputs) if m.mode == PRIMARY_MODE and m.early_detection.points]
    if not models:
        return Drawn()
    unit = models[0].early_detection.unit
    field, title = early_field(inputs)
    if not field:
        return Drawn()
    clock = [b for b in inputs.baselines if b.model == "clock" and b.early_detection.unit == unit]
    across = min(_ACROSS, len(models))
    down = -(-len(models) // across)
    figure = canvas(0.55 + 1.5 * down, "constrained")
    at = [point.at for point in models[0].early_detection.points]
    for i, model in enumerate(models):
        axes = figure.add_subplot(down, across, i + 1)
        _bare(axes)
        for other in models:
            if other is not model:
                axes.plot(*_values(other, field), color=GREY, linewidth=0.8, alpha=0.55, zorder=1.5)
        for baseline in clock:
            axes.plot(*_values(baseline, field), color=FAINT, linewidth=1.3, linestyle=(0, (4, 3)), zorder=1.7)
        bounds = _bounds(model, field)
        if bounds:
            seen, lo, hi = zip(*bounds, strict=True)
            axes.fill_between(seen, lo, hi, color=BLUE, alpha=0.16, linewidth=0, zorder=1.6)
        axes.plot(*_values(model, field), color=BLUE, linewidth=1.6, marker="o", markersize=3.5, zorder=2)
        axes.set_title(_plain(model.model), fontsize=8, color=INK, pad=4)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlim(0, max(at) * 1.1)  # the last label of a panel stays clear of the next panel's first
        axes.set_yticks((0, 0.5, 1), ("0", "0.5", "1") if i % across == 0 else ("", "", ""))
        axes.grid(color=GRID, linewidth=0.8)
        if i < len(models) - across:
            axes.tick_params(labelbottom=False)
    figure.supxlabel(_plain(unit), fontsize=8, color=INK)
    figure.supylabel(title, fontsize=8, color=INK)
    return png(figure)


def early_field(inputs: ReportInputs) -> tuple[str, str]:
    """What the early-detection picture shows: the first of these that the realistic models have figures for."""
    models = [m for m in inputs.models if m.mode == PRIMARY_MODE and m.early_detection.points]
    fields = [
        ("share_detected", "attacked episodes with an alarm"),
        ("attack_recall", "attack windows found"),
    ]
    if models and "onset" not in models[0].early_detection.unit:
        fields = [("macro_f1", "macro F1")]
    for field, title in fields:
        if any(getattr(p, field).value is not None for m in models for p in m.early_detection.points):
            return field, title
    return "", ""


def early_bands(inputs: ReportInputs) -> bool:
    """Whether the early-detection picture draws an interval anywhere."""
    field, _ = early_field(inputs)
    models = [m for m in inputs.models if m.mode == PRIMARY_MODE]
    return bool(field) and any(_bounds(model, field) for model in models)


def _values(model: ModelEvaluation, field: str) -> tuple[list[float], list[float]]:
    points = [p for p in model.early_detection.points if getattr(p, field).value is not None]
    return [point.at for point in points], [getattr(point, field).value for point in points]


def _bounds(model: ModelEvaluation, field: str) -> list[tuple[float, float, float]]:
    """(at, lo, hi) where there is an interval, and only where a band between two of them can be drawn."""
    found = [(p.at, getattr(p, field).lo, getattr(p, field).hi) for p in model.early_detection.points]
    known = [bound for bound in found if bound[1] is not None and bound[2] is not None]
    return known if len(known) > 1 else []


def _interval(axes: Any, place: float, model: ModelEvaluation, colour: str, *, filled: bool) -> None:
    score = model.metrics.macro_f1
    text = f"{score.value:.3f}"
    if score.lo is not None and score.hi is not None:
        axes.plot([score.lo, score.hi], [place, place], color=colour, linewidth=2, solid_capstyle="butt", zorder=2)
        text += f"  [{score.lo:.3f}, {score.hi:.3f}]"
    axes.plot(
        [score.value],
        [place],
        "o",
        color=colour,
        markersize=6,
        markerfacecolor=colour if filled else PAPER,
        zorder=3,
    )
    axes.text(1.02, place, text, va="center", ha="left", fontsize=8, color=INK, clip_on=False)


def _canvas(height_in: float) -> tuple[Figure, Any]:
    figure = canvas(height_in, "constrained")
    axes = figure.add_subplot()
    _bare(axes)
    return figure, axes


def _bare(axes: Any) -> None:
    axes.tick_params(length=0, labelsize=8, colors=INK)
    axes.xaxis.label.set(color=INK, fontsize=8)
    axes.yaxis.label.set(color=INK, fontsize=8)
    axes.set_axisbelow(True)
    _frame(axes, "none")


def _frame(axes: Any, colour: str) -> None:
    for spine in axes.spines.values():
        spine.set_color(colour)


def _plain(text: str) -> str:
    """Text that matplotlib draws as it is: a dollar sign would start a formula."""
    return drawable(text).replace("$", r"\$")


def _short(phase: str) -> str:
    return _plain(phase.replace("_", " "))[:17]
