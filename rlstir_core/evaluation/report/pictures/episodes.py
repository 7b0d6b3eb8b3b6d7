"""Small pictures of single episodes: the true phases, what a model named, its attack probability and the threshold.

What does not belong here: an episode's telemetry, logs and processes (`episode_figures.py`).
"""

from __future__ import annotations

from itertools import pairwise

from rlstir_core.drawing import FAINT, INK, canvas, png
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.stats.details import BadEpisode
from rlstir_core.text import drawable

_COLOURS = ("#ffffff", "#fbe7b2", "#f4c79b", "#eba58e", "#d4c8e6", "#bfdccd")
_LINE, _THRESHOLD = "#1f6fb4", "#c2334d"
_TALL_IN = 1.05
_BREAK_STEPS = 1.5


def draw_episodes(inputs: ReportInputs) -> dict[str, bytes]:
    """A picture for each of the worst episodes, `worst_01` and so on. PNG bytes."""
    if inputs.chosen is None:
        return {}
    phases = next(each for each in inputs.models if each.name == inputs.chosen.name).confusion.phases
    return {f"worst_{place:02}": episode_strip(each, phases) for place, each in enumerate(inputs.chosen.worst, 1)}


def episode_strip(episode: BadEpisode, phases: tuple[str, ...]) -> bytes:
    """One episode over its own time."""
    figure = canvas(_TALL_IN)
    axes = figure.add_axes((0.06, 0.36, 0.93, 0.5))
    strip = figure.add_axes((0.06, 0.25, 0.93, 0.09))
    named = dict.fromkeys([*phases, *(span.phase for span in episode.spans), *episode.called])
    colour = {phase: _COLOURS[at % len(_COLOURS)] for at, phase in enumerate(named)}
    for span in episode.spans:
        axes.axvspan(span.since_s, span.until_s, color=colour[span.phase], linewidth=0, zorder=0)
        if span.until_s - span.since_s > 0.08 * episode.duration_s:
            middle = (span.since_s + span.until_s) / 2
            name = drawable(span.phase.replace("_", " "), 18).replace("$", r"\$")
            axes.text(middle, 1.06, name, fontsize=6.5, color=FAINT, ha="center", va="bottom")
    nearest_s = min((b - a for a, b in pairwise(episode.middle_s)), default=episode.duration_s)
    step_s = episode.step_s or nearest_s  # an evaluation of an earlier form has no step
    for middle, called in zip(episode.middle_s, episode.called, strict=True):
        strip.axvspan(middle - step_s / 2, middle + step_s / 2, color=colour[called], linewidth=0)
    if episode.attack:
        at_s, attack = _broken(episode, step_s)
        axes.plot(at_s, attack, color=_LINE, linewidth=1.3, marker="o", markersize=1.8, zorder=3)
    if episode.threshold is not None and episode.threshold <= 1:
        axes.axhline(episode.threshold, color=_THRESHOLD, linewidth=0.9, linestyle=(0, (4, 3)), zorder=2)
    axes.set_ylim(-0.04, 1.06)
    axes.set_yticks([0, 1], ["0", "1"]) if episode.attack else axes.set_yticks([])
    axes.set_xticks([])
    strip.set_yticks([])
    for each in (axes, strip):
        each.set_xlim(0, episode.duration_s)
        each.tick_params(length=0, labelsize=7, colors=INK, pad=2)
        for spine in each.spines.values():
            spine.set_color("#c3cad2")
            spine.set_linewidth(0.6)
    strip.set_xlabel("seconds of the recording", fontsize=6.5, color=INK, labelpad=1)
    return png(figure)


def _broken(episode: BadEpisode, step_s: float) -> tuple[list[float], list[float]]:
    """The attack probability over time, broken where windows were not scored."""
    at_s, attack = list(episode.middle_s[:1]), list(episode.attack[:1])
    for before, now, value in zip(episode.middle_s, episode.middle_s[1:], episode.attack[1:], strict=False):
        if now - before > _BREAK_STEPS * step_s:
            at_s.append(now)
            attack.append(float("nan"))
        at_s.append(now)
        attack.append(value)
    return at_s, attack
