"""Batches of sequences as other hosts might have recorded them, drawn anew for every window whenever it is shown.

A gain of each log channel, so that no window of an episode has the levels of another; and now and then one source is
gone, which the mask says. What does not belong here: which channels are of which source (`detectors/`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# B windows of a batch, L bins, C channels, M kinds of normalised levels, D = (2 + M) C input rows, S sources


@dataclass(frozen=True, kw_only=True)
class HostDraws:
    """What is drawn: the spread of the gains, the chance that a source is gone, and what is known of the channels."""

    gain: float
    drop: float
    log_C: NDArray[np.bool_]  # whose unit is a logarithm, so that a gain is added
    source_C: NDArray[np.int64]  # 0 .. S-1


class Distortion:
    """Distorts standardised sequences: levels, normalised levels, then the mask of the levels, (B, L, D) -> (B, L, D).

    Drawn from torch's own generator on the device.
    """

    def __init__(self, draws: HostDraws, spread_C: NDArray[np.float32], on: torch.device) -> None:
        scaled_C = draws.gain * draws.log_C / spread_C
        self.gain_C = torch.as_tensor(scaled_C, dtype=torch.float32, device=on)
        self.source_C = torch.as_tensor(draws.source_C, device=on)
        self.n_sources = int(draws.source_C.max()) + 1
        self.drop = draws.drop

    def __call__(self, x_BLD: Tensor) -> Tensor:
        """The batch itself, changed in place: it was gathered for this step, and a copy takes as long as a layer."""
        B, C = len(x_BLD), len(self.gain_C)
        gain_B1C = torch.randn(B, 1, C, device=x_BLD.device) * self.gain_C
        x_BLD[:, :, :C].addcmul_(x_BLD[:, :, -C:], gain_B1C)  # what is missing stays 0
        if self.drop and self.n_sources > 1:
            gone_B = torch.randint(self.n_sources, (B,), device=x_BLD.device)
            gone_B = gone_B.where(torch.rand(B, device=x_BLD.device) < self.drop, -1)
            kept_BC = (gone_B[:, None] != self.source_C).to(x_BLD.dtype)
            x_BLD.mul_(kept_BC.repeat(1, x_BLD.shape[2] // C)[:, None])
        return x_BLD
