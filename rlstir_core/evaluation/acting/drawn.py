"""Figures of one run of a policy in the sample and in every resample of it: sums over episodes, then ratios of sums.

What does not belong here: intervals (`stats/levels.py`), and figures of several policies (`judging.py`).
"""

# D draws and, before them, the sample itself; E episodes, G costs of the grid, C columns of sums
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.evaluation.acting.records import STEPS, Thresholds
from rlstir_core.evaluation.acting.watched import Grid, Watched
from rlstir_core.evaluation.investigation.tamper_figures import span_f1_of
from rlstir_core.evaluation.stats.levels import Levels
from rlstir_core.learning.scores import ratio, two_class_f1

_BLOCK = 256  # draws at once where a figure needs the episodes in order


@dataclass(frozen=True, kw_only=True, eq=False)
class RunFigures:
    """Figures by name, each (1 + D,), and two curves, each (1 + D, G); NaN where one is not defined."""

    figures: Mapping[str, Floats]
    f1_DG: Floats
    coverage_DG: Floats


def areas(watched: Watched, grid: Grid, threshold: float | None, levels: Levels) -> RunFigures:
    """The two curves and the areas under them."""
    truths = watched.truths
    f1_DG = np.full((1 + levels.draws, len(grid.at_G)), np.nan)
    if threshold is not None:
        called_EG = watched.p_EG >= threshold
        n_D, attack_D = (levels.sums(each[:, None]) for each in (np.ones(len(truths)), truths.attack_E))
        right_DG = levels.sums(called_EG & truths.attack_E[:, None])
        f1_DG = two_class_f1(right_DG, levels.sums(called_EG), attack_D, n_D)
        f1_DG[(attack_D[:, 0] == 0) | (attack_D[:, 0] == n_D[:, 0])] = np.nan
    there_E = truths.to_find_E > 0
    coverage_DG = ratio(
        levels.sums(watched.covered_EG * there_E[:, None]),
        np.repeat(levels.sums(there_E[:, None]), len(grid.at_G), axis=1),
    )
    figures = {
        "f1_cost_auc": f1_DG @ grid.share_G,
        "f1_at_budget": f1_DG[:, -1],
        "coverage_cost_auc": coverage_DG @ grid.share_G,
        "coverage_at_budget": coverage_DG[:, -1],
    }
    return RunFigures(figures=figures, f1_DG=f1_DG, coverage_DG=coverage_DG)


def draw(watched: Watched, grid: Grid, thresholds: Thresholds, levels: Levels) -> RunFigures:
    """All figures of a run."""
    found = areas(watched, grid, thresholds.area, levels)
    columns = _columns(watched, thresholds)
    sums_DC = levels.sums(np.stack([np.asarray(each, np.float64) for each in columns.values()], axis=1))
    of = {name: sums_DC[:, c] for c, name in enumerate(columns)}
    figures = {
        **found.figures,
        "mean_cost": ratio(of["cost"], of["one"]),
        "mean_queries": ratio(of["queries"], of["one"]),
        "brier": ratio(of["brier"], of["one"]),
        "coverage_at_stop": ratio(of["covered"], of["to find"]),
        "risk_aupr": average_precision(watched.p_last_E, watched.truths.attack_E, levels),
    }
    if "stop right" in of:
        f1 = two_class_f1(of["stop right"], of["stop said"], of["attack"], of["one"])
        figures["f1_at_stop"] = np.where((of["attack"] > 0) & (of["attack"] < of["one"]), f1, np.nan)
    for name, counted in (("ttp_f1", "technique"), ("tamper_f1", "tampered")):
        if f"{counted} right" in of:
            true = of[f"{counted} true"]
            f1 = ratio(2 * of[f"{counted} right"], of[f"{counted} said"] + true)
            figures[name] = np.where(true > 0, f1, np.nan)
    spans = span_f1_of(np.stack([of[f"spans {at}"] for at in range(4)], axis=1))
    figures["tamper_span_f1"] = np.where(of["spans 3"] > 0, spans, np.nan)
    if thresholds.alarm.threshold is not None:
        figures["false_alarms"] = ratio(of["false alarm"], of["one"] - of["attack"])
        for k in STEPS:
            for name in ("ttd_at", "cost_at", "detected_at"):
                figures[f"{name} {k}"] = ratio(of[f"{name} {k}"], of["attack"])
    return RunFigures(figures=figures, f1_DG=found.f1_DG, coverage_DG=found.coverage_DG)


