"""What every run of a table of investigations must hold, or it is refused in one sentence.

What does not belong here: reading the table (`table.py`) and the truth.
"""

# N steps, E episodes
from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.errors import StoreError
from rlstir_core.text import shown

if TYPE_CHECKING:
    from rlstir_core.evaluation.acting.table import PolicyRun

MOST_STEPS = 1_000  # of a case
MOST_ACTIONS = 256
_MOST_CHARS = 200
_NEAR = 1e-3  # what single precision may lose of a sum of costs, as a share of it


def check_run(
    path: Path,
    run: PolicyRun,
    *,
    step_N: Ints,
    n_revealed_N: Ints,
    stopped_N: Bools,
    declared_N: Ints,
    pairs: bool,
    nothing_empty: bool,
) -> None:
    """Raises StoreError with what is wrong, and where."""
    episode_N, last_N = run.episode_N, np.zeros(len(step_N), np.bool_)
    last_N[run.last_E] = True
    at_N = np.arange(len(step_N)) - run.first_E[episode_N]
    revealed_N = np.bincount(run.step_R, minlength=len(step_N))
    wrong: list[tuple[str, Bools]] = [
        ("an episode stands twice or out of order", _unordered(run)[episode_N]),
        ("steps do not count from 0 up", step_N != at_N),
        (f"a case has more than {MOST_STEPS:,} steps", at_N >= MOST_STEPS),
        ("the alert is not the first step, at no cost", _no_alert(run, at_N)),
        ("a cost is negative or no number", ~(np.isfinite(run.cost_N) & (run.cost_N >= 0))),
        ("the cumulative cost is not the sum of costs", ~_near(run.paid_N, _sums(run.cost_N, run))),
        ("a probability is not between 0 and 1", ~(_probability(run.p_risk_N) & _probability(run.p_tampered_N))),
        ("the count of revealed rows is not that of the rows", n_revealed_N != _sums(revealed_N, run)),
        ("a row has a negative place", np.bincount(run.step_R, run.row_R < 0, len(step_N)) > 0),
        ("the last step of a case, and no other, must have stopped", stopped_N != last_N),
        ("something is declared before the last step, or nothing at it", declared_N != 3 * last_N),
    ]
    for sentence, where_N in wrong:
        if where_N.any():
            raise _refused(path, run, int(episode_N[np.flatnonzero(where_N)[0]]), sentence)
    if not pairs or not nothing_empty or not np.isfinite(run.score_D).all():
        raise _refused(path, run, None, "declared techniques do not each have a name and a score")
    if any(span.t_end_wall_ns < span.t_start_wall_ns for span in run.span_P):
        raise _refused(path, run, None, "a tamper span ends before it begins")
    names = [run.policy, *run.actions, *run.technique_D, *(span.channel for span in run.span_P)]
    if not all(0 < len(name) <= _MOST_CHARS for name in names):
        raise _refused(path, run, None, f"a name is empty or longer than {_MOST_CHARS} characters")
    if len(run.actions) > MOST_ACTIONS:
        raise _refused(path, run, None, f"{len(run.actions):,} different actions, {MOST_ACTIONS} are allowed")


def _unordered(run: PolicyRun) -> Bools:
    names = run.episode_E
    return np.array([False, *(one >= other for one, other in pairwise(names))], np.bool_)


def _no_alert(run: PolicyRun, at_N: Ints) -> Bools:
    alert = run.actions.index("alert") if "alert" in run.actions else -1
    found: Bools = ((at_N == 0) != (run.action_N == alert)) | ((at_N == 0) & (run.cost_N != 0))
    return found


def _sums(what_N: Floats | Ints, run: PolicyRun) -> Floats:
    """Sums up to and with each step of its case."""
    total_N = np.cumsum(np.nan_to_num(np.asarray(what_N, np.float64)))
    found: Floats = total_N - np.r_[0.0, total_N][run.first_E[:-1]][run.episode_N]
    return found


def _near(one: Floats, other: Floats) -> Bools:
    return np.isclose(one, other, rtol=_NEAR, atol=_NEAR)


def _probability(p_N: Floats) -> Bools:
    found: Bools = (p_N >= 0) & (p_N <= 1)  # NaN compares false
    return found


def _refused(path: Path, run: PolicyRun, e: int | None, sentence: str) -> StoreError:
    where = f"policy {shown(run.policy)}, seed {run.seed}"
    if e is not None:
        where += f", episode {shown(run.episode_E[e])}"
    return StoreError(f"{path}: {sentence} ({where}); delete the table and evaluate again")
