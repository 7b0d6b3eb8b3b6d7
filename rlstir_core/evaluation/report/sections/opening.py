"""The report's first screen: the answer in three sentences with what limits it, the picture, and of what it speaks.

What does not belong here: the reasons behind the answer (`verdict.py`), and what two runs of equal inputs would say
otherwise (`../history.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime

from rlstir_core.evaluation.drift.words import alarm_sentence
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import figure, listed, number, percent, plural
from rlstir_core.evaluation.report.rows import causes, coded, no_attack
from rlstir_core.evaluation.report.sections.honesty import gap_picture
from rlstir_core.evaluation.report.sections.models import forest_picture
from rlstir_core.evaluation.report.sections.verdict import (
    against_baselines,
    chosen_model,
    clock_excess,
    is_void,
    named,
    not_tested,
)
from rlstir_core.evaluation.stats.intervals import MIN_HOSTS
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.evaluation.stats.rules import VOID_MARGIN
from rlstir_core.text import escape_md

_ELSEWHERE = (
    "When this was made, and what changed since the last report of this recipe, stands in `comparison_v2.html`: this "
    "text is the same whenever it is made of the same evaluations."
)


def opening(inputs: ReportInputs, *, page: bool = False) -> str:
    """The title and the first screen; `page` is the HTML, which says itself when it was made."""
    parts = [
        f"# Detector comparison, recipe `{inputs.recipe}`",
        *answer(inputs),
        *first_picture(inputs),
        alarm_sentence(inputs.drift),
        not_tested(inputs),
        _recordings(inputs),
    ]
    if not page:
        parts.append(_ELSEWHERE)
    return "\n\n".join(part for part in parts if part)


def first_picture(inputs: ReportInputs) -> list[str]:
    """What the figure hides, where more than one split was made; else every model's figure."""
    return gap_picture(inputs) or forest_picture(inputs)


def answer(inputs: ReportInputs) -> list[str]:
    """Three sentences: which model and how good, what it finds at its threshold, what limits both.

    Where no figure may be believed, that comes first, and what the model finds stays unsaid.
    """
    chosen = chosen_model(inputs)
    refused = _refused(inputs)
    said = [refused]
    if chosen is None:
        said.append("**No realistic model could be scored**: no phase stands in enough test episodes.")
    else:
        found = no_attack(inputs) if inputs.one_sided else _alarms(chosen[0])
        said += [_score(inputs, *chosen), "" if refused else found]
    said.append(_limits(inputs, chosen[0] if chosen else None))
    return [text for text in said if text]


def _refused(inputs: ReportInputs) -> str:
    if is_void(inputs):
        return (
            "**This comparison is void**: the clock alone, which knows nothing but the time since the start, beats "
            f"guessing by {number(clock_excess(inputs))}, more than {VOID_MARGIN:.2f}."
        )
    if not inputs.headline:
        return "**These figures are no result**: hosts, samples and days stand on both sides of this split."
    return ""


def _score(inputs: ReportInputs, model: ModelEvaluation, side: str) -> str:
    hosts = named(inputs.split.test.hosts)
    text = (
        f"**{escape_md(model.model)}**, the realistic model that {side} chose, reaches macro F1 "
        f"**{figure(model.metrics.macro_f1)}** on {plural(model.n_test_episodes, 'test episode')}"
        + (f" of {hosts}" if hosts else "")
    )
    if inputs.chance is not None:
        text += f", where guessing gives {number(inputs.chance)}"
    if side == "test":
        text += ", a figure that this choice flatters"
    beaten, level, losing, unknown = (
        listed([coded(row.model) for row in rows]) for rows in against_baselines(inputs, model)
    )
    said = [
        f"**does worse than {losing}**" if losing else "",
        f"**cannot be told apart from {level}**" if level else "",
        f"beats {beaten}" if beaten else "",
        f"was not tested against {unknown}" if unknown else "",
    ]
    against = listed([words for words in said if words])
    return f"{text}; it {against}." if against else f"{text}."


def _alarms(model: ModelEvaluation) -> str:
    for at in model.recall_at_fpr[:1]:
        if at.recall.value is None:
            return f"What it finds at {percent(at.fpr)} false positives is not given: {escape_md(at.recall.note)}."
        text = (
            f"At its threshold for {percent(at.fpr)} false positives, set on validation, it finds "
            f"**{figure(at.recall, 2)}** of the attack windows"
        )
        realised = at.realised_fpr
        if realised.value is None:  # the share of no windows
            return f"{text}; there are no others that it could call an attack."
        text += f", and calls {figure(realised)} of the others an attack"
        if (realised.value if realised.lo is None else realised.lo) <= 2 * at.fpr:
            return f"{text}."
        return f"{text}: **more than twice what was asked for**{' (no interval)' if realised.lo is None else ''}."
    return ""


def _limits(inputs: ReportInputs, model: ModelEvaluation | None) -> str:
    """One sentence with all that the answer does not cover, the worst first."""
    limits = []
    test = inputs.split.test
    if test.degraded:
        why = causes(test.causes, of=test.degraded, most=3)
        words = f"**{test.degraded:,} of {plural(test.episodes, 'test episode')} {_were(test.degraded)} degraded**"
        words += f" ({why})" if why else ""
        rests = model is not None and 2 * test.degraded > test.episodes
        limits.append(f"{words}, and the verdict rests on {'it' if test.degraded == 1 else 'them'}" if rests else words)
    rejected = sum(host.rejected for host in inputs.quality.hosts)
    if rejected:
        limits.append(f"{plural(rejected, 'episode')} {_were(rejected)} rejected and used nowhere")
    if model is not None and model.n_test_hosts < MIN_HOSTS:
        limits.append(f"{plural(model.n_test_hosts, 'test host')} allow{'s' if model.n_test_hosts == 1 else ''} no "
                      "claim about a new one")  # fmt: skip
    if inputs.synthetic:
        limits.append("the store is synthetic and is no evidence about real malware")
    return f"What limits this: {'; '.join(limits)}." if limits else ""


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _recordings(inputs: ReportInputs) -> str:
    """Which recordings the report speaks of."""
    quality, split = inputs.quality, inputs.split
    n = sum(host.ok + host.degraded + host.rejected for host in quality.hosts)
    kind = "synthetic store" if inputs.synthetic else "store"
    text = f"Recordings: {kind} {escape_md(inputs.store)}"
    if quality.hosts:
        names = named([host.host for host in quality.hosts])
        text += f", {plural(n, 'episode')} of {plural(len(quality.hosts), 'host')} ({names})"
    if quality.first_wall_ns is not None and quality.last_wall_ns is not None:
        text += f", recorded {_day(quality.first_wall_ns)} to {_day(quality.last_wall_ns)} UTC"
    return f"{text}; {split.train.episodes:,} to train on, {split.test.episodes:,} to test."


def _day(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M")
