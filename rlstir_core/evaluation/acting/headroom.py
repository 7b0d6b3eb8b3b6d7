"""The check `headroom`: how far policies without reinforcement learning get on validation, and whether room is left.

What does not belong here: the test side, and words.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rlstir_core.evaluation.acting.drawn import RunFigures
from rlstir_core.evaluation.acting.records import (
    EVIDENCE_ORACLE,
    FIXED_ORDER,
    GREEDY,
    LABEL_ORACLE,
    LEARNED_GREEDY,
    NO_QUERY,
    NO_ROOM,
    PLAYBOOK,
    Headroom,
    HeadroomRow,
)
from rlstir_core.evaluation.acting.truth import Truths

SHOWN = (NO_QUERY, GREEDY, PLAYBOOK, FIXED_ORDER, LEARNED_GREEDY, EVIDENCE_ORACLE, LABEL_ORACLE)
DECIDING = (FIXED_ORDER, LEARNED_GREEDY)


def headroom(found: Mapping[str, RunFigures], truths: Truths) -> Headroom:
    """Shares of the evidence oracle's span above no query; room is left where neither of the two takes .80."""
    area = {
        figure: {name: float(found[name].figures[figure][0]) for name in SHOWN if name in found}
        for figure in ("f1_cost_auc", "coverage_cost_auc")
    }
    share = {figure: _shares(of) for figure, of in area.items()}
    rows = tuple(
        HeadroomRow(
            policy=name,
            f1_cost_auc=_number(area["f1_cost_auc"][name]),
            coverage_cost_auc=_number(area["coverage_cost_auc"][name]),
            f1_share=share["f1_cost_auc"].get(name),
            coverage_share=share["coverage_cost_auc"].get(name),
        )
        for name in SHOWN
        if name in found
    )
    return Headroom(
        rows=rows,
        f1_room=_room(share["f1_cost_auc"]),
        coverage_room=_room(share["coverage_cost_auc"]),
        n_episodes=len(truths),
        n_hosts=len(set(truths.host_E)),
    )


def _shares(area: Mapping[str, float]) -> dict[str, float]:
    if NO_QUERY not in area or EVIDENCE_ORACLE not in area:
        return {}
    span = area[EVIDENCE_ORACLE] - area[NO_QUERY]
    if not span > 0:
        return {}
    return {name: (value - area[NO_QUERY]) / span for name, value in area.items()}


def _room(share: Mapping[str, float]) -> bool | None:
    deciding = [share[name] for name in DECIDING if name in share]
    return max(deciding) <= NO_ROOM if deciding else None


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
