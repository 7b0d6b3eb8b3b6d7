"""Estimates of policies, and of one policy against the others on the same resamples.

What does not belong here: what is summed over episodes (`drawn.py`), and how intervals are made (`stats/levels.py`).
"""

# D draws and, before them, the sample itself; E episodes, G costs of the grid
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.evaluation.acting.drawn import RunFigures, draw, first_cost
from rlstir_core.evaluation.acting.records import (
    ALL_AT_ONCE,
    EVIDENCE_ORACLE,
    NO_QUERY,
    ORACLES,
    PPO,
    STEPS,
    Against,
    Curve,
    PolicyFigures,
    QueryUse,
    Thresholds,
)
from rlstir_core.evaluation.acting.watched import Grid, Watched
from rlstir_core.evaluation.stats.intervals import MIN_EPISODES, Estimate, refused
from rlstir_core.evaluation.stats.levels import Levels
from rlstir_core.evaluation.stats.paired import holm
from rlstir_core.learning.scores import ratio

_CURVE_POINTS = 41
_UNBOUNDED = ("mean_cost", "mean_queries", "ttd_at", "cost_at", "equal_f1_cost", "f1_span_share", "coverage_span_share")
_NO_ATTACK = "validation or test has no attack"
_NO_ROW = "no test episode has a labelled row"
_NO_SPAN = f"without {NO_QUERY} and an {EVIDENCE_ORACLE} that is better there is no span"
_UNDEFINED = {
    "f1_cost_auc": _NO_ATTACK,
    "f1_at_budget": _NO_ATTACK,
    "f1_at_stop": _NO_ATTACK,
    "risk_aupr": "no test episode is an attack",
    "ttp_f1": "nothing that is declared on validation is right, or no test episode carries a technique",
    "tamper_f1": "no validation or no test episode was tampered with",
    "tamper_span_f1": "no test episode was tampered with",
    "coverage_cost_auc": _NO_ROW,
    "coverage_at_budget": _NO_ROW,
    "coverage_at_stop": _NO_ROW,
    "equal_f1_cost": "the F1 of asking everything is not reached within the budget",
    "f1_span_share": _NO_SPAN,
    "coverage_span_share": _NO_SPAN,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyDraws:
    """A policy's figures in the sample and in each resample, over its seeds."""

    seeds: tuple[int, ...]
    drawn: RunFigures
    queries: tuple[QueryUse, ...]


def judged(runs: Sequence[Watched], grid: Grid, thresholds: Thresholds, levels: Levels) -> PolicyDraws:
    """All figures of one policy from its runs, one a seed."""
    policy = runs[0].run.policy
    parts = [draw(run, grid, thresholds, levels) for run in runs]
    return PolicyDraws(
        seeds=tuple(run.run.seed for run in runs),
        drawn=over_seeds(policy, parts, levels),
        queries=_queries(runs, levels),
    )


def over_seeds(policy: str, parts: Sequence[RunFigures], levels: Levels) -> RunFigures:
    """The means of a policy's figures and curves over its seeds."""
    return RunFigures(
        figures={name: levels.over_seeds(policy, [part.figures[name] for part in parts]) for name in parts[0].figures},
        f1_DG=levels.over_seeds(policy, [part.f1_DG for part in parts]),
        coverage_DG=levels.over_seeds(policy, [part.coverage_DG for part in parts]),
    )


def set_against_others(found: dict[str, PolicyDraws], grid: Grid) -> None:
    """Adds the figures that need another policy: shares of the span, and the cost of the F1 of asking everything."""
    for name, each in found.items():
        more = {
            f"{area}_span_share": span_share(each.drawn.figures[f"{area}_cost_auc"], *_ends(found, f"{area}_cost_auc"))
            for area in ("f1", "coverage")
        }
        everything = found.get(ALL_AT_ONCE)
        if everything is not None and "f1_at_stop" in everything.drawn.figures:
            cost_D = first_cost(each.drawn.f1_DG, everything.drawn.figures["f1_at_stop"], grid)
            more["equal_f1_cost"] = ratio(cost_D, everything.drawn.figures["mean_cost"])
        found[name] = replace(each, drawn=replace(each.drawn, figures={**each.drawn.figures, **more}))


def _ends(found: Mapping[str, PolicyDraws], area: str) -> tuple[Floats | None, Floats | None]:
    none, oracle = found.get(NO_QUERY), found.get(EVIDENCE_ORACLE)
    return (
        none.drawn.figures[area] if none is not None else None,
        oracle.drawn.figures[area] if oracle is not None else None,
    )


def span_share(area_D: Floats, none_D: Floats | None, oracle_D: Floats | None) -> Floats:
    """(area - no query) / (evidence oracle - no query); NaN where the oracle is no better than no query."""
    if none_D is None or oracle_D is None:
        return np.full(len(area_D), np.nan)
    span_D = oracle_D - none_D
    return ratio(area_D - none_D, np.where(span_D > 0, span_D, 0.0))


def against_all(found: Mapping[str, PolicyDraws], about: str, levels: Levels) -> dict[str, Against]:
    """The policy that is spoken of against every other one; Holm's correction over the rivals of an area."""
    rows: dict[str, Against] = {}
    p_of: dict[tuple[str, str], float] = {}
    for name, other in found.items():
        if name == about:
            continue
        seeds = max(len(found[about].seeds), len(other.seeds))
        cells: dict[str, Estimate] = {}
        for area in ("f1", "coverage"):
            mine_D, other_D = (each.drawn.figures[f"{area}_cost_auc"] for each in (found[about], other))
            no = _UNDEFINED[f"{area}_cost_auc"]
            cells[area] = levels.estimate(mine_D - other_D, bounded=False, undefined=no, seeds=seeds)
            cells[f"{area}_ratio"] = levels.estimate(
                ratio(mine_D, other_D), bounded=False, undefined=f"{no}, or the other area is 0", seeds=seeds
            )
            p = levels.p_of(mine_D - other_D)
            if p is not None and is_rival(name, about):
                p_of[name, area] = p
        rows[name] = Against(
            f1_cost_auc=cells["f1"],
            coverage_cost_auc=cells["coverage"],
            f1_ratio=cells["f1_ratio"],
            coverage_ratio=cells["coverage_ratio"],
        )
    corrected: dict[tuple[str, str], float] = {}
    for area in ("f1", "coverage"):  # two headlines, two families
        family = {key: p for key, p in p_of.items() if key[1] == area}
        corrected |= zip(family, holm(list(family.values())), strict=True)
    return {
        name: msgspec.structs.replace(
            each, p_f1=corrected.get((name, "f1")), p_coverage=corrected.get((name, "coverage"))
        )
        for name, each in rows.items()
    }


def is_rival(name: str, about: str) -> bool:
    """Whether a policy competes: oracles see labels, and variants of PPO are no rivals of it."""
    return name != about and name not in ORACLES and not name.startswith(f"{PPO}_")


def policy_figures(name: str, each: PolicyDraws, thresholds: Thresholds, grid: Grid, levels: Levels) -> PolicyFigures:
    """The estimates of one policy."""
    drawn, seeds = each.drawn.figures, len(each.seeds)
    no_alarm = thresholds.alarm.note

    def of(figure: str, missing: str = "") -> Estimate:
        kind = figure.partition(" ")[0]
        said = missing or _UNDEFINED.get(kind, "")
        if figure not in drawn:
            return refused(said or f"{ALL_AT_ONCE} was not run", unit=levels.unit)
        return levels.estimate(drawn[figure], bounded=kind not in _UNBOUNDED, undefined=said, seeds=seeds)

    return PolicyFigures(
        seeds=each.seeds,
        **{field: of(field) for field in PLAIN},
        ttd_at={str(k): of(f"ttd_at {k}", no_alarm) for k in STEPS},
        cost_at={str(k): of(f"cost_at {k}", no_alarm) for k in STEPS},
        detected_at={str(k): of(f"detected_at {k}", no_alarm) for k in STEPS},
        false_alarms=of("false_alarms", no_alarm),
        thresholds=thresholds,
        curve_f1=_curve(each.drawn.f1_DG, grid, levels),
        curve_coverage=_curve(each.drawn.coverage_DG, grid, levels),
        queries=each.queries,
    )


PLAIN = (
    "f1_cost_auc",
    "f1_span_share",
    "f1_at_budget",
    "coverage_cost_auc",
    "coverage_span_share",
    "coverage_at_budget",
    "equal_f1_cost",
    "mean_cost",
    "f1_at_stop",
    "coverage_at_stop",
    "mean_queries",
    "risk_aupr",
    "brier",
    "ttp_f1",
    "tamper_f1",
    "tamper_span_f1",
)


def _curve(of_DG: Floats, grid: Grid, levels: Levels) -> Curve:
    """The curve at the costs of the grid, or at fewer where it has many; nothing where it is not defined."""
    if not np.isfinite(of_DG[0]).all():
        return Curve(cost=(), value=())
    at = np.union1d(grid.at_G, [0.0, grid.budget])
    if len(at) > _CURVE_POINTS:
        at = np.linspace(0, grid.budget, _CURVE_POINTS)
    place = np.maximum(np.searchsorted(grid.at_G, at, side="right") - 1, 0)
    cost, value = _short(at), _short(of_DG[0, place])
    if len(levels.host_E) < MIN_EPISODES or not np.isfinite(of_DG[1:]).any(axis=0).all():
        return Curve(cost=cost, value=value)
    lo_G, hi_G = levels.band(of_DG)
    return Curve(cost=cost, value=value, lo=_short(lo_G[place]), hi=_short(hi_G[place]))


def _short(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)


def _queries(runs: Sequence[Watched], levels: Levels) -> tuple[QueryUse, ...]:
    """What one policy asked, the query that most cases asked first; means over all its runs."""
    policy, names = runs[0].run.policy, sorted({run.run.actions[a] for run in runs for a in run.queries})
    found = []
    for name in names:
        parts = [_use(run, name) for run in runs]
        share_SD = [levels.sums(part.asked_E[:, None])[:, 0] / len(part.asked_E) for part in parts]
        asks = sum(part.asks for part in parts)
        attacks = sum(part.attacks for part in parts)
        found.append(
            QueryUse(
                query=name,
                share=levels.estimate(levels.over_seeds(policy, share_SD), seeds=len(runs)),
                mean_step=float(np.mean(np.concatenate([part.first for part in parts]))),
                cost=sum(part.paid for part in parts) / asks,
                brought=sum(part.brought for part in parts) / attacks if attacks else None,
            )
        )
    return tuple(sorted(found, key=lambda use: (-(use.share.value or 0.0), use.query)))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Use:
    """A query in one run."""

    asked_E: Floats
    first: Floats  # the step of the first time in each case that asked it
    asks: int
    paid: float
    attacks: int  # that asked it
    brought: int  # attacks in which it found a technique's first row


def _use(watched: Watched, name: str) -> _Use:
    run, E = watched.run, len(watched.truths)
    action = run.actions.index(name) if name in run.actions else -1
    asked = np.flatnonzero(run.action_N == action)
    of_E, first = np.unique(run.episode_N[asked], return_index=True)
    asked_E = np.zeros(E)
    asked_E[of_E] = 1.0
    brought_E = np.bincount(run.episode_N[asked], watched.new_N[asked], E) > 0
    return _Use(
        asked_E=asked_E,
        first=(asked[first] - run.first_E[of_E]).astype(np.float64),
        asks=len(asked),
        paid=float(run.cost_N[asked].sum()),
        attacks=int(asked_E[watched.truths.attack_E].sum()),
        brought=int(brought_E[watched.truths.attack_E].sum()),
    )
