"""The baselines see what their names say, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rlstir_core.detectors.beside.baselines import Majority, MiniRocketBaseline, clock, has_minirocket, metadata_only
from rlstir_core.detectors.blocks import Blocks, in_blocks
from rlstir_core.detectors.episode_set import EpisodeSet
from rlstir_core.detectors.inputs import Inputs, input_schema
from rlstir_core.detectors.views import RECORDED
from rlstir_core.learning.scores import window_macro_f1

Easy = Callable[..., Inputs]
InParts = Callable[..., Blocks]


def test_majority_says_the_train_frequencies_whatever_it_is_shown(easy: Easy, in_parts: InParts) -> None:
    proba_NK = Majority([in_parts(easy("summary", 0))], 3).predict_proba(easy("summary", 1))
    assert np.allclose(proba_NK, proba_NK[0])
    assert proba_NK[0] == pytest.approx([1 / 3] * 3)


def test_the_clock_learns_a_script_and_nothing_from_telemetry(easy: Easy, in_parts: InParts) -> None:
    def scripted(seed: int) -> Any:
        inputs = easy("sequence", seed)
        label_N = (inputs.windows.seconds_seen_N // 40).astype(np.int64)
        return replace(inputs, windows=replace(inputs.windows, label_N=label_N))

    on_script = clock([in_parts(scripted(0))], 3).predict_proba(scripted(1))
    assert window_macro_f1(scripted(1).windows.label_N, on_script) > 0.95
    blind = clock([in_parts(easy("sequence", 0))], 3).predict_proba(easy("sequence", 1))
    assert window_macro_f1(easy("sequence", 1).windows.label_N, blind) < 0.5


def test_metadata_only_gives_every_window_of_an_episode_the_same_answer(episodes: EpisodeSet) -> None:
    schema, recordings = episodes.schema, list(episodes.recordings.values())
    inputs = input_schema(schema, "oracle", "sequence", schema.channel_names)
    blocks = in_blocks(episodes, recordings, inputs, RECORDED, block=4)
    infos = {name: recording.info for name, recording in episodes.recordings.items()}
    baseline = metadata_only([blocks], len(schema.phases), infos)
    for shown in blocks:
        proba_NK = baseline.predict_proba(shown)
        for place in np.unique(shown.windows.episode_N):
            mine = proba_NK[shown.windows.episode_N == place]
            assert (mine == mine[0]).all()


def test_minirocket_learns_an_easy_problem_over_several_blocks(easy: Easy, in_parts: InParts) -> None:
    pytest.importorskip("aeon", reason="the extra minirocket is not installed")
    train, test = easy("sequence", 0), easy("sequence", 1)
    proba_NK = MiniRocketBaseline(in_parts(train, parts=3), 3, seed=0).predict_proba(test)
    assert proba_NK.sum(axis=1) == pytest.approx(np.ones(len(proba_NK)))
    assert window_macro_f1(test.windows.label_N, proba_NK) > 0.8


def test_minirocket_needs_windows_as_long_as_its_kernels() -> None:
    assert not has_minirocket(8)
