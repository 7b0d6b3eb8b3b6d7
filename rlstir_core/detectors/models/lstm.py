"""`lstm`: a recurrent network on sequences."""

from __future__ import annotations

from torch import nn

from rlstir_core.detectors.models.base import ModelSpec
from rlstir_core.detectors.models.neural import NeuralDetector
from rlstir_core.detectors.models.recurrent import Recurrent

MODEL = ModelSpec(
    name="lstm",
    words="An LSTM on sequences",
    kind="sequence",
    device="gpu",
    priority=3,
    build=lambda: NeuralDetector("lstm", "sequence", lambda *sizes: Recurrent(nn.LSTM, *sizes)),
)
