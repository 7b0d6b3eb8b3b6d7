"""A larger network that says what a smaller one says, and has room to learn more.

Every channel of the smaller network keeps its weights and takes nothing from channels that it did not have: the new
columns of its linear maps are zero, and its norms count the old channels alone (`norm.py`). New channels begin at
random, as in a network that was never trained, so that the old ones can learn to look at them. A new layer adds
nothing at first. Heads of attention may be more, or have more channels: then the old ones' queries are scaled for the
larger root that scores are divided by. After Net2Net (Chen et al. 2016, arXiv:1511.05641), with zeros instead of
copies. What does not belong here: reading checkpoints (`investigator/checkpoint.py`).
"""

# O, I channels out and in of a linear map, H heads, d channels of a head, D width
from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rlstir_core.investigator.network.encoder import Layer
from rlstir_core.investigator.network.norm import Norm


class NotWidenable(ValueError):
    """What of the smaller network has no place in the larger one."""


@torch.no_grad()
def widen(small: nn.Module, large: nn.Module) -> None:
    """Gives `large`, freshly made, the function of `small`; NotWidenable says what does not fit."""
    _widen("", small, large)


def _widen(name: str, small: nn.Module, large: nn.Module) -> None:
    if type(small) is not type(large):
        raise NotWidenable(f"{name or 'the network'} is of another kind")
    done: set[str] = set()
    if isinstance(small, Layer) and isinstance(large, Layer):
        _heads(name, small, large)
        done = {"qkv", "out"}
    elif isinstance(small, Norm) and isinstance(large, Norm):
        _norm(small, large, _first(name, len(small.weight), len(large.weight)))
    elif isinstance(small, nn.Linear) and isinstance(large, nn.Linear):
        _linear(name, small, large)
    else:
        rows = isinstance(small, (nn.Embedding, nn.EmbeddingBag))
        for inner, tensor in [*small.named_parameters(recurse=False), *small.named_buffers(recurse=False)]:
            _copy_first(f"{name}.{inner}".lstrip("."), tensor, getattr(large, inner), rows=rows)
        if hasattr(small, "joined") and hasattr(large, "joined"):
            done = _joined(name, small, large)
    _children(name, small, large, done)


def _children(name: str, small: nn.Module, large: nn.Module, done: set[str]) -> None:
    own, others = dict(small.named_children()), dict(large.named_children())
    for inner, child in own.items():
        path = f"{name}.{inner}".lstrip(".")
        if inner not in others:
            raise NotWidenable(f"{path} has no counterpart")
        if inner not in done:
            _widen(path, child, others[inner])
    for inner in others.keys() - own.keys():
        added = others[inner]
        if not (isinstance(added, Layer) and isinstance(large, nn.ModuleList)):
            raise NotWidenable(f"{name}.{inner} is not in it".lstrip("."))
        for last in (added.out, added.forward_net[3]):  # beside the way around, it says nothing yet
            for parameter in last.parameters():
                parameter.zero_()


def _joined(name: str, small: nn.Module, large: nn.Module) -> set[str]:
    """The maps and norms of a module whose inputs stand side by side."""
    at_I = _side_by_side(name, small.joined, large.joined)  # type: ignore[arg-type]
    done = set()
    for inner, child in small.named_children():
        target = large.get_submodule(inner)
        if isinstance(child, Norm) and isinstance(target, Norm):
            _norm(child, target, at_I)
        elif isinstance(child, nn.Linear) and isinstance(target, nn.Linear):
            _linear(f"{name}.{inner}", child, target, at_I)
        done.add(inner)
    return done


def _linear(
    name: str, small: nn.Linear, large: nn.Linear, at_I: Tensor | None = None, at_O: Tensor | None = None
) -> None:
    at_I = _first(name, small.in_features, large.in_features) if at_I is None else at_I
    at_O = _first(name, small.out_features, large.out_features) if at_O is None else at_O
    if (small.bias is None) != (large.bias is None):
        raise NotWidenable(f"{name} differs in its bias")
    rows_OI = large.weight.new_zeros(small.out_features, large.in_features)
    rows_OI[:, at_I] = small.weight.to(rows_OI)
    large.weight[at_O] = rows_OI
    if small.bias is not None:
        large.bias[at_O] = small.bias.to(large.bias)


def _norm(small: Norm, large: Norm, at_D: Tensor) -> None:
    large.weight[at_D], large.bias[at_D] = small.weight.to(large.weight), small.bias.to(large.bias)
    counted_D = torch.zeros(len(large.weight), dtype=torch.bool, device=large.weight.device)
    counted_D[at_D] = (small.share_D > 0).to(counted_D.device)
    large.count(counted_D)


def _heads(name: str, small: Layer, large: Layer) -> None:
    """Queries, keys and values of the old heads, and what is made of what they take."""
    d, wide_d = small.qkv.in_features // small.heads, large.qkv.in_features // large.heads
    if large.heads < small.heads or wide_d < d:
        raise NotWidenable(f"{name} has {small.heads} heads of {d} channels, not as many as the other or smaller ones")
    head_Hd = torch.arange(small.heads)[:, None] * wide_d
    old_D = (head_Hd + torch.arange(d)).flatten()
    all_D = (head_Hd + torch.arange(wide_d)).flatten()
    large.qkv.weight[all_D], large.qkv.bias[all_D] = 0.0, 0.0  # queries: old heads look at nothing else
    width = large.qkv.in_features
    _linear(name, small.qkv, large.qkv, None, torch.cat([old_D + part * width for part in range(3)]))
    scale = math.sqrt(wide_d / d)
    large.qkv.weight[old_D] *= scale
    large.qkv.bias[old_D] *= scale
    _linear(name, small.out, large.out, old_D)


def _copy_first(name: str, small: Tensor, large: Tensor, *, rows: bool) -> None:
    fits = small.ndim == large.ndim and all(a <= b for a, b in zip(small.shape, large.shape, strict=True))
    if not fits or (rows and len(small) != len(large)):
        raise NotWidenable(f"{name} is {tuple(small.shape)}, which has no place in {tuple(large.shape)}")
    large[tuple(slice(n) for n in small.shape)] = small.to(large)


def _first(name: str, n: int, wide: int) -> Tensor:
    if n > wide:
        raise NotWidenable(f"{name} is {n} wide, more than {wide}")
    return torch.arange(n)


def _side_by_side(name: str, joined: tuple[int, ...], wider: tuple[int, ...]) -> Tensor:
    """Where the channels of inputs that stand side by side come to lie."""
    if len(joined) != len(wider):
        raise NotWidenable(f"{name} joins {len(joined)} inputs instead of {len(wider)}")
    starts = [sum(wider[:k]) for k in range(len(wider))]
    places = [start + _first(name, n, wide) for start, n, wide in zip(starts, joined, wider, strict=True)]
    return torch.cat(places)
