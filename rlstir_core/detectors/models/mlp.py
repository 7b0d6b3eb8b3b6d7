"""`mlp`: hidden layers on summary features."""

from __future__ import annotations

from torch import Tensor, nn

from rlstir_core.detectors.models.base import Detector
from rlstir_core.detectors.models.neural import NeuralDetector
from rlstir_core.learning.presets import Net

# B windows, F columns, K phases


class Mlp(nn.Module):
    """Hidden layers, (B, F) -> (B, K)."""

    def __init__(self, n_inputs: int, n_phases: int, net: Net) -> None:
        super().__init__()
        width = 2 * net.width
        layers: list[nn.Module] = [nn.Dropout(net.dropout)]
        size = n_inputs
        for _ in range(net.layers):
            layers += [nn.Linear(size, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(net.dropout)]
            size = width
        self.body = nn.Sequential(*layers, nn.Linear(size, n_phases))

    def forward(self, x_BF: Tensor) -> Tensor:
        return self.body(x_BF)  # type: ignore[no-any-return]


def build() -> Detector:
    """See `ModelSpec.build`."""
    return NeuralDetector("mlp", "summary", Mlp)
