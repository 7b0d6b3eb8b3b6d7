"""What is looked at for the model that validation chose, and for no other: where it can be believed and where it fails.

What does not belong here: choosing it (`report/sections/verdict.py`), and each of the looks.
"""

from __future__ import annotations

from rlstir_core.evaluation.detectors.pairs import ScoredPair
from rlstir_core.evaluation.stats.curves import reliability_with_intervals
from rlstir_core.evaluation.stats.details import Chosen


def look_closer(name: str, test: ScoredPair, *, draws: int) -> Chosen:
    """Everything about one model that its evaluation does not hold."""
    truth, scores = test
    return Chosen(
        name=name,
        reliability=reliability_with_intervals(truth, scores, draws=draws) if truth.is_attack_N.any() else (),
    )
