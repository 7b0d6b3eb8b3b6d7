"""The window table of a host: what every episode's windows are called and which channels it knows, a row per episode.

It lies beside the tensors, so that splits, class weights and the choice of windows need to open none of them. What
does not belong here: anything computed from telemetry but the signature, and files of tensors (`store.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.atomic import replacing
from rlstir_core.episodes.schema import Episode
from rlstir_core.telemetry.schema import FeatureSchema
from rlstir_core.telemetry.windows import WindowGrid, onset_ns, phase_of_bins, window_grid, window_labels

# C channels, T bins, W windows
TABLE = "_windows.parquet"  # readers of data sets pass over names that begin with an underscore
_NS = 1_000_000_000
_COLUMNS = pa.schema(
    [
        ("episode_id", pa.string()),
        ("input_sha256", pa.string()),
        ("n_bins", pa.int64()),
        ("known", pa.list_(pa.bool_())),
        ("signature", pa.list_(pa.uint64())),
        ("label", pa.list_(pa.int16())),
        ("purity", pa.list_(pa.float32())),
        ("since_onset_s", pa.list_(pa.float64())),
    ]
)


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeWindows:
    """The windows of one episode. Labels are -1 where a window has none."""

    episode_id: str
    input_sha256: str  # of all that its tensor was made from
    n_bins: int
    known_C: NDArray[np.bool_]  # the channels that have a value anywhere
    signature: tuple[int, ...]  # MinHash of what was recorded
    label_W: NDArray[np.int64]
    purity_W: NDArray[np.float32]
    since_onset_W: NDArray[np.float64]  # seconds from the onset to the window's end; NaN before it and without one


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowLabels:
    """Where the windows of one episode lie, and what its labels say of them."""

    grid: WindowGrid
    begin_ns_W: NDArray[np.int64]
    end_ns_W: NDArray[np.int64]
    label_W: NDArray[np.int64]
    purity_W: NDArray[np.float32]
    since_onset_W: NDArray[np.float64]


def label_windows(rows: Episode, schema: FeatureSchema, n_bins: int) -> WindowLabels:
    """The windows of an episode of `n_bins` bins under its labels."""
    windowing = schema.windowing
    start = rows.meta.t_start_wall_ns
    labels = [(label.t_wall_ns, label.phase) for label in rows.labels]
    grid = window_grid(n_bins, windowing)
    phase_T = phase_of_bins(labels, schema.phases, start, n_bins, windowing.bin_hz)
    label_W, purity_W = window_labels(phase_T, grid, len(schema.phases))
    begin_W = start + (grid.start_W * (_NS / windowing.bin_hz)).astype(np.int64)
    end_W = begin_W + int(grid.length * (_NS / windowing.bin_hz))
    onset = onset_ns(labels, schema.onset_phase)
    since_W = np.full(len(begin_W), np.nan) if onset is None else (end_W - onset) / _NS
    since_W[since_W < 0] = np.nan
    return WindowLabels(
        grid=grid, begin_ns_W=begin_W, end_ns_W=end_W, label_W=label_W, purity_W=purity_W, since_onset_W=since_W
    )


def write_window_table(path: Path, episodes: Iterable[EpisodeWindows]) -> None:
    """Writes the table by episode; equal rows give equal bytes."""
    rows = sorted(episodes, key=lambda episode: episode.episode_id)
    columns = [
        [row.episode_id for row in rows],
        [row.input_sha256 for row in rows],
        [row.n_bins for row in rows],
        [row.known_C for row in rows],
        [row.signature for row in rows],
        [row.label_W for row in rows],
        [row.purity_W for row in rows],
        [row.since_onset_W for row in rows],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, _COLUMNS, strict=True)]
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_arrays(arrays, schema=_COLUMNS), temporary, compression="zstd")


def read_window_table(path: Path) -> dict[str, EpisodeWindows]:
    """The rows by episode; none where the table was never made, or is damaged or of another form."""
    try:
        table = pq.ParquetFile(path).read(use_threads=False).select(_COLUMNS.names).cast(_COLUMNS)
    except (OSError, pa.ArrowException, KeyError):
        return {}
    found = {}
    flat = {name: table[name].combine_chunks() for name in _COLUMNS.names}
    lists = {name: (flat[name].offsets.to_numpy(), flat[name].values.to_numpy(zero_copy_only=False)) for name in _LISTS}
    for row, episode in enumerate(flat["episode_id"].to_pylist()):
        known, signature, label, purity, since = (
            values[offsets[row] : offsets[row + 1]] for offsets, values in lists.values()
        )
        found[episode] = EpisodeWindows(
            episode_id=episode,
            input_sha256=flat["input_sha256"][row].as_py(),
            n_bins=flat["n_bins"][row].as_py(),
            known_C=known.astype(bool),
            signature=tuple(signature.tolist()),
            label_W=label.astype(np.int64),
            purity_W=purity,
            since_onset_W=since,
        )
    return found


def count_windows(path: Path) -> int:
    """How many windows the episodes of the table have together; 0 where there is none to read."""
    try:
        labels = pq.ParquetFile(path).read(columns=["label"], use_threads=False)["label"]
    except (OSError, pa.ArrowException, KeyError):
        return 0
    return sum(len(chunk.flatten()) for chunk in labels.chunks)


def holds_rows(path: Path, n: int) -> bool:
    """Whether the table is there, can be read and has `n` rows; its rows are not read to tell."""
    try:
        return int(pq.ParquetFile(path).metadata.num_rows) == n
    except (OSError, pa.ArrowException):
        return False


_LISTS = ("known", "signature", "label", "purity", "since_onset_s")
