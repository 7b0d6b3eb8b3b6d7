"""The report on policies that act: who learns most at equal cost, what is asked when, and three investigations told.

What does not belong here: what the encoder says of whole logs (`investigation.py`).
"""

from __future__ import annotations

from rlstir_core.evaluation.acting.headroom import DECIDING
from rlstir_core.evaluation.acting.records import (
    ALL_AT_ONCE,
    EVIDENCE_ORACLE,
    FIXED_ORDER,
    LABEL_ORACLE,
    LEARNED_GREEDY,
    NO_QUERY,
    NO_ROOM,
    ORACLES,
    STEPS,
    Against,
    InvestigationEvaluation,
    PolicyFigures,
)
from rlstir_core.evaluation.report.acting.stories import cost_of, stories
from rlstir_core.evaluation.report.acting.verdict import verdict
from rlstir_core.evaluation.report.markdown import (
    figure,
    link,
    listed,
    number,
    p_value,
    percent,
    plural,
    signed,
    table,
)
from rlstir_core.evaluation.report.rows import coded, column_notes
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.text import escape_md

_ALPHA = 0.05
_MOST_QUERIES = 24
_MOST_POLICIES = 40


def acting_section(found: InvestigationEvaluation | None, picture: str = "") -> str:
    """The whole section; empty where no policy was judged. `picture` is the path of the curves."""
    if found is None:
        return ""
    drawn = [f"![F1 and coverage against cost, by policy]({picture})"] if picture else []
    files = [link("figures", "investigation_eval.json"), link("every step", "predictions/investigations.parquet")]
    parts = [
        "## Acting: which queries, at what cost",
        " ".join(verdict(found)),
        _setting(found),
        *drawn,
        _areas(found),
        *_paired(found),
        *_headroom(found),
        *_ends(found),
        *_detection(found),
        *_queries(found),
        *stories(found),
        f"Files: {listed(files)}.",
    ]
    return "\n\n".join(part for part in parts if part)


def _setting(found: InvestigationEvaluation) -> str:
    kind = "synthetic test episode" if found.synthetic else "test episode"
    text = (
        f"{plural(found.n_test_episodes, kind)} of {plural(found.n_test_hosts, 'host')}, {found.n_test_attacks:,} of "
        f"them attacks with {plural(found.n_to_find, 'technique')} to find. Every policy begins with the same alert, "
        f"pays for each query, and what it believes after its last one is carried on to the budget of "
        f"{cost_of(found.budget)}. Coverage is the share of an attack's techniques of which a labelled row was "
        f"revealed. A share of the span is 0 for {coded(NO_QUERY)} and 1 for {coded(EVIDENCE_ORACLE)}, which sees "
        f"labels and picks the query that reveals most new techniques; {coded(LABEL_ORACLE)} picks what makes the "
        "detector right. They are bars, no rivals. All thresholds of a policy were chosen on "
        f"{plural(found.n_validation_episodes, 'validation episode')} of "
        f"{plural(found.n_validation_hosts, 'host')}."
    )
    if found.floor_f1 is not None and found.n_test_attacks:
        text += f" F1 is macro F1 of attack and not; calling everything the same has {number(found.floor_f1)}."
    return f"{text} {escape_md(found.speaks_of, 400)}"


def _areas(found: InvestigationEvaluation) -> str:
    head = ["policy", "seeds", "coverage area [95 %]", "of the span", "at the budget", "F1 area [95 %]"]
    head += ["of the span", "at the budget"]
    rows = [
        [
            coded(name),
            f"{len(each.seeds)}",
            figure(each.coverage_cost_auc),
            _span(name, each.coverage_span_share),
            figure(each.coverage_at_budget, 2),
            figure(each.f1_cost_auc),
            _span(name, each.f1_span_share),
            figure(each.f1_at_budget, 2),
        ]
        for name, each in _ordered(found)
    ]
    reasons = column_notes(
        {
            "coverage": [e for p in found.policies.values() for e in (p.coverage_cost_auc, p.coverage_span_share)],
            "F1": [e for p in found.policies.values() for e in (p.f1_cost_auc, p.f1_span_share)],
        }
    )
    left_out = len(found.policies) - len(rows)
    more = f"\n\n{left_out:,} more in the file of figures." if left_out > 0 else ""
    return table(head, rows) + more + (f"\n\n{reasons}" if reasons else "")


