"""What a network takes: memory of weights, gradients, optimiser and kept activations, and operations of a batch.

Weights are counted on the network itself, which may lie on the meta device; activations are calculated from what each
operation keeps for the way back. What does not belong here: measuring (`benchmarks/network/encoder.py`).
"""

# N tokens of a batch, X rows of its episodes, D width, F width of the feed-forward net, H heads
from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
from torch import nn

from rlstir_core.investigator.network.encoder import attention_layers
from rlstir_core.learning.presets import Investigator

_FLOAT, _HALF, _INDEX = 4, 2, 8  # bytes
_MIB = 1 << 20


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes on one device while it trains on one batch; what operations need for a moment comes on top."""

    parameters: int  # how many
    weights: int
    gradients: int
    optimiser: int  # both moments of AdamW
    tokens: int  # of the batch
    rows: int
    half: bool  # multiplies in half precision
    activations: int  # kept for the way back
    checkpointed: int  # the same with gradient checkpointing, the layer that is made again included

    @property
    def total(self) -> int:
        """With activations as they are kept without checkpointing."""
        return self.weights + self.gradients + self.optimiser + self.activations

    @property
    def total_checkpointed(self) -> int:
        return self.weights + self.gradients + self.optimiser + self.checkpointed

    def lines(self) -> list[tuple[str, str]]:
        """What a model card says of it."""
        batch = f"{self.tokens:,} tokens in {self.rows:,} rows"
        return [
            ("parameters", f"{self.parameters:,}"),
            ("weights, gradients, optimiser", " + ".join(map(_mib, (self.weights, self.gradients, self.optimiser)))),
            (f"activations of {batch}", f"{_mib(self.activations)}, checkpointed {_mib(self.checkpointed)}"),
            ("together", f"{_mib(self.total)}, checkpointed {_mib(self.total_checkpointed)}"),
        ]


def memory(
    network: nn.Module,
    numbers: Investigator,
    *,
    half: bool,
    dropout: bool = True,
    tokens: int = 0,
    rows: int = 0,
    nodes: int = 0,
    outputs: int = 81,
) -> Memory:
    """The memory of training `network` by `numbers`.

    Without `tokens` it is a full batch; without `rows`, rows are half as long as they may be, as measured on generated
    logs. `nodes` are those of the batch's graphs.
    """
    tokens = tokens or numbers.batch_tokens
    rows = rows or max(1, tokens // max(1, numbers.row_tokens // 2))
    weights = sum(each.numel() * each.element_size() for each in network.parameters())
    width = numbers.width
    # of sequences of how many tokens: rows, then the rows of an episode
    kept_rows, kept_episodes = (
        _kept_by_layer(numbers, half, dropout, length) for length in (math.ceil(tokens / rows), min(rows, numbers.rows))
    )
    of_rows, of_episodes = attention_layers(numbers)
    whole = kept_rows * of_rows * tokens + kept_episodes * of_episodes * rows
    inputs = width * _FLOAT * (of_rows * tokens + of_episodes * rows)
    ends = _kept_by_ends(numbers, half, tokens, rows, nodes, outputs)
    return Memory(
        parameters=sum(each.numel() for each in network.parameters()),
        weights=weights,
        gradients=weights,
        optimiser=2 * weights,
        tokens=tokens,
        rows=rows,
        half=half,
        activations=numbers.members * (whole + ends),
        checkpointed=numbers.members * (inputs + ends) + max(kept_rows * tokens, kept_episodes * rows),
    )


def _kept_by_layer(numbers: Investigator, half: bool, dropout: bool, length: int) -> int:
    """Bytes of a token that one transformer layer keeps where sequences have `length` tokens."""
    D, F, H = numbers.width, numbers.feed_forward * numbers.width, numbers.heads
    moved = _HALF if half else _FLOAT  # what is multiplied
    floats = 2 * D + 4 + H  # what both norms see, their statistics, and the sums of attention
    multiplied = (1 + 3 + 1 + 1) * D + 2 * F  # into qkv, qkv, into out, into the net, and around its middle
    if not half:
        multiplied += D  # attention's own copy of what goes into out
    # a mask is a byte where dropout is one kernel (CUDA), a number elsewhere
    masks = (F + D) * (1 if half else _FLOAT) if dropout and numbers.dropout else 0
    if masks and not half:
        masks += 4 * H * length * _FLOAT  # attention with dropout keeps its whole matrix on a CPU, in steps
    return floats * _FLOAT + multiplied * moved + masks


def _kept_by_ends(numbers: Investigator, half: bool, tokens: int, rows: int, nodes: int, outputs: int) -> int:
    """Bytes that are kept before and after the layers."""
    D, G, moved = numbers.width, numbers.graph_width, _HALF if half else _FLOAT
    before = tokens * (2 * _INDEX + (D + 2) * _FLOAT)  # which piece at which place, and the rows' norm
    between = rows * (2 * _INDEX + (D + 2) * _FLOAT)
    said = rows * (D * moved + 4 * outputs * _FLOAT)
    graph = 0
    if nodes:
        joined = D + G
        graph = nodes * 4 * G * _FLOAT + rows * (joined * (_FLOAT + moved) + 2 * numbers.fuse_width * moved + _INDEX)
    return before + between + said + graph


def flops(numbers: Investigator, rows: Iterable[tuple[int, int]], episodes: Iterable[tuple[int, int]]) -> int:
    """Operations of one member's way forth, a multiplication and an addition being two; the way back takes twice that.

    `rows` and `episodes` are groups as in `packing.py`: (how many, of which length).
    """

    def layer(groups: Iterable[tuple[int, int]]) -> int:
        D, of = numbers.width, list(groups)
        tokens = sum(n * length for n, length in of)
        linear = 2 * tokens * D * D * (4 + 2 * numbers.feed_forward)
        return linear + sum(4 * n * length * length * D for n, length in of)

    of_rows, of_episodes = attention_layers(numbers)
    return of_rows * layer(rows) + of_episodes * layer(episodes)


def _mib(n: int) -> str:
    return f"{n / _MIB:,.0f} MiB"
