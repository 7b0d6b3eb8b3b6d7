"""Damaged and hostile checkpoints: what is done to a sound one, and what its refusal must say.

The attacker may rewrite the JSON as well, so every sidecar here carries the hash that its checkpoint asks for. A module
for each part that is damaged. What does not belong here: tests (beside this folder).
"""

from __future__ import annotations

from hostile_checkpoints import in_json, in_sidecar, in_tensors, in_trees
from hostile_checkpoints.victim import Cases

CASES: Cases = {**in_json.CASES, **in_sidecar.CASES, **in_tensors.CASES, **in_trees.CASES}
