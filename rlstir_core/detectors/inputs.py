"""What a detector sees: the channels its threat model allows, as summary rows or as sequences.

Only channels that every training host has are used: a channel that only some hosts have tells hosts apart.
Time since start, window index, row counts and identifiers are never among the inputs. What does not belong
here: models and training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.atomic import canonical_sha256
from rlstir_core.contract.registry import MODES
from rlstir_core.datasets.channels import MIN_EPISODE_SHARE
from rlstir_core.detectors.episode_set import EpisodeSet, Recording
from rlstir_core.detectors.views import View, normalised, seconds_seen, seen, unbroken
from rlstir_core.errors import SchemaMismatch, SplitRefused
from rlstir_core.telemetry.features import episode_features, pad_to, statistics_columns
from rlstir_core.telemetry.normalise import normalised_names
from rlstir_core.telemetry.schema import FeatureSchema
from rlstir_core.telemetry.windows import WindowGrid

# N windows, F columns, D input rows of a sequence, L bins of a window, C channels


class InputSchema(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint was trained on; its hash must be the hash of what it is given."""

    feature_schema_sha256: str
    mode: str
    kind: str  # "summary" or "sequence"
    channels: tuple[str, ...]
    columns: tuple[str, ...]
    phases: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return canonical_sha256(self)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """The windows of some episodes under one view: who they are and what their labels say (-1: nothing)."""

    episodes: tuple[str, ...]
    episode_N: NDArray[np.int64]
    window_N: NDArray[np.int64]
    label_N: NDArray[np.int64]
    purity_N: NDArray[np.float32]
    seconds_seen_N: NDArray[np.float64]
    since_onset_N: NDArray[np.float64]

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Windows:
        """These windows, with every episode still known."""
        cut = {name: getattr(self, name)[chosen] for name in self.__dataclass_fields__ if name != "episodes"}
        return Windows(episodes=self.episodes, **cut)


@dataclass(frozen=True, kw_only=True)
class SummaryInputs:
    """Summary rows, NaN where missing."""

    windows: Windows
    x_NF: NDArray[np.float32]

    @property
    def n_bytes(self) -> int:
        return self.x_NF.nbytes


@dataclass(frozen=True, kw_only=True)
class SequenceInputs:
    """Sequences as places in one long series: window n is `series_TD[start_N[n] : start_N[n] + length]`.

    Rows of D: levels, normalised levels (NaN where missing), as `sequence_rows` names them.
    """

    windows: Windows
    series_TD: NDArray[np.float32]
    start_N: NDArray[np.int64]
    length: int
    n_levels: int  # the first rows are levels; the mask beside the values is theirs

    @property
    def n_bytes(self) -> int:
        return self.series_TD.nbytes


Inputs = SummaryInputs | SequenceInputs


def blinded(inputs: Inputs, blind: Sequence[int]) -> Inputs:
    """The inputs with these columns missing; a copy, unless there are none."""
    if not blind:
        return inputs
    name = "x_NF" if isinstance(inputs, SummaryInputs) else "series_TD"
    values = getattr(inputs, name).copy()
    values[:, list(blind)] = np.nan
    return replace(inputs, **{name: values})


def shared_channels(schema: FeatureSchema, mode: str, train: Sequence[Recording]) -> tuple[str, ...]:
    """Channels of the threat model that every training host records; SplitRefused when none is left."""
    known: dict[str, list[NDArray[np.bool_]]] = {}
    for recording in train:
        known.setdefault(recording.info.host, []).append(recording.known_C)
    has_C = np.all([np.mean(rows, axis=0) >= MIN_EPISODE_SHARE for rows in known.values()], axis=0)
    channels = tuple(
        channel.name
        for channel, has in zip(schema.channels, has_C, strict=True)
        if has and channel.vantage in MODES[mode]
    )
    if not channels:
        raise SplitRefused(
            f"no channel of mode {mode!r} is recorded on every train host ({', '.join(sorted(known))}); name other "
            "train hosts, ask for more with --min-shared-channels, so that hosts that record few are left out, or give "
            "the registry's sources a vantage among " + ", ".join(MODES[mode])
        )
    return channels


def input_schema(schema: FeatureSchema, mode: str, kind: str, channels: tuple[str, ...]) -> InputSchema:
    """The input schema of a detector that sees `channels`."""
    columns = schema.columns_of(channels) if kind == "summary" else sequence_rows(schema, channels)
    return InputSchema(
        feature_schema_sha256=schema.sha256,
        mode=mode,
        kind=kind,
        channels=channels,
        columns=columns,
        phases=schema.phases,
    )


def require_same_schema(trained: InputSchema, given: InputSchema) -> None:
    """SchemaMismatch (a ValueError) naming both hashes and the columns that differ."""
    if trained == given:
        return
    missing = sorted(set(trained.columns) - set(given.columns))
    extra = sorted(set(given.columns) - set(trained.columns))
    parts = [f"missing {_some(missing)}"] * bool(missing) + [f"not known to it {_some(extra)}"] * bool(extra)
    if not parts:
        differing = [f for f in trained.__struct_fields__ if getattr(trained, f) != getattr(given, f)]
        parts = [f"equal columns, but another {', '.join(differing)}"]
    raise SchemaMismatch(
        f"the checkpoint was trained under schema {trained.sha256}, the data are of schema {given.sha256}: "
        f"{'; '.join(parts)}; train it again on this data, or give it data of its own schema"
    )


def sequence_rows(schema: FeatureSchema, channels: tuple[str, ...]) -> tuple[str, ...]:
    """Names of a sequence's rows: levels, then normalised levels."""
    return (*channels, *normalised_names(schema.normalise, channels))


