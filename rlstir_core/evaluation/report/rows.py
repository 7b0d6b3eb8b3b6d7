"""What the report's tables share: which rows in which order, their names, pictures and notes.

What does not belong here: the sections themselves (`sections/`).
"""

from __future__ import annotations

from collections.abc import Iterable

from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.ids import is_safe
from rlstir_core.text import escape_md


def ordered(inputs: ReportInputs) -> list[ModelEvaluation]:
    """The rows of every table: realistic models, the other modes, baselines; the best first within each."""

    def key(model: ModelEvaluation) -> tuple[bool, str, float, str]:
        value = model.metrics.macro_f1.value
        return (model.mode != "realistic", model.mode, -(value if value is not None else -1.0), model.name)

    return sorted(inputs.models, key=key) + sorted(inputs.baselines, key=lambda m: key(m)[2:])


def row_name(model: ModelEvaluation, inputs: ReportInputs) -> str:
    """`gbt realistic`; a baseline stands in code type."""
    if any(model is baseline for baseline in inputs.baselines):
        return coded(model.model)
    return escape_md(f"{model.model} {model.mode}")


def coded(name: str) -> str:
    """A name in code type, where nothing can be escaped: so only a safe one."""
    return f"`{name}`" if is_safe(name) else escape_md(name)


def picture(inputs: ReportInputs, name: str, caption: str) -> list[str]:
    path = inputs.pictures.get(name)
    return [f"![{caption}]({path})", ""] if path else []


def notes(estimates: Iterable[Estimate]) -> list[str]:
    return sorted({estimate.note for estimate in estimates if estimate.lo is None and estimate.note})
