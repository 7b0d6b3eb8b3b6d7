"""Sequences of unlike length in one array: nothing is padded, and attention stays inside each sequence.

All that works on one token alone (norms, linear layers) sees exactly the useful tokens, (N, D). Attention is
block-diagonal: on CUDA over jagged nested tensors, elsewhere over groups of sequences of equal length, each a view of
the array. Both give the same numbers. What does not belong here: the layers (`encoder.py`).
"""

# N tokens of all sequences, S sequences, T tokens of a sequence, H heads, d channels of a head, D width
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Where sequences lie: one after the other, none of them empty."""

    groups: tuple[tuple[int, int], ...]  # (how many, of which length) of neighbours of equal length
    offsets_S1: Tensor  # where each begins, and where the last one ends

    def __len__(self) -> int:
        return sum(n for n, _ in self.groups)

    @property
    def lengths(self) -> list[int]:
        return [length for n, length in self.groups for _ in range(n)]

    @property
    def n_tokens(self) -> int:
        return sum(n * length for n, length in self.groups)

    @property
    def shortest(self) -> int:
        return min(length for _, length in self.groups)

    @property
    def longest(self) -> int:
        return max(length for _, length in self.groups)

    def to(self, device: torch.device) -> Sequences:
        return replace(self, offsets_S1=self.offsets_S1.to(device, non_blocking=True))

    def pin(self) -> Sequences:
        """The same in memory that a device can copy from while this process goes on."""
        return replace(self, offsets_S1=self.offsets_S1.pin_memory())

    def parts(self, x_N: Tensor) -> list[Tensor]:
        """The groups of an array of tokens as views. (N, …) -> [(S, T, …)]"""
        split = torch.split(x_N, [n * length for n, length in self.groups])
        return [part.view(n, length, *x_N.shape[1:]) for part, (n, length) in zip(split, self.groups, strict=True)]


def sequences(lengths: Sequence[int]) -> Sequences:
    """Sequences of these lengths. Neighbours of equal length are worked on together, so sorted ones are fastest."""
    if not lengths or min(lengths) < 1:
        raise ValueError("a packed batch holds one sequence or more, none of them empty")
    offsets_S1 = torch.zeros(len(lengths) + 1, dtype=torch.int64)
    torch.cumsum(torch.as_tensor(lengths, dtype=torch.int64), 0, out=offsets_S1[1:])
    return Sequences(groups=tuple((len(list(of)), length) for length, of in groupby(lengths)), offsets_S1=offsets_S1)


def attend(qkv_N3Hd: Tensor, of: Sequences, dropout: float = 0.0) -> Tensor:
    """What each token takes from its sequence. (N, 3, H, d) -> (N, D)"""
    return attend_jagged(qkv_N3Hd, of, dropout) if qkv_N3Hd.is_cuda else attend_groups(qkv_N3Hd, of, dropout)


def attend_groups(qkv_N3Hd: Tensor, of: Sequences, dropout: float = 0.0) -> Tensor:
    """The same by a call for each group of equal length."""
    H, d = qkv_N3Hd.shape[2:]
    said = []
    for part_ST3Hd in of.parts(qkv_N3Hd):
        q_SHTd, k_SHTd, v_SHTd = part_ST3Hd.permute(2, 0, 3, 1, 4).unbind(0)
        said_SHTd = functional.scaled_dot_product_attention(q_SHTd, k_SHTd, v_SHTd, dropout_p=dropout)
        said.append(said_SHTd.transpose(1, 2).reshape(-1, H * d))
    return torch.cat(said)


def attend_jagged(qkv_N3Hd: Tensor, of: Sequences, dropout: float = 0.0) -> Tensor:
    """The same by one call for all sequences."""
    N, _, H, d = qkv_N3Hd.shape

    def jagged(x_NHd: Tensor) -> Tensor:
        nested_SjHd: Tensor = torch.nested.nested_tensor_from_jagged(
            x_NHd.contiguous(), of.offsets_S1, min_seqlen=of.shortest, max_seqlen=of.longest
        )
        return nested_SjHd.transpose(1, 2)

    q_SHjd, k_SHjd, v_SHjd = (jagged(x_NHd) for x_NHd in qkv_N3Hd.unbind(1))
    said_SHjd = functional.scaled_dot_product_attention(q_SHjd, k_SHjd, v_SHjd, dropout_p=dropout)
    return said_SHjd.transpose(1, 2).values().reshape(N, H * d)


def means(x_ND: Tensor, of: Sequences) -> Tensor:
    """The mean of each sequence. (N, D) -> (S, D)"""
    if not x_ND.is_cuda:
        return torch.cat([part_STD.mean(dim=1) for part_STD in of.parts(x_ND)])
    lengths_S = of.offsets_S1.diff()
    # in float32 whatever the precision around it: the kernel knows no half
    return torch.segment_reduce(x_ND.float(), "mean", lengths=lengths_S, axis=0, unsafe=True)


def places(of: Sequences) -> Tensor:
    """The place of every token in its sequence. (N,)"""
    lengths_S = of.offsets_S1.diff()
    start_N = of.offsets_S1[:-1].repeat_interleave(lengths_S, output_size=of.n_tokens)
    return torch.arange(of.n_tokens, device=start_N.device) - start_N