def summary_inputs(
    episodes: EpisodeSet,
    recordings: Sequence[Recording],
    channels: tuple[str, ...],
    view: View,
    keep: Sequence[NDArray[np.bool_]] | None = None,
) -> SummaryInputs:
    """Summary rows of every labelled window that the view leaves unbroken, or of those in `keep` (a mask each)."""
    schema = episodes.schema
    columns = schema.columns_of(channels)
    stored = episodes.features(columns)
    narrow = schema.restricted(channels)
    of_view = np.array(["~" in name for name in columns])
    chosen = _rows_of(schema, channels)
    windows, keep = windows_of(recordings, schema, view, keep)
    rows = []
    for recording, keep_W in zip(recordings, keep, strict=True):
        if not keep_W.any():
            continue
        episode = recording.info.episode_id
        grid = WindowGrid(recording.grid.start_W[keep_W], recording.grid.length)
        if view.kind == "prefix":
            grid = WindowGrid(np.zeros(1, np.int64), view.bins)
            x_CT = view.distort(recording.x_CT, schema, episode)[chosen]
            rows.append(episode_features(pad_to(seen(x_CT, view), grid), narrow, grid))
        elif view.distorts:
            x_CT = view.distort(recording.x_CT, schema, episode)[chosen]
            z_CT = normalised(x_CT, schema, view, episode)
            rows.append(episode_features(x_CT, narrow, grid, z_CT))
        else:
            x_WF = stored(recording)[keep_W]
            if view.kind == "random" and of_view.any():
                z_CT = normalised(recording.x_CT[chosen], schema, view, episode)
                x_WF[:, of_view] = statistics_columns(z_CT, schema, grid)
            rows.append(x_WF)
    return SummaryInputs(windows=windows, x_NF=np.concatenate([np.empty((0, len(columns)), np.float32), *rows]))


def sequence_inputs(
    episodes: EpisodeSet,
    recordings: Sequence[Recording],
    channels: tuple[str, ...],
    view: View,
    keep: Sequence[NDArray[np.bool_]] | None = None,
) -> SequenceInputs:
    """Sequences of every labelled window that the view leaves unbroken, or of those in `keep` (a mask each)."""
    schema = episodes.schema
    chosen = _rows_of(schema, channels)
    sparse = keep is not None
    windows, keep = windows_of(recordings, schema, view, keep)
    parts, starts, base = [], [], 0
    for recording, keep_W in zip(recordings, keep, strict=True):
        if sparse and not keep_W.any():
            continue
        shown_CT = view.distort(recording.x_CT, schema, recording.info.episode_id)[chosen]
        if view.kind == "prefix":
            shown_CT[:, view.bins :] = np.nan
        z_CT = normalised(shown_CT, schema, view, recording.info.episode_id)
        series_TD = pad_to(np.concatenate([shown_CT, z_CT]), recording.grid).T
        start_W = recording.grid.start_W[keep_W]
        if sparse:
            series_TD, start_W = _covered(series_TD, start_W, recording.grid.length)
        parts.append(np.ascontiguousarray(series_TD))
        starts.append(base + start_W)
        base += len(series_TD)
    return SequenceInputs(
        windows=windows,
        series_TD=np.concatenate(parts),
        start_N=np.concatenate(starts),
        length=recordings[0].grid.length,
        n_levels=len(chosen),
    )


def _covered(
    series_TD: NDArray[np.float32], start_W: NDArray[np.int64], length: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The bins that some window covers, and where the windows begin among them."""
    inside_T = np.zeros(len(series_TD), bool)
    for start in start_W.tolist():
        inside_T[start : start + length] = True
    return series_TD[inside_T], (np.cumsum(inside_T) - 1)[start_W]


def windows_of(
    recordings: Sequence[Recording],
    schema: FeatureSchema,
    view: View,
    keep: Sequence[NDArray[np.bool_]] | None = None,
) -> tuple[Windows, list[NDArray[np.bool_]]]:
    """The labelled windows that the view leaves unbroken (and `keep` keeps), and a mask of them for each recording.

    No tensor is opened.
    """
    bin_hz = schema.windowing.bin_hz
    nothing = np.empty(0)
    parts = [(*[nothing.astype(np.int64)] * 3, nothing.astype(np.float32), nothing, nothing)]
    masks = []
    for place, recording in enumerate(recordings):
        grid, n_bins = recording.grid, recording.n_bins
        episode = recording.info.episode_id
        keep_W = (recording.label_W >= 0) & unbroken(grid, view, episode, n_bins)
        if keep is not None:
            keep_W = keep_W & keep[place]
        masks.append(keep_W)
        parts.append(
            (
                np.full(int(keep_W.sum()), place),
                np.flatnonzero(keep_W),
                recording.label_W[keep_W],
                recording.purity_W[keep_W],
                seconds_seen(grid, view, episode, n_bins, bin_hz)[keep_W],
                recording.since_onset_W[keep_W],
            )
        )
    place_N, window_N, label_N, purity_N, seconds_N, since_N = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    windows = Windows(
        episodes=tuple(recording.info.episode_id for recording in recordings),
        episode_N=place_N,
        window_N=window_N,
        label_N=label_N,
        purity_N=purity_N,
        seconds_seen_N=seconds_N,
        since_onset_N=since_N,
    )
    return windows, masks


def _rows_of(schema: FeatureSchema, channels: tuple[str, ...]) -> list[int]:
    place = {name: i for i, name in enumerate(schema.channel_names)}
    return [place[name] for name in channels]


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
