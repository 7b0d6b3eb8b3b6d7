"""The heads: what a row says of an attack, of techniques and of tampering, and what its episode carries.

A row's log-odds of an attack start as the first look's, those of tampering as the rules', a file's techniques as what
is known without its log rows (base rates, and what public texts say), each plus a residual that begins at zero. Of
techniques every piece of a row has a short way besides, which is what few episodes can teach. What does not belong
here: the texts and the first look themselves.
"""

# X rows of a batch, R distinct texts, E episodes, D width, K techniques
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlstir_core.investigator.first_look import FirstLook
from rlstir_core.investigator.network.encoder import InputWidths, LogEncoder
from rlstir_core.investigator.network.packing import Sequences
from rlstir_core.investigator.reading.batches import Batch
from rlstir_core.investigator.reading.hashing import WORDS
from rlstir_core.investigator.reading.slots import SLOTS
from rlstir_core.investigator.reading.tokenizer import PAD
from rlstir_core.learning.presets import Investigator

_SHARPNESS = 4.0  # of the smooth maximum over rows


class Answers(NamedTuple):
    """Logits of every row and of every episode."""

    attack_X: Tensor
    tamper_X: Tensor
    technique_XK: Tensor  # which technique a row shows if it shows one: to be compared along K
    technique_EK: Tensor  # whether the episode carries each


class Heads(nn.Module):
    """Row embeddings to answers."""

    base_K: Tensor

    def __init__(self, width: int, pieces: int, base_K: Tensor) -> None:
        super().__init__()
        n = len(base_K)
        self.register_buffer("base_K", base_K.clone())
        self.attack, self.tamper = nn.Linear(width, 1), nn.Linear(width, 1)
        self.look = nn.Parameter(torch.tensor([1.0, 0.0]))  # what the first look says, and what is added to it
        self.rules = nn.Parameter(torch.tensor([0.5, -1.0]))  # the same of the rules for tampering
        self.trust = nn.Parameter(torch.ones(()))  # in the knowledge
        self.technique = nn.Linear(width, n)
        self.direct = nn.EmbeddingBag(pieces, n, mode="sum", padding_idx=PAD, include_last_offset=True)
        for linear in (self.attack, self.tamper, self.technique):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        nn.init.zeros_(self.direct.weight)

    def forward(self, x_XD: Tensor, batch: Batch) -> Answers:
        direct_RK = self.direct(batch.tokens_N, batch.texts.offsets_S1)
        said_XK = self.technique(x_XD).float() + direct_RK[batch.text_X].float()
        return Answers(
            attack_X=self.look[0] * batch.look_X + self.look[1] + self.attack(x_XD)[:, 0].float(),
            tamper_X=self.rules[0] * batch.aux_XA[:, -1] + self.rules[1] + self.tamper(x_XD)[:, 0].float(),
            technique_XK=said_XK,
            technique_EK=self.base_K + self.trust * batch.prior_EK + smooth_maximum(said_XK, batch.episodes),
        )


def smooth_maximum(said_XK: Tensor, of: Sequences) -> Tensor:
    """The log of the mean of exp: 0 where every row says 0, near the largest where one row speaks. (X, K) -> (E, K)"""
    lengths_E = of.offsets_S1.diff()
    E, K = len(lengths_E), said_XK.shape[1]
    episode_X = torch.arange(E, device=said_XK.device).repeat_interleave(lengths_E, output_size=len(said_XK))
    sharp_XK = _SHARPNESS * said_XK
    at_XK = episode_X[:, None].expand_as(sharp_XK)
    most_EK = sharp_XK.new_full((E, K), -torch.inf).scatter_reduce(0, at_XK, sharp_XK.detach(), "amax")
    summed_EK = sharp_XK.new_zeros(E, K).index_add(0, episode_X, torch.exp(sharp_XK - most_EK[episode_X]))
    found_EK: Tensor = (torch.log(summed_EK) + most_EK - torch.log(lengths_E.to(sharp_XK))[:, None]) / _SHARPNESS
    return found_EK


class EncoderMember(nn.Module):
    """One encoder and its heads."""

    def __init__(self, numbers: Investigator, pieces: int, base_K: Tensor, widths: InputWidths) -> None:
        super().__init__()
        self.encoder = LogEncoder(numbers, pieces, widths)
        self.heads = Heads(self.encoder.out_width, pieces, base_K)

    def forward(self, batch: Batch) -> Answers:
        answers: Answers = self.heads(self.encoder(batch), batch)
        return answers


class Investigating(nn.Module):
    """Members that differ by how they began, and the first look that all start from: zeros where there is none.

    Each learns for itself; what is said is the mean of their log-odds.
    """

    look_SW: Tensor
    look_bias: Tensor

    def __init__(self, numbers: Investigator, pieces: int, base_K: Tensor, widths: InputWidths) -> None:
        super().__init__()
        self.register_buffer("look_SW", torch.zeros(len(SLOTS), WORDS))
        self.register_buffer("look_bias", torch.zeros(()))
        self.pieces = pieces  # of the tokenizer that it reads by
        self.members = nn.ModuleList(EncoderMember(numbers, pieces, base_K, widths) for _ in range(numbers.members))

    def forward(self, batch: Batch) -> Answers:
        return Answers(*(torch.stack(said).mean(dim=0) for said in zip(*self.each(batch), strict=True)))

    def each(self, batch: Batch) -> list[Answers]:
        """What every member says."""
        return [member(batch) for member in self.members]

    def keep_encoders(self) -> None:
        """From now on heads alone learn."""
        for name, parameter in self.named_parameters():
            if ".encoder." in name:
                parameter.requires_grad = False

    @property
    def first_look(self) -> FirstLook | None:
        """What the network starts from; None where the train side had no rows with labels."""
        if not self.look_SW.any():
            return None
        return FirstLook(weight_SW=self.look_SW.cpu().numpy(), bias=float(self.look_bias))

    def start_from(self, look: FirstLook) -> None:
        self.look_SW.copy_(torch.from_numpy(look.weight_SW))
        self.look_bias.fill_(look.bias)
