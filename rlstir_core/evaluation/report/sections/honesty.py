"""The honesty gap in words: every model under every split side by side, and how much the easier one flatters.

What does not belong here: which evaluations stand beside this one, and their differences (`../honesty.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rlstir_core.evaluation.investigation.records import ENCODER
from rlstir_core.evaluation.investigation.technique_baselines import KNOWLEDGE
from rlstir_core.evaluation.report.inputs import Honesty, HonestyRow, ReportInputs
from rlstir_core.evaluation.report.markdown import figure, link, listed, number, plural, signed, table
from rlstir_core.evaluation.report.rows import coded, column_notes, picture
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.remedies import written
from rlstir_core.text import escape_md

_INFLATION = "inflation [95 %]"
_PLAIN_COMMAND = re.compile(r"[A-Za-z0-9 ._=,/:@+-]{1,400}", re.ASCII)
_NOTHING = Estimate(value=None)
_FORMS = _OVER, _LEVEL, _UNDER, _OPEN = (
    "**flatters {}**",
    "is not told apart for {}",
    "stands **below** it for {}",
    "has no interval for {}",
)


def honesty_section(inputs: ReportInputs) -> str:
    """The table of all splits, what follows from it, and which splits are not in it and why."""
    found = inputs.honesty
    if found is None:
        return ""
    parts = ["## Honesty gap", _said(found), _table(found)]
    files = [link("the table", "honesty.json"), link("counts of every test episode", "phases_by_episode.parquet")]
    lines = [*_how(found), *_sides(found), *_absent(found), listed(files)]
    return "\n\n".join([*(part for part in parts if part), "\n".join(f"- {line}" for line in lines)])


def gap_picture(inputs: ReportInputs) -> list[str]:
    """The picture of the gap, for the first screen; nothing where no two splits can be drawn."""
    if inputs.honesty is None:
        return []
    splits = "each split" if len(inputs.honesty.columns) > 1 else "this split"
    return picture(inputs, "honesty", f"Macro F1, technique micro F1 and risk under {splits}")[:1]


def honesty_sentence(inputs: ReportInputs, model: ModelEvaluation) -> str:
    """What the easier split shows of one model; empty where none says."""
    found = inputs.honesty
    if found is None:
        return ""
    for row in found.rows:
        easy = "random" if row.drawn_windows else found.easy
        shown = row.cells.get(easy, _NOTHING)
        if (row.model, row.mode) != (model.model, model.mode) or shown.value is None or row.inflation.value is None:
            continue
        under = "On windows of the same store drawn at random" if row.drawn_windows else f"Under recipe {coded(easy)}"
        over = inputs.recipe if row.drawn_windows else found.strict
        hidden = ": that is what the easier split hides" if (row.inflation.lo or 0.0) > 0 else ""
        return (
            f"{under} it shows {figure(shown)}; beside recipe {coded(over)} that is an inflation of "
            f"{signed(row.inflation)}{hidden}."
        )
    return ""


def closing_line(found: Honesty) -> str:
    """One plain line for a terminal; empty where nothing is set against anything."""
    rows = [row for row in found.rows if row.inflation.value is not None]
    for row in sorted(rows, key=lambda row: not row.chosen)[:1]:
        easy = "on random windows" if row.drawn_windows else f"under recipe {found.easy}"
        shown = row.cells["random" if row.drawn_windows else found.easy]
        return f"{easy} {row.model}_{row.mode} has {row.figure} {figure(shown)}, inflation {signed(row.inflation)}"
    return ""


def _said(found: Honesty) -> str:
    """What the table amounts to."""
    text = "The same models on the same store under every split that was made, the one that holds least apart first."
    rows = [row for row in found.rows if not row.drawn_windows]
    if not found.easy:
        return text
    groups: dict[str, list[str]] = {}
    for row in rows:
        if row.inflation.value is not None:
            groups.setdefault(_tells(row.inflation), []).append(_short(row))
    said = [form.format(listed(groups[form])) for form in _FORMS if form in groups]
    if list(groups) == [_LEVEL]:
        said = ["is told apart for none of them"]
    return f"{text} Set against {coded(found.strict)}, {coded(found.easy)} {'; it '.join(said)}." if said else text


def _tells(gap: Estimate) -> str:
    """What follows from an inflation, as a form of words."""
    if gap.lo is None or gap.hi is None:
        return _OPEN
    return _OVER if gap.lo > 0 else _UNDER if gap.hi < 0 else _LEVEL


def _short(row: HonestyRow) -> str:
    what = {"technique micro F1": " (techniques)", "risk, average precision": " (risk)"}.get(row.figure, "")
    return escape_md(row.model) + what


def _table(found: Honesty) -> str:
    columns = {column.recipe: f"{column.recipe} (n = {column.n_test_episodes:,})" for column in found.columns}
    if any(row.drawn_windows for row in found.rows):
        columns = {"random": "random windows"} | columns
    rows = [
        [
            _name(row),
            escape_md(row.figure),
            *(figure(row.cells.get(recipe, _NOTHING)) for recipe in columns),
            signed(row.inflation),
        ]
        for row in found.rows
    ]
    head = ["model", "figure", *(escape_md(title) for title in columns.values()), _INFLATION]
    return table(head, rows, "ll" + "r" * (len(head) - 2))


def _name(row: HonestyRow) -> str:
    if not row.mode:
        return escape_md(row.model) if row.model == ENCODER else coded(row.model)
    name = escape_md(f"{row.model} {row.mode}")
    return f"{name}, chosen" if row.chosen else name


def _how(found: Honesty) -> list[str]:
    """What inflation is, and how its intervals were made."""
    lines = []
    if found.easy:
        text = f"inflation: {coded(found.easy)} minus {coded(found.strict)}, two chosen by what they hold apart"
        if found.partly:
            text += f"; without {listed([escape_md(p) for p in found.partly])}, which only one of the two tests"
        lines.append(text)
    pooled = [row for row in found.rows if row.shared is not None and row.inflation.lo is not None]
    if pooled:
        counts = sorted({row.shared for row in pooled if row.shared is not None})
        both = " or ".join(f"{count:,}" for count in counts)
        lines.append(
            "its interval resamples the episodes of both test sides as one, so that an episode that both tested is "
            f"drawn for both ({both} {'is' if counts == [1] else 'are'} on both)"
        )
    apart = [row for row in found.rows if row.shared is None and row.inflation.lo is not None and not row.drawn_windows]
    if apart:
        names = listed([_short(row) for row in apart])
        lines.append(f"of {names} the two sides count as independent: an interval from the two intervals")
    if any(row.model == KNOWLEDGE and row.inflation.value is not None for row in found.rows):
        lines.append(
            f"`{KNOWLEDGE}` learns from no episode but the score from which it names: its inflation is what the "
            "two test sides differ by themselves"
        )
    if any(row.drawn_windows for row in found.rows):
        lines.append(
            "random windows: `gbt` trained on windows drawn from every episode and tested on others of the same "
            "episodes, which flatters more than recipe `random` would; the two sides count as independent"
        )
    lines.append("all intervals resample episodes: they speak of further episodes on these hosts, not of other hosts")
    notes = column_notes({_name(row): [row.inflation, *row.cells.values()] for row in found.rows if row.cells})
    return [*lines, *(line.removeprefix("- ") for line in notes.splitlines())]


def _sides(found: Honesty) -> list[str]:
    """Where test sides differ in what a figure rests on."""
    lines = []
    logs = [(c.recipe, c.n_log_episodes) for c in found.columns if c.n_log_episodes is not None]
    if any(c.n_log_episodes not in (None, c.n_test_episodes) for c in found.columns):
        said = listed([f"{plural(n, 'episode')} ({coded(recipe)})" for recipe, n in logs])
        lines.append(f"encoder and `knowledge` are tested on {said}")
    floors = [(c.recipe, c.prevalence) for c in found.columns if c.prevalence is not None]
    if len({share for _, share in floors}) > 1:
        said = listed([f"{number(share, 2)} ({coded(recipe)})" for recipe, share in floors])
        lines.append(f"average precision has the share of attacks as its floor: {said}")
    return lines


def _absent(found: Honesty) -> list[str]:
    """Evaluations that may not stand here, and recipes that were not made, with the command that makes them."""
    lines = [
        f"not comparable: {coded(each.recipe)}, because {escape_md(each.reason)}; {_make(found, each.recipe)} makes it "
        "anew"
        for each in found.left_out
    ]
    if found.missing:
        first, *others = found.missing
        text = f"not made: {listed([coded(recipe) for recipe in found.missing])}; {_make(found, first)} makes "
        text += "the first, and with `--recipe all` all that the store allows" if others else "it"
        lines.append(text)
    return lines


def _make(found: Honesty, recipe: str) -> str:
    words: Sequence[str] = ("materialize", "--recipe", recipe, *found.remedy)
    text = written(*words)
    return f"`{text}`" if _PLAIN_COMMAND.fullmatch(text) else escape_md(text)
