"""Summary statistics of windows: a row of numbers for every series of every window.

One sort per window serves all quantiles; NaN is missing and takes no part. What does not belong here: which
series there are (`features.py`) and how time is cut (`windows.py`).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Array

# S series, T bins, W windows, L bins of a window, Q statistics, N windows of any series, P quantiles

STATISTICS: tuple[str, ...] = (
    "mean", "std", "min", "q10", "q25", "median", "q75", "q90", "max", "slope", "absdiff", "lag1", "rise",
)  # fmt: skip
CUTS = (4, 8)  # equal parts of a window that is a whole run; chosen by cross-validation on train series of `ts_uea`
_OF_PARTS = ("mean", "std", "slope")
OF_PARTS: tuple[str, ...] = tuple(
    f"{name}_{part + 1}of{parts}" for parts in CUTS for part in range(parts) for name in _OF_PARTS
)
_QUANTILES = (0.0, 0.10, 0.25, 0.50, 0.75, 0.90, 1.0)
_MIN_SPREAD = 1e-6
_CHUNK = 512  # windows at a time, so that the work stays in the processor's cache


def window_statistics(x_ST: Array, start_W: NDArray[np.int64], length: int, bin_hz: float) -> Array:
    """Statistics of every series in every window, (S, T) -> (W, S, Q) float32, NaN where nothing is known.

    mean, std, min, quantiles, max in the series' unit; slope per second (least squares); absdiff the mean
    absolute step between neighbouring bins; lag1 their autocorrelation; rise last minus first known value.
    """
    view_WSL = np.lib.stride_tricks.sliding_window_view(x_ST, length, axis=1)[:, start_W].swapaxes(0, 1)
    out_WSQ = np.full((*view_WSL.shape[:2], len(STATISTICS)), np.nan, np.float32)
    # A window is complete or not by itself: what comes after it in its series changes nothing.
    with np.errstate(over="ignore"):
        complete_WS = np.isfinite(np.einsum("wsl->ws", view_WSL))
    for chosen_WS, statistics in ((complete_WS, _complete), (~complete_WS, _partial)):
        x_NL = view_WSL[chosen_WS]
        if len(x_NL):
            parts = [statistics(x_NL[at : at + _CHUNK], bin_hz) for at in range(0, len(x_NL), _CHUNK)]
            out_WSQ[chosen_WS] = np.concatenate(parts)
    return out_WSQ


def part_statistics(x_ST: Array, start_W: NDArray[np.int64], length: int, bin_hz: float) -> Array:
    """`OF_PARTS` of every series in every window, (S, T) -> (W, S, P) float32, NaN where nothing is known.

    Mean, standard deviation and slope of quarters and eighths, which tell when in a run something happens; after the
    intervals of arXiv:1302.2277 (time series forest), which draws them at random. A part has at least two bins.
    """
    chosen = [STATISTICS.index(name) for name in _OF_PARTS]
    found = []
    for parts in CUTS:
        ends = np.linspace(0, length, parts + 1).round().astype(np.int64)
        for begin, end in pairwise(ends.tolist()):
            n = min(max(2, end - begin), length)
            at_W = np.minimum(start_W + begin, x_ST.shape[1] - n)
            found.append(window_statistics(x_ST, at_W, n, bin_hz)[:, :, chosen])
    return np.concatenate(found, axis=2)


def missing_share(x_CT: Array, start_W: NDArray[np.int64], length: int) -> Array:
    """Share of a window's bins in which a channel is missing, (C, T) -> (W, C)."""
    gone_CT = np.isnan(x_CT)
    total_CT = np.concatenate([np.zeros((len(x_CT), 1)), np.cumsum(gone_CT, axis=1)], axis=1)
    share_CW = (total_CT[:, start_W + length] - total_CT[:, start_W]) / length
    return np.asarray(share_CW.T, np.float32)


