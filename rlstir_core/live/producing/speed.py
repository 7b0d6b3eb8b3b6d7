"""How fast every detector is on this machine, measured now: a window at a time, and whole episodes.

A time is no function of the inputs, so it is published and kept nowhere. What does not belong here: what an evaluation
took (`rlstir_core/evaluation/detectors/cost.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from rlstir_core.datasets.split import Split
from rlstir_core.detectors.checkpoint import Checkpoint, Members
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.single import SingleEpisode, first_windows, spoken_single, standing_of
from rlstir_core.evaluation.detectors.scoring import Scorer
from rlstir_core.learning.devices import device
from rlstir_core.live.contract import PerfData

_WARM = 2  # calls that are not timed
_MOST_CALLS, _MOST_S = 200, 2.0  # of one detector


def speeds(
    scorer: Scorer, single: SingleEpisode, *, clock: Callable[[], float] = time.perf_counter
) -> Iterator[PerfData]:
    """Of every checkpoint: from the bins of one window to what all its members say of it, again and again."""
    for each in scorer.loaded:
        if isinstance(each.checkpoint, Checkpoint):
            yield _speed(each.checkpoint, each.members, scorer.split, single, clock)


def _speed(
    checkpoint: Checkpoint, members: Members, split: Split | None, single: SingleEpisode, clock: Callable[[], float]
) -> PerfData:
    n_windows = len(single.recording.grid.start_W)
    place = standing_of(checkpoint, split, single.recording.info)

    def took(make: Callable[[], SingleEpisode]) -> float:
        since = clock()
        spoken_single(members, checkpoint.input_schema, make(), place)
        return clock() - since

    for _ in range(_WARM):
        took(lambda: first_windows(single, 1))
    began, times = clock(), list[float]()
    while not times or (len(times) < _MOST_CALLS and clock() - began < _MOST_S):
        times.append(took(lambda: first_windows(single, 1)))
    whole_s = min(took(lambda: first_windows(single, n_windows)) for _ in range(3))
    p50, p95 = np.percentile(times, [50, 95])
    return PerfData(
        model=f"{checkpoint.model}_{checkpoint.mode}",
        windows_per_s=n_windows / max(whole_s, 1e-9),
        p50_ms=1000 * float(p50),
        p95_ms=1000 * float(p95),
        n=len(times),
        device=device("auto").type if MODELS[checkpoint.model].device == "gpu" else "cpu",
    )
