"""What policies are worth: thresholds and headroom from the validation table, then figures from the test table.

What does not belong here: writing tables, reading labels from a store, how estimates are made (`figures.py`), words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import numpy as np

from rlstir_core.errors import StoreError
from rlstir_core.evaluation.acting import figures
from rlstir_core.evaluation.acting.drawn import RunFigures, areas
from rlstir_core.evaluation.acting.headroom import headroom
from rlstir_core.evaluation.acting.records import (
    ALL_AT_ONCE,
    NO_QUERY,
    ORACLES,
    PPO,
    InvestigationEvaluation,
    Thresholds,
    ToldCase,
)
from rlstir_core.evaluation.acting.table import read_runs
from rlstir_core.evaluation.acting.telling import InvestigationWords, NamesOnly, tell_three
from rlstir_core.evaluation.acting.thresholds import choose
from rlstir_core.evaluation.acting.truth import EpisodeTruth, Truths
from rlstir_core.evaluation.acting.watched import Grid, Watched, watch
from rlstir_core.evaluation.stats.intervals import DRAWS
from rlstir_core.evaluation.stats.levels import Levels
from rlstir_core.text import shown


def judge(
    test_table: Path,
    validation_table: Path,
    truths_test: Iterable[EpisodeTruth],
    truths_validation: Iterable[EpisodeTruth],
    *,
    budget: float,
    recipe: str,
    seed: int = 0,
    draws: int = DRAWS,
    words: InvestigationWords | None = None,
    ablations: Mapping[str, str] | None = None,
) -> InvestigationEvaluation:
    """All figures; `ablations` gives the policy of the table that stands for each thing that was left out.

    Memory holds the runs of one policy at a time, and of every policy its figures in each resample.
    """
    validation, test = Truths(truths_validation), Truths(truths_test)
    if not len(validation) or not len(test):
        raise StoreError("a side has no episode, so policies cannot be judged; make a split that has both")
    thresholds, found = _on_validation(validation_table, validation, budget)
    about, chosen_by = _about(found)
    levels = Levels(host_E=tuple(test.host_E), draws=draws, seed=seed)
    grid = Grid.of(test_table, budget)
    judged: dict[str, figures.PolicyDraws] = {}
    stories: tuple[ToldCase, ...] = ()
    for policy, runs in _policies(test_table, test, grid):
        if policy not in thresholds:
            raise StoreError(
                f"{test_table}: policy {shown(policy)} has no run in {validation_table}, so nothing was chosen for "
                "it; evaluate again"
            )
        judged[policy] = figures.judged(runs, grid, thresholds[policy], levels)
        if policy == about:
            stories = tell_three(runs[0], thresholds[policy], words or NamesOnly())
    if about not in judged:
        raise StoreError(f"{test_table} has no run of policy {shown(about)}, which validation has; evaluate again")
    figures.set_against_others(judged, grid)
    against = figures.against_all(judged, about, levels)
    left_out = {name: policy for name, policy in (ablations or {}).items() if policy in against}
    share = float(test.attack_E.mean())
    return InvestigationEvaluation(
        recipe=recipe,
        budget=budget,
        n_test_episodes=len(test),
        n_test_attacks=int(test.attack_E.sum()),
        n_test_hosts=levels.n_hosts,
        n_validation_episodes=len(validation),
        n_validation_hosts=len(set(validation.host_E)),
        n_to_find=int(test.to_find_E.sum()),
        prevalence=share,
        floor_f1=max(share / (1 + share), (1 - share) / (2 - share)),
        speaks_of=levels.speaks_of,
        about=about,
        chosen_by=chosen_by,
        policies={
            name: figures.policy_figures(name, each, thresholds[name], grid, levels) for name, each in judged.items()
        },
        paired=against,
        ablations={name: against[policy] for name, policy in left_out.items()},
        ablation_policies=left_out,
        headroom=headroom(found, validation),
        stories=stories,
        draws=draws,
        seed=seed,
    )


def _on_validation(path: Path, truths: Truths, budget: float) -> tuple[dict[str, Thresholds], dict[str, RunFigures]]:
    """Thresholds and areas of every policy; figures of one seed are averaged over seeds."""
    grid, sample = Grid.of(path, budget), Levels(host_E=tuple(truths.host_E), draws=0)
    thresholds: dict[str, Thresholds] = {}
    found: dict[str, RunFigures] = {}
    for policy, runs in _policies(path, truths, grid):
        thresholds[policy] = choose(runs, grid)
        parts = [areas(run, grid, thresholds[policy].area, sample) for run in runs]
        found[policy] = figures.over_seeds(policy, parts, sample)
    return thresholds, found


def _policies(path: Path, truths: Truths, grid: Grid) -> Iterator[tuple[str, list[Watched]]]:
    """Every policy with its runs, one a seed, beside the truth."""
    for policy, runs in groupby(read_runs(path), key=lambda run: run.policy):
        yield policy, [watch(path, run, truths, grid) for run in runs]


def _about(found: Mapping[str, RunFigures]) -> tuple[str, str]:
    """The policy that the verdict speaks of, and why: PPO, or the one that validation prefers."""
    if PPO in found:
        return PPO, "it is the policy that reinforcement learning trained"
    rivals = [name for name in found if name not in (*ORACLES, NO_QUERY, ALL_AT_ONCE)] or list(found)
    best = max(rivals, key=lambda name: np.nan_to_num(found[name].figures["coverage_cost_auc"][0]))
    return best, "no policy was trained by reinforcement learning; this one has the largest coverage area on validation"
