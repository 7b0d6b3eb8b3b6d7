"""A small corpus in memory, and an easy problem for every model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rlstir_core.contract.registry import default_registry
from rlstir_core.datasets.recipes import EpisodeInfo
from rlstir_core.detectors.corpus import Corpus, Recording
from rlstir_core.detectors.inputs import Inputs, SequenceInputs, SummaryInputs, Windows
from rlstir_core.episodes.verdicts import ValidationRow
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
    end = T0 + x_CT.shape[1] * 10**8
    info = EpisodeInfo(
        episode_id=name,
        host=host,
        profile="io-walk",
        sample=f"sample-{name}",
        benign=False,
        complete=True,
        t_start_wall_ns=T0,
        t_end_wall_ns=end,
        content_sha256=name,
        phases=schema.phases[:2],
    )
    row = ValidationRow(
        host=host,
        episode_id=name,
        path=f"episodes/{host}/{name}.tar.zst",
        verdict="ok",
        reason="",
        reasons=(),
        detail="",
        index_sha256="",
        sha256="",
        n_bytes=1,
        decode_sha256="",
        t_start_wall_ns=T0,
        t_end_wall_ns=end,
    )
    return Recording(
        info=info,
        row=row,
        x_CT=x_CT,
        grid=grid,
        features_WF=episode_features(x_CT, schema, grid),
        label_W=np.arange(n) % 2,
        purity_W=np.ones(n, np.float32),
        since_onset_W=np.full(n, np.nan),
    )


@pytest.fixture(scope="session")
def make_recording() -> Callable[..., Recording]:
    """`make_recording(schema, name, host, x_CT)`: a recording of a tensor."""
    return _recording


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """Six episodes of two hosts; the first bin is missing everywhere, as rates are."""
    schema = make_schema(default_registry())
    recordings = {}
    for k in range(6):
        x_CT = np.random.default_rng(k).normal(8, 1, (len(schema.channels), 400 + 10 * k)).astype(np.float32)
        x_CT[:, 0] = np.nan
        recordings[f"ep-{k}"] = _recording(schema, f"ep-{k}", f"host-{k % 2}", x_CT)
    return Corpus(schema=schema, columns=schema.columns, recordings=recordings)


def small_preset(**training: Any) -> Preset:
    """Sizes at which a model trains within a second."""
    return Preset(
        name="tiny",
        trees=Trees(rounds=30, learning_rate=0.3, columns=1.0),
        net=Net(width=16, layers=1, heads=2, dropout=0.1, stem_stride=2),
        training=replace(Training(batch=32, rounds=12, learning_rate=5e-3, device="cpu", views=1), **training),
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
