"""Window features: ours against a vectorised pandas groupby.

One run, CPU time, median of interleaved rounds. The reference (kept here) is the fastest straightforward
pandas form that was found: a wide table, a column a series, a row for each bin of each overlapping window, and
groupby reductions over all series at once; no Python loop over windows. Both must give the same numbers.
Usage: python benchmarks/features.py [--quick] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlstir_core.contract.registry import default_registry
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.store.writer import write_episode
from rlstir_core.lab.generate import make_episode
from rlstir_core.lab.plan import LabOptions, plan_store
from rlstir_core.telemetry.channels import bin_channels, episode_bins
from rlstir_core.telemetry.features import ratios
from rlstir_core.telemetry.normalise import normalise
from rlstir_core.telemetry.schema import make_schema
from rlstir_core.telemetry.summary import window_statistics
from rlstir_core.telemetry.windows import WindowGrid, window_grid

# S series, T bins, W windows, L bins of a window, Q statistics
BAR_PANDAS = 8.0
TOLERANCE = 1e-6  # relative where values are larger than 1
_QUANTILES = [0.10, 0.25, 0.50, 0.75, 0.90]
_MIN_SPREAD = 1e-6  # a window that varies less stands still: its autocorrelation is 0


def make_series(seconds: float) -> tuple[NDArray[np.float32], WindowGrid, float]:
    """Every series that is summarised (levels, normalised levels, log-ratios) of one generated episode."""
    registry = default_registry()
    schema = make_schema(registry)
    options = LabOptions(duration_s=seconds)
    plans = plan_store(hosts=("elliott-thinkpad",), episodes=16, options=options)
    made = make_episode(next(plan for plan in plans if plan.netflow), options)
    with tempfile.TemporaryDirectory() as folder:
        record = write_episode(Path(folder), made.meta, made.labels, made.sources)
        episode = read_episode(Path(folder) / str(record["path"]), registry=registry).episode
    if episode is None:
        raise SystemExit("the benchmark's episode cannot be read")
    start, bin_hz = episode.meta.t_start_wall_ns, registry.windowing.bin_hz
    n_bins = episode_bins(start, episode.meta.t_end_wall_ns, bin_hz)
    x_CT = bin_channels({name: s.columns for name, s in episode.sources.items()}, registry, start, n_bins)
    series_ST = np.concatenate([x_CT, normalise(x_CT, schema.normalise, bin_hz), ratios(x_CT, schema)])
    return series_ST, window_grid(n_bins, registry.windowing), bin_hz


def with_pandas(x_ST: NDArray[np.float32], grid: WindowGrid, bin_hz: float) -> NDArray[np.float64]:
    """The same statistics by groupby over a table of overlapping windows, (S, T) -> (W, S, Q)."""
    n_windows, length = len(grid.start_W), grid.length
    place_WL = grid.start_W[:, None] + np.arange(length)
    window_R = np.repeat(np.arange(n_windows), length)
    frame = pd.DataFrame(x_ST.T.astype(np.float64)[place_WL.reshape(-1)])
    known = frame.notna()
    groups = frame.groupby(window_R)
    mean = groups.mean()
    n = groups.count()
    centred = frame - mean.to_numpy()[window_R]
    square = (centred * centred).groupby(window_R).sum()
    quantiles = groups.quantile(_QUANTILES).to_numpy().reshape(n_windows, len(_QUANTILES), -1)
    seconds_R = np.tile((np.arange(length) - (length - 1) / 2) / bin_hz, n_windows)
    seconds = known.mul(seconds_R, axis=0).where(known)
    by_time = seconds.groupby(window_R)
    t_square = (seconds * seconds).groupby(window_R).sum() - n * by_time.mean() ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (centred.mul(seconds_R, axis=0)).groupby(window_R).sum() / t_square
        slope = slope.where(t_square > 0, 0.0).where(n > 0)
        absdiff = groups.diff().abs().groupby(window_R).mean()
        absdiff = absdiff.where(absdiff.notna(), 0.0).where(n > 0)
        lagged = (centred * centred.groupby(window_R).shift(1)).groupby(window_R).sum()
        lag1 = (lagged / square).where(square > n * _MIN_SPREAD**2, 0.0).where(n > 0)
        std = np.sqrt(square / n)
    rise = groups.last() - groups.first()
    parts = [mean, std, groups.min(), *quantiles.transpose(1, 0, 2), groups.max(), slope, absdiff, lag1, rise]
    return np.stack([np.asarray(part) for part in parts], axis=2)


def ours(x_ST: NDArray[np.float32], grid: WindowGrid, bin_hz: float) -> NDArray[np.float32]:
    """The project's statistics, (S, T) -> (W, S, Q)."""
    return window_statistics(x_ST, grid.start_W, grid.length, bin_hz)


def largest_difference(mine: NDArray[np.floating], theirs: NDArray[np.floating]) -> float:
    """The largest difference between both ways, relative where values are larger than 1; inf where one is missing."""
    if not np.array_equal(np.isnan(mine), np.isnan(theirs)):
        return float("inf")
    return float(np.nanmax(np.abs(mine - theirs) / np.maximum(1.0, np.abs(theirs))))


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the result as JSON and gives it."""
    parser = argparse.ArgumentParser(description="window features: ours and a vectorised pandas groupby")
    parser.add_argument("--quick", action="store_true", help="a shorter episode and fewer repeats")
    parser.add_argument("--out", type=Path, help="write the JSON here as well")
    args = parser.parse_args(argv)
    x_ST, grid, bin_hz = make_series(40.0 if args.quick else 120.0)
    repeats = 1 if args.quick else 3
    difference = largest_difference(ours(x_ST, grid, bin_hz), with_pandas(x_ST, grid, bin_hz))
    subjects = {"ours": ours, "pandas": with_pandas}
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(5):
        for name, subject in subjects.items():
            n = repeats * (4 if name == "ours" else 1)
            start = time.process_time()
            for _ in range(n):
                subject(x_ST, grid, bin_hz)
            times[name].append((time.process_time() - start) / n)
    medians = {name: statistics.median(values) for name, values in times.items()}
    speedup = medians["pandas"] / medians["ours"]
    result = {
        "benchmark": "features",
        "series": len(x_ST),
        "windows": len(grid.start_W),
        "cpu_ms": {name: round(value * 1e3, 3) for name, value in medians.items()},
        "speedup_over_pandas": round(speedup, 2),
        "largest_difference": difference,
        "bars": {"speedup_over_pandas": BAR_PANDAS, "largest_difference": TOLERANCE},
        "passed": bool(speedup >= BAR_PANDAS and difference <= TOLERANCE),
    }
    text = json.dumps(result, indent=1)
    if args.out is not None:
        args.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
