"""Channels: the rows of one episode as numeric series on one grid of bins.

Counters become rates, events become sums, everything is aligned on `t_wall_ns`, and each channel is put on
its scale (asinh for log channels: a logarithm that knows zero). A value of bin b uses rows up to the end of
bin b only. What does not belong here: windows and statistics (`windows.py`, `summary.py`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats, Ints
from rlstir_core.contract.registry import Registry, Source

# R rows, C channels, T bins

_NS = 1_000_000_000
_HOLD_PERIODS = 1.5  # a level stays known for this many sampling periods, then it is missing


def episode_bins(t_start_wall_ns: int, t_end_wall_ns: int, bin_hz: float) -> int:
    """Number of bins T that cover the episode; the last one may be cut short."""
    return max(1, math.ceil((t_end_wall_ns - t_start_wall_ns) * bin_hz / _NS - 1e-6))


def bin_channels(
    sources: dict[str, dict[str, NDArray[Any]]], registry: Registry, t_start_wall_ns: int, n_bins: int
) -> NDArray[np.float32]:
    """Scaled channels on the grid, NaN where missing. {source: {column: (R,)}} -> (C, T) float32.

    C follows `registry.channels`. A source that is absent is missing throughout; an event source that is
    present is zero where it has no rows.
    """
    x_CT = np.full((len(registry.channels), n_bins), np.nan)
    row = 0
    for name, source in registry.sources.items():
        count = sum(field.kind != "scaler" for field in source.fields.values()) + source.count
        if name in sources:
            x_CT[row : row + count] = _bin_source(
                sources[name], source, t_start_wall_ns, n_bins, registry.windowing.bin_hz
            )
        row += count
    logs = np.array([channel.scale == "log" for channel in registry.channels])
    x_CT[logs] = np.arcsinh(x_CT[logs])
    with np.errstate(over="ignore"):
        out_CT = x_CT.astype(np.float32)
    out_CT[~np.isfinite(out_CT)] = np.nan
    return out_CT


def counter_rates(counts_R: NDArray[Any], t_ns_R: Ints, scale_R: Floats | None = None) -> Floats:
    """Rates from cumulative counters, 1/s. (R,) -> (R,); the first is NaN. A fall is a reset and yields NaN.

    Missing counts are -1 (int) or NaN. `scale_R` multiplies the growth since the row before
    (perf_event_open(2): time enabled / time running).
    """
    rates_R = np.full(len(counts_R), np.nan)
    if len(counts_R) < 2:
        return rates_R
    missing_R = counts_R < 0 if counts_R.dtype.kind == "i" else ~np.isfinite(counts_R)
    growth = np.diff(counts_R).astype(np.float64)  # in the counter's own type: int64 keeps every digit
    seconds = np.diff(t_ns_R) / _NS
    good = (growth >= 0) & (seconds > 0) & ~missing_R[1:] & ~missing_R[:-1]
    rates = np.divide(growth, seconds, out=np.full(len(growth), np.nan), where=good)
    rates_R[1:] = rates if scale_R is None else rates * scale_R[1:]
    return rates_R


def multiplex_scale(enabled_R: Ints, running_R: Ints) -> Floats:
    """Growth of time enabled over growth of time running, (R,) -> (R,); NaN where the counter did not run."""
    scale_R = np.full(len(enabled_R), np.nan)
    enabled, running = np.diff(enabled_R), np.diff(running_R)
    known_R = (enabled_R >= 0) & (running_R >= 0)
    good = (running > 0) & (enabled >= running) & known_R[1:] & known_R[:-1]
    scale_R[1:] = np.divide(enabled, running, out=np.full(len(enabled), np.nan), where=good)
    return scale_R


def _bin_source(
    columns: dict[str, NDArray[Any]], source: Source, t_start_ns: int, n_bins: int, bin_hz: float
) -> Floats:
    t_R = columns["t_wall_ns"]
    bin_R = np.floor((t_R - t_start_ns) * bin_hz / _NS).astype(np.int64)  # multiplied first: a row at 0.3 s is in bin 3
    inside_R = (bin_R >= 0) & (bin_R < n_bins)
    rows_T = np.bincount(bin_R[inside_R], minlength=n_bins) > 0
    hold = int(_HOLD_PERIODS * bin_hz / source.rate_hz)
    scale_R = None
    if source.time_enabled:
        scale_R = multiplex_scale(columns[source.time_enabled], columns[source.time_running])
    out = []
    for name, field in source.fields.items():
        if field.kind == "scaler":
            continue
        raw_R = columns[name]
        if field.kind == "counter":
            rate_T = _bin_mean(counter_rates(raw_R, t_R, scale_R), bin_R, inside_R, n_bins)
            out.append(_hold(rate_T, rows_T, hold))
            continue
        value_R = raw_R.astype(np.float64)
        if raw_R.dtype.kind == "i":
            value_R[raw_R < 0] = np.nan
        if field.kind == "event":
            out.append(_bin_sum(np.nan_to_num(value_R), bin_R, inside_R, n_bins) * bin_hz)
        else:
            binned_T = _bin_mean(value_R, bin_R, inside_R, n_bins)
            out.append(_hold(binned_T, rows_T, hold) if field.kind == "gauge" else binned_T)
    if source.count:
        out.append(_bin_sum(np.ones(len(t_R)), bin_R, inside_R, n_bins) * bin_hz)
    return np.stack(out)


def _bin_sum(value_R: Floats, bin_R: Ints, inside_R: NDArray[np.bool_], n_bins: int) -> Floats:
    return np.bincount(bin_R[inside_R], weights=value_R[inside_R], minlength=n_bins).astype(np.float64)


def _bin_mean(value_R: Floats, bin_R: Ints, inside_R: NDArray[np.bool_], n_bins: int) -> Floats:
    known_R = inside_R & np.isfinite(value_R)
    total_T = np.bincount(bin_R[known_R], weights=value_R[known_R], minlength=n_bins)
    count_T = np.bincount(bin_R[known_R], minlength=n_bins)
    return np.asarray(np.divide(total_T, count_T, out=np.full(n_bins, np.nan), where=count_T > 0))


def _hold(value_T: Floats, rows_T: NDArray[np.bool_], hold: int) -> Floats:
    """The last row's value for at most `hold` bins without a row: only the past is used.

    A row that gives no value (a reset, a counter that did not run) is missing; the value before it is not held over it.
    """
    if hold < 1:
        return value_T
    index_T = np.arange(len(value_T))
    last_T = np.maximum.accumulate(np.where(rows_T, index_T, -1))
    held_T: Floats = value_T[np.maximum(last_T, 0)]
    held_T[(last_T < 0) | (index_T - last_T > hold)] = np.nan
    return held_T
