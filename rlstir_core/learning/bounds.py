"""Between which bounds numbers of presets may lie.

What does not belong here: the numbers.
"""

from __future__ import annotations

from rlstir_core.errors import ConfigError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def between(what: str, value: float, low: float, high: float) -> None:
    """ConfigError where the value does not lie between both bounds, they included."""
    if not low <= value <= high:
        raise ConfigError(f"{what} is {value}; keep it between {low} and {high}")
