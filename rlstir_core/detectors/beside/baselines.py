"""Baselines that stand in the same table as the six models.

`majority` knows the train frequencies, `clock` the time since scoring began, `metadata-only` what an episode is
like from outside (host, duration, row counts, time of day), and `minirocket` is what one would pick off the
shelf instead. What does not belong here: the six models.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.detectors.blocks import Blocks
from rlstir_core.detectors.inputs import Inputs, SequenceInputs, Windows
from rlstir_core.learning.scores import class_weights
from rlstir_core.learning.standardise import fit_standardiser

# N windows, F columns, K phases, E episodes, C channels, L bins of a window
_TREES = 60
_MAX_WEIGHT = 5.0
_MIN_ROCKET_BINS = 9  # the length of MiniRocket's kernels
_KERNELS = 2_000


class Majority:
    """Always the train frequencies."""

    def __init__(self, train: Sequence[Blocks], n_phases: int) -> None:
        labels = np.concatenate([view.windows.label_N for view in train])
        self.frequency_K = np.bincount(labels, minlength=n_phases) / len(labels)

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """The same row for every window, (N, K)."""
        return np.tile(self.frequency_K, (len(inputs.windows.label_N), 1))


class TableBaseline:
    """Boosted trees on a few numbers a window that are no telemetry."""

    def __init__(self, train: Sequence[Blocks], n_phases: int, table: Callable[[Windows], NDArray[np.float64]]) -> None:
        self.table = table
        x_NF = np.concatenate([table(view.windows) for view in train])
        label_N = np.concatenate([view.windows.label_N for view in train])
        weights_K = class_weights(np.bincount(label_N, minlength=n_phases), _MAX_WEIGHT)
        settings = {
            "objective": "multi:softprob",
            "num_class": n_phases,
            "max_depth": 3,
            "eta": 0.1,
            "min_child_weight": 5,
            "nthread": 1,
            "seed": 0,
        }
        self.model = xgb.train(settings, xgb.DMatrix(x_NF, label=label_N, weight=weights_K[label_N], nthread=1), _TREES)

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities, (N, K)."""
        return np.asarray(self.model.predict(xgb.DMatrix(self.table(inputs.windows), nthread=1)), np.float64)


def clock(train: Sequence[Blocks], n_phases: int) -> TableBaseline:
    """Sees the seconds since scoring began, and nothing else."""
    return TableBaseline(train, n_phases, lambda windows: windows.seconds_seen_N[:, None])


def metadata_only(train: Sequence[Blocks], n_phases: int, episodes: Mapping[str, EpisodeInfo]) -> TableBaseline:
    """Sees what an episode is like from outside."""
    seen = [episodes[episode] for view in train for episode in view.windows.episodes]
    hosts = sorted({info.host for info in seen})
    sources = sorted({source for info in seen for source in info.source_rows})

    def table(windows: Windows) -> NDArray[np.float64]:
        x_EF = np.array([_metadata(episodes[episode], hosts, sources) for episode in windows.episodes])
        return np.asarray(x_EF[windows.episode_N])

    return TableBaseline(train, n_phases, table)


class MiniRocketBaseline:
    """MiniRocket (arXiv:2012.08791, aeon's) with a ridge classifier, on the levels that the sequence models see."""

    def __init__(self, train: Blocks, n_phases: int, seed: int) -> None:
        from aeon.transformations.collection.convolution_based import MiniRocket
        from sklearn.linear_model import RidgeClassifierCV
        from sklearn.preprocessing import StandardScaler

        blocks = [inputs for inputs in train if isinstance(inputs, SequenceInputs)]
        self.n_phases = n_phases
        self.standardise = fit_standardiser(inputs.series_TD[:, : inputs.n_levels] for inputs in blocks)
        self.rocket = MiniRocket(n_kernels=_KERNELS, random_state=seed, n_jobs=1)
        self.scaler = StandardScaler(with_mean=False)
        x_NF = self.scaler.fit_transform(
            self.rocket.fit_transform(np.concatenate([self._cut(inputs) for inputs in blocks]))
        )
        label_N = train.windows.label_N
        weight_N = class_weights(np.bincount(label_N, minlength=n_phases), _MAX_WEIGHT)[label_N]
        self.ridge = RidgeClassifierCV(alphas=np.logspace(-2, 4, 7)).fit(x_NF, label_N, sample_weight=weight_N)

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """Softmax of the ridge margins, (N, K): a ranking, not a calibrated probability."""
        assert isinstance(inputs, SequenceInputs)
        margin = self.ridge.decision_function(self.scaler.transform(self.rocket.transform(self._cut(inputs))))
        if margin.ndim == 1:
            margin = np.stack([-margin, margin], axis=1)
        raised = np.exp(margin - margin.max(axis=1, keepdims=True))
        proba_NK = np.zeros((len(margin), self.n_phases))
        proba_NK[:, self.ridge.classes_] = raised / raised.sum(axis=1, keepdims=True)
        return proba_NK

    def _cut(self, inputs: SequenceInputs) -> NDArray[np.float32]:
        place_NL = inputs.start_N[:, None] + np.arange(inputs.length)
        levels_TC = self.standardise(inputs.series_TD[:, : inputs.n_levels])
        return np.ascontiguousarray(levels_TC[place_NL].transpose(0, 2, 1), np.float32)


def has_minirocket(length: int) -> bool:
    """True when the optional library is there and windows are long enough for its kernels."""
    return length >= _MIN_ROCKET_BINS and importlib.util.find_spec("aeon") is not None


def _metadata(info: EpisodeInfo, hosts: Sequence[str], sources: Sequence[str]) -> list[float]:
    begun = datetime.fromtimestamp(info.t_start_wall_ns / 1e9, UTC)
    return [
        float(hosts.index(info.host)) if info.host in hosts else np.nan,
        (info.t_end_wall_ns - info.t_start_wall_ns) / 1e9,
        float(begun.hour + begun.minute / 60),
        float(begun.weekday()),
        *(float(info.source_rows.get(source, 0)) for source in sources),
    ]
