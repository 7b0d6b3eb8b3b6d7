"""The policy that PPO learns: two small towers over an observation, how it decides, and the file it lies in.

What does not belong here: learning it (`ppo.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rlstir_core.atomic import replacing
from rlstir_core.errors import CheckpointError
from rlstir_core.investigator.lanes import Actions, Legal, Observed
from rlstir_core.learning.container import MAX_SIDECAR_BYTES, opened

# B lanes, N decisions, P weights, O numbers of an observation, A actions (the last one is STOP), H width of a layer
_FORMAT = "rlstir-ppo-policy-1"
_HEADER = "policy"
_NEVER = -1e9  # logit of what is not legal
_MOST_WIDTH, _MOST_LAYERS = 1 << 14, 64


class PolicySizes(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy's weights fit."""

    seen: int  # O
    actions: int  # A
    width: int  # H
    layers: int


class PolicyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy's file says beside its weights."""

    format: str = _FORMAT
    key: str  # of the environment and the observation that it was trained for
    sizes: PolicySizes


def _shapes(sizes: PolicySizes) -> dict[str, tuple[int, ...]]:
    """Of every part by its name, in the order in which they lie."""
    width_in, A, H = sizes.seen, sizes.actions, sizes.width
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(sizes.layers):
        shapes |= {f"weight/{layer}": (2, width_in, H), f"bias/{layer}": (2, 1, H)}
        width_in = H
    return shapes | {"weight/actor": (A, H), "bias/actor": (A, 1), "weight/critic": (1, H), "bias/critic": (1, 1)}


