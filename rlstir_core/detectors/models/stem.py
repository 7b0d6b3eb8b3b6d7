"""What the sequence networks share: the convolution that begins them and the classifier that ends them.

What does not belong here: the networks between the two, a file each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rlstir_core.learning.presets import Net

# B windows, L bins, D input rows, H width, K phases, P positions after the stem


class Stem(nn.Module):
    """A strided convolution that mixes channels and shortens time, (B, L, D) -> (B, P, H)."""

    def __init__(self, n_inputs: int, net: Net) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_inputs, net.width, 2 * net.stem_stride + 1, net.stem_stride, padding=net.stem_stride)
        self.norm = nn.LayerNorm(net.width)

    def forward(self, x_BLD: Tensor) -> Tensor:
        return nn.functional.gelu(self.norm(self.conv(x_BLD.transpose(1, 2)).transpose(1, 2)))


class Pool(nn.Module):
    """Mean and maximum over time, then the classifier, (B, P, H) -> (B, K)."""

    def __init__(self, width: int, n_phases: int, dropout: float) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.LayerNorm(2 * width), nn.Dropout(dropout), nn.Linear(2 * width, n_phases))

    def forward(self, h_BPH: Tensor) -> Tensor:
        return self.head(torch.cat([h_BPH.mean(dim=1), h_BPH.amax(dim=1)], dim=1))  # type: ignore[no-any-return]
