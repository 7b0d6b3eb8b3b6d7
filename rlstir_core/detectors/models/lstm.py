"""`lstm`: a recurrent network on sequences."""

from __future__ import annotations

from torch import nn

from rlstir_core.detectors.models.base import Detector
from rlstir_core.detectors.models.neural import NeuralDetector
from rlstir_core.detectors.models.recurrent import Recurrent


def build() -> Detector:
    """See `ModelSpec.build`."""
    return NeuralDetector("lstm", "sequence", lambda *sizes: Recurrent(nn.LSTM, *sizes))
