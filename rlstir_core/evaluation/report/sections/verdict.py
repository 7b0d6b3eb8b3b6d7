"""The verdict: what the figures of a comparison amount to, in plain sentences. Bad results are said as bad.

What does not belong here: tables and layout (`models.py`), and the three sentences of the first screen (`opening.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import (
    figure,
    listed,
    number,
    p_value,
    percent,
    plural,
    signed,
)
from rlstir_core.evaluation.report.rows import causes, coded
from rlstir_core.evaluation.report.sections.honesty import honesty_sentence
from rlstir_core.evaluation.stats.counts import MIN_PHASE_EPISODES
from rlstir_core.evaluation.stats.intervals import MIN_HOSTS, Estimate
from rlstir_core.evaluation.stats.records import ModelEvaluation, PairedDifference
from rlstir_core.evaluation.stats.rules import VOID_MARGIN
from rlstir_core.text import escape_md

ALPHA = 0.05
PROBE_VERDICTS_WITHOUT_HARM = ("ok", "not measured")
_HOSTS_NAMED = 6
_UNTESTED_NAMED = 8


def clock_score(inputs: ReportInputs) -> Estimate | None:
    """Macro F1 of the `clock` baseline; None where it or chance is missing."""
    for baseline in inputs.baselines:
        score = baseline.metrics.macro_f1
        if baseline.model == "clock" and score.value is not None and inputs.chance is not None:
            return score
    return None


def clock_excess(inputs: ReportInputs) -> float | None:
    """Macro F1 of the `clock` baseline minus chance; None where one of the two is missing."""
    score = clock_score(inputs)
    if score is None or score.value is None or inputs.chance is None:
        return None
    return score.value - inputs.chance


def is_void(inputs: ReportInputs) -> bool:
    """True where the time since the start alone beats chance by more than the margin."""
    excess = clock_excess(inputs)
    return excess is not None and excess > VOID_MARGIN


def chosen_model(inputs: ReportInputs) -> tuple[ModelEvaluation, str] | None:
    """The realistic model to speak of and the side that chose it: validation where all have a figure."""
    models = [m for m in inputs.models if m.mode == PRIMARY_MODE and m.metrics.macro_f1.value is not None]
    if not models:
        return None
    if all(m.validation_macro_f1.value is not None for m in models):
        return max(models, key=lambda m: m.validation_macro_f1.value or 0.0), "validation"
    return highest(models), "test"


def highest(models: list[ModelEvaluation]) -> ModelEvaluation:
    return max(models, key=lambda m: m.metrics.macro_f1.value or 0.0)


def verdict_paragraphs(inputs: ReportInputs) -> list[str]:
    """The paragraphs of the verdict."""
    chosen = chosen_model(inputs)
    paragraphs = [_void(inputs)] if is_void(inputs) else []
    if not inputs.headline:
        paragraphs.append(
            f"**These figures are no result.** Recipe `{inputs.recipe}` lets hosts, samples and days stand on both "
            "sides; it is here to show what the honest recipes cost."
        )
    if chosen is None:
        paragraphs.append("**No realistic model could be scored**: no phase stands in enough test episodes.")
    else:
        model, side = chosen
        paragraphs.append(" ".join([*_best(inputs, model, side), *_against(inputs, model)]))
        paragraphs.append(
            " ".join(filter(None, [*([] if inputs.one_sided else _alarms(model)), honesty_sentence(inputs, model)]))
        )
        paragraphs += [_reach(inputs, model), _degraded(inputs, model)]
    paragraphs.append(_leaks(inputs))
    if inputs.synthetic:
        paragraphs.append(
            "The store is **synthetic**: its episodes were generated. The figures show that the pipeline "
            "works and how hard the generator is; they are no evidence about real malware."
        )
    return [paragraph for paragraph in paragraphs if paragraph]


def _void(inputs: ReportInputs) -> str:
    text = (
        "**This comparison is void.** The baseline `clock`, which knows the time since the start and nothing "
        f"else, beats chance ({number(inputs.chance)}) by {number(clock_excess(inputs))} macro F1, more than "
        f"{VOID_MARGIN:.2f}: the recordings follow a script, and what any model below has learned may be "
        "that script."
    )
    score = clock_score(inputs)
    if score is None or inputs.chance is None or (score.lo is not None and score.lo > inputs.chance):
        return text
    return f"{text} So few test episodes cannot rule out that this is noise: the clock is at {figure(score)}."


def _best(inputs: ReportInputs, model: ModelEvaluation, side: str) -> list[str]:
    score = model.metrics.macro_f1
    hosts = named(inputs.split.test.hosts)
    by = f" ({number(model.validation_macro_f1.value)} there)" if side == "validation" else ""
    text = [
        f"The best realistic model, chosen on {side}{by}, is **{escape_md(model.model)}**: macro F1 "
        f"**{figure(score)}** over {plural(len(model.metrics.per_phase), 'phase')}, on "
        f"{plural(model.n_test_episodes, 'test episode')} of {plural(model.n_test_hosts, 'host')}"
        + (f" ({hosts})." if hosts else ".")
    ]
    if score.lo is None and score.note:
        text.append(f"It has no interval: {escape_md(score.note)}.")
    if model.new_host.lo is not None:
        text.append(
            f"On a **new host** like them it is **{figure(model.new_host)}** (jackknife over "
            f"{plural(model.n_test_hosts, 'test host')}, t)."
        )
    if side == "validation" and inputs.split.rounds > 1:
        text.append(
            "What validates in one round is tested in another, so the choice knew the tested hosts, and this figure "
            "leans high."
        )
    if side == "test":
        text.append("It was picked by the figure shown, so that figure flatters it.")
    top = highest([m for m in inputs.models if m.mode == PRIMARY_MODE])
    if side != "test" and top.name != model.name:
        text.append(
            f"On the test side {escape_md(top.model)} stands higher, at {figure(top.metrics.macro_f1)}; "
            "to name it the best would be choosing on test data."
        )
    return text


def named(hosts: Sequence[str]) -> str:
    """The hosts, or the first of them and how many more."""
    names = [escape_md(host) for host in hosts]
    return listed([*names[:_HOSTS_NAMED], f"{len(names) - _HOSTS_NAMED} more"] if len(names) > _HOSTS_NAMED else names)


def against_baselines(
    inputs: ReportInputs, model: ModelEvaluation
) -> tuple[list[ModelEvaluation], list[ModelEvaluation], list[ModelEvaluation], list[ModelEvaluation]]:
    """The baselines that the model beats, cannot be told apart from, does worse than, and was not tested against."""
    rows = {row.reference: row for row in inputs.paired if row.model == model.name}
    beaten, level, losing, unknown = [], [], [], []
    for baseline in inputs.baselines:
        row = rows.get(baseline.name)
        if row is None or row.p_holm is None or row.difference.value is None:
            unknown.append(baseline)
        elif row.p_holm >= ALPHA:
            level.append(baseline)
        elif row.difference.value > 0:
            beaten.append(baseline)
        else:
            losing.append(baseline)
    return beaten, level, losing, unknown


def _against(inputs: ReportInputs, model: ModelEvaluation) -> list[str]:
    rows = {row.reference: row for row in inputs.paired if row.model == model.name}
    *tested, unknown = against_baselines(inputs, model)
    beaten, level, losing = ([_with_gap(coded(b.model), rows[b.name]) for b in some] for some in tested)
    text = []
    if losing:
        text.append(f"**It does worse than {listed(losing)}.**")
    if level:
        text.append(f"**It cannot be told apart from {listed(level)}.**")
    if beaten:
        text.append(f"It beats {listed(beaten)}.")
    if unknown:
        text.append(f"Against {listed([coded(b.model) for b in unknown])} there is no test.")
    if inputs.chance is not None:
        text.append(f"Guessing by the train frequencies gives {number(inputs.chance)}.")
    return text


def _with_gap(label: str, row: PairedDifference) -> str:
    return f"{label} ({signed(row.difference)}, Holm p {_p_words(row.p_holm)})"


def _p_words(p: float | None) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _alarms(model: ModelEvaluation) -> list[str]:
    text = []
    for at in model.recall_at_fpr[:1]:
        if at.recall.value is None:
            if at.recall.note:
                text.append(f"Recall at {percent(at.fpr)} false positives is not given: {escape_md(at.recall.note)}.")
            continue
        text.append(
            f"With a threshold set for {percent(at.fpr)} false positives on validation it finds "
            f"{figure(at.recall, 2)} of the attack windows, and the test side's own rate of false positives "
            f"is {figure(at.realised_fpr)}."
        )
        low = at.realised_fpr.lo
        if low is not None and low > 2 * at.fpr:
            text.append("**That is more than twice the rate asked for: the threshold does not carry over.**")
    return text


def _reach(inputs: ReportInputs, model: ModelEvaluation) -> str:
    count = model.n_test_hosts
    these = "this one host" if count == 1 else f"these {count} hosts"
    text = f"Intervals resample episodes: they speak of further episodes on {these}, not of other hosts."
    if count < MIN_HOSTS:
        return f"{text} n = {plural(count, 'test host')}, no interval for new hosts."
    return f"{text} The figure for a new host resamples hosts, and speaks of hosts like these."


def _leaks(inputs: ReportInputs) -> str:
    leaks = [probe for probe in inputs.probes if probe.verdict not in PROBE_VERDICTS_WITHOUT_HARM]
    if not leaks:
        return ""
    named = [f"{escape_md(p.name)} ({number(p.value)}, bound {number(p.bound)})" for p in leaks]
    if all(probe.verdict == "outside" for probe in leaks):
        return f"**Outside its bounds**: {listed(named)}. This synthetic store is easier or harder than it should be."
    return f"**Leak probes that failed**: {listed(named)}. What the models learned may be partly that."


def _degraded(inputs: ReportInputs, model: ModelEvaluation) -> str:
    """How far the figures rest on episodes that were not recorded whole."""
    test = inputs.split.test
    if not test.degraded:
        return ""
    why = causes(test.causes, of=test.degraded, most=8)
    text = f"{test.degraded:,} of {plural(test.episodes, 'test episode')} were degraded" + (
        f" ({why})." if why else "."
    )
    parts = [
        f"{figure(part.macro_f1)} on the {plural(part.n_test, f'{name} episode')}"
        for name, part in (("complete", model.complete), ("degraded", model.degraded))
        if part is not None and part.macro_f1.value is not None
    ]
    return f"{text} Scored apart, it stands at {listed(parts)}." if parts else text


def not_tested(inputs: ReportInputs) -> str:
    """One line: what the test side says too little about."""
    if not inputs.untested:
        return f"Every phase, profile and host of the test side stands in at least {MIN_PHASE_EPISODES} test episodes."
    items = [f"{row.kind} {escape_md(row.name)} ({escape_md(row.reason)})" for row in inputs.untested]
    shown = items[:_UNTESTED_NAMED]
    more = f", and {len(items) - len(shown)} more (see Untested)" if len(items) > len(shown) else ""
    return f"**Not tested**, and in no average: {', '.join(shown)}{more}."
