"""The encoder: tokens of rows to row embeddings, and these in the context of their episode's other rows.

Pre-norm transformer layers (Xiong et al. 2020, arXiv:2002.04745) over packed sequences, first over the tokens of a
row, then over the rows of an episode. Where the batch brings graphs, the embedding of a row is joined with that of its
process. What does not belong here: what is said of an embedding (`heads.py`).
"""

# N tokens of a batch, R its distinct rows, X rows of all its episodes, E episodes, M rows of an episode, D width
from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from rlstir_core.investigator.network.fuse import Fuse
from rlstir_core.investigator.network.norm import Norm
from rlstir_core.investigator.network.packing import Spans, attend, means, places
from rlstir_core.investigator.network.sage import TypedSage
from rlstir_core.investigator.reading.batches import Batch
from rlstir_core.learning.presets import Investigator


class Layer(nn.Module):
    """Attention, then a feed-forward net, each behind a norm and beside a way around it."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_attention, self.norm_forward = Norm(width), Norm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.forward_net = nn.Sequential(
            nn.Linear(width, feed_forward),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(feed_forward, width),
            nn.Dropout(dropout),
        )

    def forward(self, x_ND: Tensor, of: Spans) -> Tensor:
        """(N, D) -> (N, D); a token sees its own sequence."""
        N, D = x_ND.shape
        qkv_N3Hd = self.qkv(self.norm_attention(x_ND)).view(N, 3, self.heads, D // self.heads)
        x_ND = x_ND + self.out(attend(qkv_N3Hd, of, self.dropout if self.training else 0.0))
        added_ND: Tensor = x_ND + self.forward_net(self.norm_forward(x_ND))
        return added_ND


class LogEncoder(nn.Module):
    """Batches of episodes to embeddings of their rows, of `out_width` channels.

    `node_widths` are those of the features of processes, files and sockets; without them no graph is looked at.
    """

    def __init__(self, numbers: Investigator, pieces: int, node_widths: tuple[int, int, int] | None = None) -> None:
        super().__init__()
        width = numbers.width
        self.checkpointing = numbers.checkpointing

        def layers(n: int) -> nn.ModuleList:
            return nn.ModuleList(
                Layer(width, numbers.heads, numbers.feed_forward * width, numbers.dropout) for _ in range(n)
            )

        self.pieces = nn.Embedding(pieces, width)
        self.place_in_row = nn.Parameter(torch.zeros(numbers.row_tokens, width))
        self.row_layers, self.row_norm = layers(numbers.row_layers), Norm(width)
        self.episode_layers, self.episode_norm = layers(numbers.episode_layers), Norm(width)
        self.sage = self.fuse = None
        self.out_width = width
        if node_widths is not None:
            self.sage = TypedSage(node_widths, numbers.graph_width)
            self.fuse = Fuse(width, numbers.graph_width, numbers.fuse_width)
            self.out_width = numbers.fuse_width
        nn.init.normal_(self.pieces.weight, std=width**-0.5)

    def forward(self, batch: Batch) -> Tensor:
        """The embedding of every row of every episode, (E, M, D); where `batch.mask_EM` is False it is zero."""
        x_XD = self.rows_of(batch)
        E, M = batch.mask_EM.shape
        return x_XD.new_zeros(E * M, x_XD.shape[1]).index_copy(0, batch.place_X, x_XD).view(E, M, -1)

    def rows_of(self, batch: Batch) -> Tensor:
        """The same without the places where no row is, episode after episode. (X, D)"""
        x_ND = self.pieces(batch.tokens_N) + functional.embedding(places(batch.rows), self.place_in_row)
        x_RD = means(self.row_norm(self._through(self.row_layers, x_ND, batch.rows)), batch.rows)
        x_XD: Tensor = self.episode_norm(self._through(self.episode_layers, x_RD[batch.row_X], batch.episodes))
        if self.sage is None or self.fuse is None:
            return x_XD
        if batch.graph is None or batch.node_X is None:
            raise ValueError("this encoder looks at graphs, and the batch brings none")
        node_PG = self.sage(batch.graph)[0]
        fused_XD: Tensor = self.fuse(x_XD, node_PG, batch.node_X)
        return fused_XD

    def _through(self, layers: Iterable[nn.Module], x_ND: Tensor, of: Spans) -> Tensor:
        for layer in layers:
            if self.checkpointing and torch.is_grad_enabled():
                x_ND = cast(Tensor, checkpoint(layer, x_ND, of, use_reentrant=False))
            else:
                x_ND = layer(x_ND, of)
        return x_ND
