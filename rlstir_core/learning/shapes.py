"""Networks without numbers: the shapes that a checkpoint's weights must have, known before any memory is taken.

What does not belong here: reading weights (`container.py` and the checkpoints).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextlib.contextmanager
def shapes_alone() -> Iterator[None]:
    """Within it, modules are made on the device `meta`, and nothing fills their weights."""
    with torch.device("meta"), _Unfilled():
        yield


class _Unfilled(TorchFunctionMode):
    """Lets nothing of torch.nn.init run: on `meta` it would do no more than load torch's compiler, for a second."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else given.get("tensor")
        return func(*args, **given)
