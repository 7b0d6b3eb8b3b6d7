"""Features and tensors on disk: built a host at a time, only where an input is new, and read back.

Tensors lie one safetensors file per episode, features in Parquet files of some episodes each (`parts.py`). What
does not belong here: how a number is computed (`channels.py`, `features.py`).
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from rlstir_core.atomic import canonical_sha256, replacing
from rlstir_core.contract.registry import Registry
from rlstir_core.episodes.schema import Episode
from rlstir_core.episodes.validation.rows import read_rows
from rlstir_core.episodes.validation.validate import validated
from rlstir_core.errors import UpstreamMissing
from rlstir_core.progress import Progress, told_to
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import Changes, Ledger, begin, changes, finish, noting_files, read_ledger
from rlstir_core.results.lock import holding
from rlstir_core.results.versions import version
from rlstir_core.telemetry.channels import bin_channels, episode_bins
from rlstir_core.telemetry.features import episode_features
from rlstir_core.telemetry.parts import parts
from rlstir_core.telemetry.schema import FeatureSchema, read_schema
from rlstir_core.telemetry.signature import signature
from rlstir_core.telemetry.window_table import (
    TABLE,
    EpisodeWindows,
    WindowLabels,
    holds_rows,
    label_windows,
    read_window_table,
    write_window_table,
)
from rlstir_core.workers.spread import ALONE, Workers

# C channels, T bins, W windows, F feature columns

KEY_COLUMNS = ("host_id", "episode_id", "window", "t_start_wall_ns", "t_end_wall_ns")
LABEL_COLUMNS = ("phase", "purity", "since_onset_s")
WINDOW_TYPES = dict(
    zip(
        (*KEY_COLUMNS, *LABEL_COLUMNS),
        ("string", "string", "int32", "int64", "int64", "string", "float", "double"),
        strict=True,
    )
)


class BuildSummary(dict[str, int]):
    """Counts of one build: `made`, `dropped`, `unchanged`."""


def tensor_changes(layout: Layout, host: str) -> Changes:
    """What `build_tensors` would do."""
    wanted = _wanted(layout, host, read_schema(layout.feature_schema))
    todo = changes(layout.tensors(host), _tensor_files(wanted))
    if todo or not wanted or holds_rows(layout.tensors(host) / TABLE, len(wanted)):
        return todo
    return Changes(files=(TABLE,), surplus=(), make=tuple(sorted(wanted)), drop=())


def feature_changes(layout: Layout, host: str) -> Changes:
    """What `build_features` would do."""
    schema = read_schema(layout.feature_schema)
    return changes(layout.features(host), _feature_files(_wanted(layout, host, schema)))


def build_tensors(
    layout: Layout, host: str, registry: Registry, progress: Progress | None = None, workers: Workers = ALONE
) -> BuildSummary:
    """A safetensors file per episode, `x_CT` scaled channels (0 where missing) and `mask_CT` (1 where known), and the
    window table of the host."""
    with holding(layout.host_lock(host), waiting=told_to(progress)):
        return _build_tensors(layout, host, registry, progress, workers)


def _build_tensors(
    layout: Layout, host: str, registry: Registry, progress: Progress | None, workers: Workers
) -> BuildSummary:
    schema = _schema_for(layout, registry)
    inputs = _wanted(layout, host, schema)
    wanted = _tensor_files(inputs)
    folder = layout.tensors(host)
    todo = changes(folder, wanted)
    if todo:
        begin(folder, todo)
    table = read_window_table(folder / TABLE)
    windows = {e: row for e, row in table.items() if inputs.get(e) == row.input_sha256 and e not in todo.make}
    work = functools.partial(_write_tensor, layout=layout, host=host, registry=registry, schema=schema)
    made = workers.each(work, [(episode, inputs[episode]) for episode in todo.make])
    with noting_files(folder, wanted, lambda: write_window_table(folder / TABLE, windows.values())) as finished:
        for done, (episode, found) in enumerate(zip(todo.make, made, strict=True), 1):
            windows[episode] = found
            finished(f"{episode}.safetensors")
            _tell(progress, done, len(todo.make), f"tensors {host}")
    for episode in inputs.keys() - windows.keys():  # the table was lost, the tensors were not
        tensor = read_tensor(layout, host, episode)
        windows[episode] = _windows_of(read_rows(layout.rows(host, episode)), schema, tensor, inputs[episode])
    if windows.keys() != table.keys() or todo:
        write_window_table(folder / TABLE, windows.values())
    finish(folder, wanted, todo)
    return _summary(todo, wanted)


def build_features(
    layout: Layout, host: str, registry: Registry, progress: Progress | None = None, workers: Workers = ALONE
) -> BuildSummary:
    """A row per window: keys, labels, summary statistics.

    UpstreamMissing when the tensors are not those of the validated episodes under this schema.
    """
    with holding(layout.host_lock(host), waiting=told_to(progress)):
        return _build_features(layout, host, registry, progress, workers)


def _build_features(
    layout: Layout, host: str, registry: Registry, progress: Progress | None, workers: Workers
) -> BuildSummary:
    schema = _schema_for(layout, registry)
    inputs = _wanted(layout, host, schema)
    stale = changes(layout.tensors(host), _tensor_files(inputs)).make
    if stale:
        raise UpstreamMissing(
            f"the tensors of host {host!r} are missing or out of date for {len(stale)} of {len(inputs)} episodes; make "
            f"them with: {how_to_make('window_tensors')}"
        )
    wanted = _feature_files(inputs)
    folder = layout.features(host)
    todo, before = changes(folder, wanted), read_ledger(folder)
    if todo:
        begin(folder, todo)
    done = 0
    work = functools.partial(_features_of, layout=layout, host=host, schema=schema)
    with noting_files(folder, wanted) as finished:
        # a split part gives rows to a later one: the later one is made first
        for name in reversed(todo.files):
            tables = _kept(folder, before, wanted[name])
            have = {episode for table in tables for episode in table["episode_id"].unique().to_pylist()}
            lacking = sorted(wanted[name].keys() - have)
            for episode, found in zip(lacking, workers.each(work, lacking), strict=True):
                tables.append(_feature_table(host, episode, schema, *found))
                done += episode in todo.make
                _tell(progress, done, len(todo.make), f"features {host}")
            _write_part(folder / name, tables, schema)
            finished(name)
    finish(folder, wanted, todo)
    return _summary(todo, wanted)


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
            f"{path} cannot be read ({type(error).__name__}); remove it, if it is there, and make it with: "
            f"{how_to_make('window_tensors')}"
        ) from None
    x_CT[mask_CT == 0] = np.nan
    return Tensor(x_CT, found)


def tensor_input_sha256(decoded_sha256: str, schema_sha256: str) -> str:
    """The hash of all that an episode's tensor is made from."""
    return canonical_sha256([decoded_sha256, schema_sha256, version("tensors")])


