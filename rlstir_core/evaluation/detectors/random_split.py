"""The random split: what the same model scores when windows of one episode stand on both sides.

It is the field's habit and not an honest figure; it stands beside the held-out one to show the gap. What does
not belong here: the recipes that count (`splits/`).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from rlstir_core.detectors.experiment import Experiment, make_inputs, model_input_schema
from rlstir_core.detectors.inputs import SummaryInputs, Windows
from rlstir_core.detectors.trees import GradientBoostedTrees
from rlstir_core.detectors.views import RECORDED
from rlstir_core.evaluation.detectors.scenes import episodes_of
from rlstir_core.evaluation.stats.intervals import Estimate, independent_gap
from rlstir_core.evaluation.stats.metrics import macro_f1
from rlstir_core.evaluation.stats.records import SplitGap
from rlstir_core.evaluation.stats.scored import Scores, Truth
from rlstir_core.learning.presets import preset

# N windows
_SHARES = (0.6, 0.1, 0.3)  # train, validation, test


def random_split_gap(experiment: Experiment, mode: str, held_out: Estimate, draws: int) -> SplitGap:
    """`gbt` on random windows of every episode, beside its score on what was held out."""
    recordings = [*experiment.train, *experiment.test]
    schema = model_input_schema(experiment, "gbt", mode)
    inputs = make_inputs(experiment, recordings, schema, RECORDED)
    assert isinstance(inputs, SummaryInputs)
    side_N = _sides(inputs.windows)
    parts = [_part(inputs, side_N == side) for side in range(len(_SHARES))]
    detector = GradientBoostedTrees()
    detector.fit([parts[0]], [parts[1]], len(schema.phases), preset(experiment.plan.preset), lambda _: None)
    test = parts[2]
    proba_NK = detector.predict_proba(test)
    phases = experiment.corpus.schema
    truth = Truth(
        phases=phases.phases,
        attack=tuple(phase in phases.attack_phases for phase in phases.phases),
        episode_N=test.windows.episode_N,
        y_N=test.windows.label_N,
        purity_N=test.windows.purity_N.astype(np.float64),
        end_s_N=test.windows.seconds_seen_N,
        since_onset_s_N=test.windows.since_onset_N,
        episodes=episodes_of(recordings),
    )
    name = f"gbt_{mode}"
    random = macro_f1(truth, Scores(name=name, model="gbt", mode=mode, proba_NK=proba_NK), draws=draws)
    return SplitGap(model=name, random=random, held_out=held_out, gap=independent_gap(random, held_out))


def _sides(windows: Windows) -> NDArray[np.int64]:
    """Train 0, validation 1, test 2, by a hash of the window's place."""
    names = [
        f"random/{windows.episodes[episode]}/{window}"
        for episode, window in zip(windows.episode_N.tolist(), windows.window_N.tolist(), strict=True)
    ]
    uniform_N = np.array([int.from_bytes(hashlib.sha256(n.encode()).digest()[:8], "big") / 2**64 for n in names])
    return np.searchsorted(np.cumsum(_SHARES)[:-1], uniform_N, side="right")


def _part(inputs: SummaryInputs, chosen: NDArray[np.bool_]) -> SummaryInputs:
    windows = inputs.windows
    cut = {
        name: getattr(windows, name)[chosen]
        for name in ("episode_N", "window_N", "label_N", "purity_N", "seconds_seen_N", "since_onset_N")
    }
    return SummaryInputs(windows=Windows(episodes=windows.episodes, **cut), x_NF=inputs.x_NF[chosen])
