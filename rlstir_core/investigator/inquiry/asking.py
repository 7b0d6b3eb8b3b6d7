"""One policy investigates logs query by query, under a budget, as it does where policies are judged.

No truth is known: an investigation begins at the row that looks most like an attack. What does not belong here: which
logs are investigated together (`questioning.py`), policies and the environment, and how it is shown.
"""

# B lanes (one), A actions, K answers of the detector, R rows
from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from rlstir_core.arrays import Array, Ints
from rlstir_core.errors import ConfigError
from rlstir_core.investigator.acting.checkpoint import Actors
from rlstir_core.investigator.acting.roster import PPO, overruled, program
from rlstir_core.investigator.inquiry.records import Believed, CaseAsked, CaseBegun, QueryAsked, SpanSaid
from rlstir_core.investigator.inquiry.rows import row_said, span_said
from rlstir_core.investigator.lanes import Legal, Policy
from rlstir_core.investigator.policies.program import PREFIX, Declaration, Program
from rlstir_core.investigator.queries.catalogue import ACTIONS, KINDS, STOP
from rlstir_core.investigator.soc.cases import NOBODY, Case, CaseSet
from rlstir_core.investigator.soc.detecting import ATTACK, TAMPERED, TECHNIQUES
from rlstir_core.investigator.soc.lanes import STEPS, SocLanes, SocStep
from rlstir_core.investigator.tamper.spans import Suspicion, rows_of_spans
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.text import one_line, shown

POLICIES: Final = (PPO, "greedy", "learned_greedy", "fixed_order", "playbook")
_RANKS: Final = 10  # techniques
_CHANGED: Final = 3  # techniques of a query
_NAME_CHARS = 200
Heard = Callable[[CaseBegun | QueryAsked | CaseAsked], None]  # a step, as it is taken
BY_DETECTOR, BY_AGENT = "the frozen detector", "the agent"


@dataclass(frozen=True, kw_only=True, eq=False)
class LogCase:
    """What is investigated: a case with names, the rows it was made of, and the stretches that look tampered with."""

    name: str
    recording: bool
    case: Case
    table: pa.Table
    shown: Callable[[str], str]  # a log file's name, as the user knows it
    spans: Sequence[Suspicion]


def checked_policy(name: str) -> str:
    """The name, where it is one of those that can investigate."""
    if name not in POLICIES and not name.startswith(PREFIX):
        raise ConfigError(f"policy {shown(name)} is unknown; choose one of {', '.join(POLICIES)}, or '{PREFIX}COMMAND'")
    return name


def checked_budget(budget: float | None) -> float | None:
    if budget is not None and not (math.isfinite(budget) and budget > 0):
        raise ConfigError(f"budget {budget:g} must be a number above 0; queries cost 1 to 8")
    return budget


def nobody(_: CaseBegun | QueryAsked | CaseAsked) -> None:
    """Listens to no step."""


