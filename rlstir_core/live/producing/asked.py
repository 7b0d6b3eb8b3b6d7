"""An investigation of an episode's logs, step by step, as a policy asks.

An investigation looks back: it may read every row of the recording, so it begins where the recording ends. What does
not belong here: policies and queries (`rlstir_core/investigator/inquiry`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlstir_core.investigator.inquiry.asking import Heard
from rlstir_core.investigator.inquiry.records import Believed, CaseAsked, CaseBegun, QueryAsked, RowSaid
from rlstir_core.live.contract import StepData

_MOST_ROWS, _MOST_TECHNIQUES = 8, 10
_NAME_CHARS, _ROW_CHARS, _TEXT_CHARS = 200, 400, 2_000


def steps_told(host: str, episode: str, run: str, policy: str, tell: Callable[[StepData], None]) -> Heard:
    """A listener for `questioning.question` that tells each step as an event."""
    place = 0

    def heard(step: CaseBegun | QueryAsked | CaseAsked) -> None:
        nonlocal place
        who: dict[str, Any] = {"host": host, "episode": episode, "run": run, "policy": policy[:_NAME_CHARS]}
        if isinstance(step, CaseBegun):
            place = 0
            said = {"kind": "alert", "rows": _rows((step.alert,), episode), "n_rows": 1, **_believed(step.first)}
        elif isinstance(step, QueryAsked):
            place += 1
            said = {
                "kind": "query",
                "query": step.query[:_NAME_CHARS],
                "sentence": step.sentence[:_TEXT_CHARS],
                "entity": step.entity[:_ROW_CHARS],
                "cost": step.cost,
                "spent": step.spent,
                "rows": _rows(step.rows, episode),
                "n_rows": len(step.rows),
                **_believed(step.after),
            }
        else:
            place += 1
            said = {
                "kind": "verdict",
                "sentence": f"{step.ended}; {step.n_seen:,} of {step.n_rows:,} rows seen, by {step.declared_by}",
                "spent": step.spent,
                **_believed(step.verdict),
            }
        tell(StepData(**who, step=place, **said))

    return heard


def _believed(said: Believed) -> dict[str, Any]:
    ranked = sorted(said.techniques.items(), key=lambda item: -item[1])[:_MOST_TECHNIQUES]
    return {"p_attack": said.attack, "p_tampered": said.tampered, "techniques": dict(ranked)}


def _rows(rows: tuple[RowSaid, ...], episode: str) -> tuple[str, ...]:
    """Where each row stands, and its text; that it is of this episode need not be said."""
    said = ((row.log.removeprefix(f"{episode}: ").removeprefix("logs/"), row) for row in rows[:_MOST_ROWS])
    return tuple(f"{log} row {row.seq}: {row.text}"[:_ROW_CHARS] for log, row in said)
