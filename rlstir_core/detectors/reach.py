"""How far a recording lies from what was trained on: quantiles of its channels, and a distance of its summaries.

The distance is that of probabilistic principal components (Tipping and Bishop 1999) on standardised means and spreads
of windows: a Mahalanobis distance whose matrix has few axes and one variance for what is left. What counts as far is
set by train episodes that the fit left out. What does not belong here: channels by their train mean (`unusual.py`), and
how well any of it foretells errors (`evaluation/`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats
from rlstir_core.atomic import write_json
from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.detectors.episode_set import EpisodeSet
from rlstir_core.detectors.study import Study
from rlstir_core.errors import CheckpointError
from rlstir_core.learning.container import MAX_JSON_BYTES, opened
from rlstir_core.results.layout import Layout

# N windows, C channels, F columns (means, then spreads), R axes
FAR_SHARE = 0.05  # of left-out train episodes lie further out than `usual`
EDGES = (0.01, 0.99)  # quantiles of the train side between which a channel's window mean is inside
_STATISTICS = ("mean", "std")
_MOST_CHANNELS = 256
_AXES = 16
_MOST = 20_000  # windows that a round is fitted on, evenly over its episodes
_MIN_ROWS_AN_AXIS = 10
_SPREAD = 1e-6
_FLOOR = 0.05  # of the mean variance: no direction counts as narrower


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What one round was trained on, as a place with a width."""

    channels: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]
    variance: tuple[float, ...]  # along the axes
    rest: float  # along every other direction
    usual: float | None = None  # the distance of an episode that few left-out train episodes exceed
    n_left_out: int = 0  # episodes that `usual` is set by

    @property
    def columns(self) -> tuple[str, ...]:
        return columns_of(self.channels)

    def distance(self, x_NF: NDArray[np.floating]) -> Floats:
        """Distance of windows, 1 where they lie as train windows do on average; a missing value counts as the mean."""
        z_NF = (np.asarray(x_NF, np.float64) - self.mean) / self.spread
        z_NF = np.where(np.isfinite(z_NF), z_NF, 0.0)
        along_NR = z_NF @ np.asarray(self.axes).reshape(-1, z_NF.shape[1]).T
        left_N = np.maximum((z_NF**2).sum(axis=1) - (along_NR**2).sum(axis=1), 0.0)
        squared_N = (along_NR**2 / self.variance).sum(axis=1) + left_N / self.rest
        out_N: Floats = np.sqrt(squared_N / z_NF.shape[1])
        return out_N

    def outside(self, x_NF: NDArray[np.floating]) -> Floats:
        """Share of the channels whose window mean lies outside the train side's quantiles, by window."""
        mean_NC = np.asarray(x_NF, np.float64)[:, : len(self.channels)]
        out_NC = (mean_NC < self.low) | (mean_NC > self.high)  # NaN compares false
        known_N = np.isfinite(mean_NC).sum(axis=1)
        out_N: Floats = np.divide(out_NC.sum(axis=1), known_N, out=np.zeros(len(out_NC)), where=known_N > 0)
        return out_N


def columns_of(channels: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{channel}|{statistic}" for statistic in _STATISTICS for channel in channels)


def fit_reaches(study: Study, episodes: EpisodeSet) -> tuple[Reach, ...]:
    """A reach for each round, from its train side; written to `range.json` beside the checkpoints."""
    channels = study.shared[PRIMARY_MODE][:_MOST_CHANNELS]
    features = episodes.features(columns_of(channels))
    train = episodes.select(info.episode_id for info in study.split.trained_on)
    most = max(1, _MOST // max(1, min(len(each.train) for each in study.split.rounds)))
    rows: dict[str, NDArray[np.float32]] = {}
    for recording in sorted(train, key=episodes.place):  # type: ignore[arg-type]
        x_WF = features(recording)
        rows[recording.info.episode_id] = x_WF[np.linspace(0, len(x_WF) - 1, min(most, len(x_WF))).round().astype(int)]
    found = []
    for each in study.split.rounds:
        whole = [rows[name] for name in each.train if name in rows]
        distances = []
        for fold in each.folds:
            kept_out = set(fold)
            learnt = [rows[name] for name in each.train if name in rows and name not in kept_out]
            if learnt:
                of_others = fit_reach(channels, learnt)
                distances += [float(np.median(of_others.distance(rows[name]))) for name in fold if name in rows]
        usual = float(np.quantile(distances, 1 - FAR_SHARE)) if len(distances) >= 1 / FAR_SHARE else None
        reach = msgspec.structs.replace(fit_reach(channels, whole), usual=usual, n_left_out=len(distances))
        found.append(reach)
    write_json(study.layout.reach(study.options.recipe), msgspec.to_builtins(found))
    return tuple(found)


def fit_reach(channels: Sequence[str], rows: Sequence[NDArray[np.float32]]) -> Reach:
    """The reach of these rows, (N, F) each of one episode."""
    x_NF = np.concatenate(rows).astype(np.float64)
    known_NF = np.isfinite(x_NF)
    n_F = np.maximum(known_NF.sum(axis=0), 1)
    mean_F = np.where(known_NF, x_NF, 0.0).sum(axis=0) / n_F
    spread_F = np.sqrt(np.where(known_NF, (x_NF - mean_F) ** 2, 0.0).sum(axis=0) / n_F)
    spread_F = np.maximum(spread_F, _SPREAD)
    edges_C = [
        np.quantile(column[known], EDGES) if known.any() else (-np.inf, np.inf)
        for column, known in zip(x_NF.T[: len(channels)], known_NF.T[: len(channels)], strict=True)
    ]
    z_NF = np.where(known_NF, (x_NF - mean_F) / spread_F, 0.0)
    variance_F, axes_FF = np.linalg.eigh(z_NF.T @ z_NF / len(z_NF))
    n_axes = int(min(_AXES, max(1, len(z_NF) // _MIN_ROWS_AN_AXIS), len(variance_F) - 1))
    order = np.argsort(-variance_F)
    floor = _FLOOR * float(variance_F.mean()) + _SPREAD
    return Reach(
        channels=tuple(channels),
        low=tuple(max(float(low), -1e300) for low, _ in edges_C),
        high=tuple(min(float(high), 1e300) for _, high in edges_C),
        mean=tuple(mean_F.tolist()),
        spread=tuple(spread_F.tolist()),
        axes=tuple(tuple(axis) for axis in axes_FF[:, order[:n_axes]].T.tolist()),
        variance=tuple(np.maximum(variance_F[order[:n_axes]], floor).tolist()),
        rest=max(float(variance_F[order[n_axes:]].mean()), floor),
    )


def read_reaches(layout: Layout, recipe: str) -> tuple[Reach, ...]:
    """What `fit_reaches` wrote; nothing where it did not, or not as it writes now."""
    try:
        with opened(layout.reach(recipe), MAX_JSON_BYTES) as handle:
            found = msgspec.json.decode(handle.read(), type=tuple[Reach, ...])
    except (FileNotFoundError, CheckpointError, msgspec.DecodeError, RecursionError):
        return ()
    return found if all(_sound(each) for each in found) else ()


def _sound(reach: Reach) -> bool:
    n = len(reach.columns)
    sizes = {len(reach.mean), len(reach.spread), *map(len, reach.axes)} == {n}
    whole = sizes and len(reach.low) == len(reach.high) == len(reach.channels) > 0
    return whole and len(reach.axes) == len(reach.variance) > 0 and min(*reach.variance, *reach.spread, reach.rest) > 0
