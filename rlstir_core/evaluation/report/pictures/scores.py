"""The picture of the scores so far: a line a model, a place an evaluation, each with its interval.

What does not belong here: the table (`sections/scores.py`).
"""

from __future__ import annotations

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.drawing import GRID, INK, canvas, png
from rlstir_core.evaluation.report.history import History
from rlstir_core.evaluation.report.pictures.curves import COLOURS, DASHES
from rlstir_core.text import drawable

_SHOWN = 60  # evaluations: as many as can be told apart in 700 px
_SUFFIX = f"_{PRIMARY_MODE}"
_SPREAD = 0.3  # of a place, over which the models of one evaluation stand side by side


def draw_scores(history: History) -> dict[str, bytes]:
    """`scores`, once there are two evaluations. PNG bytes, 700 px wide."""
    every = [*history.earlier, history.current][-_SHOWN:]
    if len(every) < 2:
        return {}
    models = sorted({name for each in every for name in each.scores if name.endswith(_SUFFIX)})
    figure = canvas(3.4, "constrained")
    axes = figure.subplots()
    for i, model in enumerate(models):
        known = [(k, each.scores[model]) for k, each in enumerate(every) if model in each.scores]
        points = [(k, e.value, e.lo, e.hi) for k, e in known if e.value is not None]
        if not points:
            continue
        shift = _SPREAD * (i / max(1, len(models) - 1) - 0.5)
        colour, at = COLOURS[i % len(COLOURS)], [k + shift for k, *_ in points]
        name = drawable(model.removesuffix(_SUFFIX))
        style = {"color": colour, "linestyle": DASHES[i % len(DASHES)], "marker": "o", "markersize": 3}
        axes.plot(at, [value for _, value, _, _ in points], **style, linewidth=1.3, label=name)
        for x, (_, _, lo, hi) in zip(at, points, strict=True):
            if lo is not None and hi is not None:
                axes.plot([x, x], [lo, hi], color=colour, linewidth=0.8, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(0, 1)
    axes.set_xlim(-0.5, len(every) - 0.5)
    axes.set_xticks(range(0, len(every), max(1, len(every) // 10)))
    axes.set_xticklabels([str(k + 1) for k in range(0, len(every), max(1, len(every) // 10))])
    axes.set_xlabel("evaluation, the oldest first", color=INK)
    axes.set_ylabel("macro F1, test", color=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    figure.legend(loc="outside upper center", ncols=min(7, max(1, len(models))), frameon=False, fontsize=7.5)
    return {"scores": png(figure)}
