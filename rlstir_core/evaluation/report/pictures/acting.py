"""The picture of policies that act: F1 and coverage against cost; PNG at most 700 px wide.

What does not belong here: computing curves (`rlstir_core/evaluation/acting/`), and the section's words.
"""

from __future__ import annotations

import math
from typing import Any

from rlstir_core.drawing import FAINT, GRID, INK, Drawn, canvas, png
from rlstir_core.evaluation.acting.figures import is_rival
from rlstir_core.evaluation.acting.records import NO_QUERY, ORACLES, Curve, InvestigationEvaluation
from rlstir_core.text import drawable

_COLOURS = (
    "#c8611a",
    "#2a8a57",
    "#8e4ea8",
    "#b8860b",
    "#c2334d",
    "#128a94",
    "#4a5568",
    "#7a5230",
    "#5b6bbf",
    "#9a8c00",
)
_DASHES: tuple[Any, ...] = ((0, (6, 2)), (0, (3, 1.5)), (0, (1, 1.2)), (0, (7, 2, 1.5, 2)), (0, (4, 1, 1, 1, 1, 1)))
_ABOUT, _ORACLE = "#1f6fb4", "#7b8794"
_BANDS = 2  # rivals whose bands are drawn: more would hide one another
_MOST = 12


def draw_acting(found: InvestigationEvaluation) -> dict[str, Drawn]:
    """The picture by the name that the report uses; nothing where no curve is known."""
    names = _in_order(found)[:_MOST]
    if not names:
        return {}
    figure = canvas(4.1, "constrained")
    left, right = figure.subplots(1, 2)
    rivals = sorted(
        (name for name in names if name not in (found.about, NO_QUERY, *ORACLES)),
        key=lambda name: not is_rival(name, found.about),
    )
    for place, name in enumerate(names):
        each = found.policies[name]
        style = _style(name, found.about, rivals)
        banded = name == found.about or name in rivals[:_BANDS]
        for axes, curve in ((left, each.curve_f1), (right, each.curve_coverage)):
            label = drawable(name, 20).replace("$", r"\$") if axes is left or not left.lines else None
            _line(axes, curve, style, banded=banded, label=label, order=2.0 + (len(names) - place) / len(names))
    if found.floor_f1 is not None and found.n_test_attacks:
        left.axhline(found.floor_f1, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        left.text(
            found.budget, found.floor_f1, "all called the same ", color=FAINT, ha="right", va="bottom", fontsize=7
        )
    lowest = min((min(found.policies[n].curve_f1.value, default=1.0) for n in names), default=0.0)
    _axes(left, "macro F1 of attack or not", found.budget, max(0.0, math.floor(10 * lowest - 0.5) / 10))
    _axes(right, "coverage of an attack's techniques", found.budget, 0.0)
    _legend(figure, left if left.lines else right)
    return {"acting": png(figure)}


def _in_order(found: InvestigationEvaluation) -> list[str]:
    """The policy that is spoken of first, then the best by coverage; those without a curve are left out."""

    def key(name: str) -> tuple[bool, float, str]:
        return name != found.about, -(found.policies[name].coverage_cost_auc.value or 0.0), name

    known = [n for n, each in found.policies.items() if each.curve_f1.cost or each.curve_coverage.cost]
    return sorted(known, key=key)


def _style(name: str, about: str, rivals: list[str]) -> dict[str, Any]:
    if name == about:
        return {"color": _ABOUT, "linestyle": "-", "linewidth": 2.2}
    if name in ORACLES:
        return {"color": _ORACLE, "linestyle": _DASHES[1 + ORACLES.index(name)], "linewidth": 1.3}
    if name == NO_QUERY:
        return {"color": _ORACLE, "linestyle": "-", "linewidth": 1.0}
    at = rivals.index(name)
    return {"color": _COLOURS[at % len(_COLOURS)], "linestyle": _DASHES[at % len(_DASHES)], "linewidth": 1.3}


def _line(axes: Any, curve: Curve, style: dict[str, Any], *, banded: bool, label: str | None, order: float) -> None:
    if not curve.cost:
        return
    axes.plot(curve.cost, curve.value, drawstyle="steps-post", label=label, zorder=order, **style)
    if banded and curve.lo:
        axes.fill_between(
            curve.cost, curve.lo, curve.hi, step="post", color=style["color"], alpha=0.13, linewidth=0, zorder=1.5
        )


def _axes(axes: Any, up: str, budget: float, lowest: float) -> None:
    axes.tick_params(length=0, labelsize=8, colors=INK)
    axes.set_xlabel("cost that was paid", fontsize=8, color=INK)
    axes.set_ylabel(up, fontsize=8, color=INK)
    axes.set_xlim(0, budget)
    axes.set_ylim(lowest, 1)
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