def feature_input_sha256(tensor_sha256: str) -> str:
    """The hash of all that an episode's features are made from, given that of its tensor."""
    return canonical_sha256([tensor_sha256, version("features")])


def _wanted(layout: Layout, host: str, schema: FeatureSchema) -> dict[str, str]:
    """{episode: hash of all that its tensor is made from}."""
    made_under = schema.sha256
    return {episode: tensor_input_sha256(key, made_under) for episode, key in validated(layout, host).items()}


def _tensor_files(wanted: dict[str, str]) -> Ledger:
    return {f"{episode}.safetensors": {episode: key} for episode, key in wanted.items()}


def _feature_files(wanted: dict[str, str]) -> Ledger:
    keys = {episode: feature_input_sha256(key) for episode, key in wanted.items()}
    return {name: {episode: keys[episode] for episode in held} for name, held in parts(wanted).items()}


def _summary(todo: Changes, wanted: Ledger) -> BuildSummary:
    n = sum(len(held) for held in wanted.values())
    return BuildSummary(made=len(todo.make), dropped=len(todo.drop), unchanged=n - len(todo.make))


def _write_tensor(
    item: tuple[str, str], *, layout: Layout, host: str, registry: Registry, schema: FeatureSchema
) -> EpisodeWindows:
    """Writes the tensor of an episode, which stands beside the hash of all that it is made from."""
    episode, input_sha256 = item
    rows = read_rows(layout.rows(host, episode))
    start, end = rows.meta.t_start_wall_ns, rows.meta.t_end_wall_ns
    n_bins = episode_bins(start, end, registry.windowing.bin_hz)
    columns = {name: source.columns for name, source in rows.sources.items()}
    x_CT = bin_channels(columns, registry, start, n_bins)
    tensor = Tensor(x_CT, signature(x_CT))
    known_CT = np.isfinite(x_CT)
    with replacing(layout.tensors(host) / f"{episode}.safetensors") as temporary:
        save_file(
            {"x_CT": np.where(known_CT, x_CT, np.float32(0)), "mask_CT": known_CT.astype(np.uint8)},
            temporary,
            # one key, because the format does not keep several in order
            metadata={"episode": json.dumps([host, episode, schema.sha256, tensor.signature])},
        )
    return _windows_of(rows, schema, tensor, input_sha256)


