"""Features and tensors on disk: built a host at a time, only where an input is new, and read back.

Tensors lie one safetensors file an episode. Features lie in sixteen Parquet files a host, an episode always
in the same one, so that the bytes do not depend on the order in which episodes came. What does not belong
here: how a number is computed (`channels.py`, `features.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from rlstir_core.atomic import canonical_sha256, replacing
from rlstir_core.episodes.rows import read_rows
from rlstir_core.episodes.validate import ValidationRow, read_validation
from rlstir_core.errors import UpstreamMissing, how_to_make
from rlstir_core.layout import Layout
from rlstir_core.registry import Registry
from rlstir_core.telemetry.channels import bin_channels, episode_bins
from rlstir_core.telemetry.features import episode_features
from rlstir_core.telemetry.ledger import Changes, begin, changes, read_ledger, sweep, write_ledger
from rlstir_core.telemetry.schema import FeatureSchema, read_schema
from rlstir_core.telemetry.signature import signature
from rlstir_core.telemetry.windows import onset_ns, phase_of_bins, window_grid, window_labels

# C channels, T bins, W windows, F feature columns
Progress = Callable[[int, int, str], None]

KEY_COLUMNS = ("host_id", "episode_id", "window", "t_start_wall_ns", "t_end_wall_ns")
LABEL_COLUMNS = ("phase", "purity", "since_onset_s")
_NS = 1_000_000_000


class BuildSummary(dict[str, int]):
    """Counts of one build: `made`, `dropped`, `unchanged`."""


def usable_rows(layout: Layout, host: str) -> list[ValidationRow]:
    """The host's validated episodes that are not rejected, in the order of their ids."""
    path = layout.validation(host)
    if not path.exists():
        raise UpstreamMissing(
            f"{path} is missing: host {host!r} was not validated; make it with: {how_to_make('validation', host)}"
        )
    return [row for row in read_validation(path) if row.verdict != "reject"]


def _wanted(layout: Layout, host: str, schema: FeatureSchema) -> dict[str, str]:
    made_under = schema.sha256
    return {
        row.episode_id: canonical_sha256([row.sha256, row.decode_sha256, made_under])
        for row in usable_rows(layout, host)
    }


def tensor_changes(layout: Layout, host: str) -> Changes:
    """What `build_tensors` would do."""
    return _tensor_changes(layout, host, _wanted(layout, host, read_schema(layout.feature_schema)))


def feature_changes(layout: Layout, host: str) -> Changes:
    """What `build_features` would do."""
    return _feature_changes(layout, host, _wanted(layout, host, read_schema(layout.feature_schema)))


def build_tensors(layout: Layout, host: str, registry: Registry, progress: Progress | None = None) -> BuildSummary:
    """One safetensors file an episode: `x_CT` scaled channels (0 where missing) and `mask_CT` (1 where known)."""
    schema = _schema_for(layout, registry)
    wanted = _wanted(layout, host, schema)
    folder = layout.tensors(host)
    todo = _tensor_changes(layout, host, wanted)
    if todo:
        begin(folder, todo)
    for done, episode in enumerate(todo.make, 1):
        rows = read_rows(layout.rows(host, episode))
        start, end = rows.meta.t_start_wall_ns, rows.meta.t_end_wall_ns
        n_bins = episode_bins(start, end, registry.windowing.bin_hz)
        columns = {name: source.columns for name, source in rows.sources.items()}
        x_CT = bin_channels(columns, registry, start, n_bins)
        known_CT = np.isfinite(x_CT)
        with replacing(folder / f"{episode}.safetensors") as temporary:
            save_file(
                {"x_CT": np.where(known_CT, x_CT, np.float32(0)), "mask_CT": known_CT.astype(np.uint8)},
                temporary,
                # one key, because the format does not keep several in order
                metadata={"episode": json.dumps([host, episode, schema.sha256, signature(x_CT)])},
            )
        _tell(progress, done, len(todo.make), f"tensors {host}")
    sweep(folder, {f"{episode}.safetensors" for episode in wanted})
    if todo or not folder.exists():
        write_ledger(folder, wanted)
    return BuildSummary(made=len(todo.make), dropped=len(todo.drop), unchanged=len(wanted) - len(todo.make))


