"""Differences between models on the same episodes and the same resamples, and Holm's correction.

What does not belong here: differences between test sets (`intervals.independent_gap`).
"""

# E episodes, D draws
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from rlstir_core.arrays import Bools, Floats
from rlstir_core.detectors.models.spec import ENSEMBLE
from rlstir_core.evaluation.stats import counts
from rlstir_core.evaluation.stats.across import Sums, tested_in
from rlstir_core.evaluation.stats.intervals import (
    MIN_BOOTSTRAP,
    MIN_EPISODES,
    Estimate,
    Statistic,
    estimate,
    jackknife_error,
    new_host_estimate,
    refused,
)
from rlstir_core.evaluation.stats.metrics import NO_PHASE
from rlstir_core.evaluation.stats.records import PairedDifference
from rlstir_core.evaluation.stats.scored import Scores, Truth, check_pair
from rlstir_core.learning.scores import macro_f1

PAIRED_DRAWS = 10_000  # the smallest p is 2 / (draws + 1), and Holm multiplies it by the family's size


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm 1979), in the order given."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return [float(value) for value in corrected]


def minus(one: Statistic, other: Statistic) -> Statistic:
    """The one figure minus the other, for figures of the same units, so that resamples are the same."""
    S = one.sums_US.shape[1]
    exact = None if one.exact is None or other.exact is None else one.exact - other.exact
    return Statistic(
        sums_US=np.concatenate([one.sums_US, other.sums_US], axis=1),
        of=lambda sums: one.of(sums[..., :S]) - other.of(sums[..., S:]),
        bounded=False,
        exact=exact,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Contender:
    """What a comparison needs to keep of one model's scores."""

    name: str
    model: str
    mode: str
    confusion_ES: Floats


def contender(truth: Truth, scores: Scores) -> Contender:
    """The scores as sums over episodes."""
    check_pair(truth, scores)
    sums = counts.confusion_sums(truth, scores.predicted_N)
    return Contender(name=scores.name, model=scores.model, mode=scores.mode, confusion_ES=sums)


def default_family(models: Sequence[Contender], baselines: Sequence[Contender]) -> list[tuple[Contender, Contender]]:
    """The report's questions: realistic models against baselines, oracle against realistic, an ensemble's gain."""
    realistic = {scores.model: scores for scores in models if scores.mode == "realistic"}
    pairs = [(scores, baseline) for scores in realistic.values() for baseline in baselines]
    pairs += [(s, realistic[s.model]) for s in models if s.mode != "realistic" and s.model in realistic]
    if ENSEMBLE in realistic:
        pairs += [(realistic[ENSEMBLE], other) for name, other in realistic.items() if name != ENSEMBLE]
    return pairs


def paired_differences(
    truth: Truth, pairs: Sequence[tuple[Contender, Contender]], *, draws: int = PAIRED_DRAWS, seed: int = 0
) -> tuple[PairedDifference, ...]:
    """Macro F1 of the first minus the second of every pair, with p-values, and Holm's over all pairs."""
    tested_K = counts.tested_phases(truth)
    host_E = truth.episodes.host[truth.scored_E]
    rows: list[tuple[Contender, Contender, Estimate, float | None]] = []
    for model, reference in pairs:
        gap, p = _difference(model.confusion_ES, reference.confusion_ES, tested_K, draws, seed)
        rows.append((model, reference, gap, p))
    corrected = iter(holm([p for *_, p in rows if p is not None]))
    return tuple(
        PairedDifference(
            model=model.name,
            reference=reference.name,
            difference=gap,
            p=p,
            p_holm=None if p is None else next(corrected),
            new_host=new_host_estimate(_minus(model.confusion_ES, reference.confusion_ES, tested_K), host_E)
            if tested_K.any()
            else None,
        )
        for model, reference, gap, p in rows
    )


def paired_macro_f1(first: Sums, second: Sums, n_phases: int, *, draws: int = PAIRED_DRAWS) -> Estimate:
    """Macro F1 of the first minus the second, of the same episodes in their order, over the phases these can score."""
    return _difference(first.sums_ES, second.sums_ES, tested_in(first, n_phases), draws, 0)[0]


def _minus(model_ES: Floats, reference_ES: Floats, tested_K: Bools) -> Statistic:
    one, other = (Statistic(sums_US=sums, of=lambda s: macro_f1(s, tested_K)) for sums in (model_ES, reference_ES))
    return minus(one, other)


def _difference(
    model_ES: Floats, reference_ES: Floats, tested_K: Bools, draws: int, seed: int
) -> tuple[Estimate, float | None]:
    if not tested_K.any():
        return refused(NO_PHASE), None
    statistic = _minus(model_ES, reference_ES, tested_K)
    gap = estimate(statistic, draws=draws, seed=seed)
    if gap.lo is None or gap.value is None:
        return gap, None
    if MIN_EPISODES <= len(model_ES) < MIN_BOOTSTRAP:
        error = jackknife_error(statistic.leave_one_out())
        if error == 0:
            return gap, 1.0 if gap.value == 0 else 0.0
        return gap, float(2 * special.stdtr(len(model_ES) - 1, -abs(gap.value) / error))
    drawn = statistic.resampled(draws, seed)
    drawn = drawn[np.isfinite(drawn)]
    # two-sided, from the share of resamples on the other side of zero; +1 so that no p is 0
    # (Davison and Hinkley 1997, eq. 4.11)
    tails = (1 + np.array([(drawn <= 0).sum(), (drawn >= 0).sum()])) / (len(drawn) + 1)
    return gap, float(min(1.0, 2 * tails.min()))
