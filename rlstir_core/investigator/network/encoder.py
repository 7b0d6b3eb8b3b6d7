"""The encoder: tokens of rows to row embeddings, and these in the context of their episode's other rows.

Pre-norm transformer layers (Xiong et al. 2020, arXiv:2002.04745) over packed sequences, first over the tokens of a
text, then over the rows of an episode, to which the numbers of each row were added; at the end a row is joined with its
process, as GraphSAGE sees it. What does not belong here: what is said of an embedding (`heads.py`).
"""

# N tokens of a batch, R its distinct texts, X rows of all its episodes, A numbers of a row, P processes, D width
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from rlstir_core.investigator.network.fuse import Fuse
from rlstir_core.investigator.network.norm import Norm
from rlstir_core.investigator.network.packing import Sequences, attend, means, places
from rlstir_core.investigator.network.sage import TypedSage
from rlstir_core.investigator.reading.batches import Batch
from rlstir_core.learning.presets import Investigator


def attention_layers(numbers: Investigator) -> tuple[int, int]:
    """How many layers go over the tokens of a text, and how many over the rows of an episode."""
    return (0, 0) if numbers.without == "transformer" else (numbers.row_layers, numbers.episode_layers)


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

    def forward(self, x_ND: Tensor, of: Sequences) -> Tensor:
        """(N, D) -> (N, D); a token sees its own sequence."""
        N, D = x_ND.shape
        qkv_N3Hd = self.qkv(self.norm_attention(x_ND)).view(N, 3, self.heads, D // self.heads)
        x_ND = x_ND + self.out(attend(qkv_N3Hd, of, self.dropout if self.training else 0.0))
        added_ND: Tensor = x_ND + self.forward_net(self.norm_forward(x_ND))
        return added_ND


@dataclass(frozen=True, kw_only=True)
class InputWidths:
    """How many numbers stand beside the texts: of a row, and of processes, files and sockets."""

    row: int
    nodes: tuple[int, int, int]


class LogEncoder(nn.Module):
    """Batches of episodes to embeddings of their rows, of `out_width` channels."""

    def __init__(self, numbers: Investigator, pieces: int, widths: InputWidths) -> None:
        super().__init__()
        width = numbers.width
        self.checkpointing = numbers.checkpointing

        def layers(n: int) -> nn.ModuleList:
            return nn.ModuleList(
                Layer(width, numbers.heads, numbers.feed_forward * width, numbers.dropout) for _ in range(n)
            )

        self.pieces = nn.Embedding(pieces, width)
        self.place_in_text = nn.Parameter(torch.zeros(numbers.row_tokens, width))
        self.numbers = nn.Linear(widths.row, width)
        of_rows, of_episodes = attention_layers(numbers)
        self.row_layers, self.row_norm = layers(of_rows), Norm(width)
        self.episode_layers, self.episode_norm = layers(of_episodes), Norm(width)
        process, file, socket = widths.nodes
        self.sage = TypedSage((width + process, file, socket), numbers.graph_width)
        self.fuse = Fuse(width, numbers.graph_width, numbers.fuse_width)
        self.out_width = numbers.fuse_width
        nn.init.normal_(self.pieces.weight, std=width**-0.5)

    def forward(self, batch: Batch) -> Tensor:
        """The embedding of every row, episode after episode. (X, D)"""
        x_ND = self.pieces(batch.tokens_N) + functional.embedding(places(batch.texts), self.place_in_text)
        x_RD = means(self.row_norm(self._through(self.row_layers, x_ND, batch.texts)), batch.texts)
        x_XD = x_RD[batch.text_X] + self.numbers(batch.aux_XA)
        x_XD = self.episode_norm(self._through(self.episode_layers, x_XD, batch.episodes))
        number_PC, file_FC, socket_SC = batch.graph.x
        text_PD = x_RD[batch.text_P].to(number_PC)
        # numbers first: in a wider network the channels of texts become more, and stand behind what was there
        graph = replace(batch.graph, x=(torch.cat([number_PC, text_PD], dim=1), file_FC, socket_SC))
        fused_XD: Tensor = self.fuse(x_XD, self.sage(graph)[0], batch.process_X)
        return fused_XD

    def _through(self, layers: Iterable[nn.Module], x_ND: Tensor, of: Sequences) -> Tensor:
        for layer in layers:
            if self.checkpointing and torch.is_grad_enabled():
                x_ND = cast(Tensor, checkpoint(layer, x_ND, of, use_reentrant=False))
            else:
                x_ND = layer(x_ND, of)
        return x_ND
