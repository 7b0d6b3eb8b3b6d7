"""The operators by name, and one of them applied to records.

What does not belong here: any operator, and logs as bytes or rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rlstir_core.errors import ConfigError
from rlstir_core.lab.tamper.changes import alterations, removals
from rlstir_core.lab.tamper.changes.work import Outcome, Work
from rlstir_core.lab.tamper.formats.forms import Form
from rlstir_core.lab.tamper.records.entry import Entry

OPERATOR_OF: dict[str, Callable[[Work], Outcome]] = {
    each.__name__: each
    for each in (
        removals.drop_channel,
        removals.drop_rows,
        removals.drop_renumber,
        alterations.jitter,
        alterations.clock_step,
        removals.orphan_children,
        alterations.spoof_parent,
        alterations.blank_history,
        removals.clear_log,
        removals.clear_log_event,
        removals.audit_disabled,
        alterations.rewrite_field,
        alterations.inject_decoys,
    )
}


def check(operator: str, strength: float) -> None:
    """ConfigError where there is no such operator, or the strength is none."""
    if operator not in OPERATOR_OF:
        raise ConfigError(f"operator {operator!r} is unknown; known are {', '.join(OPERATOR_OF)}")
    if not 0.0 <= strength <= 1.0:
        raise ConfigError(f"strength {strength} is outside [0, 1]; give a share")


def applied(operator: str, entries: Sequence[Entry], form: Form, rng: np.random.Generator, strength: float) -> Outcome:
    """What the operator makes of these records; ConfigError where it cannot apply."""
    outcome = OPERATOR_OF[operator](Work(entries, form, rng, strength))
    if len(outcome.entries) == len(entries) and not any(entry.marked for entry in outcome.entries):
        raise ConfigError("it would change nothing")
    return outcome
