"""The report on the encoder: how well it names techniques from log rows, beside what knows less.

What does not belong here: recall of detectors' alarms by technique (`alarms.py`).
"""

from __future__ import annotations

from rlstir_core.evaluation.investigation.records import ENCODER, HIT_RANKS, EncoderEvaluation
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import figure, link, listed, number, plural, signed, table
from rlstir_core.evaluation.report.rows import coded, notes
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.text import escape_md


def investigation_section(inputs: ReportInputs) -> str:
    """Techniques from log rows; empty where no encoder was evaluated on this split."""
    found = inputs.investigation
    if found is None:
        return ""
    parts = ["## Investigation", _setting(found), _table(found)]
    lines = [_against(name, gap) for name, gap in found.paired.items()]
    lines += [f"not there, though it could help: {escape_md(what)}" for what in found.lacks]
    estimates = [e for m in found.models for e in (m.micro_f1, m.new_host, m.parent_f1, *m.hit_at.values())]
    reasons = notes([*estimates, *(m.risk_aupr for m in found.models if m.name == ENCODER)])
    lines += [escape_md(reason) for reason in reasons]
    files = [
        link("figures", "encoder_eval.json"),
        link("techniques by episode", "predictions/techniques.parquet"),
        link("risks", "predictions/risk.parquet"),
    ]
    return "\n\n".join([*parts, "\n".join(f"- {line}" for line in [*lines, listed(files)])])


def _setting(found: EncoderEvaluation) -> str:
    kind = "synthetic test episode" if found.synthetic else "test episode"
    of = f"{plural(found.n_test_episodes, kind)} of {plural(found.n_test_hosts, 'host')}"
    text = (
        f"Which ATT&CK techniques an episode carries, from its log rows alone: {of}, of which "
        f"{found.n_with_technique:,} carry {plural(found.n_tags, 'technique')} in all. Every episode counts, with all "
        "that it carries as the truth, and what is named in one that carries nothing is wrong. "
    )
    if found.n_tags_unseen:
        text += (
            f"{found.n_tags_unseen:,} of the {found.n_tags:,} are techniques that no episode of the training carries"
            + (f", {found.n_tags_outside:,} of them outside the label space. " if found.n_tags_outside else ". ")
        )
    text += (
        f"The encoder ({found.n_parameters:,} parameters, {found.pieces:,} pieces) was trained on "
        f"{plural(found.n_train_episodes, 'episode')}; a fold of {found.n_validation_episodes:,} more chose its epoch "
        "and, for every row of the table, the score from which a technique is named."
    )
    if found.prevalence is not None:
        text += f" Average precision of the risk has the share of attacks, {number(found.prevalence, 2)}, as its floor."
    if found.synthetic:
        text += " Generated attacks run commands that honest work runs as well, so words alone tell little."
    return text


def _table(found: EncoderEvaluation) -> str:
    head = ["model", "micro F1 [95 %]", "for a new host", "parents [95 %]"]
    head += [f"top {rank}" for rank in HIT_RANKS] + ["risk, average precision"]
    rows = [
        [
            escape_md(model.name) if model.name == ENCODER else coded(model.name),
            figure(model.micro_f1),
            figure(model.new_host),
            figure(model.parent_f1),
            *(figure(model.hit_at[str(rank)], 2) for rank in HIT_RANKS),
            figure(model.risk_aupr),
        ]
        for model in found.models
    ]
    return table(head, rows)


def _against(name: str, gap: Estimate) -> str:
    said = f"encoder minus {coded(name)}, micro F1: {signed(gap)}"
    if gap.lo is None or gap.hi is None:
        return f"{said}; nothing follows without an interval"
    if gap.lo > 0:
        return f"{said}: the encoder is better"
    return f"{said}: the encoder is worse" if gap.hi < 0 else f"{said}: not told apart"
