"""Baselines that stand in the same table as the six models.

`majority` knows the train frequencies, `clock` the time since scoring began, `metadata-only` what an episode is
like from outside (host, duration, row counts, time of day), and `minirocket` is what one would pick off the
shelf instead. What does not belong here: the six models.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from rlstir_core.detectors.base import class_weights
from rlstir_core.detectors.corpus import Recording
from rlstir_core.detectors.inputs import SequenceInputs, Windows
from rlstir_core.detectors.standardise import fit_standardiser

# N windows, F columns, K phases, E episodes, C channels, L bins of a window
Predict = Callable[[Windows], NDArray[np.float64]]
_ROUNDS = 60
_MAX_WEIGHT = 5.0
_MIN_ROCKET_BINS = 9  # the length of MiniRocket's kernels


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline: gives each window of `Windows` a probability for every phase."""

    name: str
    predict: Predict


def majority(train: Sequence[Windows], n_phases: int) -> Baseline:
    """Always the train frequencies."""
    frequency_K = np.bincount(np.concatenate([w.label_N for w in train]), minlength=n_phases).astype(
        np.float64
    )
    frequency_K /= frequency_K.sum()
    return Baseline("majority", lambda windows: np.tile(frequency_K, (len(windows.label_N), 1)))


def clock(train: Sequence[Windows], n_phases: int) -> Baseline:
    """Boosted trees on the seconds since scoring began, and nothing else."""
    seconds_NF = np.concatenate([w.seconds_seen_N for w in train])[:, None]
    model = _fit(seconds_NF, np.concatenate([w.label_N for w in train]), n_phases)
    return Baseline("clock", lambda windows: _predict(model, windows.seconds_seen_N[:, None]))


def metadata_only(train: Sequence[Windows], recordings: dict[str, Recording], n_phases: int) -> Baseline:
    """Boosted trees on what an episode is like from outside."""
    seen = [recordings[episode] for windows in train for episode in windows.episodes]
    hosts = sorted({recording.info.host for recording in seen})
    sources = sorted({source for recording in seen for source in recording.row.rows})

    def table(windows: Windows) -> NDArray[np.float64]:
        x_EF = np.array([_metadata(recordings[episode], hosts, sources) for episode in windows.episodes])
        return x_EF[windows.episode_N]

    x_NF = np.concatenate([table(windows) for windows in train])
    model = _fit(x_NF, np.concatenate([w.label_N for w in train]), n_phases)
    return Baseline("metadata-only", lambda windows: _predict(model, table(windows)))


def has_minirocket(length: int) -> bool:
    """True when the optional library is there and windows are long enough for its kernels."""
    return importlib.util.find_spec("aeon") is not None and length >= _MIN_ROCKET_BINS


def minirocket(
    train: SequenceInputs, n_phases: int, seed: int
) -> Callable[[SequenceInputs], NDArray[np.float64]]:
    """MiniRocket (arXiv:2012.08791, aeon's) with a ridge classifier, on the same levels as the sequence models."""
    from aeon.transformations.collection.convolution_based import MiniRocket
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.preprocessing import StandardScaler

    standardise = fit_standardiser(train.series_TD[:, : train.n_levels])

    def cut(inputs: SequenceInputs) -> NDArray[np.float32]:
        place_NL = inputs.start_N[:, None] + np.arange(inputs.length)
        levels_TC = standardise(inputs.series_TD[:, : inputs.n_levels])
        return np.ascontiguousarray(levels_TC[place_NL].transpose(0, 2, 1), np.float32)

    rocket = MiniRocket(n_kernels=2_000, random_state=seed, n_jobs=1)
    scaler = StandardScaler(with_mean=False)
    x_NF = scaler.fit_transform(rocket.fit_transform(cut(train)))
    label_N = train.windows.label_N
    weights_K = class_weights(label_N, n_phases, _MAX_WEIGHT)
    ridge = RidgeClassifierCV(alphas=np.logspace(-2, 4, 7)).fit(
        x_NF, label_N, sample_weight=weights_K[label_N]
    )

    def predict(inputs: SequenceInputs) -> NDArray[np.float64]:
        margin = ridge.decision_function(scaler.transform(rocket.transform(cut(inputs))))
        if margin.ndim == 1:
            margin = np.stack([-margin, margin], axis=1)
        proba_NK = np.zeros((len(margin), n_phases))
        raised = np.exp(margin - margin.max(axis=1, keepdims=True))
        proba_NK[:, ridge.classes_] = raised / raised.sum(axis=1, keepdims=True)
        return proba_NK

    return predict


def _metadata(recording: Recording, hosts: Sequence[str], sources: Sequence[str]) -> list[float]:
    row = recording.row
    begun = datetime.fromtimestamp(row.t_start_wall_ns / 1e9, UTC)
    return [
        float(hosts.index(recording.info.host)) if recording.info.host in hosts else np.nan,
        (row.t_end_wall_ns - row.t_start_wall_ns) / 1e9,
        float(row.n_bytes),
        float(begun.hour + begun.minute / 60),
        float(begun.weekday()),
        *(float(row.rows.get(source, 0)) for source in sources),
    ]


def _fit(x_NF: NDArray[np.float64], label_N: NDArray[np.int64], n_phases: int) -> xgb.Booster:
    weights_K = class_weights(label_N, n_phases, _MAX_WEIGHT)
    data = xgb.DMatrix(x_NF, label=label_N, weight=weights_K[label_N], nthread=1)
    settings = {
        "objective": "multi:softprob",
        "num_class": n_phases,
        "max_depth": 3,
        "eta": 0.1,
        "min_child_weight": 5,
        "nthread": 1,
        "seed": 0,
    }
    return xgb.train(settings, data, _ROUNDS)


def _predict(model: xgb.Booster, x_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(model.predict(xgb.DMatrix(x_NF, nthread=1)), np.float64)
