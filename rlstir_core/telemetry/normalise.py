"""Causal normalisers: what a channel does relative to its own recent past on this host.

They stand beside the plain levels, never instead of them (levels carry what a normaliser removes). The
value at bin t uses bins up to t only, and a normaliser starts anew where the scored stretch starts.
What does not belong here: standardisation with training statistics (`detectors/`).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Array

# C channels, T bins
Normaliser = Literal["none", "ewma", "runq", "self", "dyn"]
NORMALISERS: tuple[str, ...] = get_args(Normaliser)

_HALF_LIFE_S = 20.0
_WARM_UP_S = 1.0  # weight of history below which the past says nothing yet
_RANK_HISTORY_S = 60.0
_RANK_POINTS = 120  # history is thinned to so many bins: a rank to 1 % needs no more
_DIFFERENCE_S = 1.0
_CLIP = 8.0
_FLOOR = 0.02  # of a scaled unit: a channel that stands still has no spread to divide by

_KINDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "ewma": ("ewma",),
    "runq": ("runq",),
    "self": ("self",),
    "dyn": ("runq", "ewma", "diff"),
}


def normalised_names(normaliser: str, channels: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the rows that `normalise` gives: `<channel>~<kind>`."""
    return tuple(f"{channel}~{kind}" for kind in _KINDS[normaliser] for channel in channels)


def normalise(x_CT: Array, normaliser: str, bin_hz: float) -> Array:
    """Causally normalised channels, (C, T) -> (M*C, T) where M is the number of kinds; NaN where missing."""
    parts = [_FUNCTIONS[kind](x_CT, bin_hz) for kind in _KINDS[normaliser]]
    return np.concatenate(parts) if parts else np.empty((0, x_CT.shape[1]), np.float32)


def _ewma(x_CT: Array, bin_hz: float) -> Array:
    """z-score against the exponentially weighted mean and variance of the bins before (West 1979, weights decayed)."""
    from scipy.signal import lfilter  # half a second, which whoever only names a normaliser need not wait

    known_CT = np.isfinite(x_CT)
    # Around the first known value the sums of squares stay small, so their difference keeps its digits.
    first_C1 = np.take_along_axis(x_CT, known_CT.argmax(axis=1)[:, None], axis=1).astype(np.float64)
    x = np.where(known_CT, x_CT - np.nan_to_num(first_C1), 0.0).astype(np.float64)
    decay = 0.5 ** (1.0 / (_HALF_LIFE_S * bin_hz))

    def history(value_CT: NDArray[np.float64]) -> NDArray[np.float64]:
        past = lfilter([1.0], [1.0, -decay], value_CT, axis=1)
        return np.concatenate([np.zeros_like(past[:, :1]), past[:, :-1]], axis=1)

    weight = history(known_CT.astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = history(x) / weight
        spread = np.sqrt(np.maximum(history(x * x) / weight - mean * mean, 0.0)) + _FLOOR
        z = np.clip((x - mean) / spread, -_CLIP, _CLIP)
    z[~known_CT | (weight < max(2.0, 0.5 * _WARM_UP_S * bin_hz))] = np.nan
    return np.asarray(z, np.float32)


def _running_rank(x_CT: Array, bin_hz: float) -> Array:
    """Rank of the bin among the last minute's bins, in [0, 1]: running quantiles."""
    step = max(1, int(_RANK_HISTORY_S * bin_hz / _RANK_POINTS))
    below = np.zeros(x_CT.shape, np.float32)
    count = np.zeros(x_CT.shape, np.float32)
    for lag in range(step, min(step * _RANK_POINTS, x_CT.shape[1] - 1) + 1, step):
        past, now = x_CT[:, :-lag], x_CT[:, lag:]
        below[:, lag:] += (past < now) + 0.5 * (past == now)
        count[:, lag:] += np.isfinite(past)
    with np.errstate(invalid="ignore", divide="ignore"):
        rank = below / count
    rank[~np.isfinite(x_CT) | (count < 1)] = np.nan
    return rank


def _self_baseline(x_CT: Array, bin_hz: float) -> Array:
    """Distance from the mean of everything seen before this bin."""
    known_CT = np.isfinite(x_CT)
    total = np.cumsum(np.where(known_CT, x_CT, 0.0), axis=1, dtype=np.float64)
    count = np.cumsum(known_CT, axis=1, dtype=np.float64)
    past_total = np.concatenate([np.zeros_like(total[:, :1]), total[:, :-1]], axis=1)
    past_count = np.concatenate([np.zeros_like(count[:, :1]), count[:, :-1]], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        out = x_CT - past_total / past_count
    out[~known_CT | (past_count < max(1.0, 0.5 * _WARM_UP_S * bin_hz))] = np.nan
    return np.asarray(out, np.float32)


def _difference(x_CT: Array, bin_hz: float) -> Array:
    """Change over the last second."""
    lag = max(1, round(_DIFFERENCE_S * bin_hz))
    out = np.full_like(x_CT, np.nan)
    out[:, lag:] = x_CT[:, lag:] - x_CT[:, :-lag]
    return out


_FUNCTIONS = {"ewma": _ewma, "runq": _running_rank, "self": _self_baseline, "diff": _difference}
