"""An audit as a page of markdown. Names and texts of the tables come from anybody, so all of it is escaped.

What does not belong here: the lines on a terminal (`rlstir_assets/cli/audit.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from rlstir_core.audit.findings import Audit, Checked, Judgement, said
from rlstir_core.text import escape_md

ORDER: tuple[Judgement, ...] = ("fail", "warn", "ok", "not checked")
_SENTENCE = 2_000
_MOST_COLUMNS = 60  # that are listed


def markdown(found: Audit) -> str:
    return "\n".join(_lines(found)) + "\n"


def head(found: Audit) -> str:
    """What was looked at, in two sentences."""
    counts = ", ".join(f"{len(found.with_verdict(verdict))} {verdict}" for verdict in ORDER)
    return (
        f"{found.n_test_episodes:,} test episodes with {found.n_test_rows:,} rows of {found.n_rows:,}, "
        f"{len(found.classes)} classes; decisions are {found.decided_by}. Macro F1 {said(found.macro_f1)}, accuracy "
        f"{said(found.accuracy)}; intervals are of 95 %, over episodes. Checks: {counts}."
    )


def _lines(found: Audit) -> Iterator[str]:
    yield f"# Audit of {escape_md(found.predictions)}"
    yield ""
    yield escape_md(head(found), _SENTENCE)
    yield ""
    yield "| check | verdict | what was found |"
    yield "|---|---|---|"
    for verdict in ORDER[:-1]:
        for each in found.with_verdict(verdict):
            yield f"| {escape_md(each.check)} | {verdict} | {escape_md(each.sentence, _SENTENCE)}{_examples(each)} |"
    missing = found.with_verdict("not checked")
    if missing:
        yield ""
        yield "## Not checked"
        yield ""
        for each in missing:
            yield f"- {escape_md(each.check)}: {escape_md(each.sentence, _SENTENCE)}"
    yield ""
    yield "## Columns"
    yield ""
    for column, meaning in list(found.read_as.items())[:_MOST_COLUMNS]:
        yield f"- {escape_md(column)}: {escape_md(meaning)}"
    yield from _rest(len(found.read_as) - _MOST_COLUMNS)
    if found.not_used:
        names = ", ".join(escape_md(name) for name in found.not_used[:_MOST_COLUMNS])
        yield f"- not used: {names}"
        yield from _rest(len(found.not_used) - _MOST_COLUMNS)


def _examples(each: Checked) -> str:
    if not each.examples or each.verdict == "ok":
        return ""
    more = f" and {each.n_about - len(each.examples):,} more" if each.n_about > len(each.examples) else ""
    return f" First {escape_md(each.about)}: {', '.join(escape_md(name) for name in each.examples)}{more}."


def _rest(n: int) -> list[str]:
    return [f"- and {n:,} more"] if n > 0 else []
