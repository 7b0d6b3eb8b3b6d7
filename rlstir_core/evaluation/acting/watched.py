"""A run beside the truth: what each step found, and what was believed at every cost; labels are read here.

What does not belong here: reading tables (`table.py`), thresholds, and figures.
"""

# N steps, E episodes, G costs of the grid, R revealed rows, D declared techniques, A actions
# ruff: noqa: N802 - names of arrays carry their shapes
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.errors import StoreError
from rlstir_core.evaluation.acting.table import ALERT, PolicyRun, paid_costs
from rlstir_core.evaluation.acting.truth import Ruler, Truths
from rlstir_core.evaluation.investigation.tamper_figures import TrueSpan, finds
from rlstir_core.evaluation.investigation.tamper_predictions import SaidSpan
from rlstir_core.text import shown

MOST_COSTS = 128


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Costs from 0 to the budget at which all runs are looked at, and the share of the budget that each stands for.

    Where at most 128 different costs were paid these are those costs, and areas are exact; else the middles of as many
    equal parts.
    """

    budget: float
    at_G: Floats
    share_G: Floats

    @staticmethod
    def of(table: Path, budget: float) -> Grid:
        paid = paid_costs(table, budget)
        if len(paid) > MOST_COSTS:
            share_G = np.full(MOST_COSTS, 1 / MOST_COSTS)
            return Grid(budget=budget, at_G=budget * (np.arange(MOST_COSTS) + 0.5) / MOST_COSTS, share_G=share_G)
        return Grid(budget=budget, at_G=paid, share_G=np.diff(np.r_[paid, budget]) / budget)


@dataclass(frozen=True, kw_only=True, eq=False)
class Watched:
    """A run with what the truth says of each step."""

    run: PolicyRun
    truths: Truths
    step_EG: Ints  # the last step at each cost of the grid
    new_N: Ints  # techniques of which the step revealed the first row
    covered_N: Floats  # the share of the episode's techniques that have a revealed row; 0 where there are none
    first_found_T: Ints  # the step that revealed a technique's first row, -1 where none did

    @property
    def p_EG(self) -> Floats:
        """The probability of an attack at each cost."""
        found: Floats = self.run.p_risk_N[self.step_EG]
        return found

    @property
    def covered_EG(self) -> Floats:
        found: Floats = self.covered_N[self.step_EG]
        return found

    @property
    def p_last_E(self) -> Floats:
        """The probability of an attack at the end of each case."""
        found: Floats = self.run.p_risk_N[self.run.last_E]
        return found

    @property
    def tampered_last_E(self) -> Floats:
        found: Floats = self.run.p_tampered_N[self.run.last_E]
        return found

    @property
    def paid_E(self) -> Floats:
        found: Floats = self.run.paid_N[self.run.last_E]
        return found

    @cached_property
    def highest_E(self) -> Floats:
        """The highest probability of an attack over the steps of each case."""
        found: Floats = np.maximum.reduceat(self.run.p_risk_N, self.run.first_E[:-1])
        return found

    @cached_property
    def declared_right_D(self) -> Bools:
        """Whether the episode carries the technique that is declared."""
        carried = set(zip(self.truths.episode_T.tolist(), self.truths.technique_T, strict=True))
        said = zip(self.run.episode_D.tolist(), self.run.technique_D, strict=True)
        return np.fromiter((each in carried for each in said), np.bool_, len(self.run.technique_D))

    @cached_property
    def asked_EA(self) -> Bools:
        """Which actions each case took, in the order of `run.actions`."""
        found = np.zeros((len(self.truths), len(self.run.actions)), np.bool_)
        found[self.run.episode_N, self.run.action_N] = True
        return found

    @property
    def queries(self) -> tuple[int, ...]:
        """The actions that cost something: neither the alert nor a declaration."""
        paid_A = np.bincount(self.run.action_N, self.run.cost_N, len(self.run.actions))
        return tuple(int(a) for a in np.flatnonzero(paid_A > 0) if self.run.actions[a] != ALERT)

    @cached_property
    def spans_E4(self) -> Ints:
        """Of each episode: spans that are right, spans that are said, true spans that are found, true spans."""
        sums = np.zeros((len(self.truths), 4), np.int64)
        said_of: dict[int, list[int]] = {}
        for p, e in enumerate(self.run.episode_P.tolist()):
            said_of.setdefault(e, []).append(p)
        for e in sorted({*said_of, *np.flatnonzero(self.truths.tampered_E).tolist()}):
            sums[e] = self._spans(e, said_of.get(e, []))
        return sums

    def _spans(self, e: int, places: list[int]) -> tuple[int, int, int, int]:
        times = self.truths.times_E[e]
        true = [
            TrueSpan(member=each.channel, kind="", first=first, last=last)
            for each in self.truths.tamper_E[e]
            for first, last in [Ruler(times_ns=times.get(each.channel)).ends(each.t_start_wall_ns, each.t_end_wall_ns)]
        ]
        said = []
        for p in places:
            span = self.run.span_P[p]
            first, last = Ruler(times_ns=times.get(span.channel)).ends(span.t_start_wall_ns, span.t_end_wall_ns)
            said.append(
                SaidSpan(
                    channel=span.channel,
                    member=span.channel,
                    t_start_wall_ns=span.t_start_wall_ns,
                    t_end_wall_ns=span.t_end_wall_ns,
                    after_seq=first,
                    before_seq=last,
                    score=span.score,
                )
            )
        right = sum(any(finds(each, span) for span in true) for each in said)
        found = sum(any(finds(each, span) for each in said) for span in true)
        return right, len(said), found, len(true)


def watch(path: Path, run: PolicyRun, truths: Truths, grid: Grid) -> Watched:
    """The run beside the truth; refused where it is of other episodes."""
    if run.episode_E != truths.episode_E:
        other = sorted(set(run.episode_E) ^ set(truths.episode_E))[0]
        raise StoreError(
            f"{path}: policy {shown(run.policy)}, seed {run.seed} was not run on exactly the episodes of this side "
            f"({shown(other)} is one too many or missing); delete the table and evaluate again"
        )
    if run.host_E != truths.host_E:
        raise StoreError(f"{path}: policy {shown(run.policy)} names other hosts; delete the table and evaluate again")
    new_N, first_T = _found(run, truths)
    total_N = np.cumsum(new_N)
    before_E = np.r_[0, total_N][run.first_E[:-1]]
    covered_N = (total_N - before_E[run.episode_N]) / np.maximum(truths.to_find_E, 1)[run.episode_N]
    return Watched(
        run=run,
        truths=truths,
        step_EG=_steps_on(run, grid),
        new_N=new_N,
        covered_N=covered_N,
        first_found_T=first_T,
    )


def _found(run: PolicyRun, truths: Truths) -> tuple[Ints, Ints]:
    at, slot = truths.found(run.episode_N[run.step_R], run.row_R)
    found, first = np.unique(slot, return_index=True)  # the first one: steps are in order
    first_T = np.full(len(truths.technique_T), -1, np.int64)
    first_T[found] = run.step_R[at[first]]
    new_N: Ints = np.bincount(first_T[found], minlength=len(run.action_N)).astype(np.int64)
    return new_N, first_T


def _steps_on(run: PolicyRun, grid: Grid) -> Ints:
    """The last step that was paid for at each cost: the last answer is carried on. (E, G)"""
    G = len(grid.at_G)
    place_N = np.searchsorted(grid.at_G, run.paid_N, side="left")  # the first cost of the grid that pays for the step
    step_EG = np.repeat(run.first_E[:-1, None], G, axis=1)
    paid = np.flatnonzero(place_N < G)
    np.maximum.at(step_EG, (run.episode_N[paid], place_N[paid]), paid)
    found: Ints = np.maximum.accumulate(step_EG, axis=1)
    return found
