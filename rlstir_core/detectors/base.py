"""The one interface of all detectors, and what training them reports.

What does not belong here: any particular model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.detectors.inputs import Inputs
from rlstir_core.learning.presets import Preset
from rlstir_core.progress import Tell

# N windows, K phases


class TrainingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How a detector came to be; written into its checkpoint and its model card."""

    n_train_windows: int
    n_validation_windows: int
    rounds: int
    best_round: int
    best_validation_macro_f1: float
    n_parameters: int
    class_weights: tuple[float, ...]
    selected_on: str = "validation"


class Predictor(Protocol):
    """Anything that gives each window a probability for every phase."""

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities (N, K); each row sums to 1."""
        ...


class CrossFitted:
    """Members that each left one fold of the train side out, as one predictor."""

    def __init__(self, members: Sequence[tuple[Predictor, tuple[str, ...]]]) -> None:
        self.members = list(members)

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """Mean probability of the members, (N, K)."""
        return np.asarray(np.mean([member.predict_proba(inputs) for member, _ in self.members], axis=0))

    def predict_held_out(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities of train episodes, each by the member that did not train on it, (N, K)."""
        windows = inputs.windows
        parts = [member.predict_proba(inputs) for member, _ in self.members]
        of_episode = {episode: m for m, (_, episodes) in enumerate(self.members) for episode in episodes}
        member_N = np.array([of_episode[episode] for episode in windows.episodes])[windows.episode_N]
        return np.asarray(np.stack(parts)[member_N, np.arange(len(member_N))])


class Detector(ABC):
    """A model that gives each window a probability for every phase."""

    name: ClassVar[str]
    kind: ClassVar[str]  # "summary" or "sequence": which inputs it takes
    suffix: ClassVar[str]  # of its sidecar file

    @abstractmethod
    def fit(
        self, train: Sequence[Inputs], validation: Sequence[Inputs], n_phases: int, preset: Preset, tell: Tell
    ) -> TrainingFacts:
        """Trains on the views in `train`; everything is chosen on the mean over the views in `validation`."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """How many columns it takes, and how many phases it tells apart."""

    @abstractmethod
    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities (N, K); each row sums to 1."""

    @abstractmethod
    def save(self, path: Path) -> dict[str, Any]:
        """Writes the sidecar to `path`; gives the settings that `load` needs beside it."""

    @abstractmethod
    def load(self, path: Path, settings: dict[str, Any]) -> None:
        """Reads the sidecar; CheckpointError where it is not what `settings` say."""


def class_weights(label_N: NDArray[np.int64], n_phases: int, at_most: float) -> NDArray[np.float64]:
    """Inverse class frequencies of the train slice with mean 1 over its windows, clipped; (K,)."""
    counts = np.bincount(label_N, minlength=n_phases).astype(np.float64)
    present = counts > 0
    weights = np.where(present, len(label_N) / (present.sum() * np.maximum(counts, 1)), 0.0)
    return np.clip(weights, 0.0, at_most)


def macro_f1(label_N: NDArray[np.int64], proba_NK: NDArray[np.float64]) -> float:
    """Mean F1 over the phases that `label_N` holds: what early stopping looks at."""
    n_phases = proba_NK.shape[1]
    counts = np.bincount(label_N * n_phases + proba_NK.argmax(axis=1), minlength=n_phases**2)
    confusion = counts.reshape(n_phases, n_phases).astype(np.float64)
    support = confusion.sum(axis=1)
    total = support + confusion.sum(axis=0)
    f1 = 2 * np.diag(confusion) / np.maximum(total, 1)
    return float(f1[support > 0].mean())


def look(labels: Sequence[NDArray[np.int64]], probas: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Macro F1 and mean log-likelihood, averaged over validation's views: greater is better, ties go to the second."""
    scores = [macro_f1(label_N, proba_NK) for label_N, proba_NK in zip(labels, probas, strict=True)]
    likely = [
        np.log(np.maximum(proba_NK[np.arange(len(label_N)), label_N], 1e-9)).mean()
        for label_N, proba_NK in zip(labels, probas, strict=True)
    ]
    return float(np.mean(scores)), float(np.mean(likely))


def clear(inputs: Inputs, min_purity: float) -> NDArray[np.intp]:
    """Windows that are mostly of one phase; all of them where a phase would be lost otherwise."""
    windows = inputs.windows
    chosen = windows.purity_N >= min_purity
    if set(np.unique(windows.label_N[chosen])) != set(np.unique(windows.label_N)):
        chosen = np.ones(len(windows.label_N), bool)
    return np.flatnonzero(chosen)
