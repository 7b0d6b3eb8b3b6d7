"""Pictures of curves: ROC beside precision and recall, reliability; PNG at most 700 px wide.

A model keeps its colour and its dashes in all of them, so that lines which lie on each other can be told apart. What
does not belong here: computing curves (`stats/curves.py`), and the pictures of scores (`plots.py`).
"""

from __future__ import annotations

from typing import Any

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.drawing import FAINT, GRID, INK, canvas, png
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import percent
from rlstir_core.evaluation.report.rows import ordered
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.evaluation.stats.rules import FPRS
from rlstir_core.text import drawable

COLOURS = ("#1f6fb4", "#c8611a", "#2a8a57", "#8e4ea8", "#b8860b", "#c2334d", "#4a5568", "#128a94")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 2)),
    (0, (3, 1.5)),
    (0, (1, 1.2)),
    (0, (7, 2, 1.5, 2)),
    (0, (4, 1, 1, 1, 1, 1)),
)
_MARKS = ("o", "D", "s")
_MOST = 8


def draw_curves(inputs: ReportInputs) -> dict[str, bytes]:
    """Every picture of this kind that the inputs have figures for, by the name that the report uses. PNG bytes."""
    drawn = {
        "curves": roc_and_precision(inputs),
        "reliability": reliability(inputs),
        "learning": learning_curve(inputs),
    }
    return {name: picture for name, picture in drawn.items() if picture}


def roc_and_precision(inputs: ReportInputs) -> bytes:
    """ROC on the left, precision and recall on the right, a mark at every threshold."""
    models = _realistic(inputs)
    if not models:
        return b""
    figure = canvas(3.85, "constrained")
    left, right = figure.subplots(1, 2)
    for i, model in enumerate(models):
        curves = model.curves
        assert curves is not None
        style = {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)], "linewidth": 1.5}
        left.plot([p.fpr for p in curves.points], [p.recall for p in curves.points], **style, label=_name(model))
        known = [p for p in curves.points if p.precision is not None]
        right.plot([p.recall for p in known], [p.precision for p in known], **style)
        for each in curves.operating:
            mark = {"marker": _MARKS[FPRS.index(each.asked_fpr)], "markersize": 5, "color": style["color"]}
            left.plot([each.at.fpr], [each.at.recall], **mark, linestyle="none", zorder=4, clip_on=False)
            if each.at.precision is not None:
                right.plot([each.at.recall], [each.at.precision], **mark, linestyle="none", zorder=4, clip_on=False)
    first = models[0].curves
    assert first is not None
    left.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, zorder=1)
    right.axhline(first.attack_share, color=FAINT, linewidth=0.8, zorder=1)
    _axes(left, "false positives, share of windows without attack", "recall")
    _axes(right, "recall", "precision")
    marked = sorted({each.asked_fpr for m in models if m.curves for each in m.curves.operating}, reverse=True)
    for fpr in marked:
        left.plot([], [], color=INK, linestyle="none", marker=_MARKS[FPRS.index(fpr)], markersize=5, label=_at(fpr))
    _legend(figure, left)
    return png(figure)


def reliability(inputs: ReportInputs) -> bytes:
    """The share under attack by attack probability, the chosen model with its intervals; below, its windows."""
    chosen = inputs.chosen
    models = _realistic(inputs)
    if chosen is None or not chosen.reliability or not models:
        return b""
    figure = canvas(4.3, "constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    upper.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, zorder=1)
    for i, model in enumerate(models):
        mine = model.name == chosen.name
        bins = chosen.reliability if mine else model.curves.reliability if model.curves else ()
        colour = COLOURS[i % len(COLOURS)]
        at = [each.mean_probability for each in bins]
        upper.plot(
            at,
            [each.share.value for each in bins],
            color=colour,
            linestyle=DASHES[i % len(DASHES)],
            linewidth=2.0 if mine else 1.0,
            alpha=1.0 if mine else 0.75,
            marker="o" if mine else None,
            markersize=4,
            zorder=3 if mine else 2,
            label=_name(model) + (", with 95 % intervals" if mine else ""),
        )
        if mine:
            for each in bins:
                if each.share.lo is not None and each.share.hi is not None:
                    ends = [each.share.lo, each.share.hi]
                    upper.plot([each.mean_probability] * 2, ends, color=colour, linewidth=1.4, zorder=3)
            lower.bar(
                [(each.low + each.high) / 2 for each in bins],
                [each.n_windows for each in bins],
                width=[0.92 * (each.high - each.low) for each in bins],
                color=colour,
            )
    _axes(upper, "", "share of windows under attack")
    _plain_axes(lower, "attack probability", "windows")
    lower.set_xlim(0, 1)
    _legend(figure, upper)
    return png(figure)


def learning_curve(inputs: ReportInputs) -> bytes:
    """Macro F1 by number of train episodes with its band, and the line of guessing."""
    points = [each for each in inputs.learning if each.macro_f1.value is not None]
    if len(points) < 2:
        return b""
    figure = canvas(2.7, "constrained")
    axes: Any = figure.add_subplot()
    at = [each.n_episodes for each in points]
    axes.plot(at, [each.macro_f1.value for each in points], color=COLOURS[0], marker="o", markersize=4, linewidth=1.6)
    band = [(n, p.macro_f1.lo, p.macro_f1.hi) for n, p in zip(at, points, strict=True) if p.macro_f1.lo is not None]
    if band:
        axes.fill_between(*zip(*band, strict=True), color=COLOURS[0], alpha=0.16, linewidth=0)
    if inputs.chance is not None:
        axes.axhline(inputs.chance, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
        axes.text(at[-1], inputs.chance, "guessing ", color=FAINT, ha="right", va="bottom", fontsize=7.5)
    axes.set_xscale("log", base=2)
    axes.minorticks_off()
    axes.set_xticks(at, [f"{n:,}" for n in at])
    axes.set_ylim(0, 1)
    _plain_axes(axes, "train episodes, logarithmic", "macro F1 on test")
    return png(figure)


def _realistic(inputs: ReportInputs) -> list[ModelEvaluation]:
    return [m for m in ordered(inputs) if m.mode == PRIMARY_MODE and m.curves is not None][:_MOST]


def _axes(axes: Any, across: str, up: str) -> None:
    _plain_axes(axes, across, up)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _plain_axes(axes: Any, across: str, up: str) -> None:
    axes.tick_params(length=0, labelsize=8, colors=INK)
    axes.set_xlabel(across, fontsize=8, color=INK)
    axes.set_ylabel(up, fontsize=8, color=INK)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color("none")


def _legend(figure: Any, axes: Any) -> None:
    """Below the axes, so that it hides no line."""
    handles, labels = axes.get_legend_handles_labels()
    legend = figure.legend(
        handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=7.5, handlelength=3.4
    )
    for text in legend.get_texts():
        text.set_color(INK)


def _name(model: ModelEvaluation) -> str:
    return drawable(model.model).replace("$", r"\$")


def _at(fpr: float) -> str:
    return f"threshold for {percent(fpr)} FP"
