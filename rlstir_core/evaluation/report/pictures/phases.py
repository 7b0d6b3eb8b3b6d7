"""Phases of one episode as strips, the true ones over the predicted ones, and P(attack) with its threshold below.

Plain data in, a picture out, so that any page can draw an episode. What does not belong here: finding out what a
detector said (`rlstir_core/evaluation/detectors/recorded.py`), and channels or logs (`episode_figures.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from rlstir_core.drawing import FAINT, GRID, INK, canvas, png
from rlstir_core.text import drawable

_COLOURS = ("#ffffff", "#fdf3dc", "#f9e3d0", "#f6d0c0", "#e9e4f0", "#e2ede8")
_LINE, _THRESHOLD = "#1f6fb4", "#c2334d"
_LEFT, _WIDE = 0.17, 0.81  # of the picture's width, as the other pictures of an episode


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of an episode in one phase."""

    phase: str
    start_s: float
    end_s: float


class PhaseTrack(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn of one episode: its truth, where there is one, and what one detector said."""

    title: str
    duration_s: float
    phases: tuple[str, ...]  # all there are, in their order: it gives the colours
    true: tuple[Stretch, ...]
    predicted: tuple[Stretch, ...]
    seconds: tuple[float, ...]  # at which each window ends
    attack: tuple[float, ...]  # its probability, by window; none where no phase, or every, is an attack
    threshold: float | None = None


def phase_colour(phase: str, phases: Sequence[str]) -> str:
    """The colour of a phase in all pictures of an episode."""
    place = list(phases).index(phase) if phase in phases else len(phases)
    return _COLOURS[place % len(_COLOURS)]


def draw_phases(track: PhaseTrack) -> bytes:
    """The picture, PNG bytes 700 px wide."""
    strips = [("truth", track.true)] * bool(track.true) + [("predicted", track.predicted)]
    tall = 1.55 + 0.34 * len(strips)
    figure = canvas(tall)
    figure.text(_LEFT, 1 - 0.16 / tall, drawable(track.title, 110), fontsize=7.5, color=INK, va="center")
    for at, (name, stretches) in enumerate(strips):
        axes = figure.add_axes((_LEFT, 1 - (0.6 + 0.34 * at) / tall, _WIDE, 0.28 / tall))
        _strip(axes, name, stretches, track)
    axes = figure.add_axes((_LEFT, 0.38 / tall, _WIDE, 0.82 / tall))
    _attack(axes, track)
    return png(figure)


def _strip(axes: Any, name: str, stretches: Sequence[Stretch], track: PhaseTrack) -> None:
    """One row of coloured stretches, named where there is room."""
    for stretch in stretches:
        wide = stretch.end_s - stretch.start_s
        colour = phase_colour(stretch.phase, track.phases)
        axes.axvspan(stretch.start_s, stretch.end_s, facecolor=colour, edgecolor=GRID, linewidth=0.8)
        letters = int(105 * wide / max(track.duration_s, 1e-9))
        if letters >= 3:
            middle = (stretch.start_s + stretch.end_s) / 2
            axes.text(middle, 0.5, drawable(stretch.phase, letters), fontsize=6.5, color=INK, ha="center", va="center")
    axes.set_xlim(0, track.duration_s)
    axes.set_ylim(0, 1)
    axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7, color=INK)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(GRID)


def _attack(axes: Any, track: PhaseTrack) -> None:
    """P(attack) of each window at its end, and the line above which it is an alarm."""
    marker = "o" if len(track.seconds) < 60 else ""
    if track.attack:
        axes.plot(track.seconds, track.attack, color=_LINE, linewidth=1.2, marker=marker, markersize=2.2, zorder=3)
    else:
        axes.text(track.duration_s / 2, 0.5, "no attack to tell from the rest", fontsize=6.5, color=FAINT, ha="center")
    if track.threshold is not None:
        axes.axhline(track.threshold, color=_THRESHOLD, linewidth=0.9, linestyle=(0, (4, 3)), zorder=2)
        words = f"alarm from {track.threshold:.3f}"
        low = track.threshold > 0.5  # the words stand on the side that has room
        axes.text(
            track.duration_s * 0.995,
            track.threshold + (-0.04 if low else 0.04),
            words,
            fontsize=6.5,
            color=_THRESHOLD,
            ha="right",
            va="top" if low else "bottom",
        )
    axes.set_xlim(0, track.duration_s)
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("P(attack)", rotation=0, ha="right", va="center", fontsize=7, color=INK)
    axes.set_xlabel("seconds of the recording", fontsize=7, color=INK)
    axes.tick_params(length=0, labelsize=6.5, colors=FAINT)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
