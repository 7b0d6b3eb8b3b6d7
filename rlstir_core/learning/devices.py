"""Devices and precision: what a model computes on and how exactly.

What does not belong here: queueing for a device (Dagster's pool does that).
"""

from __future__ import annotations

import contextlib

import torch


def device(wanted: str) -> torch.device:
    """The device, with one thread per process on the CPU: sums in another order would give other weights."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cpu":
        torch.set_num_threads(1)
    return torch.device(wanted)


_RESIDENT_SHARE = 0.6  # of a device's free memory: the rest is for weights, gradients and activations


def resident_bytes(on: torch.device) -> int | None:
    """Bytes of inputs that may stay on a device between epochs; None where it has no memory of its own."""
    if on.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(on)
    return int(_RESIDENT_SHARE * free)


def half_precision(precision: str, on: torch.device) -> torch.dtype | None:
    """The half type to multiply in, or None for float32: `auto` is bf16 on GPUs that have it, fp16 on others."""
    if on.type != "cuda" or precision == "fp32":
        return None
    if precision == "auto":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def autocast(half: torch.dtype | None, on: torch.device) -> contextlib.AbstractContextManager[object]:
    """Multiplies in `half` inside; changes nothing without."""
    return contextlib.nullcontext() if half is None else torch.autocast(on.type, half)
