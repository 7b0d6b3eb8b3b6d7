"""The report's pictures: forest plot, confusion matrices, early-detection curve, as PNG at most 700 px wide.

Drawn on Figure objects with the Agg canvas and no global state, so the same inputs give the same bytes.
matplotlib is imported when the first picture is drawn. What does not belong here: computing figures, and the
tiny inline picture of the Dagster UI (`inline.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.drawing import FAINT, GRID, INK, canvas, png
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.rows import ordered
from rlstir_core.evaluation.stats.records import EarlyPoint, ModelEvaluation
from rlstir_core.text import drawable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#1f6fb4", "#c8611a", "#7b8794"
_LINES = ("#1f6fb4", "#c8611a", "#2a8a57", "#8e4ea8", "#b8860b", "#c2334d", "#4a5568", "#128a94")


def draw_all(inputs: ReportInputs) -> dict[str, bytes]:
    """Every picture that the inputs have figures for, by the name that the report uses. PNG bytes."""
    drawn = {"forest": forest(inputs), "confusion": confusion(inputs), "early": early(inputs)}
    return {name: png for name, png in drawn.items() if png}


def forest(inputs: ReportInputs) -> bytes:
    """Macro F1 of every model and baseline with its interval, and the line of chance."""
    models = [m for m in ordered(inputs) if m.metrics.macro_f1.value is not None]
    if not models:
        return b""
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
        axes.text(inputs.chance, 0.25, "guessing", color=FAINT, ha="center", va="bottom", fontsize=7.5)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    return png(figure)


def confusion(inputs: ReportInputs) -> bytes:
    """Small multiples of the confusion matrices; shades and numbers are shares of the true phase."""
    models = [m for m in ordered(inputs) if m.name not in {b.name for b in inputs.baselines}]
    if not models:
        return b""
    across = min(4, len(models))
    down = -(-len(models) // across)
    figure = canvas(0.5 + 1.86 * down, "constrained")
    for i, model in enumerate(models):
        axes = figure.add_subplot(down, across, i + 1)
        matrix = np.asarray(model.confusion.counts, np.float64)
        total = matrix.sum(axis=1, keepdims=True)
        share = np.divide(matrix, total, out=np.zeros_like(matrix), where=total > 0)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        K = len(model.confusion.phases)
        for row in range(K):
            for column in range(K):
                if total[row, 0] and share[row, column] >= 0.005:
                    ink = "white" if share[row, column] > 0.55 else INK
                    text = f"{100 * share[row, column]:.0f}"
                    axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=ink)
        short = [_short(phase) for phase in model.confusion.phases]
        axes.set_xticks(range(K), short if i >= len(models) - across else [""] * K, rotation=90)
        axes.set_yticks(range(K), short if i % across == 0 else [""] * K)
        axes.set_title(_plain(f"{model.model} {model.mode}"), fontsize=8, color=INK, pad=4)
        axes.tick_params(length=0, labelsize=7, colors=INK)
        _frame(axes, GRID)
    return png(figure)


def early(inputs: ReportInputs) -> bytes:
    """How the score grows with what was seen: one line per realistic model, the best one with its interval."""
    models = [m for m in ordered(inputs) if m.mode == PRIMARY_MODE and m.early_detection.points]
    if not models:
        return b""
    unit = models[0].early_detection.unit
    field, title = _early_field(models, unit)
    if not field:
        return b""
    figure, axes = _canvas(3.2)
    clock = [b for b in inputs.baselines if b.model == "clock" and b.early_detection.unit == unit]
    for i, model in enumerate([*models, *clock]):
        is_model = i < len(models)
        _curve(axes, model, field, _LINES[i % len(_LINES)] if is_model else FAINT, band=i == 0, solid=is_model)
    axes.set_xlabel(_plain(unit))
    axes.set_ylabel(title)
    axes.set_ylim(0, 1)
    axes.set_xlim(left=0)
    axes.grid(color=GRID, linewidth=0.8)
    legend = axes.legend(frameon=False, fontsize=7.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for text in legend.get_texts():
        text.set_color(INK)
    return png(figure)


def _early_field(models: Sequence[ModelEvaluation], unit: str) -> tuple[str, str]:
    """What the curve shows: the first of these that the models have figures for."""
    fields = [
        ("share_detected", "attacked episodes with an alarm"),
        ("attack_recall", "attack windows found"),
    ]
    if "onset" not in unit:
        fields = [("macro_f1", "macro F1")]
    for field, title in fields:
        if any(getattr(p, field).value is not None for m in models for p in m.early_detection.points):
            return field, title
    return "", ""


def _curve(axes: Any, model: ModelEvaluation, field: str, colour: str, *, band: bool, solid: bool) -> None:
    points: list[EarlyPoint] = [p for p in model.early_detection.points if getattr(p, field).value is not None]
    at = [point.at for point in points]
    axes.plot(
        at,
        [getattr(point, field).value for point in points],
        color=colour,
        marker="o",
        markersize=3.5,
        linewidth=1.5,
        linestyle="-" if solid else (0, (4, 3)),
        label=_plain(model.model),
    )
    bounds = [(p.at, getattr(p, field).lo, getattr(p, field).hi) for p in points]
    known = [bound for bound in bounds if bound[1] is not None]
    if band and known:
        axes.fill_between(*zip(*known, strict=True), color=colour, alpha=0.13, linewidth=0)


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
        markerfacecolor=colour if filled else "white",
        zorder=3,
    )
    axes.text(1.02, place, text, va="center", ha="left", fontsize=8, color=INK, clip_on=False)


def _canvas(height_in: float) -> tuple[Figure, Any]:
    figure = canvas(height_in, "constrained")
    axes = figure.add_subplot()
    axes.tick_params(length=0, labelsize=8, colors=INK)
    axes.xaxis.label.set(color=INK, fontsize=8)
    axes.yaxis.label.set(color=INK, fontsize=8)
    axes.set_axisbelow(True)
    _frame(axes, "none")
    return figure, axes


def _frame(axes: Any, colour: str) -> None:
    for spine in axes.spines.values():
        spine.set_color(colour)


def _plain(text: str) -> str:
    """Text that matplotlib draws as it is: a dollar sign would start a formula."""
    return drawable(text).replace("$", r"\$")


def _short(phase: str) -> str:
    return _plain(phase.replace("_", " "))[:17]
