"""The report on single episodes: the ones that the chosen model did worst on, each with its picture and a command.

What does not belong here: averages over episodes (`breakdowns.py`).
"""

from __future__ import annotations

import shlex

from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import listed, number, percent, plural, table
from rlstir_core.evaluation.report.rows import causes, coded, picture, row_name
from rlstir_core.evaluation.stats.details import BadEpisode
from rlstir_core.evaluation.stats.rules import ALARM_FPR
from rlstir_core.ids import is_safe
from rlstir_core.text import escape_md

_REASONS = 2


def episodes_section(inputs: ReportInputs) -> str:
    """The ten worst test episodes."""
    chosen = inputs.chosen
    if chosen is None or not chosen.worst:
        return ""
    model = next(each for each in inputs.models if each.name == chosen.name)
    rows = [
        [
            f"{place}",
            coded(each.episode_id),
            escape_md(each.host),
            escape_md(each.profile) + (", benign" if each.benign and not inputs.one_sided else ""),
            escape_md(each.sample),
            _verdict(each),
            number(each.log_loss, 2),
            f"{round(each.right * each.n_windows)} of {each.n_windows}",
        ]
        for place, each in enumerate(chosen.worst, 1)
    ]
    head = ["", "episode", "host", "profile", "sample", "verdict", "log loss", "windows right"]
    text = (
        f"## Worst episodes\n\nThe {plural(len(rows), 'test episode')} on which {row_name(model, inputs)} has the "
        "highest mean log loss: the negative logarithm of the probability that it gave the true phase, averaged over "
        "the episode's windows. In each picture the colours are the true phases, the strip below them those that the "
        "model named"
    )
    text += (
        "."
        if inputs.one_sided
        else f", the line is the attack probability and the dashes are the threshold for {percent(ALARM_FPR)} false "
        "positives, at which alarms are counted."
    )
    if any(each.n_windows > len(each.middle_s) for each in chosen.worst):
        text += (
            " An episode of many windows is shown in stretches of equal length: the strip has the phase that most "
            "windows of a stretch were called"
        )
        text += "." if inputs.one_sided else ", the line the highest attack probability in it."
    parts = [text, table(head, rows, "rlllllrr")]
    for place, each in enumerate(chosen.worst, 1):
        # nothing but safe ids may stand in a command
        command = f". `{show_command(each)}`" if is_safe(each.own_id) and is_safe(each.host) else ""
        alarms = f"; alarms: {escape_md(each.alarm)}" if each.alarm else ""
        parts.append(f"Episode {place}: {_wrong(each)}{alarms}{command}")
        drawn = "phases" if inputs.one_sided else "phases, attack probability, threshold"
        parts += picture(inputs, f"worst_{place:02}", f"Episode {place}: {drawn}")[:1]
    parts.append(
        "The commands draw telemetry, logs and processes of an episode; run them in the folder of this report."
    )
    return "\n\n".join(parts)


def show_command(episode: BadEpisode) -> str:
    """The command that draws an episode, as it is run in the folder of the report: no path of a machine is in it."""
    words = ["rlstir", "show", episode.own_id, "--host", episode.host, "--data", "../../..", "--out", episode.own_id]
    return shlex.join(words)


def _verdict(episode: BadEpisode) -> str:
    words = causes(episode.reasons, of=1, most=_REASONS)
    return f"{episode.verdict} ({words})" if words else episode.verdict


def _wrong(episode: BadEpisode) -> str:
    words = [f"{escape_md(c.phase)} called {escape_md(c.called)} in {c.n_windows}" for c in episode.confused]
    return listed(words) or "every phase named"
