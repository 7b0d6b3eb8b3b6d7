"""One episode from its tarball to what detectors say of it: read in memory as hostile input, and nothing is stored.

No label is read, so an episode needs none; it is looked at as recorded. What does not belong here: thresholds and
alarms, which validation chooses (`evaluation/`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.contract.registry import Registry
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.split import Split
from rlstir_core.detectors.blocks import in_blocks
from rlstir_core.detectors.checkpoint import Checkpoint, Members
from rlstir_core.detectors.episode_set import EpisodeSet, Recording
from rlstir_core.detectors.inputs import InputSchema, input_schema, require_same_schema
from rlstir_core.detectors.views import RECORDED
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.schema import Episode, Verdict
from rlstir_core.errors import StoreError
from rlstir_core.telemetry.channels import bin_channels, episode_bins
from rlstir_core.telemetry.features import episode_features, pad_to
from rlstir_core.telemetry.normalise import normalise
from rlstir_core.telemetry.schema import FeatureSchema
from rlstir_core.telemetry.windows import WindowGrid, window_grid

# C channels, T bins, W windows, F feature columns, N windows that are scored, K phases
_WINDOWS_AT_ONCE = 512


class IndexClaim(msgspec.Struct, frozen=True, kw_only=True):
    """What an index says of a tarball; without an index, nothing."""

    host_id: str | None = None
    episode_id: str | None = None
    sha256: str | None = None
    n_bytes: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SingleEpisode:
    """An episode as detectors see it."""

    path: Path
    verdict: Verdict
    decoded: Episode
    episodes: EpisodeSet  # of this one
    recording: Recording
    x_CT: NDArray[np.float32]

    @property
    def seconds_W(self) -> NDArray[np.float64]:  # noqa: N802
        """Seconds from the recording's start to each window's end, where it was recorded so far."""
        grid, windowing = self.recording.grid, self.episodes.schema.windowing
        ends_W = np.minimum(grid.start_W + grid.length, self.recording.n_bins)
        return np.asarray(ends_W / windowing.bin_hz, np.float64)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a checkpoint knows an episode from; `members` are the rounds and folds that may speak of it."""

    side: Literal["test", "train", "none", "unknown"]
    by: Literal["content", "name", ""] = ""  # what the split knows it by
    members: tuple[tuple[int, int], ...]

    @property
    def round(self) -> int | None:
        """The round of all members, where they are of one."""
        rounds = {place for place, _ in self.members}
        return rounds.pop() if len(rounds) == 1 else None


def open_single(path: Path, claims: IndexClaim, registry: Registry, schema: FeatureSchema) -> SingleEpisode:
    """The episode in a tarball; StoreError in one sentence where it cannot be read or has no window."""
    reading = read_episode(path, registry=registry, truth=False, **msgspec.structs.asdict(claims))
    episode, verdict = reading.episode, reading.verdict
    if episode is None:
        raise StoreError(
            f"{path} cannot be scored: its verdict is {verdict.verdict} ({verdict.reason}), {verdict.detail}"
        )
    if not any(rows.n_rows for rows in episode.sources.values()):
        raise StoreError(
            f"{path} holds no telemetry, so detectors have nothing to see; record one of: {', '.join(registry.sources)}"
        )
    meta = episode.meta
    n_bins = episode_bins(meta.t_start_wall_ns, meta.t_end_wall_ns, registry.windowing.bin_hz)
    columns = {name: source.columns for name, source in episode.sources.items()}
    x_CT = bin_channels(columns, registry, meta.t_start_wall_ns, n_bins)
    grid = window_grid(n_bins, schema.windowing)
    if not len(grid.start_W):
        raise StoreError(
            f"{path} lasts {n_bins / schema.windowing.bin_hz:g} s, less than one window of "
            f"{schema.windowing.length_s:g} s; record for longer"
        )
    return _single(path, verdict, episode, x_CT, grid, schema)


def first_windows(single: SingleEpisode, n: int) -> SingleEpisode:
    """The episode as it is known at the end of its window `n`, counted from 1; nothing made of the whole is used."""
    start_W, length = single.recording.grid.start_W[:n], single.recording.grid.length
    x_CT = np.ascontiguousarray(single.x_CT[:, : int(start_W[-1]) + length])
    grid = WindowGrid(start_W, length)
    return _single(single.path, single.verdict, single.decoded, x_CT, grid, single.episodes.schema)


