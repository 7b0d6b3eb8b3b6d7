"""Leak probes: whether something that should say nothing gives the answer away.

A synthetic store must also show that it is neither a toy nor out of reach. What does not belong here: the baselines
(they are trained in `detectors/`) and the report's words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from rlstir_core.contract.registry import MODES
from rlstir_core.detectors.blocks import in_blocks
from rlstir_core.detectors.episode_set import EpisodeSet
from rlstir_core.detectors.inputs import SummaryInputs, input_schema
from rlstir_core.detectors.study import Study
from rlstir_core.detectors.views import RECORDED
from rlstir_core.evaluation.report.inputs import LeakProbe
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import SplitGap
from rlstir_core.evaluation.stats.rules import VOID_MARGIN

# N windows, F feature columns
STUMP_AUROC = 0.80
GAP = (0.20, 0.45)
HELD_OUT = (0.45, 0.85)
_COLUMNS_AT_ONCE = 128
_STUMP_WINDOWS = 10_000  # drawn evenly over episodes and phases


def leak_probes(
    study: Study,
    episodes: EpisodeSet,
    held: dict[str, Estimate],
    chance: float | None,
    gaps: Sequence[SplitGap],
) -> tuple[LeakProbe, ...]:
    """Every probe with its figure; a synthetic store must also show that it is no toy."""
    probes = [
        _over_chance("clock, macro F1 over chance", held.get("clock"), chance, VOID_MARGIN),
        _over_chance("metadata-only, macro F1 over chance", held.get("metadata-only"), chance, VOID_MARGIN),
    ]
    if any(info.synthetic for info in study.split.tested):
        auroc, column = best_stump(episodes)
        name = "stump on the best single feature, AUROC attack against rest"
        probes.append(_at_most(name, auroc, STUMP_AUROC, column))
        if study.split.headline:
            for gap in gaps:
                probes.append(_within(f"{gap.model}, random split over {study.split.recipe} split", gap.gap.value, GAP))
                probes.append(_within(f"{gap.model}, macro F1 held out", gap.held_out.value, HELD_OUT))
    return tuple(probes)


def best_stump(episodes: EpisodeSet) -> tuple[float, str]:
    """AUROC of the best single feature over windows of all episodes, either way round, and its column."""
    schema = episodes.schema
    visible = {vantage for vantages in MODES.values() for vantage in vantages}
    channels = tuple(channel.name for channel in schema.channels if channel.vantage in visible)
    inputs = input_schema(schema, "oracle", "summary", channels)
    recordings = sorted(episodes.recordings.values(), key=episodes.place)  # type: ignore[arg-type]
    blocks = in_blocks(episodes, recordings, inputs, RECORDED, most=_STUMP_WINDOWS)
    attack_K = np.array([phase in schema.attack_phases for phase in schema.phases])
    attack_N = attack_K[blocks.windows.label_N]
    if attack_N.all() or not attack_N.any():
        return float("nan"), "only one side is present"
    x_NF = np.concatenate([block.x_NF for block in blocks if isinstance(block, SummaryInputs)])
    auroc_F = feature_aurocs(x_NF, attack_N)
    auroc_F = np.maximum(auroc_F, 1 - auroc_F)
    best = int(auroc_F.argmax())
    return float(auroc_F[best]), inputs.columns[best]


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