def _paired(found: InvestigationEvaluation) -> list[str]:
    shown = [name for name, _ in _ordered(found) if name in found.paired]
    if not shown:
        return []
    head = [f"{coded(found.about)} against", "coverage area [95 %]", "p", "ratio [95 %]", "F1 area [95 %]", "p"]
    rows = [_difference(coded(name), found.paired[name]) for name in shown]
    text = (
        f"{coded(found.about)}, because {escape_md(found.chosen_by)}, minus each other policy on the same resamples; p "
        "is Holm's over all rivals, for each area."
    )
    parts = ["### Against the others", text, table(head, rows)]
    if found.ablations:
        lines = [
            _difference(f"{escape_md(name)} ({coded(found.ablation_policies.get(name, name))})", each)
            for name, each in found.ablations.items()
        ]
        parts += ["What each part brings: the whole minus the one without it.", table(["without", *head[1:]], lines)]
    return parts


def _difference(name: str, each: Against) -> list[str]:
    return [
        name,
        signed(each.coverage_cost_auc),
        p_value(each.p_coverage),
        figure(each.coverage_ratio, 2),
        signed(each.f1_cost_auc),
        p_value(each.p_f1),
    ]


def _headroom(found: InvestigationEvaluation) -> list[str]:
    room = found.headroom
    if not room.rows:
        return []
    head = ["on validation", "coverage area", "of the span", "F1 area", "of the span"]
    rows = [
        [
            coded(row.policy),
            number(row.coverage_cost_auc),
            number(row.coverage_share, 2),
            number(row.f1_cost_auc),
            number(row.f1_share, 2),
        ]
        for row in room.rows
    ]
    said = [_room("coverage", room.coverage_room), _room("F1", room.f1_room)]
    text = (
        f"By {plural(room.n_episodes, 'validation episode')} of {plural(room.n_hosts, 'host')} "
        f"alone. Where {' or '.join(map(coded, DECIDING))} takes more than {NO_ROOM:.2f} of the span, "
        f"nothing is left that reinforcement learning could show. {' '.join(said)}"
    )
    return ["### Headroom", text, table(head, rows)]


def _room(figure_name: str, room: bool | None) -> str:
    if room is None:
        return f"On {figure_name} it cannot be said: a policy or the oracle is missing, or the oracle gains nothing."
    return f"On {figure_name} there is room." if room else f"On {figure_name} there is **no room**."


def _ends(found: InvestigationEvaluation) -> list[str]:
    head = ["at its own end", "mean cost [95 %]", "queries", "F1", "coverage", "techniques, micro F1"]
    head += ["tampered, F1", "tamper spans, F1", "risk, average precision", "cost of equal F1"]
    rows = [
        [
            coded(name),
            figure(each.mean_cost, 1),
            number(each.mean_queries.value, 1),
            figure(each.f1_at_stop, 2),
            figure(each.coverage_at_stop, 2),
            figure(each.ttp_f1, 2),
            figure(each.tamper_f1, 2),
            figure(each.tamper_span_f1, 2),
            figure(each.risk_aupr, 2),
            figure(each.equal_f1_cost, 2),
        ]
        for name, each in _ordered(found)
    ]
    text = (
        f"Each policy ends by itself or with its budget. The floor of average precision is "
        f"{number(found.prevalence, 2)}, the share of attacks. The cost of equal F1 is what was paid when the F1 of "
        f"{coded(ALL_AT_ONCE)}, which has no budget, is first reached, as a share of what that pays."
    )
    every = list(found.policies.values())
    reasons = column_notes(
        {
            "techniques": [p.ttp_f1 for p in every],
            "tampering": [e for p in every for e in (p.tamper_f1, p.tamper_span_f1)],
            "cost of equal F1": [p.equal_f1_cost for p in every if p.equal_f1_cost.value is None],
            "cost of equal F1 that stands alone": [
                _short(p.equal_f1_cost) for p in every if p.equal_f1_cost.value is not None
            ],
        }
    )
    return ["### Where each policy ends", text, table(head, rows), reasons]


