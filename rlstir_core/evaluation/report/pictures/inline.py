"""The picture of all models for one metadata entry of the Dagster UI: under 1,000 characters, with scale and legend.

The UI shows markdown of 1,000 characters or more as a link, renders no raw SVG, and does render a data URI. In one,
percent signs for what markdown or an address cannot hold cost less than base64. The figures themselves stand in a table
beside it. What does not belong here: the report's own pictures (`plots.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.text import drawable, escape_md

LIMIT = 1000
_ROW_PX = 12
_NAME_PX = 70
_SCALE_PX = 220  # macro F1 0 to 1; with the names less than 300 px, the width of an image that names none
_HIGH_PX = 150  # that of an image that names none
_COLOURS = ("teal", "coral", "olive", "plum")  # words, since a # would need a percent sign
_KEPT = "<>=:/',;-+!"  # what needs no percent sign in an address that markdown reads


def inline_forest(models: Sequence[ModelEvaluation], baselines: Sequence[ModelEvaluation] = ()) -> str:
    """Markdown of fewer than 1,000 characters: every model's macro F1 and interval, a row a model, on one scale.

    Modes stand side by side in colours that the legend names, baselines below in grey. What does not fit is left out:
    the baselines first, then modes but the primary one; then a table has as many rows as fit.
    """
    modes = sorted({m.mode for m in models}, key=lambda mode: (mode != PRIMARY_MODE, mode))
    for shown, beside in ((modes, baselines), (modes, ()), (modes[:1], ())):
        for fitted in (True, False):
            picture = _picture([m for m in models if m.mode in shown], shown, beside, fitted=fitted)
            if len(picture) < LIMIT:
                return picture
    names = list(dict.fromkeys(m.model for m in models))
    return _table([m for m in models if m.mode == modes[0]], len(names))


def _picture(
    models: Sequence[ModelEvaluation],
    modes: Sequence[str],
    baselines: Sequence[ModelEvaluation],
    *,
    fitted: bool,
) -> str:
    """A row a name, a bar a mode with a gap at the figure; relative path commands keep it short.

    `fitted` says what is measured and leaves no empty space below, which takes some characters more.
    """
    names = list(dict.fromkeys(m.model for m in (*models, *baselines)))
    short = {each.model: each.model.partition("-")[0] for each in baselines}  # `metadata-only`
    low = _ROW_PX * len(names) + 2
    bars = dict.fromkeys(modes, "")
    for model in models:
        bars[model.mode] += _bar(model, _ROW_PX * names.index(model.model) + 5 + 4 * modes.index(model.mode))
    paths = [(_COLOURS[at % len(_COLOURS)], bars[mode]) for at, mode in enumerate(modes)]
    paths.append(("gray", "".join(_bar(each, _ROW_PX * names.index(each.model) + 6) for each in baselines)))
    half = _SCALE_PX // 2
    scale = f"M{_NAME_PX},0v{low}m{half},0v-{low}m{half},0v{low}M{_NAME_PX},{low}h{_SCALE_PX}"
    drawn = "".join(f"<path stroke='{colour}' d='{bar}'/>" for colour, bar in paths if bar)
    texts = "".join(
        f"<text y='{_ROW_PX * at + 10}'>{_xml(short.get(name, name))}</text>" for at, name in enumerate(names)
    )
    marks = [(_NAME_PX, "", "0"), (_NAME_PX + half - 4, "", ".5"), (_NAME_PX + _SCALE_PX - 4, "", "1")]
    marks += [
        (_NAME_PX + 14 + 125 * at, f" fill='{_COLOURS[at % len(_COLOURS)]}'", _xml(mode))
        for at, mode in enumerate(modes)
    ]
    below = "".join(f"<tspan x='{x}'{colour}>{words}</tspan>" for x, colour, words in marks)
    texts += f"<text y='{low + 11}'>{'macro F1' if fitted else ''}{below}</text>"
    height = f" height='{low + 14}'" if fitted or low + 14 > _HIGH_PX else ""
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg'{height} font-size='11' fill='gray'>"
        f"<path stroke='silver' d='{scale}'/>{drawn}{texts}</svg>"
    )
    return f"![macro F1](data:image/svg+xml,{quote(svg, safe=_KEPT)})"


def _bar(model: ModelEvaluation, y: int) -> str:
    """The interval as a thin line, the figure as a tick across it; nothing without a figure."""
    score = model.metrics.macro_f1
    if score.value is None:
        return ""
    at = _x(score.value)
    lo, hi = (at - 1, at + 1) if score.lo is None or score.hi is None else (_x(score.lo), _x(score.hi))
    return f"M{lo},{y}h{hi - lo}m{at - hi}-2v4"


def _table(models: Sequence[ModelEvaluation], n_names: int) -> str:
    """Figures in words, as many rows as fit."""
    rows = [f"{escape_md(m.model, 24)}|{_numbers(m)}" for m in models]
    kept = len(rows)
    while True:
        more = [f"and {n_names - kept} more in the report"] if kept < n_names else []
        table = "\n".join(["macro F1|", "-|-", *rows[:kept], *more])
        if len(table) < LIMIT or not kept:
            return table
        kept -= 1


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


def _x(value: float) -> int:
    return round(_NAME_PX + _SCALE_PX * min(max(value, 0.0), 1.0))


def _xml(text: str) -> str:
    return drawable(text, 11).replace("&", "&amp;").replace("<", "&lt;")
