"""The playbook: what a SOC's run book does from an alert, as a state machine over the names of queries.

Written by hand: triage of the alert's own process, then the scope of what it belongs to, then what an intruder leaves
and where one goes on, and the logs themselves where it stays unclear. It is fitted on nothing. What does not belong
here: thresholds that are tuned (`stopping.py`).
"""

# B lanes, A actions (the last one is STOP), L places of the list of all stages
from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rlstir_core.errors import ConfigError
from rlstir_core.investigator.lanes import Actions, Legal, Observed
from rlstir_core.investigator.policies.fixed_order import FixedOrder
from rlstir_core.investigator.policies.reading import Reads


@dataclass(frozen=True)
class Stage:
    """What is asked in turn while the risk lies in a range; a query that was asked before gives its next page."""

    queries: tuple[str, ...]
    least: float = 0.0  # of the risk
    most: float = 1.0


STAGES: Final = (
    # triage: who began it, with which words, and what did it do
    Stage(("proc_tree_near", "cmdline_search", "script_blocks", "sockets_process", "file_writes", "signer")),
    # scope: whom did it talk to, what came from it, on whose account
    Stage(
        (
            "proc_tree_near",
            "sockets_destination",
            "file_history",
            "privilege_change",
            "success_after_failure",
            "script_blocks",
            "sockets_process",
            "file_writes",
            "proc_tree_far",
            "cmdline_search",
        )
    ),
    # what an intruder leaves behind and where one goes on: where it looks like an attack
    Stage(("autoruns", "scheduled", "services", "lateral_logon", "rare_dns"), least=0.3),
    # and what else could explain it, where it stays unclear
    Stage(("log_gap_scan", "cross_channel", "rare_parent", "failed_logons"), least=0.15, most=0.85),
)
_SURE, _HARMLESS = 0.97, 0.02  # the risk that closes a case once triage is done


class Playbook:
    """Follows the stages, and closes the case when the risk is high or low enough, or nothing is left to ask.

    Knows the risk, what was asked and what is legal. Works on any catalogue that has these queries.
    """

    name = "playbook"

    def __init__(self, reads: Reads, stages: tuple[Stage, ...] = STAGES) -> None:
        number = {name: place for place, name in enumerate(reads.names[:-1])}
        unknown = sorted({name for stage in stages for name in stage.queries} - set(number))
        if unknown:
            raise ConfigError(f"the playbook asks {unknown[0]}, which the catalogue does not have; mend its stages")
        self.reads = reads
        self.order = FixedOrder(reads, [number[name] for stage in stages for name in stage.queries])
        many = [len(stage.queries) for stage in stages]
        self._least_L = np.repeat([stage.least for stage in stages], many)
        self._most_L = np.repeat([stage.most for stage in stages], many)
        self._triage = many[0]

    def begin(self, seed: int) -> None:
        del seed

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        risk_B = self.reads.belief(seen_BO)[:, 0]
        open_BL = self.order.open(seen_BO, legal_BA)
        open_BL &= (risk_B[:, None] >= self._least_L) & (risk_B[:, None] <= self._most_L)
        closed_B = ((risk_B >= _SURE) | (risk_B <= _HARMLESS)) & ~open_BL[:, : self._triage].any(1)
        open_BL[closed_B] = False
        query_B = np.array(self.order.order)[open_BL.argmax(1)]
        return np.where(open_BL.any(1), query_B, legal_BA.shape[1] - 1)
