"""What a policy asks, pays, sees and believes in every case of a side, as it is written down; no label is looked at.

What does not belong here: the table (`table.py`), who acts (`investigator/policies/`), and judging.
"""

# B lanes, C cases, K answers of the detector
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlstir_core.evaluation.acting.table import ALERT, RecordedCase, SaidStretch
from rlstir_core.investigator.acting.roster import overruled
from rlstir_core.investigator.lanes import Policy
from rlstir_core.investigator.policies.program import Program
from rlstir_core.investigator.queries.catalogue import ACTIONS
from rlstir_core.investigator.soc.detecting import ATTACK, TAMPERED, TECHNIQUES
from rlstir_core.investigator.soc.lanes import SocLanes, SocStep
from rlstir_core.investigator.tamper.spans import rows_of_spans, tamper_of
from rlstir_core.investigator.techniques.labels import LABELS

_RANKS = 10
_MOST_SPANS = 50


@dataclass(frozen=True, kw_only=True)
class RuleSpan:
    """A stretch that the rules find in a whole log, and the rows of the episode at its ends and within."""

    stretch: SaidStretch
    row_M: NDArray[np.int64]


def rule_spans(table: pa.Table) -> list[RuleSpan]:
    """What the rules find in the log rows of an episode; a policy may declare what it has seen rows of."""
    spans = tamper_of(table).spans[:_MOST_SPANS]
    return [
        RuleSpan(
            stretch=SaidStretch(
                channel=each.channel, t_start_wall_ns=each.t_start_ns, t_end_wall_ns=each.t_end_ns, score=each.score
            ),
            row_M=row_M,
        )
        for each, row_M in zip(spans, rows_of_spans(table, spans), strict=True)
    ]


@dataclass(kw_only=True)
class _Notes:
    """What was written of the case that a lane is in."""

    actions: list[str] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    rows: list[NDArray[np.int64]] = field(default_factory=list)
    p_risk: list[float] = field(default_factory=list)
    p_tampered: list[float] = field(default_factory=list)


def recorded(policy: Policy, lanes: SocLanes, spans: Sequence[Sequence[RuleSpan]], seed: int) -> Iterator[RecordedCase]:
    """Every case of the lanes once, in the order in which they are declared; `spans` are those of each case."""
    assert lanes.once
    policy.begin(seed)
    seen_BO, legal_BA = lanes.reset(seed)
    notes = [_Notes() for _ in range(lanes.n_lanes)]
    _begin(notes, lanes.begun)
    while True:
        stepped = lanes.step(policy.act(seen_BO, legal_BA))
        facts = _own_words(policy, lanes.last)
        if facts.idle_B.all():
            return
        rows = _rows(facts, lanes.n_lanes)
        for lane in np.flatnonzero(~facts.idle_B).tolist():
            note = notes[lane]
            note.actions.append(ACTIONS[-1 if facts.declared_B[lane] else int(facts.action_B[lane])].name)
            note.costs.append(float(facts.cost_B[lane]))
            note.rows.append(rows[lane])
            _believed(note, facts, lane)
            if facts.declared_B[lane]:
                yield _declared(lanes, note, facts, lane, spans[int(facts.case_B[lane])])
        _begin(notes, lanes.begun)
        seen_BO, legal_BA = stepped.seen_BO, stepped.legal_BA


def _own_words(policy: Policy, facts: SocStep) -> SocStep:
    """What other people's agents declared stands in place of what the detector says."""
    if not isinstance(policy, Program) or not policy.declared:
        return facts
    answers_BK = facts.answers_BK.copy()
    for lane, said in policy.declared.items():
        answers_BK[lane] = overruled(answers_BK[lane], said)
    return facts._replace(answers_BK=answers_BK)


def _begin(notes: list[_Notes], begun: SocStep) -> None:
    rows = _rows(begun, len(notes))
    for lane in np.flatnonzero(~begun.idle_B).tolist():
        notes[lane] = _Notes(actions=[ALERT], costs=[0.0], rows=[rows[lane]])
        _believed(notes[lane], begun, lane)


def _believed(note: _Notes, facts: SocStep, lane: int) -> None:
    note.p_risk.append(float(facts.answers_BK[lane, ATTACK]))
    note.p_tampered.append(float(facts.answers_BK[lane, TAMPERED]))


def _rows(facts: SocStep, n_lanes: int) -> list[NDArray[np.int64]]:
    """The rows of each lane, in the order in which they were shown."""
    order = np.argsort(facts.lane_R, kind="stable")
    ends = np.cumsum(np.bincount(facts.lane_R, minlength=n_lanes))
    return np.split(facts.row_R[order], ends[:-1])


def _declared(lanes: SocLanes, note: _Notes, facts: SocStep, lane: int, spans: Sequence[RuleSpan]) -> RecordedCase:
    case = int(facts.case_B[lane])
    p_L = facts.answers_BK[lane, TECHNIQUES:]
    ranked = np.argsort(-p_L, kind="stable")[:_RANKS].tolist()
    seen = np.concatenate(note.rows)
    return RecordedCase(
        episode_id=lanes.cases.episodes[case],
        host=lanes.cases.hosts[case],
        actions=note.actions,
        costs=note.costs,
        rows=note.rows,
        p_risk=note.p_risk,
        p_tampered=note.p_tampered,
        techniques=[LABELS[place] for place in ranked],
        scores=p_L[ranked],
        spans=[each.stretch for each in spans if np.isin(each.row_M, seen).any()],
    )
