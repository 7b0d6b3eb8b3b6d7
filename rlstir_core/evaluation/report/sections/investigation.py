"""The report on logs: techniques, risks and tampering by the encoder, beside what knows less.

What does not belong here: recall of detectors' alarms by technique (`alarms.py`).
"""

from __future__ import annotations

from rlstir_core.evaluation.investigation.records import ENCODER, HIT_RANKS, EncoderEvaluation
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import figure, link, listed, number, plural, signed, table
from rlstir_core.evaluation.report.rows import coded, notes
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.text import escape_md

_STARTED = (
    " It began with another encoder, which had learnt from that fold too: its epoch and its calibration were chosen on "
    "episodes that it knew, so that it may be surer than it should be."
)
_FILES = (
    ("figures", "encoder_eval.json"),
    ("techniques by episode", "predictions/techniques.parquet"),
    ("tactics", "predictions/tactics.parquet"),
    ("risks", "predictions/risk.parquet"),
    ("attack by row", "predictions/row_attacks.parquet"),
    ("tampering by row", "predictions/rows.parquet"),
    ("tamper spans", "predictions/spans.parquet"),
)


def investigation_section(inputs: ReportInputs) -> str:
    """Techniques, risks and tampering from log rows; empty where no encoder was evaluated on this split."""
    found = inputs.investigation
    if found is None:
        return ""
    parts = ["## Investigation", _setting(found), *_risk(found), *_techniques(found), *_tampering(found)]
    lines = [
        f"no training episode has {escape_md(log)}, so nothing was learnt of such rows" for log in found.unseen_logs
    ]
    if found.sigma is not None:
        unused = f"; not used: {escape_md('; '.join(found.sigma.unused))}" if found.sigma.unused else ""
        lines.append(
            f"`sigma`: {found.sigma.used:,} of {plural(found.sigma.rules, 'imported rule')}, read by pySigma "
            f"{escape_md(found.sigma.pysigma)}{unused}"
        )
    lines += [f"not there, though it could help: {escape_md(what)}" for what in found.lacks]
    lines += [escape_md(reason) for reason in notes(_estimates(found))]
    lines.append(listed([link(*each) for each in _FILES]))
    return "\n\n".join([*parts, "\n".join(f"- {line}" for line in lines)])


def _setting(found: EncoderEvaluation) -> str:
    kind = "synthetic test episode" if found.synthetic else "test episode"
    of = f"{plural(found.n_test_episodes, kind)} of {plural(found.n_test_hosts, 'host')}"
    return (
        f"What log rows alone tell of {of}. The encoder ({found.n_parameters:,} parameters, {found.pieces:,} pieces) "
        f"was trained on {plural(found.n_train_episodes + found.n_validation_episodes, 'episode')}; a fold of "
        f"{found.n_validation_episodes:,} of them chose its epoch, calibrated it and, for every model that is fitted, "
        "chose the rule by which techniques are named." + (_STARTED if found.started else "")
    )


def _risk(found: EncoderEvaluation) -> list[str]:
    if not found.risks:
        return ["Imported logs say nothing of risk: nobody says that they are benign."]
    text = "### Is it an attack"
    said = "Risks of episodes"
    if found.prevalence is not None:
        said += f", of which {number(found.prevalence, 2)} are attacks (the floor of average precision)"
    if found.row_prevalence is not None:
        said += f", and of their rows, of which {number(found.row_prevalence, 3)} belong to one"
    rows = [
        [
            _name(each.name),
            figure(each.risk_auroc),
            figure(each.risk_aupr),
            figure(each.row_ap) if each.row_ap is not None else "",
            figure(each.row_auroc) if each.row_auroc is not None else "",
        ]
        for each in found.risks
    ]
    head = ["model", "episodes, AUROC [95 %]", "average precision", "rows, average precision [95 %]", "AUROC"]
    gaps = [_against(name, gap, "AUROC of episodes") for name, gap in found.paired_risk.items()]
    gaps += [_against(name, gap, "average precision of rows") for name, gap in found.paired_rows.items()]
    return [text, f"{said}.", table(head, rows), _bullets(gaps)]


