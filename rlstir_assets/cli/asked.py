"""How an investigation is told on a terminal: query by query, what was asked and why, what it cost, and what it showed.

What does not belong here: investigating, and the command (`investigate.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rlstir_assets.cli.common import WIDTH, short, wrapped
from rlstir_assets.console import plain

if TYPE_CHECKING:
    from rlstir_core.investigator.inquiry.records import CaseAsked, QueryAsked, Questioning, RowSaid

_ROWS, _SPANS, _TECHNIQUES, _WARNINGS, _CASES = 3, 4, 5, 4, 10
_MOVED = 0.05  # of a technique's probability, that is worth a word


def asked_lines(found: Questioning) -> Iterator[str]:
    who = short(plain(found.policy), 40, keep_end=False)
    yield from wrapped(
        f"{who} investigates, queries may cost {found.budget:g} in all; recipe {found.recipe}, which learnt from "
        f"{found.n_learnt:,} episodes",
        0,
    )
    for sentence in found.read[:_WARNINGS]:
        yield from wrapped(f"warning: {sentence}", 2)
    yield from _more(len(found.read) - _WARNINGS, "warnings")
    for case in found.cases[:_CASES]:
        yield ""
        yield from _case(found, case)
    yield from _more(len(found.cases) - _CASES, "investigations")


def _case(found: Questioning, case: CaseAsked) -> Iterator[str]:
    what = "episode" if case.recording else "logs"
    yield from wrapped(f"{what} {case.name} of host {case.host}, {case.n_rows:,} rows; it begins with", 0)
    yield from _row(case, case.alert)
    yield f"    attack {case.first.attack:.2f}, tampering {case.first.tampered:.2f}"
    for number, query in enumerate(case.queries, 1):
        yield from _query(case, query, number)
    yield from wrapped(
        f"verdict after {_queries(len(case.queries))} at a cost of {case.spent:g}, with {case.n_seen:,} rows seen: "
        f"attack {case.verdict.attack:.2f}, tampering {case.verdict.tampered:.2f}, says {case.declared_by}; "
        f"it ended because {_because(case.ended)}",
        0,
    )
    for technique, p in list(case.verdict.techniques.items())[:_TECHNIQUES]:
        yield f"  {p:4.2f}  {technique} {found.names.get(technique, '')}"[:WIDTH].rstrip()
    yield from _spans(case)


def _queries(n: int) -> str:
    return "1 query" if n == 1 else f"{n} queries"


def _because(ended: str) -> str:
    return f"it was {ended}" if ended.startswith("the last") else ended


def _query(case: CaseAsked, query: QueryAsked, number: int) -> Iterator[str]:
    head = f"{number}. {query.query}, cost {query.cost:g}, in all {query.spent:g}; about {query.about} "
    yield f"{head}{short(plain(query.entity), max(20, WIDTH - len(head)))}"
    yield from wrapped(query.sentence, 4)
    for row in query.rows[:_ROWS]:
        yield from _row(case, row)
    yield from _more(len(query.rows) - _ROWS, "rows")
    if not query.rows:
        yield "        nothing that was not seen before"
    yield from wrapped(f"attack {_change(query.before.attack, query.after.attack)}{_moved(query)}", 4)


def _moved(query: QueryAsked) -> str:
    """What else the answer changed: tampering, and the techniques that it changed most."""
    parts = []
    if abs(query.after.tampered - query.before.tampered) >= _MOVED:
        parts.append(f"tampering {_change(query.before.tampered, query.after.tampered)}")
    parts += [f"{own} {_change(*both)}" for own, both in query.changed.items() if abs(both[1] - both[0]) >= _MOVED]
    return "".join(f", {part}" for part in parts)


def _change(before: float, after: float) -> str:
    return f"{before:.2f} -> {after:.2f}"


def _spans(case: CaseAsked) -> Iterator[str]:
    if not case.spans:
        yield "  no stretch that looks tampered with was seen"
    for span in case.spans[:_SPANS]:
        yield f"  {span.score:4.2f}  {span.kind}: {short(plain(span.channel), 30)}, {span.time[:19]}"
        yield from wrapped(span.reasons[0] if span.reasons else "", 8)[:2]
    yield from _more(len(case.spans) - _SPANS, "stretches")


def _row(case: CaseAsked, row: RowSaid) -> Iterator[str]:
    rest = f" row {row.seq}, {row.time[:19]}"
    log = row.log.removeprefix(f"{case.name}: ") if case.recording else row.log
    yield f"        {short(plain(log), WIDTH - 8 - len(rest))}{rest}"
    if row.text:
        yield f"        {short(plain(row.text, 300), WIDTH - 8, keep_end=False)}"


def _more(n: int, what: str) -> list[str]:
    return [f"        and {n:,} {what} more; --json has them all"] if n > 0 else []
