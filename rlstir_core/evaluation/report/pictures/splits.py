"""The picture of the honesty gap: every model's figure under every split, with its interval.

What does not belong here: pictures of one split (`plots.py`).
"""

from __future__ import annotations

from rlstir_core.drawing import GRID, INK, Drawn, canvas, png
from rlstir_core.evaluation.report.inputs import HonestyRow, ReportInputs
from rlstir_core.text import drawable

_EASY, _STRICT = "#c8611a", "#1f6fb4"
_OTHERS = ("#7b8794", "#5f8f6b", "#8a6fae", "#a08a3c")
_MARKS = ("o", "s", "^", "D", "v", "P")
_STEP = 0.24  # between the splits of one model; a model is 1 high where there are four


def splits(inputs: ReportInputs) -> Drawn:
    """A line a model and figure, a mark and an interval a split; nothing where there are no two splits."""
    found = inputs.honesty
    if found is None:
        return Drawn()
    rows = [row for row in found.rows if any(cell.value is not None for cell in row.cells.values())]
    recipes = [column.recipe for column in found.columns]
    if any(row.drawn_windows for row in rows) and "random" not in recipes:
        recipes.insert(0, "random")
    if len(recipes) < 2 or not rows:
        return Drawn()
    colours = _colours(recipes, found.easy or recipes[0], found.strict or recipes[-1])
    high = max(0.5, _STEP * len(recipes)) + 0.3
    figure = canvas(0.9 + 0.31 * high * len(rows), "constrained")
    axes = figure.add_subplot()
    axes.tick_params(length=0, labelsize=8, colors=INK)
    for spine in axes.spines.values():
        spine.set_color("none")
    for at, row in enumerate(rows):
        if at:
            axes.axhline(at * high - high / 2, color=GRID, linewidth=0.8, zorder=0)
        for place, recipe in enumerate(recipes):
            cell = row.cells.get(recipe)
            if cell is None or cell.value is None:
                continue
            y = at * high + (place - (len(recipes) - 1) / 2) * _STEP
            if cell.lo is not None and cell.hi is not None:
                axes.plot(
                    [cell.lo, cell.hi], [y, y], color=colours[recipe], linewidth=1.7, solid_capstyle="butt", zorder=2
                )
            axes.plot([cell.value], [y], _MARKS[place % len(_MARKS)], color=colours[recipe], markersize=4.5, zorder=3)
    axes.set_yticks([at * high for at in range(len(rows))], [_label(row) for row in rows])
    axes.set_ylim((len(rows) - 0.5) * high, -high / 2)
    axes.set_xlim(0, 1)
    axes.set_xlabel("figure on the test side of each split, 95 % interval by episode", color=INK, fontsize=8)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    for place, recipe in enumerate(recipes):
        axes.plot(
            [], [], _MARKS[place % len(_MARKS)], color=colours[recipe], markersize=4.5, label=drawable(recipe, 16)
        )
    legend = figure.legend(loc="outside upper center", ncols=len(recipes), frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_color(INK)
    return png(figure)


def _colours(recipes: list[str], easy: str, strict: str) -> dict[str, str]:
    rest = [recipe for recipe in recipes if recipe not in (easy, strict)]
    others = {recipe: _OTHERS[at % len(_OTHERS)] for at, recipe in enumerate(rest)}
    return {easy: _EASY, strict: _STRICT} | others


def _label(row: HonestyRow) -> str:
    what = row.mode or row.figure.partition(",")[0]
    what += ", windows" if row.drawn_windows else ""
    return drawable(f"{row.model}  {what}", 32).replace("$", r"\$")
