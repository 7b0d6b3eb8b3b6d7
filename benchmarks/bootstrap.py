"""Bootstrap by episode against a loop over scikit-learn's f1_score, on the same draws, in one run.

The peer does the obvious thing: for every draw it puts the windows of the drawn episodes together and calls
f1_score. Ours works on per-episode confusion matrices. CPU time, median of interleaved rounds, JSON out.
What does not belong here: other hot paths.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from rlstir_core.evaluation.stats.intervals import Statistic, draw_indices, draw_weights
from rlstir_core.learning.scores import macro_f1

REQUIRED_RATIO = 100.0
TOLERANCE = 1e-6
PHASES = 5
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def world(episodes: int, windows: int, seed: int) -> tuple[Ints, Ints, Ints]:
    """True phases, predicted phases (right two times in three) and episodes of windows."""
    rng = np.random.default_rng(seed)
    y_N = rng.integers(0, PHASES, episodes * windows)
    predicted_N = np.where(rng.random(len(y_N)) < 0.67, y_N, rng.integers(0, PHASES, len(y_N)))
    return y_N, predicted_N, np.repeat(np.arange(episodes), windows)


def ours(y_N: Ints, predicted_N: Ints, episode_N: Ints, *, draws: int, seed: int) -> Floats:
    """Macro F1 of every draw, everything from the windows on counted."""
    draw_weights.cache_clear()
    cells = (episode_N * PHASES + y_N) * PHASES + predicted_N
    episodes = int(episode_N.max()) + 1
    sums = np.bincount(cells, minlength=episodes * PHASES**2).reshape(episodes, -1).astype(np.float64)
    every = np.ones(PHASES, np.bool_)
    return Statistic(sums_US=sums, of=lambda s: macro_f1(s, every)).resampled(draws, seed)


def peer(y_N: Ints, predicted_N: Ints, episode_N: Ints, *, draws: int, seed: int) -> Floats:
    """The same with f1_score on the windows of the drawn episodes."""
    episodes = int(episode_N.max()) + 1
    rows = [np.flatnonzero(episode_N == e) for e in range(episodes)]
    found = []
    for chosen in draw_indices(episodes, draws, seed):
        index = np.concatenate([rows[e] for e in chosen])
        found.append(f1_score(y_N[index], predicted_N[index], average="macro", labels=range(PHASES)))
    return np.array(found)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the comparison; `--quick` takes fewer draws and rounds, `--out` also writes the JSON to a file."""
    parser = argparse.ArgumentParser(description="bootstrap by episode against a loop over f1_score")
    parser.add_argument("--quick", action="store_true", help="fewer draws and rounds")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    options = parser.parse_args(argv)
    draws, rounds = (100, 3) if options.quick else (500, 5)
    data = world(episodes=100, windows=60, seed=1)
    ours_s: list[float] = []
    peer_s: list[float] = []
    difference = 0.0
    ours(*data, draws=draws, seed=0)  # the first call imports and warms up
    for seed in range(rounds):
        fast, seconds = _timed(partial(ours, *data, draws=draws, seed=seed))
        ours_s.append(seconds)
        slow, seconds = _timed(partial(peer, *data, draws=draws, seed=seed))
        peer_s.append(seconds)
        difference = max(difference, float(np.abs(fast - slow).max()))
    ratio = statistics.median(peer_s) / statistics.median(ours_s)
    result = {
        "name": "bootstrap",
        "what": "macro F1 of every draw, CPU seconds",
        "episodes": 100,
        "windows": len(data[0]),
        "draws": draws,
        "rounds": rounds,
        "ours_s": round(statistics.median(ours_s), 6),
        "peer_s": round(statistics.median(peer_s), 6),
        "ratio": round(ratio, 1),
        "required_ratio": REQUIRED_RATIO,
        "max_abs_difference": difference,
        "agrees": difference <= TOLERANCE,
        "ok": difference <= TOLERANCE and ratio >= REQUIRED_RATIO,
    }
    text = json.dumps(result, indent=1)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")
    return result


def _timed(work: Callable[[], Floats]) -> tuple[Floats, float]:
    started = time.process_time()
    found = work()
    return found, time.process_time() - started


if __name__ == "__main__":
    raise SystemExit(0 if main()["ok"] else 1)
