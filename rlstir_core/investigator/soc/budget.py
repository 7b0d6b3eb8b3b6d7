"""What it costs to ask everything: what a study's budget is a share of.

What does not belong here: which share (the study), and what is earned.
"""

# C cases, B lanes
from __future__ import annotations

from typing import Final

import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.investigator.queries.catalogue import STOP
from rlstir_core.investigator.soc.cases import CaseSet
from rlstir_core.investigator.soc.detecting import ConstantDetector
from rlstir_core.investigator.soc.lanes import SocLanes
from rlstir_core.investigator.soc.reward import Rewards

_LANES = 64
WITHOUT_END: Final = 1e9  # a budget that nobody spends


def cost_of_everything(cases: CaseSet, seed: int) -> Floats:
    """What is spent in each case by asking whatever can be asked, in an order of chance, until the last step. (C,)"""
    detector = ConstantDetector(np.full(cases.truth_CK.shape[1], 0.5, np.float32), cases.vector_ND.shape[1])
    lanes = SocLanes(cases, detector, Rewards(), WITHOUT_END, min(_LANES, len(cases)), once=True)
    rng = np.random.default_rng(seed)
    spent_C = np.zeros(len(cases))
    _, legal_BA = lanes.reset(seed)
    while True:
        wish_BA = rng.random(legal_BA.shape)
        wish_BA[:, STOP] = 0
        wish_BA[~legal_BA] = -1
        legal_BA = lanes.step(wish_BA.argmax(axis=1)).legal_BA
        if lanes.last.idle_B.all():
            return spent_C
        ended = lanes.last.declared_B
        spent_C[lanes.last.case_B[ended]] = lanes.last.cumulative_B[ended]
