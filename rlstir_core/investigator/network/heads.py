"""The heads: what rows say of their episode's techniques, and whether it is an attack.

A technique's logit starts as what is known without the log rows (the train side's base rates, and what the knowledge
model says of the episode's words) plus a residual that begins at zero. The residual of a row has a short way, a weight
for each of its pieces, which is what few episodes can teach, beside the long way through the encoder. What does not
belong here: the knowledge itself (`investigator/techniques/knowledge.py`).
"""

# E episodes, M rows of an episode, R distinct rows of a batch, D width, K techniques
from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rlstir_core.investigator.network.encoder import LogEncoder
from rlstir_core.investigator.reading.batches import Batch
from rlstir_core.investigator.reading.tokenizer import PAD
from rlstir_core.learning.presets import Investigator

_SHARPNESS = 4.0  # of the smooth maximum over rows


class TechniqueHead(nn.Module):
    """Row embeddings to an episode's logits: the smooth maximum over rows, so that one row may tell."""

    base_K: Tensor

    def __init__(self, width: int, pieces: int, base_K: Tensor) -> None:
        super().__init__()
        self.register_buffer("base_K", base_K)
        self.trust = nn.Parameter(torch.ones(()))  # in the knowledge
        self.residual = nn.Linear(width, len(base_K))
        self.direct = nn.EmbeddingBag(pieces, len(base_K), mode="sum", padding_idx=PAD, include_last_offset=True)
        for zero in (self.residual.weight, self.residual.bias, self.direct.weight):
            nn.init.zeros_(zero)

    def forward(self, x_EMD: Tensor, batch: Batch) -> Tensor:
        """(E, M, D) -> (E, K)"""
        mask_EM = batch.mask_EM
        direct_RK = self.direct(batch.tokens_N, batch.rows.offsets_S1)
        E, M, _ = x_EMD.shape
        direct_EMK = direct_RK.new_zeros(E * M, direct_RK.shape[1]).index_copy(0, batch.place_X, direct_RK[batch.row_X])
        said_EMK = self.residual(x_EMD).float() + direct_EMK.view(E, M, -1)
        sharp_EMK = (_SHARPNESS * said_EMK).masked_fill(~mask_EM[..., None], -math.inf)
        # log of the mean of exp: 0 where every row says 0, and near the largest where one row speaks
        summed_EK = torch.logsumexp(sharp_EMK, dim=1) - torch.log(mask_EM.sum(dim=1, keepdim=True))
        logit_EK: Tensor = self.base_K + self.trust * batch.prior_EK + summed_EK / _SHARPNESS
        return logit_EK


class Investigating(nn.Module):
    """Encoder and heads: the last column says how likely an attack is, the others name techniques."""

    def __init__(
        self,
        numbers: Investigator,
        pieces: int,
        base_K: Tensor,
        node_widths: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = LogEncoder(numbers, pieces, node_widths)
        self.head = TechniqueHead(self.encoder.out_width, pieces, base_K)

    def forward(self, batch: Batch) -> Tensor:
        """Logits, (E, K): the techniques of `investigator/techniques/labels.py`, then an attack."""
        logit_EK: Tensor = self.head(self.encoder(batch), batch)
        return logit_EK
