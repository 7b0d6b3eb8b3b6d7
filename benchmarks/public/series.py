"""Series of the UEA and UCR archives, trained and tested on the sides that their authors chose.

A series' score is the share of seeds at which its class is named; series are resampled. What does not belong here: how
a split is trained and evaluated (`run.py`).
"""

# E series, N train series
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.public.page import Row, Section
from benchmarks.public.run import Judged, brought, judged
from rlstir_core.arrays import Floats
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.detectors.scenes import TEST
from rlstir_core.evaluation.stats.intervals import Estimate, Statistic, estimate
from rlstir_core.learning.options import StudyOptions
from rlstir_core.learning.scores import ratio
from rlstir_core.progress import Tell

FOLDER = "ts_uea"
SETS = ("BasicMotions", "GunPoint")
NEAREST = "1-nearest neighbour"


def measured(shared: Path, root: Path, seeds: Sequence[int], draws: int, tell: Tell) -> Section:
    """Accuracy of every row on every set."""
    cells: dict[str, dict[str, list[Floats]]] = {}  # {row: {set: (E,) of 0 and 1 for each seed}}
    for name in SETS:
        data = brought(shared / FOLDER / name, "uea", root / name)
        for seed in seeds:
            options = StudyOptions(recipe="host", split=SplitSettings(train_hosts=("train",), seed=seed))
            found = judged(data, options, lambda text, at=f"{name}, seed {seed}": tell(f"{at}: {text}"))
            for row, pairs in found.pairs.items():
                truth, scores = pairs[TEST]
                right_E = (scores.predicted_N == truth.y_N).astype(np.float64)
                cells.setdefault(row, {}).setdefault(name, []).append(right_E)
        cells.setdefault(NEAREST, {})[name] = [_nearest(found)]
    rows = tuple(
        Row(name=row, cells={f"{name}, accuracy": _accuracy(of[name], draws) for name in SETS})
        for row, of in cells.items()
    )
    return Section(
        title="Series of the UEA and UCR archives",
        words=f"The archives' own train and test sides; each figure is a mean over {len(seeds)} seeds "
        f"({', '.join(map(str, seeds))}). Intervals resample series; a figure of 1 has the exact bound.",
        rows=rows,
        data=FOLDER,
    )


def _accuracy(right: list[Floats], draws: int) -> Estimate:
    mean_E = np.mean(right, axis=0)
    sums_ES = np.stack([mean_E, np.ones(len(mean_E))], axis=1)
    return estimate(Statistic(sums_US=sums_ES, of=lambda s: ratio(s[..., 0], s[..., 1])), draws=draws)


def _nearest(found: Judged) -> Floats:
    """Whether the nearest train series (Euclidean, as recorded) has the class, (E,)."""
    split = found.study.split
    episodes = found.study.load(split.episodes)
    train, test = (episodes.select(info.episode_id for info in side) for side in (split.trained_on, split.tested))
    flat_ND, flat_ED = (np.array([np.nan_to_num(each.x_CT).ravel() for each in side]) for side in (train, test))
    label_N = np.array([int(each.label_W[0]) for each in train])
    gap_EN = ((flat_ED[:, None] - flat_ND[None]) ** 2).sum(axis=2)
    return np.asarray(label_N[gap_EN.argmin(axis=1)] == [int(each.label_W[0]) for each in test], np.float64)
