"""`gru`: a recurrent network on sequences."""

from __future__ import annotations

from torch import nn

from rlstir_core.detectors.models.base import ModelSpec
from rlstir_core.detectors.models.neural import NeuralDetector
from rlstir_core.detectors.models.recurrent import Recurrent

MODEL = ModelSpec(
    name="gru",
    words="A GRU on sequences",
    kind="sequence",
    device="gpu",
    priority=2,
    build=lambda: NeuralDetector("gru", "sequence", lambda *sizes: Recurrent(nn.GRU, *sizes)),
)
