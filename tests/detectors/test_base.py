"""Class weights, the macro F1 that everything is chosen on, the schedule, and the standardiser."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from rlstir_core.detectors.base import class_weights, clear, look, macro_f1
from rlstir_core.errors import ConfigError
from rlstir_core.learning.loop import warm_cosine
from rlstir_core.learning.presets import PRESETS, Net, Preset, Training, Trees, preset
from rlstir_core.learning.standardise import fit_standardiser


def test_class_weights_are_inverse_frequencies_with_mean_one_over_the_windows() -> None:
    label_N = np.repeat([0, 1, 2], [50, 30, 20])
    weights_K = class_weights(label_N, 3, 100.0)
    np.testing.assert_allclose(weights_K, [100 / 150, 100 / 90, 100 / 60])
    assert weights_K[label_N].mean() == pytest.approx(1.0)


def test_class_weights_are_clipped_and_a_phase_without_windows_has_none() -> None:
    weights_K = class_weights(np.repeat([0, 2], [990, 10]), 4, 5.0)
    np.testing.assert_allclose(weights_K, [1000 / 1980, 0, 5, 0])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), k=st.integers(2, 6))
def test_macro_f1_is_scikit_learns_over_the_phases_that_occur(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    label_N, proba_NK = rng.integers(0, k, n), rng.dirichlet(np.ones(k), n)
    expected = f1_score(label_N, proba_NK.argmax(axis=1), labels=np.unique(label_N), average="macro", zero_division=0)
    assert macro_f1(label_N, proba_NK) == pytest.approx(expected)


def test_a_look_is_the_mean_over_the_views_and_ties_go_to_the_likelier() -> None:
    label_N = np.array([0, 1])
    right, sure, wrong = (np.array(p) for p in ([[0.6, 0.4], [0.4, 0.6]], [[0.9, 0.1], [0.1, 0.9]], [[0, 1.0], [1, 0]]))
    assert look([label_N, label_N], [right, wrong])[0] == pytest.approx(0.5)
    assert look([label_N], [sure]) > look([label_N], [right])
    assert look([label_N], [sure])[1] == pytest.approx(math.log(0.9))


@pytest.mark.parametrize(("step", "expected"), [(0, 0.2), (1, 0.4), (4, 1.0), (5, 1.0), (100, 0.0)])
def test_the_learning_rate_warms_up_over_5_percent_of_the_steps_and_ends_at_0(step: int, expected: float) -> None:
    assert warm_cosine(step, 100, 0.05) == pytest.approx(expected)


@pytest.mark.parametrize("step", [5, 30, 52, 99])
def test_after_the_warm_up_the_learning_rate_is_half_a_cosine(step: int) -> None:
    assert warm_cosine(step, 100, 0.05) == pytest.approx(0.5 * (1 + math.cos(math.pi * (step - 5) / 95)))


def test_the_schedule_of_a_single_step_is_a_full_step() -> None:
    assert warm_cosine(0, 1, 0.05) == 1.0 and 0 <= warm_cosine(5, 1, 0.05) <= 1


def test_windows_of_mixed_phases_are_left_out_unless_a_phase_would_be_lost() -> None:
    def inputs(*purity: float) -> Any:
        return SimpleNamespace(
            windows=SimpleNamespace(label_N=np.array([0, 1, 1]), purity_N=np.array(purity, np.float32))
        )

    assert clear(inputs(0.9, 0.5, 0.9), 0.7).tolist() == [0, 2]
    assert clear(inputs(0.5, 0.9, 0.9), 0.7).tolist() == [0, 1, 2]


def test_the_standardiser_gives_mean_0_spread_1_and_0_where_missing() -> None:
    x_NF = np.random.default_rng(0).normal([3, -20], [2, 0.5], (500, 2)).astype(np.float32)
    x_NF[7, 0] = np.nan
    z_NF = fit_standardiser(x_NF)(x_NF)
    np.testing.assert_allclose(z_NF.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(z_NF.std(axis=0), 1, atol=1e-2)
    assert z_NF[7, 0] == 0


def test_a_column_that_never_varies_or_is_never_known_stays_near_0() -> None:
    x_NF = np.stack([np.full(50, 7.0), np.full(50, np.nan), np.full(50, 1e6)], axis=1).astype(np.float32)
    z_NF = fit_standardiser(x_NF)(x_NF)
    assert np.isfinite(z_NF).all() and np.abs(z_NF).max() < 0.01


def test_a_value_far_from_training_is_clipped() -> None:
    x_NF = np.random.default_rng(0).normal(0, 1, (100, 1)).astype(np.float32)
    assert fit_standardiser(x_NF)(np.float32([[1e30], [-1e30]])).ravel().tolist() == [8.0, -8.0]


def test_every_preset_is_made_by_its_name_and_an_unknown_one_is_refused_with_the_names() -> None:
    assert all(preset(name).name == name for name in PRESETS) and {"smoke", "rtx4060", "rtx3090x2"} == set(PRESETS)
    with pytest.raises(ConfigError, match="choose one of smoke, rtx4060, rtx3090x2"):
        preset("cluster")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Net(width=30, heads=4),
        lambda: Net(dropout=0.95),
        lambda: Net(layers=0),
        lambda: Net(layers=10**9),
        lambda: Net(heads=0),
        lambda: Net(stem_stride=0),
        lambda: Trees(rounds=0),
        lambda: Trees(columns=0.0),
        lambda: Training(device="tpu"),
        lambda: Training(batch=0),
        lambda: Training(rounds=0),
        lambda: Preset(name="x", bootstrap_draws=10),
    ],
)
def test_a_preset_that_cannot_work_is_refused_with_the_rule(make: Any) -> None:
    with pytest.raises(ConfigError, match=r"keep it between|is not a multiple of|choose auto"):
        make()