class Towers:
    """Actor and critic, of one shape and side by side, so that a layer is one product; all weights lie in one vector.

    So do the derivatives of the loss by them: a step of the optimiser, clipping and a sum over devices are one
    operation each. They are worked out by hand, in half the time that autograd takes for networks of this size.
    """

    def __init__(self, sizes: PolicySizes, on: torch.device, half: torch.dtype | None = None) -> None:
        self.sizes, self.on, self.half = sizes, on, half
        self.shapes = _shapes(sizes)
        self.flat = nn.Parameter(torch.zeros(sum(map(math.prod, self.shapes.values())), device=on), requires_grad=False)
        self.slope_P = self.flat.grad = torch.zeros_like(self.flat)
        self.named, self.slopes = self._parts(self.flat), self._parts(self.slope_P)  # the same memory
        self._layers, self._layer_slopes = (
            [(parts[f"weight/{layer}"], parts[f"bias/{layer}"]) for layer in range(sizes.layers)]
            for parts in (self.named, self.slopes)
        )

    def draw(self, seed: int, stop_logit: float) -> None:
        """Orthogonal weights; a policy that hardly prefers anything, and STOP less than all else."""
        chance = torch.Generator().manual_seed(seed)
        for name, part in self.named.items():
            part.zero_()
            if name.startswith("weight"):
                gain = {"weight/actor": 0.01, "weight/critic": 1.0}.get(name, math.sqrt(2))
                for matrix in part if part.dim() == 3 else [part]:
                    matrix.copy_(nn.init.orthogonal_(torch.empty(matrix.shape), gain, generator=chance))
        self.named["bias/actor"][-1] = stop_logit

    def logits(self, seen_NO: Tensor, legal_NA: Tensor) -> Tensor:
        """What the actor prefers."""
        return self._prefers(self._tower(0, seen_NO), legal_NA).mT

    def values(self, seen_NO: Tensor) -> Tensor:
        """What the critic expects."""
        return self._expects(self._tower(1, seen_NO))

    def _tower(self, which: int, seen_NO: Tensor) -> Tensor:
        h_NH = seen_NO
        for weight_2IH, bias_21H in self._layers:
            h_NH = _tanh_(self._affine(h_NH, weight_2IH[which], bias_21H[which]))
        return h_NH

    def _expects(self, h_NH: Tensor) -> Tensor:
        return self._times(self.named["weight/critic"], h_NH.mT).add_(self.named["bias/critic"]).squeeze(0)

    def _prefers(self, h_NH: Tensor, legal_NA: Tensor) -> Tensor:
        """The actor's last layer; with actions first, sums over them run along memory and take a tenth of the time."""
        logit_AN = self._times(self.named["weight/actor"], h_NH.mT).add_(self.named["bias/actor"])
        return logit_AN.masked_fill_(~legal_NA.mT, _NEVER)

    def forward(self, seen_NO: Tensor, legal_NA: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Log-probabilities of the actions (A, N), values (N), and what each layer began with (2, N, .)."""
        h_2NH = [seen_NO.expand(2, -1, -1)]
        for weight_2IH, bias_21H in self._layers:
            h_2NH.append(_tanh_(self._affine(h_2NH[-1], weight_2IH, bias_21H)))
        return self._prefers(h_2NH[-1][0], legal_NA).log_softmax(0), self._expects(h_2NH[-1][1]), h_2NH

    def backward(self, h_2NH: list[Tensor], by_logit_AN: Tensor, by_value_N: Tensor) -> None:
        """Adds the derivatives by all weights, given those by logits (0 where not legal) and values."""
        by_2NH = torch.empty_like(h_2NH[-1])
        for k, (name, by_XN) in enumerate((("actor", by_logit_AN), ("critic", by_value_N[None]))):
            self.slopes[f"weight/{name}"].add_(self._times(by_XN, h_2NH[-1][k]))
            self.slopes[f"bias/{name}"].add_(by_XN.sum(1, keepdim=True))
            by_2NH[k] = self._times(by_XN.mT, self.named[f"weight/{name}"])
        for layer in reversed(range(self.sizes.layers)):
            by_2NH = torch.ops.aten.tanh_backward(by_2NH, h_2NH[layer + 1])
            by_weight_2IH, by_bias_21H = self._layer_slopes[layer]
            if self.half is None:
                by_weight_2IH.baddbmm_(h_2NH[layer].mT, by_2NH)
            else:
                by_weight_2IH.add_(self._times(h_2NH[layer].mT, by_2NH))
            by_bias_21H.add_(by_2NH.sum(1, keepdim=True))
            if layer:
                by_2NH = self._times(by_2NH, self._layers[layer][0].mT)

    def _affine(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """A layer before its nonlinearity, of one tower or of both."""
        if self.half is not None:
            return self._times(x, weight).add_(bias)
        return torch.addmm(bias, x, weight) if x.dim() == 2 else torch.baddbmm(bias, x, weight)

    def _times(self, left: Tensor, right: Tensor) -> Tensor:
        """A product, multiplied in half precision where there is one."""
        return left @ right if self.half is None else (left.to(self.half) @ right.to(self.half)).float()

    def take(self, named: Mapping[str, Tensor]) -> None:
        """Other weights of the same shapes; CheckpointError where they are others, or no numbers."""
        if {name: tuple(each.shape) for name, each in named.items()} != self.shapes:
            raise CheckpointError("these weights are those of another policy")
        if not all(bool(torch.isfinite(each).all()) for each in named.values()):
            raise CheckpointError("these weights hold values that are no numbers")
        for name, part in self.named.items():
            part.copy_(named[name])

    def _parts(self, flat: Tensor) -> dict[str, Tensor]:
        parts = torch.split(flat, [math.prod(shape) for shape in self.shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}


def _tanh_(x: Tensor) -> Tensor:
    """In place; NumPy's takes a tenth of the time of torch's on a CPU."""
    if x.device.type != "cpu":
        return x.tanh_()
    same = x.numpy()
    np.tanh(same, out=same)
    return x


class PpoPolicy:
    """What was learnt, as a policy: the likeliest action, or with `sampled` one drawn by its probabilities."""

    name = "ppo"

    def __init__(self, towers: Towers, *, sampled: bool = False) -> None:
        self.towers, self.sampled = towers, sampled
        self._chance = np.random.default_rng(0)

    def begin(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        logit_BA = self.logits(seen_BO, legal_BA)
        if self.sampled:
            logit_BA += torch.from_numpy(self._chance.gumbel(size=legal_BA.shape).astype(np.float32))
        return cast(Actions, logit_BA.argmax(1).numpy())

    def logits(self, seen_BO: Observed, legal_BA: Legal) -> Tensor:
        """What each action is preferred by, on the host."""
        on = self.towers.on
        return self.towers.logits(torch.from_numpy(seen_BO).to(on), torch.from_numpy(legal_BA).to(on)).cpu()

    def worth(self, seen_BO: Observed) -> Tensor:
        """What is still expected of each case, on the host."""
        return self.towers.values(torch.from_numpy(seen_BO).to(self.towers.on)).cpu()

    def save(self, path: Path, *, key: str) -> None:
        """Writes the policy, whole or not at all."""
        facts = PolicyFacts(key=key, sizes=self.towers.sizes)
        with replacing(path) as temporary:
            tensors = {name: each.detach().cpu().clone() for name, each in self.towers.named.items()}
            save_file(tensors, temporary, {_HEADER: msgspec.json.encode(facts).decode()})


def load_policy(path: Path, *, key: str, seen: int, actions: int, on: torch.device | None = None) -> PpoPolicy:
    """The policy at `path`; CheckpointError where there is none for such observations and actions, or it is damaged."""
    again = "train it again"
    try:
        opened(path, MAX_SIDECAR_BYTES).close()
        with safe_open(path, framework="pt") as file:
            facts = msgspec.json.decode((file.metadata() or {})[_HEADER], type=PolicyFacts)
            named = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; {again}") from None
    except (SafetensorError, KeyError, RecursionError, msgspec.MsgspecError) as error:
        words = str(error).splitlines()[0][:120]
        raise CheckpointError(f"{path} is no policy ({words}); {again}") from None
    sizes = facts.sizes
    if facts.format != _FORMAT or facts.key != key or (sizes.seen, sizes.actions) != (seen, actions):
        raise CheckpointError(f"{path} is a policy for other observations, actions or numbers; {again}")
    if not (0 < sizes.width <= _MOST_WIDTH and 0 < sizes.layers <= _MOST_LAYERS) or _shapes(sizes) != {
        name: tuple(each.shape) for name, each in named.items()
    }:
        raise CheckpointError(f"{path} holds weights of other sizes than it says; {again}")
    towers = Towers(sizes, on or torch.device("cpu"))
    try:
        towers.take({name: each.float() for name, each in named.items()})
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}; {again}") from None
    return PpoPolicy(towers)
