"""The network of `gru` and `lstm`: they differ in the cell alone."""

from __future__ import annotations

from torch import Tensor, nn

from rlstir_core.detectors.models.stem import Pool, Stem
from rlstir_core.learning.presets import Net

# B windows, L bins, D input rows, H width, K phases, P positions after the stem


class Recurrent(nn.Module):
    """A GRU or LSTM behind the stem, (B, L, D) -> (B, K)."""

    def __init__(self, cell: type[nn.GRU] | type[nn.LSTM], n_inputs: int, n_phases: int, net: Net) -> None:
        super().__init__()
        self.stem = Stem(n_inputs, net)
        self.cell = cell(net.width, net.width, batch_first=True)
        self.pool = Pool(n_inputs, n_phases, net)

    def forward(self, x_BLD: Tensor) -> Tensor:
        h_BPH, _ = self.cell(self.stem(x_BLD))
        return self.pool(h_BPH, x_BLD)  # type: ignore[no-any-return]
