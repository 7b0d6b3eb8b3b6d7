"""The random split: what `gbt` says where windows of one episode stand on both sides.

It is the field's habit and no honest figure; the evaluation shows it beside the held-out one. What does not belong
here: the recipes (`datasets/recipes/`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.atomic import replacing
from rlstir_core.detectors.blocks import Blocks, in_blocks, one_block
from rlstir_core.detectors.episode_set import EpisodeSet
from rlstir_core.detectors.inputs import SummaryInputs, Windows
from rlstir_core.detectors.models.gbt import GradientBoostedTrees
from rlstir_core.detectors.study import Study
from rlstir_core.detectors.views import RECORDED

# N windows
_SHARES = (0.6, 0.1, 0.3)  # train, validation, test


def write_random_split(study: Study, episodes: EpisodeSet, mode: str) -> Path:
    """Trains `gbt` on random windows of every episode and writes what it says of the rest."""
    inputs = study.input_schema("summary", mode)
    n_phases = len(inputs.phases)
    recordings = sorted(episodes.recordings.values(), key=episodes.place)  # type: ignore[arg-type]
    most = round(study.numbers.train.max_train_windows / _SHARES[0])
    parts = [
        _part(block, side)
        for block in in_blocks(episodes, recordings, inputs, RECORDED, most=most)
        for side in range(len(_SHARES))
    ]
    train, validation, test = (_joined(parts[side :: len(_SHARES)], n_phases) for side in range(len(_SHARES)))
    detector = GradientBoostedTrees()
    detector.fit([train], [validation], n_phases, study.numbers, lambda _: None)
    path = study.layout.predictions(study.options.recipe, "gbt-random-split", mode)
    proba_NK = np.concatenate([detector.predict_proba(block) for block in test])
    windows = test.windows
    columns = {
        "episode_id": pa.array(np.array(windows.episodes, dtype=object)[windows.episode_N], pa.string()),
        "window": pa.array(windows.window_N.astype(np.int32)),
        "seconds_seen": pa.array(windows.seconds_seen_N),
        **{f"p_{phase}": pa.array(np.ascontiguousarray(proba_NK[:, k])) for k, phase in enumerate(inputs.phases)},
    }
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")
    return path


def _part(inputs: object, side: int) -> SummaryInputs:
    assert isinstance(inputs, SummaryInputs)
    chosen = _sides(inputs.windows) == side
    return SummaryInputs(windows=inputs.windows.select(chosen), x_NF=inputs.x_NF[chosen])


def _sides(windows: Windows) -> NDArray[np.int64]:
    """Train 0, validation 1, test 2, by a hash of the window's place."""
    names = [
        f"random/{windows.episodes[episode]}/{window}"
        for episode, window in zip(windows.episode_N.tolist(), windows.window_N.tolist(), strict=True)
    ]
    uniform_N = np.array([int.from_bytes(hashlib.sha256(n.encode()).digest()[:8], "big") / 2**64 for n in names])
    return np.searchsorted(np.cumsum(_SHARES)[:-1], uniform_N, side="right")


def _joined(parts: list[SummaryInputs], n_phases: int) -> Blocks:
    """Blocks of windows as one."""
    offsets = np.cumsum([0, *(len(part.windows.episodes) for part in parts)])
    windows = Windows(
        episodes=tuple(episode for part in parts for episode in part.windows.episodes),
        episode_N=np.concatenate([p.windows.episode_N + at for p, at in zip(parts, offsets, strict=False)]),
        **{
            name: np.concatenate([getattr(part.windows, name) for part in parts])
            for name in ("window_N", "label_N", "purity_N", "seconds_seen_N", "since_onset_N")
        },
    )
    return one_block(SummaryInputs(windows=windows, x_NF=np.concatenate([part.x_NF for part in parts])), n_phases)
