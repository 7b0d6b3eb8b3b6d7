"""The picture and table of all models for one metadata entry of the Dagster UI: under 1,000 characters.

The UI shows markdown of 1,000 characters or more as a link, renders no raw SVG, and does render a data URI.
What does not belong here: the report's own pictures (`plots.py`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.text import drawable, escape_md

LIMIT = 1000
_ROW_PX = 13
_NAME_PX = 70
_SCALE_PX = 225  # macro F1 0 to 1; with the names 300 px less a margin, the width of an image that names none


def inline_forest(models: Sequence[ModelEvaluation], chance: float | None = None) -> str:
    """Markdown of fewer than 1,000 characters: every model's macro F1 and interval, as numbers and picture.

    Modes stand side by side, one row per model. The picture goes first when space is short, then the last rows.
    """
    modes = sorted({m.mode for m in models}, key=lambda mode: (mode != PRIMARY_MODE, mode))
    names = list(dict.fromkeys(m.model for m in models))
    cells = {(m.model, m.mode): _numbers(m) for m in models}
    rows = ["|".join([escape_md(name, 24), *(cells.get((name, mode), "") for mode in modes)]) for name in names]
    head = [
        "|".join(["macro F1", *(escape_md(mode, 24) for mode in modes)]),
        "|".join(["-"] * (len(modes) + 1)),
    ]
    table = "\n".join([*head, *rows])
    pictured = f"{_picture(models, names, modes, chance)}\n\n{table}"
    if len(pictured) < LIMIT:
        return pictured
    kept = len(rows)
    while len(table) >= LIMIT and kept:
        kept -= 1
        table = "\n".join([*head, *rows[:kept], f"and {len(rows) - kept} more in the report"])
    return table


def _numbers(model: ModelEvaluation) -> str:
    score = model.metrics.macro_f1
    if score.value is None:
        return "–"
    if score.lo is None or score.hi is None:
        return _two(score.value)
    return f"{_two(score.value)} [{_two(score.lo)} {_two(score.hi)}]"


def _two(value: float) -> str:
    """`.61`, `1.0`: two places without the leading zero."""
    text = f"{value:.2f}"
    return "1.0" if text == "1.00" else text.removeprefix("0")


def _picture(
    models: Sequence[ModelEvaluation], names: Sequence[str], modes: Sequence[str], chance: float | None
) -> str:
    """One row per model, one bar per mode with a gap at the figure; relative path commands keep it short."""
    height = _ROW_PX * len(names) + 2
    bars = dict.fromkeys(modes, "")
    for model in models:
        score = model.metrics.macro_f1
        if score.value is None:
            continue
        at = _x(score.value)
        lo, hi = (at - 1, at + 1) if score.lo is None or score.hi is None else (_x(score.lo), _x(score.hi))
        y = _ROW_PX * names.index(model.model) + 5 + 4 * modes.index(model.mode)
        # the interval as a thin line, the figure as a tick across it
        bars[model.mode] += f"M{lo} {y}h{hi - lo}m{at - hi}-2v4"
    colours = ("#27b", "#c61", "#293", "#84a")
    paths = "".join(f"<path stroke='{colours[i % 4]}' d='{bars[mode]}'/>" for i, mode in enumerate(modes) if bars[mode])
    if chance is not None:
        paths += f"<path stroke='#999' d='M{_x(chance)} 0v{height}'/>"
    texts = "".join(f"<text y='{_ROW_PX * i + 10}'>{_xml(name)}</text>" for i, name in enumerate(names))
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' height='{height}' font-size='11' fill='#888'>{texts}{paths}</svg>"
    return f"![macro F1](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _x(value: float) -> int:
    return round(_NAME_PX + _SCALE_PX * min(max(value, 0.0), 1.0))


def _xml(text: str) -> str:
    return drawable(text, 11).replace("&", "&amp;").replace("<", "&lt;")