def build_features(layout: Layout, host: str, registry: Registry, progress: Progress | None = None) -> BuildSummary:
    """A row a window: keys, labels, summary statistics, in sixteen Parquet files.

    UpstreamMissing when the tensors are not those of the validated episodes under this schema.
    """
    schema = _schema_for(layout, registry)
    wanted = _wanted(layout, host, schema)
    stale = _tensor_changes(layout, host, wanted).make
    if stale:
        raise UpstreamMissing(
            f"the tensors of host {host!r} are missing or out of date for {len(stale)} of {len(wanted)} episodes; make "
            f"them with: {how_to_make('window_tensors', host)}"
        )
    folder = layout.features(host)
    todo = _feature_changes(layout, host, wanted)
    if todo:
        begin(folder, todo)
    touched: dict[str, set[str]] = defaultdict(set)
    for episode in (*todo.make, *todo.drop):
        touched[_bucket(episode)].add(episode)
    done = 0
    for bucket, episodes in sorted(touched.items()):
        path = _part(folder, bucket)
        fresh = []
        for episode in sorted(episodes.intersection(wanted)):
            fresh.append(_feature_table(layout, host, episode, schema))
            done += 1
            _tell(progress, done, len(todo.make), f"features {host}")
        stay = set(wanted) - episodes
        _write_bucket(path, [*_kept(path, stay, read_ledger(folder), wanted), *fresh], schema)
    sweep(folder, {_part(folder, _bucket(episode)).name for episode in wanted})
    if todo or not folder.exists():
        write_ledger(folder, wanted)
    return BuildSummary(made=len(todo.make), dropped=len(todo.drop), unchanged=len(wanted) - len(todo.make))


class Tensor(NamedTuple):
    """Channels of one episode, (C, T) float32, NaN where missing, and their near-duplicate signature."""

    x_CT: NDArray[np.float32]
    signature: tuple[int, ...]


def read_tensor(layout: Layout, host: str, episode: str) -> Tensor:
    """The tensor that `build_tensors` made of one episode."""
    path = layout.tensors(host) / f"{episode}.safetensors"
    try:
        with safe_open(path, framework="numpy") as stored:
            x_CT, mask_CT = stored.get_tensor("x_CT"), stored.get_tensor("mask_CT")
            found = tuple(json.loads(stored.metadata()["episode"])[3])
    except (FileNotFoundError, SafetensorError, KeyError, IndexError, TypeError, ValueError) as error:
        raise UpstreamMissing(
            f"{path} cannot be read ({type(error).__name__}); make it with: {how_to_make('window_tensors', host)}"
        ) from None
    x_CT[mask_CT == 0] = np.nan
    return Tensor(x_CT, found)


def read_features(layout: Layout, host: str, columns: Iterable[str]) -> pa.Table:
    """The host's windows with keys, labels and the named feature columns, ordered by episode and window."""
    paths = sorted(layout.features(host).glob("part-*.parquet"))
    if not paths:
        raise UpstreamMissing(
            f"{layout.features(host)} holds no features; make them with: {how_to_make('window_features', host)}"
        )
    names = [*KEY_COLUMNS, *LABEL_COLUMNS, *columns]
    table = pa.concat_tables(pq.ParquetFile(path).read(columns=names, use_threads=False) for path in paths)
    return table.combine_chunks().sort_by([("episode_id", "ascending"), ("window", "ascending")])


def _tensor_changes(layout: Layout, host: str, wanted: dict[str, str]) -> Changes:
    folder = layout.tensors(host)
    return changes(folder, wanted, lambda episode: folder / f"{episode}.safetensors")