def _complete(x_NL: Array, bin_hz: float) -> Array:
    """Statistics where no bin is missing: no masks, no counting. (N, L) -> (N, Q)."""
    length = x_NL.shape[1]
    t_L = _centred_seconds(length, bin_hz)
    wide_NL = x_NL.astype(np.float64)
    mean_N = np.einsum("nl->n", wide_NL) / length
    centred_NL = np.subtract(wide_NL, mean_N[:, None], out=wide_NL)
    square_N = np.einsum("nl,nl->n", centred_NL, centred_NL)
    lagged_N = np.einsum("nl,nl->n", centred_NL[:, 1:], centred_NL[:, :-1])
    slope_N = np.einsum("nl,l->n", centred_NL, t_L) / (t_L**2).sum()
    step_NL = x_NL[:, 1:] - x_NL[:, :-1]
    step_N = np.abs(step_NL, out=step_NL).mean(axis=1)
    position_P = np.asarray(_QUANTILES) * (length - 1)
    low_P = np.floor(position_P).astype(int)
    high_P = np.minimum(low_P + 1, length - 1)
    share_P = (position_P - low_P).astype(np.float32)
    ordered_NL = np.sort(x_NL, axis=1)
    quantiles_NP = ordered_NL[:, low_P] * (1 - share_P) + ordered_NL[:, high_P] * share_P
    return _stack(
        mean_N,
        np.sqrt(square_N / length),
        quantiles_NP,
        slope_N,
        step_N,
        _ratio(lagged_N, square_N, length),
        x_NL[:, -1] - x_NL[:, 0],
    )


def _partial(x_NL: Array, bin_hz: float) -> Array:
    """The same statistics over the known bins, NaN where there is none. (N, L) -> (N, Q)."""
    length = x_NL.shape[1]
    known_NL = np.isfinite(x_NL)
    empty_N = ~known_NL.any(axis=1)
    n_N = np.maximum(known_NL.sum(axis=1), 1)
    wide_NL = np.where(known_NL, x_NL, 0.0).astype(np.float64)
    t_L = _centred_seconds(length, bin_hz)
    mean_N = wide_NL.sum(axis=1) / n_N
    centred_NL = np.where(known_NL, wide_NL - mean_N[:, None], 0.0)
    square_N = np.einsum("nl,nl->n", centred_NL, centred_NL)
    lagged_N = np.einsum("nl,nl->n", centred_NL[:, 1:], centred_NL[:, :-1])
    t_mean_N = np.einsum("nl,l->n", known_NL, t_L) / n_N
    t_square_N = np.einsum("nl,l->n", known_NL, t_L**2) - n_N * t_mean_N**2
    slope_N = np.divide(
        np.einsum("nl,l->n", centred_NL, t_L), t_square_N, out=np.zeros(len(n_N)), where=t_square_N > 1e-9
    )
    both_NL = known_NL[:, 1:] & known_NL[:, :-1]
    step_N = np.abs(np.where(both_NL, np.diff(wide_NL, axis=1), 0.0)).sum(axis=1) / np.maximum(both_NL.sum(axis=1), 1)
    first_N = known_NL.argmax(axis=1)
    last_N = length - 1 - known_NL[:, ::-1].argmax(axis=1)
    every_N = np.arange(len(x_NL))
    ordered_NL = np.sort(x_NL, axis=1)  # NaN sorts to the end
    position_NP = np.asarray(_QUANTILES) * (n_N - 1)[:, None]
    low_NP = np.floor(position_NP).astype(int)
    high_NP = np.minimum(low_NP + 1, (n_N - 1)[:, None])
    share_NP = position_NP - low_NP
    low_value_NP = np.take_along_axis(ordered_NL, low_NP, 1)
    quantiles_NP = low_value_NP * (1 - share_NP) + np.take_along_axis(ordered_NL, high_NP, 1) * share_NP
    out_NQ = _stack(
        mean_N,
        np.sqrt(square_N / n_N),
        quantiles_NP,
        slope_N,
        step_N,
        _ratio(lagged_N, square_N, n_N),
        x_NL[every_N, last_N] - x_NL[every_N, first_N],
    )
    out_NQ[empty_N] = np.nan
    return out_NQ


def _centred_seconds(length: int, bin_hz: float) -> NDArray[np.float64]:
    return np.asarray((np.arange(length) - (length - 1) / 2) / bin_hz, np.float64)


def _ratio(
    lagged_N: NDArray[np.float64], square_N: NDArray[np.float64], n: int | NDArray[np.int_]
) -> NDArray[np.float64]:
    """Autocorrelation, 0 for a series that stands still."""
    moving_N = square_N > n * _MIN_SPREAD**2
    return np.divide(lagged_N, square_N, out=np.zeros_like(square_N), where=moving_N)


def _stack(
    mean_N: NDArray[np.floating],
    std_N: NDArray[np.floating],
    quantiles_NP: NDArray[np.floating],
    *rest: NDArray[np.floating],
) -> Array:
    out_NQ = np.empty((len(mean_N), len(STATISTICS)), np.float32)
    n_quantiles = quantiles_NP.shape[1]
    out_NQ[:, 0], out_NQ[:, 1], out_NQ[:, 2 : 2 + n_quantiles] = mean_N, std_N, quantiles_NP
    for place, part_N in enumerate(rest, 2 + n_quantiles):
        out_NQ[:, place] = part_N
    return out_NQ
