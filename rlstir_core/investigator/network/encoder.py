"""The encoder: tokens of rows to row embeddings, and these in the context of their episode's other rows.

Pre-norm transformer layers (Xiong et al. 2020, arXiv:2002.04745) with PyTorch's own attention, first over the tokens of
a row, then over the rows of an episode. What does not belong here: what is said of an embedding (`heads.py`).
"""

# R rows of a batch, T tokens of a row, E episodes, M rows of an episode, D width, H heads
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlstir_core.investigator.reading.batches import Batch
from rlstir_core.learning.presets import Investigator


class Layer(nn.Module):
    """Attention, then a feed-forward net of four times the width, each behind a norm and beside a way around it."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_attention, self.norm_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.forward_net = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D); nothing is taken from where the mask is False."""
        B, T, D = x_BTD.shape
        qkv = self.qkv(self.norm_attention(x_BTD)).view(B, T, 3, self.heads, D // self.heads)
        q_BHTd, k_BHTd, v_BHTd = qkv.permute(2, 0, 3, 1, 4)
        seen_BHTd = functional.scaled_dot_product_attention(
            q_BHTd,
            k_BHTd,
            v_BHTd,
            attn_mask=mask_BT[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        x_BTD = x_BTD + self.out(seen_BHTd.transpose(1, 2).reshape(B, T, D))
        added_BTD: Tensor = x_BTD + self.forward_net(self.norm_forward(x_BTD))
        return added_BTD


class LogEncoder(nn.Module):
    """Batches of episodes to embeddings of their rows."""

    def __init__(self, numbers: Investigator, pieces: int) -> None:
        super().__init__()
        width = numbers.width
        self.pieces = nn.Embedding(pieces, width)
        self.place_in_row = nn.Parameter(torch.zeros(numbers.row_tokens, width))
        self.row_layers = nn.ModuleList(Layer(width, numbers.heads, numbers.dropout) for _ in range(numbers.row_layers))
        self.row_norm = nn.LayerNorm(width)
        self.episode_layers = nn.ModuleList(
            Layer(width, numbers.heads, numbers.dropout) for _ in range(numbers.episode_layers)
        )
        self.episode_norm = nn.LayerNorm(width)
        nn.init.normal_(self.pieces.weight, std=width**-0.5)

    def forward(self, batch: Batch) -> Tensor:
        """The embedding of every row of every episode, (E, M, D); where `batch.mask_EM` is False it says nothing."""
        rows_RD = torch.cat([self._rows(tokens_RT, mask_RT) for tokens_RT, mask_RT in batch.rows])
        x_EMD = rows_RD[batch.row_EM]
        for layer in self.episode_layers:
            x_EMD = layer(x_EMD, batch.mask_EM)
        normed: Tensor = self.episode_norm(x_EMD)
        return normed

    def _rows(self, tokens_RT: Tensor, mask_RT: Tensor) -> Tensor:
        """The mean of a row's token embeddings. (R, T) -> (R, D)"""
        x_RTD = self.pieces(tokens_RT) + self.place_in_row[: tokens_RT.shape[1]]
        for layer in self.row_layers:
            x_RTD = layer(x_RTD, mask_RT)
        x_RTD = self.row_norm(x_RTD) * mask_RT[..., None]
        mean_RD: Tensor = x_RTD.sum(dim=1) / mask_RT.sum(dim=1, keepdim=True)
        return mean_RD