def _techniques(found: EncoderEvaluation) -> list[str]:
    text = (
        f"{found.n_with_technique:,} of the episodes carry {plural(found.n_tags, 'technique')} in all. Every episode "
        "counts, with all that it carries as the truth, and what is named in one that carries nothing is wrong."
    )
    if found.n_tags_unseen:
        text += (
            f" {found.n_tags_unseen:,} of the {found.n_tags:,} are techniques that no episode of the training carries"
            + (f", {found.n_tags_outside:,} of them outside the label space." if found.n_tags_outside else ".")
        )
    if found.files_by == "texts":
        text += (
            " Imported files have one author on the train side, and a fold of the same author would choose what does "
            "not carry over: their techniques are named by public texts with the labelled files beside them."
        )
    head = ["model", "micro F1 [95 %]", "for a new host", "seen", "unseen", "parents"]
    head += [f"top {rank}" for rank in HIT_RANKS] + ["named", "calibration error"]
    rows = [
        [
            _name(model.name),
            figure(model.micro_f1),
            figure(model.new_host),
            figure(model.parts.seen, 2),
            figure(model.parts.unseen, 2),
            figure(model.parent_f1, 2),
            *(figure(model.hit_at[str(rank)], 2) for rank in HIT_RANKS),
            figure(model.named, 2),
            figure(model.calibration, 2),
        ]
        for model in found.models
    ]
    parts = ["### Which techniques", text, table(head, rows)]
    tactics = [(model.name, model.tactics) for model in found.models if model.tactics is not None]
    if tactics:
        rows = [[_name(name), figure(of.accuracy), figure(of.any_of), figure(of.macro_f1)] for name, of in tactics]
        parts.append(table(["tactics by", "the first one", "any official one", "macro F1"], rows))
    encoder = next((model for model in found.models if model.name == ENCODER), None)
    if encoder is not None and encoder.coverage:
        said = [f"{100 * point.coverage:.0f} %: {figure(point.precision, 2)}" for point in encoder.coverage]
        parts.append(
            f"How often the encoder's first technique is right among the episodes it is surest of: {listed(said)}."
        )
    return [*parts, _bullets([_against(name, gap, "micro F1") for name, gap in found.paired.items()])]


def _tampering(found: EncoderEvaluation) -> list[str]:
    if not found.tamper:
        return []
    head = ["rules", "spans, F1 [95 %]", "precision", "recall", "rows, F1", "false spans per 10,000 honest rows"]
    rows = [
        [
            coded(each.name),
            figure(each.span_f1),
            figure(each.span_precision, 2),
            figure(each.span_recall, 2),
            figure(each.row_f1, 2),
            figure(each.false_spans, 2),
        ]
        for each in found.tamper
    ]
    kinds, ours = sorted(found.tamper[0].recall_by_kind), found.tamper[0].name
    gaps = [_against(name, gap, "F1 of spans", ours) for name, gap in found.paired_spans.items()]
    parts = ["### Was a log tampered with", table(head, rows), _bullets(gaps)]
    if kinds:
        said = [f"`{kind}` {figure(found.tamper[0].recall_by_kind[kind], 2)}" for kind in kinds]
        parts.append(f"Recall of spans by what was done, {coded(ours)}: {listed(said)}.")
    if found.tamper_rows and found.tamper_prevalence is not None:
        said = [f"{_name(each.name)} {figure(each.row_ap)}" for each in found.tamper_rows]
        parts.append(
            f"Average precision of rows, {number(found.tamper_prevalence, 4)} of them tampered with: {listed(said)}."
        )
    return parts


def _estimates(found: EncoderEvaluation) -> list[Estimate]:
    every = [e for m in found.models for e in (m.micro_f1, m.new_host, m.parent_f1, *m.hit_at.values())]
    every += [e for r in found.risks for e in (r.risk_aupr, r.risk_auroc)]
    return every + [e for t in found.tamper for e in (t.span_f1, t.false_spans)]


def _name(name: str) -> str:
    return escape_md(name) if name == ENCODER else coded(name)


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _against(name: str, gap: Estimate, what: str, ours: str = ENCODER) -> str:
    said = f"{_name(ours)} minus {coded(name)}, {what}: {signed(gap)}"
    if gap.lo is None or gap.hi is None:
        return f"{said}; nothing follows without an interval"
    if gap.lo <= 0 <= gap.hi:
        return f"{said}: not told apart"
    who = "the encoder is" if ours == ENCODER else f"{coded(ours)} are"
    return f"{said}: {who} {'better' if gap.lo > 0 else 'worse'}"
