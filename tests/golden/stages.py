"""What each stage made of the shared small store, as a digest, or as a few numbers where floats differ in the last bit.

Whole numbers and texts are hashed. Floats are projected on fixed waves: any change beyond rounding moves a projection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
from safetensors import safe_open

from rlstir_core.detectors.blocks import one_block
from rlstir_core.detectors.inputs import Inputs, SequenceInputs, SummaryInputs, Windows
from rlstir_core.detectors.models import MODELS
from rlstir_core.evaluation.detectors.evaluate import evaluate_scores
from rlstir_core.evaluation.stats.scored import Episodes, Scores, Truth
from rlstir_core.learning.presets import preset

Digest = str | list[float]
_WAVES = 4


def digests(driven: Any) -> dict[str, Digest]:
    """{stage: its digest}."""
    processed = driven.layout.processed
    return {
        "rows": _tables(processed.glob("validation_v1.parquet/*/episodes.parquet"), without=("decode_sha256",))
        + _tensors_exactly(processed.glob("rows_v1/*/*.safetensors")),
        "schema": _text(_without(json.loads(driven.layout.feature_schema.read_text()), "version", "sha256")),
        "tensors": _waves(_tensor(path, "x_CT") for path in sorted(processed.glob("tensor_window_v1/*/*.safetensors"))),
        "features": _waves(_floats(path) for path in sorted(processed.glob("features_window_v1.parquet/*/part-*"))),
        "log_rows": _tables(processed.glob("log_events_v1.parquet/*/*.parquet")),
        "graph": _tables(processed.glob("graphs/*/*/*.parquet")),
        "split": _text(_without(json.loads(driven.layout.split("host").read_text()), "input_sha256", "episodes")),
        "tokenizer": json.loads(driven.layout.tokenizer("host").with_suffix(".json").read_text())["model_sha256"],
        "weights": _waves(_taught(name) for name in MODELS),
        "evaluation": _evaluated(),
    }


def _tables(paths: Iterable[Path], without: tuple[str, ...] = ()) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        table = pq.ParquetFile(path).read()
        rows = table.drop_columns([name for name in without if name in table.column_names]).to_pylist()
        digest.update(f"{path.parent.name}/{path.name}".encode())
        digest.update(msgspec.json.encode(rows, order="sorted"))
    return digest.hexdigest()


def _tensors_exactly(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        with safe_open(path, framework="numpy") as stored:
            for name in sorted(stored.keys()):
                digest.update(f"{path.stem}/{name}".encode())
                digest.update(stored.get_tensor(name).tobytes())
    return digest.hexdigest()


def _text(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def _without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name not in names}


def _tensor(path: Path, name: str) -> np.ndarray:
    with safe_open(path, framework="numpy") as stored:
        return stored.get_tensor(name)


def _floats(path: Path) -> np.ndarray:
    table = pq.ParquetFile(path).read()
    return np.stack([table[name].to_numpy() for name in table.column_names if "|" in name])


def _waves(arrays: Iterable[np.ndarray]) -> list[float]:
    total = np.zeros(_WAVES)
    for array in arrays:
        flat = np.nan_to_num(array.astype(np.float64), nan=-1.0).reshape(-1)
        place = np.arange(len(flat))
        total += [float(flat @ np.cos(0.7 * (k + 1) * place)) / np.sqrt(len(flat)) for k in range(_WAVES)]
    return [round(float(value), 6) for value in total]


def _taught(name: str) -> np.ndarray:
    """What a tiny model says after a few steps on fixed data: equal weights say equal things."""
    numbers = preset(
        "smoke",
        ["train.epochs=1", "train.device=cpu", "train.batch=16", "net.width=8", "net.heads=2", "trees.rounds=10"],
    )
    train, held = (_windows(name, seed) for seed in (1, 2))
    detector = MODELS[name].build()
    detector.fit([one_block(train, 3)], [one_block(held, 3)], 3, numbers, lambda _: None)
    return detector.predict_proba(held)


def _windows(name: str, seed: int, n: int = 48, length: int = 40) -> Inputs:
    rng = np.random.default_rng(seed)
    label_N = np.arange(n) % 3
    windows = Windows(
        episodes=("ep-a",),
        episode_N=np.zeros(n, np.int64),
        window_N=np.arange(n),
        label_N=label_N,
        purity_N=np.ones(n, np.float32),
        seconds_seen_N=np.arange(n, dtype=np.float64),
        since_onset_N=np.full(n, np.nan),
    )
    if MODELS[name].kind == "summary":
        return SummaryInputs(windows=windows, x_NF=(rng.normal(size=(n, 6)) + label_N[:, None]).astype(np.float32))
    series_TD = (rng.normal(size=(n * length, 4)) + np.repeat(label_N, length)[:, None]).astype(np.float32)
    starts = np.arange(n) * length
    return SequenceInputs(windows=windows, series_TD=series_TD, start_N=starts, length=length, n_levels=2)


def _evaluated() -> list[float]:
    """The figures of one evaluation of fixed scores."""
    rng = np.random.default_rng(3)
    E, N, phases = 60, 1200, ("clean", "infecting", "dormant")
    episode_N = np.sort(rng.integers(0, E, N))
    y_N = rng.integers(0, 3, N)
    names = np.array([f"ep-{k}" for k in range(E)])
    episodes = Episodes(
        episode_id=names,
        host=np.array([f"host-{k % 6}" for k in range(E)]),
        profile=np.array([f"profile-{k % 2}" for k in range(E)]),
        sample=names,
        benign=np.arange(E) % 2 == 0,
        complete=np.arange(E) % 5 > 0,
        duration_s=np.full(E, 100.0),
    )
    truth = Truth(
        phases=phases,
        attack=(False, True, False),
        episode_N=episode_N,
        y_N=y_N,
        purity_N=np.ones(N),
        end_s_N=rng.uniform(10, 100, N),
        since_onset_s_N=np.where(y_N == 1, rng.uniform(0, 50, N), np.nan),
        episodes=episodes,
    )
    proba_NK = rng.dirichlet([1, 1, 1], N) + np.eye(3)[y_N]
    scores = Scores(name="m", model="m", mode="realistic", proba_NK=proba_NK / proba_NK.sum(axis=1, keepdims=True))
    found = evaluate_scores(truth, scores, validation=(truth, scores), recipe="host", draws=500)
    return [round(value, 6) for value in _numbers(msgspec.to_builtins(found))]


def _numbers(value: object) -> Iterable[float]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _numbers(value[key])
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, float):
        yield value
