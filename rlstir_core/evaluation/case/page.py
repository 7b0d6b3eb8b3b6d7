"""The case page: one offline HTML file without a script, made of what was gathered.

Texts come from hostile logs: control and direction characters are named, and everything is escaped where it stands.
What does not belong here: what stands in the lanes (`lanes.py`), and finding any of it (`gather.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

from rlstir_core.evaluation.case.lanes import log_lanes, query_lane, telemetry_lanes
from rlstir_core.evaluation.case.material import CaseMaterial, LogsShown
from rlstir_core.investigator.inquiry.records import Believed, CaseAsked, Inquiry, QueryAsked, RowSaid, SpanSaid
from rlstir_core.investigator.tamper.finding import clock
from rlstir_core.text import plain

_TECHNIQUES, _LOUD, _SPANS, _RANKED, _CASES, _WARNINGS = 15, 10, 20, 5, 6, 10
_TEXT = 300
_MOVED = 0.05  # of a probability, that is worth a word


class CitedRows:
    """The rows that the page speaks of, each with an anchor of its own."""

    def __init__(self, alone: str) -> None:
        self.rows: dict[tuple[str, int], dict[str, Any]] = {}
        self.alone = alone  # the episode that all rows are of, whose name need not stand beside each

    def cite(self, row: RowSaid, **more: Any) -> dict[str, Any]:
        """The row as the page shows it, and a place in the table of rows."""
        shown = self.rows.setdefault(
            (row.log, row.seq),
            {
                "anchor": f"row-{len(self.rows) + 1}",
                "log": plain(row.log.removeprefix(f"{self.alone}: ")),
                "seq": row.seq,
                "time": row.time,
                "text": plain(row.text, _TEXT),
            },
        )
        return {**shown, **more}


def render_case(case: CaseMaterial, made: Sequence[str] = ()) -> str:
    """The page; `made` are lines on how it was made, which may differ between two pages of the same case."""
    from jinja2 import Environment, StrictUndefined

    source = resources.files("rlstir_core.evaluation.case").joinpath("case.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    cited = CitedRows(case.name if case.start_wall_ns is not None else "")
    shown = {
        "name": plain(case.name),
        "synthetic": case.synthetic,
        "answer": [plain(sentence) for sentence in _answer(case)],
        "telemetry": telemetry_lanes(case) if case.score is not None else None,
        "no_score": plain(case.no_score),
        "inquiry": _inquiry(case.inquiry, cited) if case.inquiry is not None else None,
        "no_inquiry": plain(case.no_inquiry),
        "cases": [_asked(case, each, n, cited) for n, each in enumerate(case.asked.cases[:_CASES], 1)]
        if case.asked is not None
        else [],
        "no_asked": plain(case.no_asked),
        "logs": [_logs(log, case) for log in case.logs],
        "more_logs": case.n_more_logs,
        "made": [plain(line) for line in (*_read(case), *made)],
    }
    return environment.from_string(source).render(**shown, rows=list(cited.rows.values()))


def _answer(case: CaseMaterial) -> Iterator[str]:
    """What a reader must know first, a sentence each."""
    if case.score is not None:
        says = case.score.models[0]
        chosen = ", chosen on validation," if says.chosen else ""
        text = f"{says.model} {says.mode}{chosen} says of the telemetry: {says.alarm}"
        onset = case.truth.onset_s if case.truth is not None else None
        if says.first_alarm_s is not None and onset is not None:
            late = says.first_alarm_s - onset
            text += f"; the infection began at {onset:.0f} s, so it was "
            text += f"detected {late:.0f} s after that" if late >= 0 else f"called {-late:.0f} s before that"
        yield f"{text}."
    if case.asked is not None:
        for each in case.asked.cases[:1]:
            yield (
                f"{case.asked.policy} asked {_n(len(each.queries), 'query', 'queries')} at a cost of {each.spent:g} "
                f"and saw {each.n_seen:,} of {each.n_rows:,} rows: {_believed(each.verdict)}, says {each.declared_by}."
            )
    if case.inquiry is not None:
        found = case.inquiry
        named = ", ".join(f"{each.technique} {each.name}".strip() for each in found.techniques[:3])
        more = f" and {len(found.techniques) - 3} more" if len(found.techniques) > 3 else ""
        what = f"Techniques named: {named}{more}" if named else "No technique is sure enough to be named"
        risk = f"; an attack with p {found.risk.p:.2f}" if found.risk.p is not None else ""
        tampered = _n(len(found.spans), "stretch looks", "stretches look") if found.spans else "no stretch looks"
        yield f"{what}{risk}; {tampered} tampered with."


def _inquiry(found: Inquiry, cited: CitedRows) -> dict[str, Any]:
    said = [
        f"{found.n_rows:,} rows of {_n(found.n_logs, 'log', 'logs')}: "
        + ", ".join(f"{n:,} {channel}" for channel, n in found.rows.items())
    ]
    if found.risk.p is not None:
        said.append(f"An attack with p {found.risk.p:.2f}, says {found.risk.why}.")
    claims = [each for log in found.logs for each in log.techniques if each.named]
    claims.sort(key=lambda each: (-each.score, each.technique))
    where = {id(each): log.name for log in found.logs for each in log.techniques}
    return {
        "words": [plain(sentence) for sentence in said],
        "techniques": [
            {
                "technique": each.technique,
                "name": plain(each.name),
                "tactics": plain(", ".join(each.tactics)),
                "score": f"{each.score:.2f}",
                "by": each.by,
                "log": plain(where[id(each)]),
                "rows": [cited.cite(row, words=plain(", ".join(row.words))) for row in each.rows],
            }
            for each in claims[:_TECHNIQUES]
        ],
        "more_techniques": max(0, len(claims) - _TECHNIQUES),
        "attack_rows": [cited.cite(row, p=f"{row.p_attack or 0.0:.2f}") for row in found.attack_rows[:_LOUD]],
        "spans": [_span(span) for span in found.spans[:_SPANS]],
        "more_spans": max(0, len(found.spans) - _SPANS),
    }


def _span(span: SpanSaid) -> dict[str, Any]:
    return {
        "kind": plain(span.kind),
        "log": plain(span.log),
        "where": span.place,
        "time": span.time,
        "score": f"{span.score:.2f}",
        "reasons": [plain(reason) for reason in span.reasons],
    }


def _asked(case: CaseMaterial, asked: CaseAsked, number: int, cited: CitedRows) -> dict[str, Any]:
    assert case.asked is not None
    names = case.asked.names
    bars, ticks = query_lane(asked, case.asked.budget)
    queries = [
        _query(query, f"query-{number}-{k}", cited) | bar
        for k, (query, bar) in enumerate(zip(asked.queries, bars, strict=True), 1)
    ]
    what = f"episode {asked.name}" if asked.recording else f"logs of host {asked.host}"
    return {
        "words": plain(
            f"{case.asked.policy} investigates {what}; queries may cost {case.asked.budget:g} in all. Recipe "
            f"{case.asked.recipe}, which learnt from {case.asked.n_learnt:,} episodes."
        ),
        "alert": cited.cite(asked.alert),
        "first": _believed(asked.first),
        "queries": queries,
        "kinds": [
            {"query": kind, "queries": [query for query in queries if query["query"] == kind]}
            for kind in dict.fromkeys(query["query"] for query in queries)
        ],
        "ticks": ticks,
        "verdict": plain(
            f"Verdict after {_n(len(queries), 'query', 'queries')} at a cost of {asked.spent:g}: "
            f"{_believed(asked.verdict)}, says {asked.declared_by}; it ended because {asked.ended}."
        ),
        "ranked": [
            plain(f"{p:.2f} {technique} {names.get(technique, '')}")
            for technique, p in list(asked.verdict.techniques.items())[:_RANKED]
        ],
    }


def _query(query: QueryAsked, anchor: str, cited: CitedRows) -> dict[str, Any]:
    moved = [f"attack {query.before.attack:.2f} → {query.after.attack:.2f}"]
    if abs(query.after.tampered - query.before.tampered) >= _MOVED:
        moved.append(f"tampering {query.before.tampered:.2f} → {query.after.tampered:.2f}")
    moved += [f"{own} {a:.2f} → {b:.2f}" for own, (a, b) in query.changed.items() if abs(b - a) >= _MOVED]
    return {
        "anchor": anchor,
        "query": query.query,
        "sentence": query.sentence,
        "about": query.about,
        "entity": plain(query.entity, _TEXT),
        "cost": f"{query.cost:g}",
        "spent": f"{query.spent:g}",
        "change": ", ".join(moved),
        "rows": [cited.cite(row) for row in query.rows],
    }


def _believed(believed: Believed) -> str:
    return f"attack {believed.attack:.2f}, tampering {believed.tampered:.2f}"


def _logs(log: LogsShown, case: CaseMaterial) -> dict[str, Any]:
    spans = case.inquiry.spans if case.inquiry is not None else ()
    own = [span for span in spans if span.log == log.name or span.log.startswith(f"{log.name}: ")]
    lanes, ticks = log_lanes(log, own)
    return {
        "title": plain(
            f"{log.name}: {log.n_rows:,} rows of host {log.host}, {clock(log.t_first_wall_ns)[:19]} to "
            f"{clock(log.t_last_wall_ns)[:19]} UTC"
        ),
        "lanes": lanes,
        "ticks": ticks,
        "tree_words": f"process trees, {log.n_processes:,} processes; those that an attack-like row made stand out",
        "trees": [
            {
                "indent": 1.1 * min(line.depth, 20),
                "name": plain(line.name),
                "detail": plain(line.detail),
                "used": line.used,
                "marked": line.marked,
            }
            for line in log.trees
        ],
    }


def _read(case: CaseMaterial) -> Iterator[str]:
    yield f"read: {', '.join(case.paths)}"
    if case.inquiry is not None:
        yield from case.inquiry.read[:_WARNINGS]
        if len(case.inquiry.read) > _WARNINGS:
            yield f"and {len(case.inquiry.read) - _WARNINGS} more warnings; `rlstir investigate --json` has them all"
        yield from case.inquiry.lacks
    if case.score is not None and case.score.verdict != "ok":
        yield f"the recording is {case.score.verdict}: {', '.join(case.score.reasons)}"
        yield from case.score.reasons.values()


def _n(n: int, one: str, more: str) -> str:
    return f"1 {one}" if n == 1 else f"{n:,} {more}"
