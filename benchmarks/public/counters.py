"""Hardware counters of program runs, benign or ransomware: accuracy after so many steps, over several splits by run.

A run's score is the share of prefixes at which it is named rightly; runs are resampled, each with all the splits in
which it was tested. Beside the detectors: XGBoost on raw summaries of the same prefixes. What does not belong here:
how a split is trained and evaluated (`run.py`).
"""

# E runs, P prefixes, S splits, C counters, T steps
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xgboost as xgb

from benchmarks.public.page import Row, Section
from benchmarks.public.run import Judged, brought, judged
from rlstir_core.arrays import Floats
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.detectors.episode_set import Recording
from rlstir_core.detectors.scenes import TEST, scenes
from rlstir_core.evaluation.report.sections.verdict import chosen_model
from rlstir_core.evaluation.stats.intervals import Estimate, Statistic, estimate
from rlstir_core.evaluation.stats.paired import minus
from rlstir_core.learning.options import StudyOptions
from rlstir_core.learning.scores import ratio
from rlstir_core.progress import Tell

FOLDER, FILE = "hpc_hiper", "runs.csv.gz"
CHOSEN = "chosen on validation"
RAW = "XGBoost on raw summaries"
_ROUNDS, _DEPTH = 200, 4

Hits = dict[str, dict[str, list[Floats]]]  # {row: {run: one (P,) of 0 and 1 for each split that tested it}}


def measured(shared: Path, root: Path, seeds: Sequence[int], draws: int, tell: Tell) -> Section:
    """The table of every row; RAW is what the last column compares with."""
    data = brought(shared / FOLDER / FILE, "hiper", root)
    hits: Hits = {}
    steps: list[int] = []
    for seed in seeds:
        options = StudyOptions(recipe="sample", split=SplitSettings(seed=seed))
        found = judged(data, options, lambda text, seed=seed: tell(f"hardware counters, split {seed}: {text}"))
        steps = _steps(found)
        of_split = {name: _right(pairs, steps, found) for name, pairs in found.pairs.items()}
        of_split[RAW] = _raw_summaries(found, steps, seed)
        chosen = chosen_model(found.inputs)
        if chosen is not None:
            of_split[CHOSEN] = of_split[chosen[0].name]
        for name, right in of_split.items():
            for run, right_P in right.items():
                hits.setdefault(name, {}).setdefault(run, []).append(right_P)
    mean = {name: _statistic(of, slice(None)) for name, of in hits.items()}
    rows = []
    for name, of in hits.items():
        cells: dict[str, Estimate | str] = {"mean over prefixes": estimate(mean[name], draws=draws)}
        for place, at in enumerate(steps):
            cells[f"{at} steps"] = estimate(_statistic(of, slice(place, place + 1)), draws=draws)
        if name != RAW:
            cells[f"mean minus {RAW}"] = estimate(minus(mean[name], mean[RAW]), draws=draws)
        rows.append(Row(name=name, cells=cells))
    n = len(next(iter(hits.values())))
    return Section(
        title="Hardware counters: benign or ransomware",
        words=f"Accuracy of naming a program run from its first steps. {len(seeds)} splits by run (recipe `sample`, "
        f"seeds {', '.join(map(str, seeds))}), {n} runs tested in at least one of them; {CHOSEN} is, split by split, "
        "the detector with the best validation macro F1. Intervals resample runs.",
        rows=tuple(rows),
        data=FOLDER,
    )


def _steps(found: Judged) -> list[int]:
    windowing = found.study.schema.windowing
    lengths = {scene.prefix_bins for scene in scenes(found.study.schema) if scene.prefix_bins}
    return sorted({*lengths, round(windowing.length_s * windowing.bin_hz)})


def _scene(found: Judged, at: int) -> str:
    return next((s.name for s in scenes(found.study.schema) if s.prefix_bins == at), TEST)


def _right(pairs: dict[str, tuple], steps: Sequence[int], found: Judged) -> dict[str, Floats]:
    """Whether each run was named rightly at each prefix, {run: (P,)}."""
    right: dict[str, list[float]] = {}
    for at in steps:
        truth, scores = pairs[_scene(found, at)]
        for place, hit in zip(truth.episode_N, scores.predicted_N == truth.y_N, strict=True):
            right.setdefault(str(truth.episodes.episode_id[place]), []).append(float(hit))
    return {run: np.array(hits) for run, hits in right.items()}


def _raw_summaries(found: Judged, steps: Sequence[int], seed: int) -> dict[str, Floats]:
    """What stands beside: boosted trees on mean, deviation, least, most and last of the counters as recorded."""
    split = found.study.split
    episodes = found.study.load(split.episodes)
    train, test = (episodes.select(info.episode_id for info in side) for side in (split.trained_on, split.tested))
    x_NF = np.concatenate([_summaries(train, at) for at in steps])
    label_N = np.tile([int(each.label_W[0]) for each in train], len(steps))
    trees = xgb.train(
        {"objective": "binary:logistic", "max_depth": _DEPTH, "eta": 0.1, "subsample": 0.8, "nthread": 1, "seed": seed},
        xgb.DMatrix(x_NF, label=label_N, nthread=1),
        _ROUNDS,
    )
    truth_E = np.array([int(each.label_W[0]) for each in test])
    right_PE = [(trees.predict(xgb.DMatrix(_summaries(test, at), nthread=1)) > 0.5) == truth_E for at in steps]
    return {each.info.episode_id: np.array(right_PE, np.float64)[:, e] for e, each in enumerate(test)}


def _summaries(recordings: Sequence[Recording], at: int) -> Floats:
    """(E, 5 C): channels are asinh of what was counted."""
    rows = []
    for each in recordings:
        raw_CT = np.sinh(np.asarray(each.x_CT[:, :at], np.float64))
        parts = (np.nanmean, np.nanstd, np.nanmin, np.nanmax)
        rows.append(np.concatenate([*(of(raw_CT, axis=1) for of in parts), raw_CT[:, -1]]))
    return np.array(rows)


def _statistic(of: dict[str, list[Floats]], prefixes: slice) -> Statistic:
    """Hits by what was asked, a unit a run: (E, 2)."""
    runs = sorted(of)
    asked = [np.concatenate([right_P[prefixes] for right_P in of[run]]) for run in runs]
    sums_ES = np.array([[hits.sum(), len(hits)] for hits in asked])
    return Statistic(sums_US=sums_ES, of=lambda s: ratio(s[..., 0], s[..., 1]))
