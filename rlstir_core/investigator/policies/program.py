"""`exec:COMMAND`: somebody else's agent as a policy, judged on the same cases as all others.

It is told in JSON lines what is seen and what is legal, and answers with an action or a declaration; the contract
stands in docs/agents.md. What does not belong here: processes and their pipes (`agent_process.py`).
"""

# B lanes, A actions (the last one is STOP)
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from rlstir_core.errors import AgentError
from rlstir_core.investigator.lanes import Actions, Legal, Observed
from rlstir_core.investigator.policies.agent_process import AgentProcess
from rlstir_core.investigator.policies.reading import Reads, spent
from rlstir_core.text import shown

PREFIX = "exec:"
LIMIT_S = 60.0  # of an answer


class Describes(Protocol):
    """Lanes that can say in words and numbers what is seen of a case: what a policy sees, and no more."""

    def describe(self, lane: int) -> Mapping[str, Any] | None:
        """What JSON can hold; None where the lane has no case any more."""
        ...


class Declaration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the agent itself says happened. What it leaves out, the frozen detector says."""

    attack: float | None = None  # probabilities
    tampered: float | None = None
    techniques: dict[str, float] = {}


class _Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    action: str | msgspec.UnsetType = msgspec.UNSET
    declare: Declaration | msgspec.UnsetType = msgspec.UNSET


class Program:
    """One process for a whole run; lanes are asked one after the other.

    After `act`, `declared` holds what the agent declared for the lanes whose cases it has just closed. `close` ends the
    process and its children.
    """

    def __init__(
        self,
        command: str,
        reads: Reads,
        lanes: Describes,
        sentences: Sequence[str],
        *,
        techniques: Collection[str] = (),
        limit_s: float = LIMIT_S,
    ) -> None:
        self.name = PREFIX + command
        self.reads, self.lanes, self.sentences = reads, lanes, sentences
        self.techniques, self.command, self.limit_s = frozenset(techniques), command, limit_s
        self.declared: dict[int, Declaration] = {}
        self._agent: AgentProcess | None = None

    def begin(self, seed: int) -> None:
        """Starts the process anew: what it learnt in another run is not known to this one."""
        del seed
        self.close()
        self._agent = AgentProcess(self.command, self.limit_s)
        self._n_cases, self._case, self._step = 0, dict[int, int](), dict[int, int]()

    def close(self) -> None:
        if self._agent is not None:
            self._agent.close()
            self._agent = None

    def act(self, seen_BO: Observed, legal_BA: Legal) -> Actions:
        self.declared = {}
        action_B = np.full(len(seen_BO), legal_BA.shape[1] - 1, np.int64)
        asked_B, spent_B = self.reads.asked(seen_BO).sum(1), spent(self.reads, seen_BO)
        risk_B = self.reads.belief(seen_BO)[:, 0]
        for lane in range(len(seen_BO)):
            observation = self.lanes.describe(lane)
            if observation is None:
                continue
            if asked_B[lane] == 0:
                self._n_cases += 1
                self._case[lane], self._step[lane] = self._n_cases, 0
            question = {
                "case": self._case[lane],
                "step": self._step[lane],
                "risk": round(float(risk_B[lane]), 4),
                "spent": round(float(spent_B[lane]), 4),
                "observation": observation,
                "text": as_text(observation),
                "actions": self._offered(legal_BA[lane]),
            }
            action_B[lane] = self._asked(lane, question, legal_BA[lane])
            self._step[lane] += 1
        return action_B

    def _offered(self, legal_A: Legal) -> list[dict[str, Any]]:
        return [
            {"name": self.reads.names[a], "cost": float(self.reads.costs_A[a]), "sentence": self.sentences[a]}
            for a in np.flatnonzero(legal_A)
        ]

    def _asked(self, lane: int, question: dict[str, Any], legal_A: Legal) -> int:
        assert self._agent is not None, "begin comes first"
        where = f"at step {question['step']} of case {question['case']}"
        line = self._agent.ask(msgspec.json.encode(question) + b"\n", where)
        try:
            answer = msgspec.json.decode(line, type=_Answer)
        except (msgspec.ValidationError, RecursionError) as error:
            raise self._refused(where, line, f"which is no answer ({shown(str(error))})") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._refused(where, line, "which is no JSON") from None
        if (answer.action is msgspec.UNSET) == (answer.declare is msgspec.UNSET):
            raise self._refused(where, line, "which is not one of both, an action or a declaration")
        if isinstance(answer.declare, Declaration):
            self.declared[lane] = self._checked(answer.declare, where, line)
            return len(legal_A) - 1
        if answer.action not in self.reads.names:
            raise self._refused(where, line, f"but there is no action {shown(str(answer.action))}")
        action = self.reads.names.index(str(answer.action))
        if not legal_A[action]:
            raise self._refused(where, line, f"but {answer.action} is not legal now")
        return action

    def _checked(self, declaration: Declaration, where: str, line: bytes) -> Declaration:
        said = {"attack": declaration.attack, "tampered": declaration.tampered, **declaration.techniques}
        for name, p in said.items():
            if p is not None and not 0 <= p <= 1:
                raise self._refused(where, line, f"but {shown(name)} is {p:g} and must be a probability, 0 to 1")
        unknown = sorted(set(declaration.techniques) - self.techniques)
        if unknown:
            raise self._refused(where, line, f"but {shown(unknown[0])} is none of the techniques that can be declared")
        return declaration

    def _refused(self, where: str, line: bytes, how: str) -> AgentError:
        assert self._agent is not None
        said = shown(line.decode(errors="replace"))
        return self._agent.refused(
            where, f'answered {said}, {how}; answer {{"action": NAME}} or {{"declare": {{...}}}}'
        )


def as_text(value: Any, indent: int = 0) -> str:
    """A structure as lines that people and language models read: `key: value`, deeper ones further in."""
    before = "  " * indent
    if isinstance(value, Mapping):
        lines = []
        for key, inner in value.items():
            deep = isinstance(inner, Mapping | list | tuple) and len(inner) > 0
            lines.append(f"{before}{key}:\n{as_text(inner, indent + 1)}" if deep else f"{before}{key}: {_one(inner)}")
        return "\n".join(lines)
    if isinstance(value, list | tuple):
        parts = []
        for inner in value:
            text = (
                as_text(inner, indent + 1) if isinstance(inner, Mapping | list | tuple) else f"{before}  {_one(inner)}"
            )
            parts.append(f"{before}- {text.lstrip()}")
        return "\n".join(parts)
    return f"{before}{_one(value)}"


def _one(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None or value in ([], {}, ()) else " ".join(str(value).split())
