"""What the report's tables share: which rows in which order, their names, cells, pictures and notes.

What does not belong here: the sections themselves (`sections/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rlstir_core.contract.reasons import ReasonCode
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import figure
from rlstir_core.evaluation.stats.details import Cause
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.ids import is_safe
from rlstir_core.text import escape_md


def ordered(inputs: ReportInputs) -> list[ModelEvaluation]:
    """The rows of every table: realistic models, the other modes, baselines; the best first within each.

    A model that is another one under the name of another mode has no row.
    """

    def key(model: ModelEvaluation) -> tuple[bool, str, float, str]:
        value = model.metrics.macro_f1.value
        return (model.mode != "realistic", model.mode, -(value if value is not None else -1.0), model.name)

    return sorted(distinct(inputs), key=key) + sorted(inputs.baselines, key=lambda m: key(m)[2:])


def distinct(inputs: ReportInputs) -> list[ModelEvaluation]:
    """The models but for those that are another one under the name of another mode."""
    return [model for model in inputs.models if not model.same_as]


def repeated(inputs: ReportInputs) -> str:
    """A sentence on the modes whose models are those of another mode; empty where there is none."""
    modes = sorted({(m.mode, m.same_as.removeprefix(f"{m.model}_")) for m in inputs.models if m.same_as})
    return " ".join(
        f"Mode {escape_md(mode)} has the same channels as {escape_md(of)}, so its models are those of {escape_md(of)}: "
        "trained once, scored once, and without rows of their own."
        for mode, of in modes
    )


def no_attack(inputs: ReportInputs) -> str:
    """The sentence of a store in which attack cannot be told from the rest."""
    return f"No figure of attacks or alarms is given: {escape_md(inputs.one_sided)}."


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


def column_notes(columns: Mapping[str, Iterable[Estimate]]) -> str:
    """A list that says why figures of a column have no interval, or are refused; nothing where all have one.

    Each note names the columns that it speaks of; `columns` are titles as the table shows them.
    """
    found: dict[str, list[str]] = {}
    for title, estimates in columns.items():
        for note in notes(estimates):
            found.setdefault(note, []).append(title)
    return "\n".join(f"- {', '.join(titles)}: {escape_md(note)}" for note, titles in found.items())


def time_to_detect(model: ModelEvaluation) -> str:
    """The mean time to detect; a model that detects nothing has none: its mean would be that of the recordings."""
    found = model.time_to_detect
    if found.share_detected.value == 0:
        return f"none of {found.n_episodes}"
    return figure(found.mean_s, 1)


_CAUSES: Mapping[str, str] = {
    ReasonCode.CHANNEL_MISSING: "missing",
    ReasonCode.CHANNEL_EMPTY: "empty",
    ReasonCode.JSON_BAD_ROWS: "with bad rows",
    ReasonCode.TIME_OUTSIDE: "with rows outside the episode",
}


def causes(found: Iterable[Cause], of: int = 0, most: int = 4) -> str:
    """`netflow missing 42, time.clock_step 3`; a count that is `of` all goes without saying."""
    words = []
    for cause in found:
        name = escape_md(cause.reason)
        if cause.source:
            name = f"{escape_md(cause.source)} {_CAUSES.get(cause.reason, name)}"
        words.append(name if cause.episodes == of else f"{name} {cause.episodes:,}")
    more = [f"{len(words) - most} more"] if len(words) > most else []
    return ", ".join([*words[:most], *more])
