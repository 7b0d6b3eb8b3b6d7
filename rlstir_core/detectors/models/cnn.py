"""`cnn`: dilated convolutions on sequences."""

from __future__ import annotations

from torch import Tensor, nn

from rlstir_core.detectors.models.base import Detector
from rlstir_core.detectors.models.neural import NeuralDetector
from rlstir_core.detectors.models.stem import Pool, Stem
from rlstir_core.learning.presets import Net

# B windows, L bins, D input rows, H width, K phases, P positions after the stem


class Cnn(nn.Module):
    """Residual dilated convolutions, (B, L, D) -> (B, K)."""

    def __init__(self, n_inputs: int, n_phases: int, net: Net) -> None:
        super().__init__()
        self.stem = Stem(n_inputs, net)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(net.width, net.width, 3, padding=2**depth, dilation=2**depth),
                nn.GroupNorm(1, net.width),
                nn.GELU(),
                nn.Dropout(net.dropout),
            )
            for depth in range(net.layers)
        )
        self.pool = Pool(n_inputs, n_phases, net)

    def forward(self, x_BLD: Tensor) -> Tensor:
        h_BHP = self.stem(x_BLD).transpose(1, 2)
        for block in self.blocks:
            h_BHP = h_BHP + block(h_BHP)
        return self.pool(h_BHP.transpose(1, 2), x_BLD)  # type: ignore[no-any-return]


def build() -> Detector:
    """See `ModelSpec.build`."""
    return NeuralDetector("cnn", "sequence", Cnn)