def _short(estimate: Estimate) -> Estimate:
    """The same with a note that does not differ from policy to policy."""
    if estimate.lo is not None or " in " not in estimate.note:
        return estimate
    return Estimate(value=estimate.value, note="not reached in more than 5 % of the resamples, no interval")


def _detection(found: InvestigationEvaluation) -> list[str]:
    alarms = [each.thresholds.alarm for each in found.policies.values()]
    rates = sorted({alarm.fpr for alarm in alarms if alarm.fpr is not None})
    if not rates:
        notes = sorted({alarm.note for alarm in alarms if alarm.note})
        return [f"No time to detection is given: {escape_md('; '.join(notes))}."] if notes else []
    n = max(alarm.n_benign for alarm in alarms)
    text = (
        f"An alarm is a belief in an attack that the highest over all steps of a benign case reaches in "
        f"{listed([percent(rate) for rate in rates])} of {plural(n, 'benign validation episode')}. TTD@K is the mean "
        "number of queries up to it among attacks, a miss counting K; Cost@K is what was paid until then, a miss "
        "counting what K queries cost."
    )
    head = ["alarms", *(f"TTD@{k}" for k in STEPS), *(f"Cost@{k}" for k in STEPS)]
    head += [f"found within {STEPS[-1]}", "false alarms"]
    rows = [
        [
            coded(name),
            *(figure(each.ttd_at[str(k)], 1) for k in STEPS),
            *(figure(each.cost_at[str(k)], 1) for k in STEPS),
            figure(each.detected_at[str(STEPS[-1])], 2),
            figure(each.false_alarms, 2),
        ]
        for name, each in _ordered(found)
    ]
    return ["### Alarms", text, table(head, rows)]


def _queries(found: InvestigationEvaluation) -> list[str]:
    own = found.policies[found.about].queries[:_MOST_QUERIES]
    if not own:
        return []
    beside = [n for n in (LEARNED_GREEDY, FIXED_ORDER) if n in found.policies and n != found.about]
    shares = {n: {use.query: use.share.value for use in found.policies[n].queries} for n in beside}
    head = [f"asked by {coded(found.about)}", "in cases [95 %]", "first at query", "cost", "brought a technique"]
    head += [f"{coded(n)}, in cases" for n in beside]
    rows = [
        [
            coded(use.query),
            figure(use.share, 2),
            number(use.mean_step, 1),
            number(use.cost, 1),
            number(use.brought, 2),
            *(number(shares[n].get(use.query, 0.0), 2) for n in beside),
        ]
        for use in own
    ]
    text = (
        "Beside the share of cases that asked a query stand the mean place "
        "of its first time, the mean cost of one time, and the share of attacks that asked it in which it revealed the "
        "first row of a technique."
    )
    return ["### Which queries, when, and at what cost", text, table(head, rows)]


def _ordered(found: InvestigationEvaluation) -> list[tuple[str, PolicyFigures]]:
    """The policies by coverage, the best first, oracles last; at most 40 of them."""

    def key(name: str) -> tuple[bool, float, str]:
        return name in ORACLES, -(found.policies[name].coverage_cost_auc.value or 0.0), name

    return [(name, found.policies[name]) for name in sorted(found.policies, key=key)[:_MOST_POLICIES]]


def _span(name: str, share: Estimate) -> str:
    """A share of the span; its two ends are what they are by definition, without an interval."""
    return number(share.value, 0) if name in (NO_QUERY, EVIDENCE_ORACLE) else figure(share, 2)
