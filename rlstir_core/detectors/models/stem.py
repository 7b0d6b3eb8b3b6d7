"""What the sequence networks share: the convolution that begins them, and the overview and classifier that end them.

What does not belong here: the networks between the two, a file each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rlstir_core.learning.presets import Net

# B windows, L bins, D input rows, H width, K phases, P positions after the stem
_EPSILON = 1e-5


class Stem(nn.Module):
    """A strided convolution that mixes channels and shortens time, (B, L, D) -> (B, P, H)."""

    def __init__(self, n_inputs: int, net: Net) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_inputs, net.width, 2 * net.stem_stride + 1, net.stem_stride, padding=net.stem_stride)
        self.norm = nn.LayerNorm(net.width)

    def forward(self, x_BLD: Tensor) -> Tensor:
        return nn.functional.gelu(self.norm(self.conv(x_BLD.transpose(1, 2)).transpose(1, 2)))


class Overview(nn.Module):
    """What a window is like as a whole: mean, deviation, mean step and maximum of each input row, (B, L, D) -> (B, H).

    Convolutions and cells have to find them out from few hosts; beside what they find, they carry best to another.
    """

    def __init__(self, n_inputs: int, net: Net) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Dropout(net.dropout),
            nn.Linear(4 * n_inputs, 2 * net.width),
            nn.LayerNorm(2 * net.width),
            nn.GELU(),
            nn.Dropout(net.dropout),
        )

    def forward(self, x_BLD: Tensor) -> Tensor:
        step_BD = torch.diff(x_BLD, dim=1).abs().sum(dim=1) / max(1, x_BLD.shape[1] - 1)
        parts = (*mean_and_deviation(x_BLD), step_BD, x_BLD.amax(dim=1))
        return self.body(torch.cat(parts, dim=1))  # type: ignore[no-any-return]


class Pool(nn.Module):
    """Mean, maximum and deviation over time beside the overview, then the classifier. (B, P, H), (B, L, D) -> (B, K)"""

    def __init__(self, n_inputs: int, n_phases: int, net: Net) -> None:
        super().__init__()
        self.overview = Overview(n_inputs, net)
        size = 5 * net.width
        self.head = nn.Sequential(nn.LayerNorm(size), nn.Dropout(net.dropout), nn.Linear(size, n_phases))

    def forward(self, h_BPH: Tensor, x_BLD: Tensor) -> Tensor:
        parts = (*mean_and_deviation(h_BPH), h_BPH.amax(dim=1), self.overview(x_BLD))
        return self.head(torch.cat(parts, dim=1))  # type: ignore[no-any-return]


def mean_and_deviation(h_BPH: Tensor) -> tuple[Tensor, Tensor]:
    """Both over time, the deviation with a gradient where nothing moves, (B, P, H) -> (B, H) each."""
    mean_BH = h_BPH.mean(dim=1)
    square_BH = (h_BPH * h_BPH).mean(dim=1) - mean_BH * mean_BH  # torch's own variance takes 25 times as long
    return mean_BH, (square_BH.clamp_min(0) + _EPSILON).sqrt()
