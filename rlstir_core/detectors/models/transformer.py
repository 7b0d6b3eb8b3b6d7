"""`transformer`: a pre-norm encoder on sequences."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rlstir_core.detectors.models.base import Detector
from rlstir_core.detectors.models.neural import NeuralDetector
from rlstir_core.detectors.models.stem import Pool, Stem
from rlstir_core.learning.presets import Net

# B windows, L bins, D input rows, H width, K phases, P positions after the stem


class Transformer(nn.Module):
    """A pre-norm encoder behind the stem, sinusoidal positions, (B, L, D) -> (B, K)."""

    def __init__(self, n_inputs: int, n_phases: int, net: Net) -> None:
        super().__init__()
        self.stem = Stem(n_inputs, net)
        layer = nn.TransformerEncoderLayer(
            net.width, net.heads, 2 * net.width, net.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, net.layers, enable_nested_tensor=False)
        self.pool = Pool(n_inputs, n_phases, net)

    def forward(self, x_BLD: Tensor) -> Tensor:
        h_BPH = self.stem(x_BLD)
        h_BPH = h_BPH + _positions(h_BPH.shape[1], h_BPH.shape[2], h_BPH.device)
        return self.pool(self.encoder(h_BPH), x_BLD)  # type: ignore[no-any-return]


def _positions(length: int, width: int, device: torch.device) -> Tensor:
    # Section 3.5 of arXiv:1706.03762, scaled down so that positions do not drown the channels.
    place = torch.arange(length, device=device)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10_000.0) / width))
    return 0.3 * torch.cat([torch.sin(place * rate), torch.cos(place * rate)], dim=1)[:, :width]


def build() -> Detector:
    """See `ModelSpec.build`."""
    return NeuralDetector("transformer", "sequence", Transformer)
