"""Rows joined with the graph: the embedding of a row beside that of the process that it is about.

What does not belong here: both embeddings (`encoder.py`, `sage.py`), and which process a row is about.
"""

# X rows, P processes, D and G the widths of their embeddings, F the width of both together
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlstir_core.investigator.network.norm import Norm


class Fuse(nn.Module):
    """concat -> LayerNorm -> Linear -> GELU; zeros stand for the process where a row has none."""

    def __init__(self, row_width: int, node_width: int, width: int) -> None:
        super().__init__()
        self.joined = (row_width, node_width)  # what stands side by side in the input
        self.norm = Norm(row_width + node_width)
        self.linear = nn.Linear(row_width + node_width, width)

    def forward(self, x_XD: Tensor, node_PG: Tensor, node_X: Tensor) -> Tensor:
        """(X, D), (P, G) and the process of each row, -1 for none, (X,) -> (X, F)"""
        none_1G = node_PG.new_zeros(1, node_PG.shape[1])
        own_XG = torch.cat([none_1G, node_PG]).index_select(0, node_X + 1)
        return functional.gelu(self.linear(self.norm(torch.cat([x_XD, own_XG.to(x_XD)], dim=1))))
