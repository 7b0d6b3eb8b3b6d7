"""The networks of the neural detectors.

All take standardised inputs and give logits. What does not belong here: training (`training.py`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rlstir_core.learning.presets import Net

# B windows, L bins, D input rows, H width, K phases, P positions after the stem


class Mlp(nn.Module):
    """Two hidden layers on summary features, (B, F) -> (B, K)."""

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
        self.pool = Pool(net.width, n_phases, net.dropout)

    def forward(self, x_BLD: Tensor) -> Tensor:
        h_BHP = self.stem(x_BLD).transpose(1, 2)
        for block in self.blocks:
            h_BHP = h_BHP + block(h_BHP)
        return self.pool(h_BHP.transpose(1, 2))  # type: ignore[no-any-return]


class Recurrent(nn.Module):
    """A GRU or LSTM behind the stem, (B, L, D) -> (B, K)."""

    def __init__(self, cell: str, n_inputs: int, n_phases: int, net: Net) -> None:
        super().__init__()
        self.stem = Stem(n_inputs, net)
        cells = {"gru": nn.GRU, "lstm": nn.LSTM}
        self.cell = cells[cell](net.width, net.width, batch_first=True)
        self.pool = Pool(net.width, n_phases, net.dropout)

    def forward(self, x_BLD: Tensor) -> Tensor:
        h_BPH, _ = self.cell(self.stem(x_BLD))
        return self.pool(h_BPH)  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """A pre-norm encoder behind the stem, sinusoidal positions, (B, L, D) -> (B, K)."""

    def __init__(self, n_inputs: int, n_phases: int, net: Net) -> None:
        super().__init__()
        self.stem = Stem(n_inputs, net)
        layer = nn.TransformerEncoderLayer(
            net.width, net.heads, 2 * net.width, net.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, net.layers, enable_nested_tensor=False)
        self.pool = Pool(net.width, n_phases, net.dropout)

    def forward(self, x_BLD: Tensor) -> Tensor:
        h_BPH = self.stem(x_BLD)
        h_BPH = h_BPH + _positions(h_BPH.shape[1], h_BPH.shape[2], h_BPH.device)
        return self.pool(self.encoder(h_BPH))  # type: ignore[no-any-return]


def _positions(length: int, width: int, device: torch.device) -> Tensor:
    # Section 3.5 of arXiv:1706.03762, scaled down so that positions do not drown the channels.
    place = torch.arange(length, device=device)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10_000.0) / width))
    return 0.3 * torch.cat([torch.sin(place * rate), torch.cos(place * rate)], dim=1)[:, :width]


def build(name: str, n_inputs: int, n_phases: int, net: Net) -> nn.Module:
    """The network called `name`, with fresh weights."""
    if name in ("gru", "lstm"):
        return Recurrent(name, n_inputs, n_phases, net)
    return {"mlp": Mlp, "cnn": Cnn, "transformer": Transformer}[name](n_inputs, n_phases, net)
