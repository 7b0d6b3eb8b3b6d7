"""Channels of one episode that lie outside what detectors were trained on, by the train statistics in a checkpoint.

What does not belong here: what is missing in a recording (its verdict says that) and what detectors make of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.detectors.checkpoint import Checkpoint, Members
from rlstir_core.detectors.models.neural import NeuralDetector
from rlstir_core.telemetry.windows import WindowGrid

# C channels, T bins, W windows
FAR = 3.0  # train spreads from the train mean: where a window counts as outside
MOST = 0.1  # of the windows; more is worth a warning
RULE = (
    f"a channel is told of when, in more than {100 * MOST:g} % of the windows, its mean lies over {FAR:g} standard "
    "deviations from the train side's mean"
)


class Unusual(msgspec.Struct, frozen=True, kw_only=True):
    """One channel that lies outside."""

    channel: str
    share: float  # of the windows that have a value
    distance: float  # of the episode's mean from the train mean, in train standard deviations


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainRange:
    """Mean and spread of channels over the train side, (C,)."""

    channels: tuple[str, ...]
    mean_C: NDArray[np.float64]
    spread_C: NDArray[np.float64]


def train_range(checkpoint: Checkpoint, members: Members) -> TrainRange | None:
    """What a checkpoint keeps of its train side; None where its model keeps no statistics, as trees do.

    Window means where it saw summaries, single bins where it saw sequences; pooled over the members.
    """
    standardisers = [d.standardiser for _, _, d in members.members if isinstance(d, NeuralDetector)]
    known = [each for each in standardisers if each is not None]
    if not known:
        return None
    schema = checkpoint.input_schema
    suffix = "|mean" if schema.kind == "summary" else ""
    place = {column: at for at, column in enumerate(schema.columns)}
    rows = [place[f"{channel}{suffix}"] for channel in schema.channels]
    mean_MC = np.array([each.mean_F[rows] for each in known], np.float64)
    square_MC = np.array([each.spread_F[rows] for each in known], np.float64) ** 2 + mean_MC**2
    mean_C = mean_MC.mean(axis=0)
    spread_C = np.sqrt(np.maximum(square_MC.mean(axis=0) - mean_C**2, 1e-12))
    return TrainRange(channels=schema.channels, mean_C=mean_C, spread_C=spread_C)


def widest_range(loaded: Sequence[tuple[Checkpoint, Members]]) -> TrainRange | None:
    """The train statistics of most channels, of window means where some checkpoint keeps them."""
    able = sorted(loaded, key=lambda one: (one[0].input_schema.kind != "summary", -len(one[0].input_schema.channels)))
    return next((found for each in able if (found := train_range(*each)) is not None), None)


def unusual(
    trained: TrainRange, x_CT: NDArray[np.float32], grid: WindowGrid, names: Sequence[str]
) -> tuple[Unusual, ...]:
    """The channels outside what was trained on, the furthest first. `names` are those of the rows of x_CT."""
    place = {name: at for at, name in enumerate(names)}
    found = []
    for channel, mean, spread in zip(trained.channels, trained.mean_C, trained.spread_C, strict=True):
        mean_W = _window_means(x_CT[place[channel]], grid)
        known_W = np.isfinite(mean_W)
        if not known_W.any():
            continue
        far_W = (mean_W[known_W] - mean) / spread
        share = float(np.mean(np.abs(far_W) > FAR))
        if share > MOST:
            found.append(Unusual(channel=channel, share=share, distance=float(far_W.mean())))
    return tuple(sorted(found, key=lambda each: (-abs(each.distance), each.channel)))


def _window_means(x_T: NDArray[np.float32], grid: WindowGrid) -> NDArray[np.float64]:
    """Mean of what is known of each window, NaN where nothing is; (T,) -> (W,)."""
    known_T = np.isfinite(x_T)
    total = np.concatenate([[0.0], np.cumsum(np.where(known_T, x_T, 0.0), dtype=np.float64)])
    count = np.concatenate([[0], np.cumsum(known_T)])
    end_W = np.minimum(grid.start_W + grid.length, len(x_T))
    n_W = count[end_W] - count[grid.start_W]
    mean_W = np.full(len(end_W), np.nan)
    np.divide(total[end_W] - total[grid.start_W], n_W, out=mean_W, where=n_W > 0)
    return mean_W