def _feature_changes(layout: Layout, host: str, wanted: dict[str, str]) -> Changes:
    folder = layout.features(host)
    return changes(folder, wanted, lambda episode: _part(folder, _bucket(episode)))


def _part(folder: Path, bucket: str) -> Path:
    return folder / f"part-{bucket}.parquet"


def _schema_for(layout: Layout, registry: Registry) -> FeatureSchema:
    schema = read_schema(layout.feature_schema)
    if schema.registry_sha256 != registry.sha256:
        raise UpstreamMissing(
            f"{layout.feature_schema} was made for another registry ({schema.registry!r}, now {registry.name!r}); "
            f"make it again with: {how_to_make('feature_schema')}"
        )
    return schema


def _feature_table(layout: Layout, host: str, episode: str, schema: FeatureSchema) -> pa.Table:
    x_CT = read_tensor(layout, host, episode).x_CT
    meta_rows = read_rows(layout.rows(host, episode))
    windowing = schema.windowing
    start = meta_rows.meta.t_start_wall_ns
    labels = [(label.t_wall_ns, label.phase) for label in meta_rows.labels]
    grid = window_grid(x_CT.shape[1], windowing)
    phase_T = phase_of_bins(labels, schema.phases, start, x_CT.shape[1], windowing.bin_hz)
    label_W, purity_W = window_labels(phase_T, grid, len(schema.phases))
    begin_W = start + (grid.start_W * (_NS / windowing.bin_hz)).astype(np.int64)
    end_W = begin_W + int(grid.length * (_NS / windowing.bin_hz))
    onset = onset_ns(labels, schema.onset_phase)
    since_W = np.full(len(begin_W), np.nan) if onset is None else (end_W - onset) / _NS
    since_W[since_W < 0] = np.nan
    phase_names = np.array([*schema.phases, ""], dtype=object)
    features_WF = episode_features(x_CT, schema, grid)
    arrays = [
        pa.array([host] * len(begin_W), pa.string()),
        pa.array([episode] * len(begin_W), pa.string()),
        pa.array(np.arange(len(begin_W), dtype=np.int32)),
        pa.array(begin_W),
        pa.array(end_W),
        pa.array(phase_names[label_W], pa.string()),
        pa.array(purity_W),
        pa.array(since_W),
        *(pa.array(column) for column in np.ascontiguousarray(features_WF.T)),
    ]
    return pa.table(arrays, names=[*KEY_COLUMNS, *LABEL_COLUMNS, *schema.columns])


def _kept(path: Path, stay: set[str], ledger: dict[str, str], wanted: dict[str, str]) -> list[pa.Table]:
    """Rows of the bucket's unchanged episodes."""
    unchanged = [episode for episode in stay if ledger.get(episode) == wanted[episode]]
    if not path.exists() or not unchanged:
        return []
    table = pq.ParquetFile(path).read(use_threads=False)
    return [table.filter(pa.compute.is_in(table["episode_id"], pa.array(unchanged, pa.string())))]


def _write_bucket(path: Path, tables: list[pa.Table], schema: FeatureSchema) -> None:
    if not tables:  # an episode too short for a window leaves an empty table, so that it is not made again
        path.unlink(missing_ok=True)
        return
    table = pa.concat_tables(tables).combine_chunks().sort_by([("episode_id", "ascending"), ("window", "ascending")])
    table = table.replace_schema_metadata({"schema_sha256": schema.sha256})
    with replacing(path) as temporary:
        pq.write_table(
            table, temporary, compression="lz4", use_dictionary=list(KEY_COLUMNS[:2]), write_statistics=False
        )


def _bucket(episode: str) -> str:
    return hashlib.sha256(episode.encode()).hexdigest()[0]


def _tell(progress: Progress | None, done: int, total: int, what: str) -> None:
    if progress is not None:
        progress(done, total, what)