class Questioner:
    """A policy of a checkpoint, or somebody else's agent, that investigates one case after the other."""

    def __init__(self, actors: Actors, name: str, budget: float) -> None:
        self._actors, self._budget, self._name = actors, budget, name
        self._policy: Policy | None = None
        if name == PPO:
            self._policy = actors.ppo[0]
        elif not name.startswith(PREFIX):
            self._policy = actors.policies[name]

    def close(self) -> None:
        if isinstance(self._policy, Program):
            self._policy.close()

    def ask(self, found: LogCase, heard: Heard = nobody) -> CaseAsked:
        """Investigates a case from its alert to the verdict; who listens hears each step as it is taken."""
        actors, seed = self._actors, self._actors.checkpoint.seed
        lanes = SocLanes(CaseSet([found.case]), actors.belief, actors.rewards, self._budget, 1, once=True)
        policy = self._begun(lanes, seed)
        seen_BO, legal_BA = lanes.reset(seed)
        begun, queries = lanes.begun, list[QueryAsked]()
        before_K, seen = begun.answers_BK[0].copy(), [begun.row_R]
        alert, first = row_said(found.table, found.case.alert, found.shown), _believed(begun.answers_BK[0])
        heard(CaseBegun(name=found.name, host=found.case.host, alert=alert, first=first))
        while True:
            action_B = policy.act(seen_BO, legal_BA)
            stepped = lanes.step(action_B)
            facts = lanes.last
            if facts.declared_B[0]:
                break
            queries.append(_query(found, facts, before_K))
            heard(queries[-1])
            before_K = facts.answers_BK[0].copy()
            seen.append(facts.row_R)
            seen_BO, legal_BA = stepped.seen_BO, stepped.legal_BA
        said = policy.declared.get(0) if isinstance(policy, Program) else None
        row_R = np.concatenate(seen)
        case = CaseAsked(
            name=found.name,
            host=found.case.host,
            recording=found.recording,
            n_rows=found.case.n_rows,
            alert=alert,
            first=first,
            queries=tuple(queries),
            spent=round(float(facts.cumulative_B[0]), 4),
            n_seen=len(row_R),
            ended=_ended(legal_BA, int(facts.step_B[0])),
            declared_by=BY_DETECTOR if said is None else BY_AGENT,
            verdict=_verdict(facts.answers_BK[0], said),
            spans=_spans(found, row_R),
        )
        heard(case)
        return case

    def _begun(self, lanes: SocLanes, seed: int) -> Policy:
        """The policy, ready for these lanes; a program runs on from one case to the next."""
        if isinstance(self._policy, Program):
            self._policy.lanes = lanes
            return self._policy
        if self._policy is None:
            self._policy = program(self._name, self._actors.belief, lanes)
        self._policy.begin(seed)
        return self._policy


@contextmanager
def questioner(actors: Actors, name: str, budget: float) -> Iterator[Questioner]:
    """A `Questioner` whose program, if it has one, is ended afterwards."""
    found = Questioner(actors, name, budget)
    try:
        yield found
    finally:
        found.close()


def _query(found: LogCase, facts: SocStep, before_K: Array) -> QueryAsked:
    action = ACTIONS[int(facts.action_B[0])]
    return QueryAsked(
        query=action.name,
        sentence=action.sentence,
        about=action.about,
        entity=_entity(found.case, int(facts.target_B[0])),
        cost=float(facts.cost_B[0]),
        spent=round(float(facts.cumulative_B[0]), 4),
        before=_believed(before_K),
        after=_believed(facts.answers_BK[0]),
        changed=_changed(before_K, facts.answers_BK[0]),
        rows=tuple(row_said(found.table, row, found.shown) for row in facts.row_R.tolist()),
    )


def _entity(case: Case, entity: int) -> str:
    if entity == NOBODY:
        return ""
    name = case.host if entity < case.kind_1[KINDS.index("host") + 1] else case.names_E[entity]
    return one_line(name, _NAME_CHARS)


def _believed(p_K: Array) -> Believed:
    ranked = np.argsort(-p_K[TECHNIQUES:], kind="stable")[:_RANKS].tolist()
    return Believed(
        attack=_rounded(p_K[ATTACK]),
        tampered=_rounded(p_K[TAMPERED]),
        techniques={LABELS[place]: _rounded(p_K[TECHNIQUES + place]) for place in ranked},
    )


def _changed(before_K: Array, after_K: Array) -> dict[str, tuple[float, float]]:
    places = np.argsort(-np.abs(after_K - before_K)[TECHNIQUES:], kind="stable")[:_CHANGED].tolist()
    return {
        LABELS[place]: (_rounded(before_K[TECHNIQUES + place]), _rounded(after_K[TECHNIQUES + place]))
        for place in places
    }


def _verdict(p_K: Array, said: Declaration | None) -> Believed:
    """What the detector says, where an agent did not say it itself."""
    if said is None:
        return _believed(p_K)
    return _believed(overruled(p_K, said))


def _ended(legal_BA: Legal, step: int) -> str:
    if step == STEPS:
        return f"the last of {STEPS} steps"
    return "it stopped" if legal_BA[0, :STOP].any() else "nothing is left that can be asked and paid"


def _spans(found: LogCase, row_R: Ints) -> tuple[SpanSaid, ...]:
    rows = rows_of_spans(found.table, found.spans)
    seen = [span for span, row_M in zip(found.spans, rows, strict=True) if np.isin(row_M, row_R).any()]
    return tuple(span_said(span, found.shown) for span in seen)


def _rounded(p: float) -> float:
    return round(float(p), 4)
