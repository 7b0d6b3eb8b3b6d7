"""The corpus: the validated episodes of some hosts with their tensors, windows and labels, in memory.

What does not belong here: which episodes train and which test (`splits/`) and what a model sees of them
(`inputs.py`).
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlstir_core.datasets.recipes import EpisodeInfo
from rlstir_core.episodes.verdicts import ValidationRow, read_validation
from rlstir_core.errors import SchemaMismatch, UpstreamMissing, how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding
from rlstir_core.telemetry.schema import FeatureSchema, read_schema
from rlstir_core.telemetry.store import feature_changes, read_features, read_tensor, tensor_changes
from rlstir_core.telemetry.windows import WindowGrid, window_grid

# C channels, T bins, W windows, F feature columns


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One episode as detectors use it. Labels are -1 where a window has none."""

    info: EpisodeInfo
    row: ValidationRow
    x_CT: NDArray[np.float32]
    grid: WindowGrid
    features_WF: NDArray[np.float32]
    label_W: NDArray[np.int64]
    purity_W: NDArray[np.float32]
    since_onset_W: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Recordings by episode id, and the schema they were made under."""

    schema: FeatureSchema
    columns: tuple[str, ...]  # the feature columns that were read
    recordings: dict[str, Recording]

    @cached_property
    def infos(self) -> tuple[EpisodeInfo, ...]:
        return tuple(recording.info for recording in self.recordings.values())

    def select(self, episodes: Iterable[str]) -> list[Recording]:
        return [self.recordings[episode] for episode in episodes]


def load_corpus(
    layout: Layout, hosts: Sequence[str], columns: Sequence[str] = (), waiting: Callable[[str], None] | None = None
) -> Corpus:
    """Every usable episode of `hosts` that has labelled windows; `columns` are the feature columns to read."""
    with contextlib.ExitStack() as held:
        for host in sorted(hosts):  # so that no host changes between its verdicts and its tensors
            held.enter_context(holding(layout.host_lock(host), shared=True, waiting=waiting))
        return _load_corpus(layout, hosts, columns)


def _load_corpus(layout: Layout, hosts: Sequence[str], columns: Sequence[str]) -> Corpus:
    schema = read_schema(layout.feature_schema)
    by_host: dict[str, dict[str, Recording]] = {}
    for host in sorted(hosts):
        _require_fresh(layout, host)
        rows = {row.episode_id: row for row in read_validation(layout.validation(host)) if row.usable}
        if rows:
            by_host[host] = _host_recordings(layout, host, rows, schema, tuple(columns))
    recordings = _by_one_name(by_host)
    if not recordings:
        raise UpstreamMissing(
            f"no usable episode with labelled windows on hosts {', '.join(hosts) or '(none)'}; look at the verdicts "
            "of `rlstir validate`"
        )
    return Corpus(schema=schema, columns=tuple(columns), recordings=recordings)


def _by_one_name(by_host: dict[str, dict[str, Recording]]) -> dict[str, Recording]:
    """All recordings under names of their own: where hosts share an episode id, it is `<host>/<episode>`."""
    hosts_of = Counter(episode for found in by_host.values() for episode in found)
    recordings = {}
    for host, found in by_host.items():
        for episode, recording in found.items():
            name = episode if hosts_of[episode] == 1 else f"{host}/{episode}"
            info = msgspec.structs.replace(recording.info, episode_id=name)
            recordings[name] = dataclasses.replace(recording, info=info)
    return recordings


def _require_fresh(layout: Layout, host: str) -> None:
    """UpstreamMissing when tensors or features are not those of the validated episodes under the schema."""
    for what, stale in (("tensors", tensor_changes(layout, host)), ("features", feature_changes(layout, host))):
        if stale.make:
            raise UpstreamMissing(
                f"the {what} of host {host!r} are missing or out of date for {len(stale.make)} episodes "
                f"({', '.join(stale.make[:3])}); make them with: {how_to_make(f'window_{what}', host)}"
            )


def _host_recordings(
    layout: Layout, host: str, rows: dict[str, ValidationRow], schema: FeatureSchema, columns: tuple[str, ...]
) -> dict[str, Recording]:
    try:
        table = read_features(layout, host, columns)
    except pa.ArrowInvalid as error:
        raise SchemaMismatch(
            f"the features of host {host!r} were made under another schema than {schema.sha256[:12]} ({error}); make "
            f"them again with: {how_to_make('window_features', host)}"
        ) from None
    phase_index = {phase: k for k, phase in enumerate(schema.phases)}
    episode_W = table["episode_id"].to_numpy(zero_copy_only=False)
    label_W = np.array([phase_index.get(phase, -1) for phase in table["phase"].to_pylist()], np.int64)
    purity_W = table["purity"].to_numpy()
    since_W = table["since_onset_s"].to_numpy()
    if not len(episode_W):
        return {}
    found, first = np.unique(episode_W.astype(str), return_index=True)
    ends = [*first[1:], len(episode_W)]
    if columns:
        features_WF = np.stack([table[column].to_numpy() for column in columns], axis=1).astype(np.float32)
    else:
        features_WF = np.empty((len(episode_W), 0), np.float32)
    out = {}
    for episode, begin, end in zip(found.tolist(), first, ends, strict=True):
        here = slice(begin, end)
        row = rows.get(episode)
        if row is None or not (label_W[here] >= 0).any():
            continue
        start, end_ns, benign = row.t_start_wall_ns, row.t_end_wall_ns, row.benign
        assert start is not None and end_ns is not None and benign is not None  # usable rows have them
        tensor = read_tensor(layout, host, episode)
        out[episode] = Recording(
            info=EpisodeInfo(
                episode_id=episode,
                host=host,
                profile=row.profile,
                sample=row.sample_name,
                benign=benign,
                complete=row.verdict == "ok",
                t_start_wall_ns=start,
                t_end_wall_ns=end_ns,
                content_sha256=row.content_sha256,
                phases=tuple(schema.phases[k] for k in np.unique(label_W[here]) if k >= 0),
                signature=tensor.signature,
            ),
            row=row,
            x_CT=tensor.x_CT,
            grid=window_grid(tensor.x_CT.shape[1], schema.windowing),
            features_WF=features_WF[here],
            label_W=label_W[here],
            purity_W=purity_W[here],
            since_onset_W=since_W[here],
        )
    return out
