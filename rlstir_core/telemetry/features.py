"""Summary features: the numbers that trees and the MLP see, a row per window.

Made from the tensors, so both tracks describe the same bins. What does not belong here: the statistics
themselves (`summary.py`) and files (`store.py`).
"""

from __future__ import annotations

import numpy as np

from rlstir_core.arrays import Array
from rlstir_core.telemetry.normalise import normalise
from rlstir_core.telemetry.schema import FeatureSchema
from rlstir_core.telemetry.summary import missing_share, part_statistics, window_statistics
from rlstir_core.telemetry.windows import WindowGrid

# C channels, T bins, S series, W windows, F feature columns


def episode_features(x_CT: Array, schema: FeatureSchema, grid: WindowGrid, z_CT: Array | None = None) -> Array:
    """Every feature column of every window, (C, T) -> (W, F), in the order of `schema.columns`.

    `z_CT` are normalised channels where they do not start with the recording.
    """
    x_CT = pad_to(x_CT, grid)
    if z_CT is None:
        z_CT = normalise(x_CT, schema.normalise, schema.windowing.bin_hz)
    series_ST = np.concatenate([x_CT, z_CT, ratios(x_CT, schema)])
    return np.concatenate(
        [statistics_columns(series_ST, schema, grid), missing_share(x_CT, grid.start_W, grid.length)], axis=1
    )


def ratios(x_CT: Array, schema: FeatureSchema) -> Array:
    """Log-ratios between counters of one source, (C, T) -> (P, T): differences of log-scaled rows."""
    row = {name: i for i, name in enumerate(schema.channel_names)}
    if not schema.ratios:
        return np.empty((0, x_CT.shape[1]), np.float32)
    above, below = zip(*schema.ratios, strict=True)
    return x_CT[[row[name] for name in above]] - x_CT[[row[name] for name in below]]


def statistics_columns(series_ST: Array, schema: FeatureSchema, grid: WindowGrid) -> Array:
    """`window_statistics`, and those of parts where the schema has them, as columns, (S, T) -> (W, S*Q)."""
    hz = schema.windowing.bin_hz
    stats_WSQ = window_statistics(series_ST, grid.start_W, grid.length, hz)
    if len(schema.statistics) > stats_WSQ.shape[2]:
        of_parts_WSP = part_statistics(series_ST, grid.start_W, grid.length, hz)
        stats_WSQ = np.concatenate([stats_WSQ, of_parts_WSP], axis=2)
    return stats_WSQ.reshape(len(grid.start_W), len(series_ST) * stats_WSQ.shape[2])


def pad_to(x_CT: Array, grid: WindowGrid) -> Array:
    """Missing bins behind the end where a whole-episode window is longer than the episode."""
    need = int(grid.start_W.max(initial=0)) + grid.length - x_CT.shape[1]
    return np.pad(x_CT, ((0, 0), (0, need)), constant_values=np.nan) if need > 0 else x_CT
