"""The version of every stage: the one table that says when equal inputs give other results.

Raise a stage's number when its code gives other bytes for the same input; results made under an older number are made
again. What does not belong here: deciding what is stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

VERSIONS: Mapping[str, int] = MappingProxyType(
    {
        "split": 1,
        "weights": 2,
        "baselines": 1,
        "evaluation": 2,
        "report": 1,
    }
)
