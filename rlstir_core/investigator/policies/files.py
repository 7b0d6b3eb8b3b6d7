"""Fitted policies on disk: one safetensors file with what they are in its header; no pickle on any path.

What does not belong here: PPO's policy, which has a file of its own, and policies that are fitted on nothing.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from rlstir_core.atomic import replacing
from rlstir_core.errors import CheckpointError
from rlstir_core.investigator.lanes import Policy
from rlstir_core.investigator.policies.fixed_order import FixedOrder
from rlstir_core.investigator.policies.greedy import Greedy
from rlstir_core.investigator.policies.learned_greedy import GainNetwork, LearnedGreedy
from rlstir_core.investigator.policies.reading import Reads
from rlstir_core.investigator.policies.stopping import Stopping, StopRule
from rlstir_core.learning.container import MAX_SIDECAR_BYTES, opened

_FORMAT = "rlstir-policies-1"
_HEADER = "policy"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says beside its numbers."""

    format: str = _FORMAT
    kind: str
    key: str  # of the environment and the observation that it was fitted for
    actions: tuple[str, ...]
    rule: StopRule = StopRule()


def save_fitted(policy: Policy, path: Path, *, key: str) -> None:
    """Writes a fixed order, a greedy or a learned greedy policy, with its stop rule where it has one."""
    rule = policy.rule if isinstance(policy, Stopping) else StopRule()
    policy = policy.policy if isinstance(policy, Stopping) else policy
    if isinstance(policy, FixedOrder):
        tensors = {"order": torch.tensor(policy.order, dtype=torch.int64)}
    elif isinstance(policy, Greedy):
        arrays = {"centre": policy.centre_O, "spread": policy.spread_O, "weight": policy.weight_AF}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    elif isinstance(policy, LearnedGreedy):
        tensors = {name: each.detach().clone() for name, each in policy.network.state_dict().items()}
    else:
        raise TypeError(f"{type(policy).__name__} is fitted on nothing and has no file")
    header = Header(kind=policy.name, key=key, actions=policy.reads.names, rule=rule)
    with replacing(path) as temporary:
        save_file(tensors, temporary, {_HEADER: msgspec.json.encode(header).decode()})


def load_fitted(path: Path, reads: Reads, *, key: str, width: int) -> Stopping:
    """The policy at `path`, for observations of `width` numbers; CheckpointError where it is none for them."""
    again = "fit it again"
    try:
        opened(path, MAX_SIDECAR_BYTES).close()
        with safe_open(path, framework="pt") as file:
            header = msgspec.json.decode((file.metadata() or {})[_HEADER], type=Header)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; {again}") from None
    except (SafetensorError, KeyError, RecursionError, msgspec.MsgspecError) as error:
        words = str(error).splitlines()[0][:120]
        raise CheckpointError(f"{path} is no policy ({words}); {again}") from None
    if header.format != _FORMAT or header.key != key or header.actions != reads.names:
        raise CheckpointError(f"{path} is a policy for other observations or actions; {again}")
    policy = _made(header.kind, tensors, reads, width)
    if policy is None:
        raise CheckpointError(f"{path} holds numbers that are no {header.kind[:40]!r} policy; {again}")
    return Stopping(policy, reads, header.rule)


def _made(kind: str, tensors: dict[str, torch.Tensor], reads: Reads, width: int) -> Policy | None:
    """The policy of these numbers; None where they do not fit, or are no numbers."""
    n_queries = len(reads.names) - 1
    if not all(bool(torch.isfinite(each.double()).all()) for each in tensors.values()):
        return None
    shapes = {name: tuple(each.shape) for name, each in tensors.items()}
    if kind == FixedOrder.name and set(tensors) == {"order"} and tensors["order"].dtype == torch.int64:
        order: NDArray[np.int64] = tensors["order"].numpy()
        if order.ndim == 1 and ((order >= 0) & (order < n_queries)).all():
            return FixedOrder(reads, order.tolist())
    if kind == Greedy.name and shapes == {"centre": (width,), "spread": (width,), "weight": (n_queries, width + 1)}:
        centre_O, spread_O, weight_AF = (tensors[name].float().numpy() for name in ("centre", "spread", "weight"))
        if (spread_O > 0).all():
            return Greedy(reads, centre_O, spread_O, weight_AF)
    if kind == LearnedGreedy.name and len(shapes.get("layers.0.weight", ())) == 2:
        network = GainNetwork(width, n_queries, shapes["layers.0.weight"][0])
        if shapes == {name: tuple(each.shape) for name, each in network.state_dict().items()}:
            network.load_state_dict(tensors)
            return LearnedGreedy(reads, network)
    return None
