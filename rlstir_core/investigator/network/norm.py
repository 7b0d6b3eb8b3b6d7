"""The norm of all layers: LayerNorm whose statistics may be those of some of its channels.

A wider network made of a narrower one has channels that the narrower one lacked; were they counted, every norm would
say something else than before. So a norm carries the share that each channel has in its mean and variance, as a buffer
that is saved with the weights. Where the shares are equal it is PyTorch's own LayerNorm. What does not belong here:
making networks wider (`widen.py`).
"""

# D channels
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_EPS = 1e-5


class Norm(nn.Module):
    """(…, D) -> (…, D)"""

    share_D: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("share_D", torch.full((width,), 1.0 / width))
        self._plain = True

    def count(self, counted_D: Tensor) -> None:
        """From now on the mean and the variance are those of the channels where `counted_D` is True."""
        self.share_D = (counted_D / counted_D.sum()).to(self.share_D)
        self._plain = bool(counted_D.all())

    def forward(self, x_D: Tensor) -> Tensor:
        if self._plain:
            return functional.layer_norm(x_D, self.weight.shape, self.weight, self.bias, _EPS)
        x_D = x_D.float()
        from_mean_D = x_D - (x_D * self.share_D).sum(dim=-1, keepdim=True)
        variance_1 = (from_mean_D.square() * self.share_D).sum(dim=-1, keepdim=True)
        normed_D: Tensor = from_mean_D * torch.rsqrt(variance_1 + _EPS) * self.weight + self.bias
        return normed_D

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        share_D = state_dict.get(f"{prefix}share_D")
        if isinstance(share_D, Tensor) and share_D.numel():
            self._plain = bool((share_D == share_D.flatten()[0]).all())
