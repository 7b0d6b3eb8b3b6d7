"""The one interface of all detectors, and what training one reports.

What does not belong here: any particular model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.detectors.blocks import Blocks
from rlstir_core.detectors.inputs import Inputs
from rlstir_core.learning.presets import Preset
from rlstir_core.progress import Tell

# N windows, K phases


class TrainingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How a detector came to be; written into its checkpoint and its model card."""

    n_train_windows: int
    n_validation_windows: int
    n_left_out_windows: int = 0  # labelled ones that the preset's cap left undrawn, of all views
    unit: str  # epochs or trees
    done: int
    best: int
    best_validation_macro_f1: float
    n_parameters: int
    class_weights: tuple[float, ...]
    selected_on: str = "validation"
    step_bytes: int = 0  # calculated: what a step of training takes on its device, beside the inputs that stay there


class Detector(ABC):
    """A model that gives each window a probability for every phase."""

    suffix: ClassVar[str]  # of its sidecar file

    @abstractmethod
    def fit(
        self, train: Sequence[Blocks], validation: Sequence[Blocks], n_phases: int, preset: Preset, tell: Tell
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
