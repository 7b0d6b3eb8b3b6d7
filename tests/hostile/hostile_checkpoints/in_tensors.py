"""Cases about safetensors: its header, the weights of a network, the standardiser.

What does not belong here: trees (`in_trees.py`).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load_file, save

from hostile_checkpoints.victim import Cases, Damage, Victim, cut


def tensors(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(v: Victim) -> None:
        found = load_file(v.sidecar)
        change(found)
        v.put(save({name: tensor.contiguous() for name, tensor in found.items()}))

    return damage


def as_type(kind: torch.dtype, part: str = "network.") -> Damage:
    def change(found: dict[str, Any]) -> None:
        for name in [name for name in found if name.startswith(part)]:
            found[name] = found[name].to(kind)

    return tensors(change)


def one_value(part: str, value: float) -> Damage:
    def change(found: dict[str, Any]) -> None:
        name = next(name for name in sorted(found) if name.startswith(part))
        found[name].view(-1)[0] = value

    return tensors(change)


def header(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Rewrites the header of a safetensors file; the numbers behind it stay."""

    def damage(v: Victim) -> None:
        raw = v.sidecar.read_bytes()
        (length,) = struct.unpack("<Q", raw[:8])
        tree = json.loads(raw[8 : 8 + length])
        change(tree)
        text = json.dumps(tree).encode()
        v.put(struct.pack("<Q", len(text)) + text + raw[8 + length :])

    return damage


def first_tensor(**fields: Any) -> Damage:
    return header(lambda tree: next(iter(v for k, v in tree.items() if k != "__metadata__")).update(fields))


def overlap(tree: dict[str, Any]) -> None:
    one, two = [v for k, v in sorted(tree.items()) if k != "__metadata__"][:2]
    two["data_offsets"] = one["data_offsets"]


HUGE = [10**9, 10**9]
CASES: Cases = {
    "safetensors: half of it": ("transformer", cut(0.5), "does not fit"),
    "safetensors: the header alone": ("gru", cut(0.2), "does not fit"),
    "safetensors: bytes behind the end": ("mlp", lambda v: v.put(v.sidecar.read_bytes() + b"x"), "does not fit"),
    "safetensors: a header of 2^63 bytes": (
        "mlp",
        lambda v: v.put(struct.pack("<Q", 1 << 63) + v.sidecar.read_bytes()[8:]),
        "does not fit",
    ),
    "safetensors: offsets that overlap": ("mlp", header(overlap), "does not fit"),
    "safetensors: offsets behind the end": ("mlp", first_tensor(data_offsets=HUGE), "does not fit"),
    "safetensors: offsets that run backwards": ("mlp", first_tensor(data_offsets=[64, 0]), "does not fit"),
    "safetensors: 1 GB claimed": ("mlp", first_tensor(shape=[1 << 28], data_offsets=[0, 1 << 30]), "does not fit"),
    "safetensors: a shape that overflows": ("mlp", first_tensor(shape=[1 << 40, 1 << 40]), "does not fit"),
    "safetensors: a shape that is not its size": ("mlp", first_tensor(shape=[3, 5]), "does not fit"),
    "safetensors: a type that is not its size": ("mlp", first_tensor(dtype="F64"), "does not fit"),
    "safetensors: a type that does not exist": ("mlp", first_tensor(dtype="F3"), "does not fit"),
    "safetensors: ten tensors deep": ("mlp", lambda v: v.put(b"\xff\xff\0\0\0\0\0\0" + b"[" * 65535), "does not fit"),
    "weights: float16": ("mlp", as_type(torch.float16), "not finite float32"),
    "weights: bfloat16": ("transformer", as_type(torch.bfloat16), "not finite float32"),
    "weights: float64": ("gru", as_type(torch.float64), "not finite float32"),
    "weights: int64": ("mlp", as_type(torch.int64), "not finite float32"),
    "weights: bool": ("mlp", as_type(torch.bool), "not finite float32"),
    "weights: NaN": ("gru", one_value("network.", float("nan")), "not finite"),
    "weights: infinite": ("transformer", one_value("network.", float("-inf")), "not finite"),
    "weights: one missing": ("gru", tensors(lambda t: t.pop("network.stem.conv.bias")), "does not fit"),
    "weights: one more": ("gru", tensors(lambda t: t.update({"network.x": torch.zeros(1)})), "does not fit"),
    "weights: one without its prefix": (
        "mlp",
        tensors(lambda t: t.update({"body.1.weight": t["network.body.1.weight"] * 2})),
        "no weight of the network",
    ),
    "weights: another shape": (
        "transformer",
        tensors(lambda t: t.update({"network.stem.norm.bias": torch.zeros(9)})),
        "does not fit",
    ),
    "standardiser: NaN": ("gru", one_value("standardiser.mean", float("nan")), "not finite"),
    "standardiser: infinite": ("gru", one_value("standardiser.spread", float("inf")), "not finite"),
    "standardiser: a spread of zero": ("gru", one_value("standardiser.spread", 0.0), "standardiser that does not fit"),
    "standardiser: a negative spread": ("mlp", one_value("standardiser.spread", -1.0), "standardiser that does not"),
    "standardiser: float64": ("mlp", as_type(torch.float64, "standardiser."), "not finite float32"),
}
