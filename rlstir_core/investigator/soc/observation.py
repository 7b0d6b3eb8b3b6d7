"""What a policy sees, as one row of numbers with named parts.

No label, scenario, size of the episode or position in it is among them: what was revealed, what was asked, what the
detector says of it, and what may still be spent. What does not belong here: how these numbers come about (`lanes.py`).
"""

# A actions, Q queries, K answers of the detector, D numbers of a row, O numbers of an observation
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from rlstir_core.arrays import Array
from rlstir_core.investigator.queries.catalogue import KINDS, PAGE, QUERIES
from rlstir_core.investigator.soc.detecting import ATTACK, TAMPERED, TECHNIQUES
from rlstir_core.investigator.techniques.labels import LABELS

_Q = len(QUERIES)
LOG_ROWS: Final = 4.0  # logarithms of counts are divided by it
_LIKELIEST: Final = 10  # techniques that are described


def slices(n_answers: int, width: int) -> dict[str, slice]:
    """Where each part of an observation lies.

    belief      what the detector says: attack, tampered, techniques (probabilities)
    entropy     of each of these, in bits
    asked       how often each query was asked: log(1 + n) / 4
    rows        how many rows its last answer held, of a page
    fresh       how many of these were new, of a page
    entities    how many entities that were new: log(1 + n) / 4
    open        whether somebody is left to ask it about; 0 as well where it cannot be paid any more
    frontier    how many entities of each kind were seen: log(1 + n) / 4
    unlocked    whether a process tree was asked for
    alert       the alert's row
    page        mean of the rows that the last step revealed
    mean, most  mean and maximum of all revealed rows
    budget      what is left of the budget, as a share
    steps       what is left of the steps, as a share
    """
    widths = {
        "belief": n_answers,
        "entropy": n_answers,
        "asked": _Q,
        "rows": _Q,
        "fresh": _Q,
        "entities": _Q,
        "open": _Q,
        "frontier": len(KINDS),
        "unlocked": 1,
        "alert": width,
        "page": width,
        "mean": width,
        "most": width,
        "budget": 1,
        "steps": 1,
    }
    found: dict[str, slice] = {}
    start = 0
    for name, n in widths.items():
        found[name] = slice(start, start + n)
        start += n
    return found


def observation_width(n_answers: int, width: int) -> int:
    """O."""
    return int(slices(n_answers, width)["steps"].stop)


def described(seen_O: Array, parts: Mapping[str, slice], budget: float, steps: int) -> dict[str, Any]:
    """The same in names and numbers that JSON holds: what a policy sees, and no more."""
    seen = {name: seen_O[part] for name, part in parts.items()}
    p_K = seen["belief"][TECHNIQUES:]
    likely = np.argsort(-p_K, kind="stable")[:_LIKELIEST].tolist()
    asked_Q, entities_Q = _counts(seen["asked"]), _counts(seen["entities"])
    rows_Q, fresh_Q = (np.rint(seen[name] * PAGE).astype(int).tolist() for name in ("rows", "fresh"))
    return {
        "belief": {
            "attack": _number(seen["belief"][ATTACK]),
            "tampered": _number(seen["belief"][TAMPERED]),
            "techniques": {LABELS[place]: _number(p_K[place]) for place in likely},
        },
        "budget_left": _number(seen["budget"][0] * budget),
        "steps_left": round(float(seen["steps"][0]) * steps),
        "seen": {kind: n for kind, n in zip(KINDS, _counts(seen["frontier"]), strict=True) if n},
        "process_tree_was_asked_for": bool(seen["unlocked"][0]),
        "asked": {
            query.name: {"times": n, "last_rows": rows, "last_new_rows": fresh, "last_new_entities": entities}
            for query, n, rows, fresh, entities in zip(QUERIES, asked_Q, rows_Q, fresh_Q, entities_Q, strict=True)
            if n
        },
        "log_odds_of_rows": {
            said: {"attack": _number(seen[name][ATTACK]), "tampered": _number(seen[name][TAMPERED])}
            for said, name in _ROWS
        },
    }


_ROWS = (("alert", "alert"), ("mean_of_last_new_rows", "page"), ("mean_of_all", "mean"), ("most_of_all", "most"))


def _counts(log_N: Array) -> list[int]:
    return [int(n) for n in np.rint(np.expm1(log_N * LOG_ROWS))]


def _number(value: float) -> float:
    return round(float(value), 4)
