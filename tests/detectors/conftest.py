"""A few episodes in memory, and an easy problem for every model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from rlstir_core.contract.registry import default_registry
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.detectors.blocks import Blocks
from rlstir_core.detectors.episode_set import EpisodeSet, Recording
from rlstir_core.detectors.inputs import Inputs, SequenceInputs, SummaryInputs, Windows
from rlstir_core.learning.presets import Net, Preset, Training, Trees
from rlstir_core.telemetry.features import episode_features
from rlstir_core.telemetry.schema import FeatureSchema, make_schema
from rlstir_core.telemetry.windows import window_grid

T0 = 1_750_000_000 * 10**9


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny networks on several threads wait for each other more than they work."""
    torch.set_num_threads(1)


def _recording(schema: FeatureSchema, name: str, host: str, x_CT: np.ndarray) -> Recording:
    grid = window_grid(x_CT.shape[1], schema.windowing)
    n = len(grid.start_W)
    info = EpisodeInfo(
        episode_id=name,
        host=host,
        profile="io-walk",
        sample=f"sample-{name}",
        benign=False,
        complete=True,
        t_start_wall_ns=T0,
        t_end_wall_ns=T0 + x_CT.shape[1] * 10**8,
        content_sha256=name,
        windows={schema.phases[0]: (n + 1) // 2, schema.phases[1]: n // 2},
    )
    return Recording(
        info=info,
        n_bins=x_CT.shape[1],
        grid=grid,
        known_C=np.isfinite(x_CT).any(axis=1),
        label_W=np.arange(n) % 2,
        purity_W=np.ones(n, np.float32),
        since_onset_W=np.full(n, np.nan),
        open=x_CT.copy,
    )


def _episodes_of(schema: FeatureSchema, recordings: Sequence[Recording]) -> EpisodeSet:
    place = {name: at for at, name in enumerate(schema.columns)}

    def features(columns: Sequence[str]) -> Callable[[Recording], np.ndarray]:
        chosen = [place[column] for column in columns]
        return lambda each: episode_features(each.x_CT, schema, each.grid)[:, chosen]

    named = {recording.info.episode_id: recording for recording in recordings}
    return EpisodeSet(schema=schema, recordings=named, features=features, place=lambda each: each.info.episode_id)


@pytest.fixture(scope="session")
def make_recording() -> Callable[..., Recording]:
    """`make_recording(schema, name, host, x_CT)`: a recording of a tensor."""
    return _recording


@pytest.fixture(scope="session")
def episodes_of() -> Callable[..., EpisodeSet]:
    """`episodes_of(schema, recordings)`: recordings in memory as detectors take them."""
    return _episodes_of


@pytest.fixture(scope="session")
def episodes() -> EpisodeSet:
    """Six episodes of two hosts; the first bin is missing everywhere, as rates are."""
    schema = make_schema(default_registry())
    recordings = []
    for k in range(6):
        x_CT = np.random.default_rng(k).normal(8, 1, (len(schema.channels), 400 + 10 * k)).astype(np.float32)
        x_CT[:, 0] = np.nan
        recordings.append(_recording(schema, f"ep-{k}", f"host-{k % 2}", x_CT))
    return _episodes_of(schema, recordings)


def small_preset(**training: Any) -> Preset:
    """Sizes at which a model trains within a second."""
    return Preset(
        name="tiny",
        trees=Trees(rounds=30, learning_rate=0.3, columns=1.0),
        net=Net(width=16, layers=1, heads=2, dropout=0.1, stem_stride=2),
        train=replace(Training(batch=32, epochs=12, learning_rate=5e-3, device="cpu", views=1), **training),
    )


@pytest.fixture
def preset() -> Preset:
    return small_preset()


def _windows(label_N: np.ndarray) -> Windows:
    n = len(label_N)
    return Windows(
        episodes=("ep-a",),
        episode_N=np.zeros(n, np.int64),
        window_N=np.arange(n),
        label_N=label_N,
        purity_N=np.ones(n, np.float32),
        seconds_seen_N=np.arange(n, dtype=np.float64),
        since_onset_N=np.full(n, np.nan),
    )


def _easy(kind: str, seed: int, n: int = 120) -> Inputs:
    """Three phases that differ in the level of the first row, with gaps and a row that says nothing."""
    rng = np.random.default_rng(seed)
    label_N = rng.permutation(np.arange(n) % 3)
    if kind == "summary":
        x_NF = rng.normal(0, 1, (n, 6)).astype(np.float32)
        x_NF[:, 0] += 4 * label_N
        x_NF[rng.random(n) < 0.05, 1] = np.nan
        x_NF[:, 5] = np.nan
        return SummaryInputs(windows=_windows(label_N), x_NF=x_NF)
    length = 20
    series_TD = rng.normal(0, 1, (n * length, 4)).astype(np.float32)
    series_TD[:, 0] += 2 * np.repeat(label_N, length)
    series_TD[rng.random(n * length) < 0.05, 1] = np.nan
    return SequenceInputs(
        windows=_windows(label_N), series_TD=series_TD, start_N=np.arange(n) * length, length=length, n_levels=2
    )


@pytest.fixture(scope="session")
def easy() -> Callable[..., Inputs]:
    """`easy(kind, seed)`: inputs of the easy problem."""
    return _easy


def _some(inputs: Inputs, chosen: slice) -> Inputs:
    cut = {name: getattr(inputs.windows, name)[chosen] for name in Windows.__dataclass_fields__ if name != "episodes"}
    windows = replace(inputs.windows, **cut)
    if isinstance(inputs, SummaryInputs):
        return replace(inputs, windows=windows, x_NF=inputs.x_NF[chosen])
    return replace(inputs, windows=windows, start_N=inputs.start_N[chosen])


@pytest.fixture(scope="session")
def some() -> Callable[[Inputs, slice], Inputs]:
    """`some(inputs, slice)`: those windows alone."""
    return _some


def _in_parts(inputs: Inputs, n_phases: int = 3, parts: int = 1, **rest: Any) -> Blocks:
    label_N = inputs.windows.label_N
    ends = np.linspace(0, len(label_N), parts + 1).astype(int).tolist()
    bounds = list(pairwise(ends))
    count_K = np.bincount(label_N, minlength=n_phases)
    return Blocks(inputs.windows, bounds, lambda k: _some(inputs, slice(*bounds[k])), count_K=count_K, **rest)


@pytest.fixture(scope="session")
def in_parts() -> Callable[..., Blocks]:
    """`in_parts(inputs, n_phases, parts)`: the same windows as so many blocks."""
    return _in_parts
