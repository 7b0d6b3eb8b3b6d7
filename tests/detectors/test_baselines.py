"""The baselines see what their names say, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rlstir_core.detectors.base import macro_f1
from rlstir_core.detectors.baselines import Majority, MiniRocketBaseline, clock, has_minirocket, metadata_only
from rlstir_core.detectors.corpus import Corpus
from rlstir_core.detectors.inputs import Inputs, sequence_inputs
from rlstir_core.detectors.views import RECORDED

Easy = Callable[..., Inputs]


def test_majority_says_the_train_frequencies_whatever_it_is_shown(easy: Easy) -> None:
    proba_NK = Majority([easy("summary", 0)], 3).predict_proba(easy("summary", 1))
    assert np.allclose(proba_NK, proba_NK[0])
    assert proba_NK[0] == pytest.approx([1 / 3] * 3)


def test_the_clock_learns_a_script_and_nothing_from_telemetry(easy: Easy) -> None:
    def scripted(seed: int) -> Any:
        inputs = easy("sequence", seed)
        label_N = (inputs.windows.seconds_seen_N // 40).astype(np.int64)
        return replace(inputs, windows=replace(inputs.windows, label_N=label_N))

    on_script = clock([scripted(0)], 3).predict_proba(scripted(1))
    assert macro_f1(scripted(1).windows.label_N, on_script) > 0.95
    blind = clock([easy("sequence", 0)], 3).predict_proba(easy("sequence", 1))
    assert macro_f1(easy("sequence", 1).windows.label_N, blind) < 0.5


def test_metadata_only_gives_every_window_of_an_episode_the_same_answer(corpus: Corpus) -> None:
    names = corpus.schema.channel_names
    inputs = sequence_inputs(corpus, list(corpus.recordings.values()), names, RECORDED)
    proba_NK = metadata_only([inputs], len(corpus.schema.phases), corpus.recordings).predict_proba(inputs)
    for place in range(len(inputs.windows.episodes)):
        mine = proba_NK[inputs.windows.episode_N == place]
        assert (mine == mine[0]).all()


def test_minirocket_learns_an_easy_problem(easy: Easy) -> None:
    pytest.importorskip("aeon", reason="the extra minirocket is not installed")
    train, test = easy("sequence", 0), easy("sequence", 1)
    proba_NK = MiniRocketBaseline(train, 3, seed=0).predict_proba(test)
    assert proba_NK.sum(axis=1) == pytest.approx(np.ones(len(proba_NK)))
    assert macro_f1(test.windows.label_N, proba_NK) > 0.8


def test_minirocket_needs_windows_as_long_as_its_kernels() -> None:
    assert not has_minirocket(8)
