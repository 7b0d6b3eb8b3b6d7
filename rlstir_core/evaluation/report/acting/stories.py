"""Investigations told step by step: what was asked, paid and revealed, how belief moved, and how it ended.

What does not belong here: which investigations are told (`rlstir_core/evaluation/acting/`).
"""

from __future__ import annotations

from rlstir_core.evaluation.acting.records import InvestigationEvaluation, ToldCase, ToldStep
from rlstir_core.evaluation.report.acting.verdict import names_of
from rlstir_core.evaluation.report.markdown import listed, number, plural
from rlstir_core.evaluation.report.rows import coded
from rlstir_core.text import escape_md

_COUNTS = ("No investigation", "One investigation", "Two investigations", "Three investigations")
_TOLD = {
    "found": "An attack that was found",
    "missed": "An attack that was missed",
    "benign": "A benign case",
}


def stories(found: InvestigationEvaluation) -> list[str]:
    """A heading and a paragraph with a list for each investigation; nothing where none is told."""
    if not found.stories:
        return []
    parts = [f"### {_COUNTS[len(found.stories)]} by {coded(found.about)}, step by step"]
    parts += [_story(story) for story in found.stories]
    return parts


def _story(story: ToldCase) -> str:
    begin = (
        f"**{_TOLD.get(story.kind, 'A case')}**: episode {coded(story.episode_id)} on {coded(story.host)}, "
        f"{escape_md(story.rule)}."
    )
    steps = "\n".join(f"{at}. {_step(step)}" for at, step in enumerate(story.steps, 1))
    more = f"\n\n{plural(story.further_steps, 'further step')} not told." if story.further_steps else ""
    return f"{begin}\n\n{steps}{more}\n\n{_end(story)}"


def _step(step: ToldStep) -> str:
    said = _sentence(step.said)
    if step.p_before is None:
        return f"{said} Belief in an attack: {number(step.p_after, 2)}."
    parts = [f"{said} Cost {cost_of(step.cost)}."] if step.cost else [said]
    if step.cost or step.n_revealed:
        parts.append(_revealed(step))
    if step.found:
        parts.append(f"These hold the first evidence of {listed([coded(each) for each in step.found])}.")
    moved = f"{number(step.p_before, 2)} to {number(step.p_after, 2)}"
    if step.p_before != step.p_after:
        parts.append(f"Belief in an attack: {moved}.")
    elif step.cost:
        parts.append("Belief unchanged.")
    return " ".join(parts)


def _revealed(step: ToldStep) -> str:
    if not step.n_revealed:
        return "It revealed nothing."
    rows = "; ".join(escape_md(row) for row in step.rows)
    among = ": " if step.n_revealed == len(step.rows) else ", among them: "
    return f"It revealed {plural(step.n_revealed, 'row')}{among + rows if rows else ''}."


def _end(story: ToldCase) -> str:
    called = "an attack" if story.called else "benign"
    bar = f" (belief {number(story.p_end, 2)}, threshold {number(story.threshold, 2)})"
    named = f" It named {names_of(story.named)}." if story.named else " It named no technique."
    truth = f"an attack with {names_of(story.carried)}" if story.carried else "an attack" if story.attack else "benign"
    right = "right" if story.called == story.attack else "**wrong**"
    said = f"Verdict at a cost of {cost_of(story.cost)}: {called}{bar}, which is {right}: it was {truth}.{named}"
    if story.called_tampered is None:
        return said
    honest = "were tampered with" if story.tampered else "were honest"
    word = "tampering" if story.called_tampered else "no tampering"
    return f"{said} It saw {word}; the logs {honest}."


def _sentence(text: str) -> str:
    said = escape_md(text, 300)
    return said if said.endswith((".", "!", "?", "…")) else f"{said}."


def cost_of(cost: float) -> str:
    """`9`, `2.5`: a cost without needless places."""
    return f"{cost:g}" if round(cost, 4) == round(cost, 1) else f"{cost:.1f}"