def _windows_of(rows: Episode, schema: FeatureSchema, tensor: Tensor, input_sha256: str) -> EpisodeWindows:
    labelled = label_windows(rows, schema, tensor.x_CT.shape[1])
    return EpisodeWindows(
        episode_id=rows.meta.episode_id,
        input_sha256=input_sha256,
        n_bins=tensor.x_CT.shape[1],
        known_C=np.asarray(np.isfinite(tensor.x_CT).any(axis=1)),
        signature=tensor.signature,
        label_W=labelled.label_W,
        purity_W=labelled.purity_W,
        since_onset_W=labelled.since_onset_W,
    )


def _schema_for(layout: Layout, registry: Registry) -> FeatureSchema:
    schema = read_schema(layout.feature_schema)
    if schema.registry_sha256 != registry.sha256:
        raise UpstreamMissing(
            f"{layout.feature_schema} was made for another registry ({schema.registry!r}, now {registry.name!r}); "
            f"make it again with: {how_to_make('feature_schema')}"
        )
    return schema


def _features_of(
    episode: str, *, layout: Layout, host: str, schema: FeatureSchema
) -> tuple[WindowLabels, NDArray[np.float32]]:
    x_CT = read_tensor(layout, host, episode).x_CT
    labelled = label_windows(read_rows(layout.rows(host, episode)), schema, x_CT.shape[1])
    return labelled, episode_features(x_CT, schema, labelled.grid)


def _feature_table(
    host: str, episode: str, schema: FeatureSchema, labelled: WindowLabels, features_WF: NDArray[np.float32]
) -> pa.Table:
    phase_names = np.array([*schema.phases, ""], dtype=object)
    arrays = [
        pa.array([host] * len(labelled.label_W), pa.string()),
        pa.array([episode] * len(labelled.label_W), pa.string()),
        pa.array(np.arange(len(labelled.label_W), dtype=np.int32)),
        pa.array(labelled.begin_ns_W),
        pa.array(labelled.end_ns_W),
        pa.array(phase_names[labelled.label_W], pa.string()),
        pa.array(labelled.purity_W),
        pa.array(labelled.since_onset_W),
        *(pa.array(column) for column in np.ascontiguousarray(features_WF.T)),
    ]
    return pa.table(arrays, names=[*KEY_COLUMNS, *LABEL_COLUMNS, *schema.columns])


def _kept(folder: Path, before: Ledger, wanted: dict[str, str]) -> list[pa.Table]:
    """Rows of wanted episodes that a file, by the ledger of before, holds already."""
    tables = []
    for name, held in before.items():
        good = [episode for episode in held.keys() & wanted.keys() if held[episode] == wanted[episode]]
        if good and (folder / name).exists():
            table = pq.ParquetFile(folder / name).read(use_threads=False)
            tables.append(table.filter(pa.compute.is_in(table["episode_id"], pa.array(good, pa.string()))))
    return tables


def _write_part(path: Path, tables: list[pa.Table], schema: FeatureSchema) -> None:
    table = pa.concat_tables(tables).combine_chunks().sort_by([("episode_id", "ascending"), ("window", "ascending")])
    table = table.replace_schema_metadata({"schema_sha256": schema.sha256})
    with replacing(path) as temporary:
        pq.write_table(
            table, temporary, compression="lz4", use_dictionary=list(KEY_COLUMNS[:2]), write_statistics=False
        )


def _tell(progress: Progress | None, done: int, total: int, what: str) -> None:
    if progress is not None:
        progress(done, total, what)