def _columns(watched: Watched, thresholds: Thresholds) -> dict[str, Floats | Bools | Ints]:
    """What is summed over episodes, by name."""
    truths, run = watched.truths, watched.run
    attack_E, E = truths.attack_E, len(truths)
    p_E = watched.p_last_E
    columns: dict[str, Floats | Bools | Ints] = {
        "one": np.ones(E),
        "attack": attack_E,
        "tampered true": truths.tampered_E,
        "cost": watched.paid_E,
        "queries": np.bincount(run.episode_N, run.cost_N > 0, E),
        "brier": np.square(p_E - attack_E),
        "to find": truths.to_find_E > 0,
        "covered": watched.covered_N[run.last_E] * (truths.to_find_E > 0),
    }
    said: list[tuple[str, float | None, Floats, Bools]] = [
        ("stop", thresholds.stop, p_E, attack_E),
        ("tampered", thresholds.tampered, watched.tampered_last_E, truths.tampered_E),
    ]
    for name, threshold, score_E, true_E in said:
        if threshold is not None:
            called_E = score_E >= threshold
            columns |= {f"{name} right": called_E & true_E, f"{name} said": called_E}
    if thresholds.technique is not None:
        named_D = run.score_D >= thresholds.technique
        columns |= {
            "technique right": np.bincount(run.episode_D[named_D & watched.declared_right_D], minlength=E),
            "technique said": np.bincount(run.episode_D[named_D], minlength=E),
            "technique true": truths.carried_E,
        }
    columns |= {f"spans {at}": watched.spans_E4[:, at] for at in range(4)}
    if thresholds.alarm.threshold is not None:
        columns |= _detection(watched, thresholds.alarm.threshold)
    return columns


def _detection(watched: Watched, threshold: float) -> dict[str, Floats | Bools | Ints]:
    """When attacks raise the alarm: steps and cost up to it, within K steps; a miss counts K, and what K steps cost."""
    run, attack_E = watched.run, watched.truths.attack_E
    step_N = np.arange(len(run.p_risk_N)) - run.first_E[run.episode_N]
    alarm_E = np.full(len(attack_E), np.iinfo(np.int64).max)
    raised = np.flatnonzero(run.p_risk_N >= threshold)
    np.minimum.at(alarm_E, run.episode_N[raised], step_N[raised])
    columns: dict[str, Floats | Bools | Ints] = {"false alarm": (watched.highest_E >= threshold) & ~attack_E}
    for k in STEPS:
        in_time_E = (alarm_E <= k) & attack_E
        until_E = np.minimum(alarm_E, k)
        paid_E = run.paid_N[np.minimum(run.first_E[:-1] + until_E, run.last_E)]
        columns |= {
            f"ttd_at {k}": until_E * attack_E,
            f"cost_at {k}": paid_E * attack_E,
            f"detected_at {k}": in_time_E,
        }
    return columns


def average_precision(p_E: Floats, attack_E: Bools, levels: Levels) -> Floats:
    """Average precision of probabilities of episodes in the sample and in each resample. (1 + D,)"""
    order = np.argsort(-p_E, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(p_E[order]) != 0, True])  # equals are called together
    parts = []
    for start in range(0, 1 + levels.draws, _BLOCK):
        weight = levels.weights_DU[start : start + _BLOCK, levels.unit_E[order]]
        called = np.cumsum(weight, axis=1)[:, ends]
        hits = np.cumsum(weight * attack_E[order], axis=1)[:, ends]
        precision = np.nan_to_num(ratio(hits, called))
        added = np.diff(hits, axis=1, prepend=0.0)
        parts.append(ratio((added * precision).sum(axis=1), hits[:, -1]))
    return np.concatenate(parts)


def first_cost(f1_DG: Floats, wanted_D: Floats, grid: Grid) -> Floats:
    """The lowest cost at which the F1 is first as high as wanted; NaN where it never is. (1 + D, G) -> (1 + D,)"""
    there_DG = f1_DG >= wanted_D[:, None] - 1e-9
    return np.where(there_DG.any(axis=1), grid.at_G[there_DG.argmax(axis=1)], np.nan)