def _single(
    path: Path, verdict: Verdict, episode: Episode, x_CT: NDArray[np.float32], grid: WindowGrid, schema: FeatureSchema
) -> SingleEpisode:
    n_windows = len(grid.start_W)
    recording = Recording(
        info=_info(episode),
        n_bins=x_CT.shape[1],
        grid=grid,
        known_C=np.asarray(np.isfinite(x_CT).any(axis=1)),
        label_W=np.zeros(n_windows, np.int64),  # of no meaning: what has a label is shown, and no label was read
        purity_W=np.zeros(n_windows, np.float32),
        since_onset_W=np.full(n_windows, np.nan),
        open=x_CT.copy,
    )
    episodes = EpisodeSet(
        schema=schema,
        recordings={episode.meta.episode_id: recording},
        features=_features(x_CT, schema, grid),
        place=lambda _: "",
    )
    return SingleEpisode(path=path, verdict=verdict, decoded=episode, episodes=episodes, recording=recording, x_CT=x_CT)


def same_schema(checkpoint: Checkpoint, schema: FeatureSchema) -> InputSchema:
    """The checkpoint's input schema; SchemaMismatch where data of `schema` are not of it."""
    trained = checkpoint.input_schema
    channels = tuple(name for name in trained.channels if name in schema.channel_names)
    require_same_schema(trained, input_schema(schema, trained.mode, trained.kind, channels))
    return trained


def standing_of(checkpoint: Checkpoint, split: Split | None, info: EpisodeInfo) -> Standing:
    """Which members may speak of this episode: those that were trained without its content, else without its name.

    An episode of the train side has, in each round, one that left it out. What the split says counts where the
    checkpoint was trained on it. The name, host and id, tells of a recording that was packed or cut again.
    """
    every = tuple((member.round, member.fold) for member in checkpoint.members)
    if split is None or split.train_sha256 != checkpoint.train_sha256:
        return Standing(side="unknown", members=every)
    by: Literal["content", "name", ""] = "content"
    names = {each.episode_id for each in split.episodes if each.content_sha256 == info.content_sha256}
    if not names:
        names = {each.episode_id for each in split.episodes if _name(each) == _name(info)}
        by = "name" if names else ""
    for place, each in enumerate(split.rounds):
        if names.intersection(each.test):
            return Standing(side="test", by=by, members=tuple(member for member in every if member[0] == place))
    left_out = tuple((m.round, m.fold) for m in checkpoint.members if names.intersection(m.validation_episodes))
    return Standing(side="train" if left_out else "none", by=by, members=left_out or every)


def _name(info: EpisodeInfo) -> tuple[str, str]:
    """Host and id there; two that differ only in case are the same."""
    return info.host.lower(), info.own_id.lower()


def spoken_single(
    members: Members, inputs: InputSchema, single: SingleEpisode, place: Standing
) -> list[tuple[int, int, NDArray[np.float64]]]:
    """Round, fold and probabilities, (N, K) each, of every member that may speak: of every window, in its order."""
    shown = in_blocks(single.episodes, [single.recording], inputs, RECORDED).inputs(0)
    ordered = sorted(members.members, key=lambda member: member[:2])
    return [(r, f, members.say(r, f, d, shown)) for r, f, d in ordered if (r, f) in place.members]


def _features(
    x_CT: NDArray[np.float32], schema: FeatureSchema, grid: WindowGrid
) -> Callable[[Sequence[str]], Callable[[Recording], NDArray[np.float32]]]:
    """Columns of every window, made as those on disk are, once for all detectors; (C, T) -> (W, F)."""
    place = {name: at for at, name in enumerate(schema.columns)}
    every = functools.cache(lambda: _all_features(x_CT, schema, grid))

    def columns_of(columns: Sequence[str]) -> Callable[[Recording], NDArray[np.float32]]:
        chosen = [place[column] for column in columns]
        return lambda _: np.asarray(every()[:, chosen], np.float32)

    return columns_of


def _all_features(x_CT: NDArray[np.float32], schema: FeatureSchema, grid: WindowGrid) -> NDArray[np.float32]:
    """Every column of every window, some hundred windows at a time: a recording may last a day."""
    x_CT = pad_to(x_CT, grid)
    z_CT = normalise(x_CT, schema.normalise, schema.windowing.bin_hz)
    parts = []
    for at in range(0, len(grid.start_W), _WINDOWS_AT_ONCE):
        start_W = grid.start_W[at : at + _WINDOWS_AT_ONCE]
        bins = slice(int(start_W[0]), int(start_W[-1]) + grid.length)
        part = WindowGrid(start_W - start_W[0], grid.length)
        parts.append(episode_features(x_CT[:, bins], schema, part, z_CT[:, bins]))
    return np.concatenate(parts)


def _info(episode: Episode) -> EpisodeInfo:
    meta = episode.meta
    return EpisodeInfo(
        episode_id=meta.episode_id,
        host=meta.host_id,
        profile="",  # what happened is not looked at
        sample="",
        benign=True,
        complete=False,
        t_start_wall_ns=meta.t_start_wall_ns,
        t_end_wall_ns=meta.t_end_wall_ns,
        content_sha256=episode.content_sha256,
    )
