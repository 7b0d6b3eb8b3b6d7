"""One table of versions: raise a stage's number when equal inputs give other results, and they are made again.

Every key of a result carries the number of its stage, and Dagster shows it as the asset's `code_version`.
What does not belong here: hashing, and the format names that outputs carry (`_v1`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

VERSIONS: Mapping[str, int] = MappingProxyType(
    {
        "index": 1,
        "rows": 5,  # verdicts and typed rows of an episode
        "schema": 2,
        "tensors": 1,
        "features": 1,
        "log_rows": 7,
        "graph": 1,
        "lab_checks": 1,
        "split": 5,
        "weights": 3,
        "baselines": 5,
        "tokenizer": 3,  # and the texts of log rows
        "encoder": 4,
        "evaluation": 10,
        "encoder_eval": 6,
        "ppo_policy": 3,
        "investigation_eval": 2,
        "report": 13,
    }
)


def version(stage: str) -> int:
    """The number of a stage as it stands in the table now."""
    return VERSIONS[stage]
