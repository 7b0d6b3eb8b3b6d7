"""Episodes written down window by window, for figures that can be counted by hand.

What does not belong here: any expectation, and worlds drawn at random (`conftest.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from rlstir_core.contract.registry import Windowing
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.detectors.episode_set import Recording
from rlstir_core.evaluation.detectors.detection import Threshold
from rlstir_core.evaluation.stats.scored import Episodes, Scores, Truth
from rlstir_core.telemetry.windows import window_grid

QUIET, ATTACK = 0, 1
AT_HALF = Threshold(fpr=0.01, values={0: 0.5}, n_negatives=1000)


def world(stories: Sequence[Sequence[tuple[float, int, float]]], **of_episode: object) -> tuple[Truth, Scores]:
    """Episodes as lists of (window begin, label, attack probability)."""
    rows = [(e, *window) for e, story in enumerate(stories) for window in story]
    episode_N, begin_N, y_N, attack_N = (np.array(column) for column in zip(*rows, strict=True))
    names = np.array([f"ep-{e}" for e in range(len(stories))])
    known = {
        "episode_id": names,
        "host": np.full(len(names), "h"),
        "profile": np.full(len(names), "io-walk"),
        "sample": np.full(len(names), "s"),
        "benign": np.full(len(names), False),
        "complete": np.full(len(names), True),
        "duration_s": np.full(len(names), 100.0),
    } | of_episode
    truth = Truth(
        phases=("clean", "infecting"),
        attack=(False, True),
        episode_N=episode_N,
        y_N=y_N,
        purity_N=np.ones(len(rows)),
        end_s_N=begin_N + 10,
        since_onset_s_N=np.full(len(rows), np.nan),
        episodes=Episodes(**known),  # type: ignore[arg-type]
        begin_s_N=begin_N,
    )
    proba_NK = np.stack([1 - attack_N, attack_N], axis=1)
    return truth, Scores(name="m", model="m", mode="realistic", proba_NK=proba_NK)


WINDOWING = Windowing(bin_hz=10.0, length_s=10.0, stride_s=5.0)


class Schema:
    windowing = WINDOWING
    phases = ("clean", "infecting")


def recording(name: str, labels: list[int], **changes: Any) -> Recording:
    info = EpisodeInfo(
        episode_id=name,
        host="host-a",
        profile="io-walk",
        sample="s1",
        benign=False,
        complete=False,
        t_start_wall_ns=0,
        t_end_wall_ns=1,
        content_sha256="",
    )
    n_bins = 50 * len(labels) + 50
    return Recording(
        info=msgspec.structs.replace(info, **changes),
        n_bins=n_bins,
        grid=window_grid(n_bins, WINDOWING),
        known_C=np.ones(1, bool),
        label_W=np.array(labels),
        purity_W=np.ones(len(labels), np.float32),
        since_onset_W=np.full(len(labels), np.nan),
        open=lambda: np.empty((0, 0), np.float32),
    )
