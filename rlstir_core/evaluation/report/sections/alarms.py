"""The report on alarms: how many are false by hour, which benign work raises them, which techniques they catch.

What does not belong here: curves over thresholds (`curves.py`) and time to detect (`breakdowns.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import MISSING, figure, listed, number, percent, plural, table
from rlstir_core.evaluation.report.rows import notes, ordered, row_name
from rlstir_core.evaluation.stats.counts import MIN_PHASE_EPISODES
from rlstir_core.evaluation.stats.intervals import MIN_EPISODES, Estimate
from rlstir_core.evaluation.stats.rules import ALARM_FPR
from rlstir_core.text import escape_md


def alarms_section(inputs: ReportInputs) -> str:
    """False alarms by host-hour, with what the same threshold finds."""
    models = [(model, model.alarms) for model in ordered(inputs) if model.alarms is not None]
    if not models:
        return ""
    rows = [
        [
            row_name(model, inputs),
            figure(alarms.per_hour, 1),
            f"{alarms.onsets:,}" if alarms.per_hour.value is not None else MISSING,
            figure(model.time_to_detect.share_detected, 2),
        ]
        for model, alarms in models
    ]
    first = models[0][1]
    text = (
        f"## False alarms\n\nAt the threshold that validation sets for {percent(ALARM_FPR)} false positives. An alarm "
        "begins in a window whose attack probability reaches the threshold while the window one stride before did "
        "not, or was not scored; it is false where that window is not under attack. An alarm that goes on counts "
        "once, and one that outlasts an attack counts as none. Every window without attack stands for one stride, "
        f"{first.stride_s:g} s: {first.hours:,.2f} host-hours in {first.n_episodes:,} episodes. Test episodes are "
        "staged, so this is the rate of such work, not of a quiet host. Beside it the share of attacked episodes that "
        "the same threshold detects, because a model that never alarms has no false alarm either.\n\n"
    )
    head = ["model", "false alarms an hour [95 %]", "false alarms", "attacked episodes detected"]
    parts = [text + table(head, rows)]
    reasons = notes(alarms.per_hour for _, alarms in models)
    if reasons:
        parts.append("\n".join(f"- {escape_md(reason)}" for reason in reasons))
    return "\n\n".join(parts)


def benign_section(inputs: ReportInputs) -> str:
    """Which benign work the chosen model raises alarms on."""
    chosen = inputs.chosen
    if chosen is None or inputs.one_sided:
        return ""
    benign = chosen.benign
    head = "## Benign work that is flagged\n\n"
    if benign.note:
        return f"{head}Not given: {escape_md(benign.note)}."
    model = next(each for each in inputs.models if each.name == chosen.name)
    text = (
        f"How often {row_name(model, inputs)} raises an alarm on benign test episodes, at the threshold for "
        f"{percent(ALARM_FPR)} false positives; the most often flagged first. That order is by the figures themselves, "
        f"so the first rows look worse than they are. What stands in fewer than {MIN_PHASE_EPISODES} benign test "
        "episodes is untested by that rule."
    )
    parts = [head + text]
    for kind in ("all", "profile", "sample"):
        rows = [
            [
                escape_md(row.name),
                f"{row.n_episodes:,}",
                f"{row.n_windows:,}",
                figure(row.windows),
                figure(row.episodes, 2),
            ]
            for row in benign.rows
            if row.kind == kind
        ]
        if rows:
            first = "" if kind == "all" else kind
            names = [first, "episodes", "windows", "windows flagged [95 %]", "episodes with a false alarm [95 %]"]
            parts.append(table(names, rows))
    lines = []
    for kind, n in benign.n_untested.items():
        named = [f"{escape_md(each.name)} ({each.n_test})" for each in benign.untested if each.kind == kind]
        more = [f"{n - len(named)} more"] if n > len(named) else []
        lines += [f"untested, with its number of episodes: {kind} {listed([*named, *more])}"] if n else []
    lines += [f"{plural(n, kind)} more, flagged less often" for kind, n in benign.n_further.items() if n]
    lines += _few(e for row in benign.rows for e in (row.windows, row.episodes))
    if lines:
        parts.append("\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts)


def techniques_section(inputs: ReportInputs) -> str:
    """Which techniques the chosen model's alarms fall into."""
    chosen = inputs.chosen
    if chosen is None or inputs.one_sided:
        return ""
    found = chosen.techniques
    head = "## Recall by technique\n\n"
    if found.note:
        return f"{head}Not given: {escape_md(found.note)}."
    model = next(each for each in inputs.models if each.name == chosen.name)
    text = (
        f"For the {found.n_episodes:,} attacked test episodes whose log rows name a technique: in what share of those "
        f"where it ran {row_name(model, inputs)} raised an alarm in a window that touches the time from the "
        f"technique's first log row to its last, at the threshold for {percent(ALARM_FPR)} false positives. "
        "Techniques overlap in time and an alarm names none, so this tells what alarms coincide with. A technique in "
        f"fewer than {MIN_PHASE_EPISODES} such episodes is untested by that rule."
    )
    parts = [head + text]
    if found.rows:
        rows = [
            [
                escape_md(row.technique),
                escape_md(row.name),
                f"{row.n_episodes:,}",
                number(row.median_s, 1),
                figure(row.share, 2),
            ]
            for row in found.rows
        ]
        names = ["technique", "name", "episodes", "median time, s", "episodes with an alarm in it [95 %]"]
        parts.append(table(names, rows, "llrrr"))
    named = [f"{escape_md(each.name)} ({each.n_test})" for each in found.untested]
    more = [f"{found.n_untested - len(named)} more"] if found.n_untested > len(named) else []
    lines = [f"untested, with its number of episodes: {listed([*named, *more])}"] if named else []
    lines += (
        [f"log rows of {plural(found.n_missing, 'attacked test episode')} are not there"] if found.n_missing else []
    )
    lines += _few(row.share for row in found.rows)
    if lines:
        parts.append("\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts)


def _few(estimates: Iterable[Estimate]) -> list[str]:
    """Why figures have no interval; one line for all that stand in too few episodes, whose number is in their row."""
    reasons = notes(estimates)
    lines = [escape_md(reason) for reason in reasons if not reason.startswith("n = ")]
    return lines + [f"no interval below {MIN_EPISODES} episodes"] * (len(lines) < len(reasons))
