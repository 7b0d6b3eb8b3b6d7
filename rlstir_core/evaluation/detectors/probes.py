"""Leak probes: whether something that should say nothing gives the answer away.

For synthetic stores they are the generator's honesty gates. What does not belong here: the baselines (they are
trained in `detectors/`) and the report's words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from rlstir_core.detectors.experiment import Experiment
from rlstir_core.evaluation.report.inputs import LeakProbe
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import SplitGap

# N windows, F feature columns
STUMP_AUROC = 0.80
CLOCK_MARGIN = 0.08
METADATA_MARGIN = 0.08
GAP = (0.20, 0.45)
HELD_OUT = (0.45, 0.85)
_COLUMNS_AT_ONCE = 128


def leak_probes(
    experiment: Experiment, held: dict[str, Estimate], chance: float | None, gaps: Sequence[SplitGap]
) -> tuple[LeakProbe, ...]:
    """Every probe with its figure; a synthetic store must also show that it is no toy."""
    probes = [
        _over_chance("clock, macro F1 over chance", held.get("clock"), chance, CLOCK_MARGIN),
        _over_chance("metadata-only, macro F1 over chance", held.get("metadata-only"), chance, METADATA_MARGIN),
    ]
    if any(recording.row.synthetic for recording in experiment.test):
        auroc, column = best_stump(experiment)
        name = "stump on the best single feature, AUROC attack against rest"
        probes.append(_at_most(name, auroc, STUMP_AUROC, column))
        for gap in gaps:
            probes.append(_within(f"{gap.model}, random split over {experiment.plan.recipe} split", gap.gap.value, GAP))
            probes.append(_within(f"{gap.model}, macro F1 held out", gap.held_out.value, HELD_OUT))
    return tuple(probes)


def best_stump(experiment: Experiment) -> tuple[float, str]:
    """AUROC of the best single feature over all labelled windows, either way round, and its column."""
    schema = experiment.corpus.schema
    recordings = list(experiment.corpus.recordings.values())
    label_N = np.concatenate([recording.label_W for recording in recordings])
    x_NF = np.concatenate([recording.features_WF for recording in recordings])[label_N >= 0]
    attack_K = np.array([phase in schema.attack_phases for phase in schema.phases])
    attack_N = attack_K[label_N[label_N >= 0]]
    if attack_N.all() or not attack_N.any():
        return float("nan"), "only one side is present"
    auroc_F = feature_aurocs(x_NF, attack_N)
    auroc_F = np.maximum(auroc_F, 1 - auroc_F)
    best = int(auroc_F.argmax())
    return float(auroc_F[best]), experiment.corpus.columns[best]


def feature_aurocs(x_NF: NDArray[np.float32], positive_N: NDArray[np.bool_]) -> NDArray[np.float64]:
    """AUROC of each column for `positive_N` (Mann-Whitney), missing values below all others; (N, F) -> (F,)."""
    n_positive = int(positive_N.sum())
    n_negative = len(positive_N) - n_positive
    parts = []
    for at in range(0, x_NF.shape[1], _COLUMNS_AT_ONCE):
        block = np.nan_to_num(x_NF[:, at : at + _COLUMNS_AT_ONCE].astype(np.float64), nan=-1e30)
        ranks = rankdata(block, axis=0)
        total = ranks[positive_N].sum(axis=0) - n_positive * (n_positive + 1) / 2
        parts.append(total / (n_positive * n_negative))
    return np.concatenate(parts)


def _at_most(name: str, value: float, bound: float, detail: str) -> LeakProbe:
    if not np.isfinite(value):
        return LeakProbe(name=name, value=None, bound=bound, verdict="not measured", detail=detail)
    return LeakProbe(name=name, value=value, bound=bound, verdict="ok" if value <= bound else "leak", detail=detail)


def _over_chance(name: str, estimate: Estimate | None, chance: float | None, margin: float) -> LeakProbe:
    if estimate is None or estimate.value is None or chance is None:
        return LeakProbe(name=name, value=None, bound=margin, verdict="not measured")
    over = estimate.value - chance
    verdict = "ok" if over <= margin else "leak"
    return LeakProbe(name=name, value=over, bound=margin, verdict=verdict, detail=f"chance is {chance:.3f}")


def _within(name: str, value: float | None, bounds: tuple[float, float]) -> LeakProbe:
    low, high = bounds
    detail = f"a store that resembles real hosts lies between {low:.2f} and {high:.2f}"
    if value is None:
        return LeakProbe(name=name, value=None, bound=high, verdict="not measured", detail=detail)
    verdict = "ok" if low <= value <= high else "outside"
    return LeakProbe(name=name, value=value, bound=high, verdict=verdict, detail=detail)
