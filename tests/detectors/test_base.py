"""Class weights, the macro F1 that everything is chosen on, the schedule, the standardiser, and presets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from rlstir_core.errors import ConfigError
from rlstir_core.learning.examples import ExampleBlock, Examples
from rlstir_core.learning.loop import warm_cosine
from rlstir_core.learning.presets import PRESETS, Net, Preset, Training, Trees, preset
from rlstir_core.learning.scores import class_weights, look, window_macro_f1
from rlstir_core.learning.standardise import Standardiser, fit_standardiser

CPU = torch.device("cpu")


def test_class_weights_are_inverse_frequencies_with_mean_one_over_the_windows() -> None:
    count_K = np.array([50, 30, 20])
    weights_K = class_weights(count_K, 100.0)
    np.testing.assert_allclose(weights_K, [100 / 150, 100 / 90, 100 / 60])
    assert np.repeat(weights_K, count_K).mean() == pytest.approx(1.0)


def test_class_weights_are_clipped_and_a_phase_without_windows_has_none() -> None:
    np.testing.assert_allclose(class_weights(np.array([990, 0, 10, 0]), 5.0), [1000 / 1980, 0, 5, 0])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), k=st.integers(2, 6))
def test_macro_f1_is_scikit_learns_over_the_phases_that_occur(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    label_N, proba_NK = rng.integers(0, k, n), rng.dirichlet(np.ones(k), n)
    expected = f1_score(label_N, proba_NK.argmax(axis=1), labels=np.unique(label_N), average="macro", zero_division=0)
    assert window_macro_f1(label_N, proba_NK) == pytest.approx(expected)


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


# ---- the standardiser


def test_the_standardiser_gives_mean_0_spread_1_and_0_where_missing() -> None:
    x_NF = np.random.default_rng(0).normal([3, -20], [2, 0.5], (500, 2)).astype(np.float32)
    x_NF[7, 0] = np.nan
    z_NF = fit_standardiser([x_NF])(x_NF)
    np.testing.assert_allclose(z_NF.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(z_NF.std(axis=0), 1, atol=1e-2)
    assert z_NF[7, 0] == 0


def test_a_column_that_never_varies_or_is_never_known_stays_near_0() -> None:
    x_NF = np.stack([np.full(50, 7.0), np.full(50, np.nan), np.full(50, 1e6)], axis=1).astype(np.float32)
    z_NF = fit_standardiser([x_NF])(x_NF)
    assert np.isfinite(z_NF).all() and np.abs(z_NF).max() < 0.01


def test_a_value_far_from_training_is_clipped() -> None:
    x_NF = np.random.default_rng(0).normal(0, 1, (100, 1)).astype(np.float32)
    assert fit_standardiser([x_NF])(np.float32([[1e30], [-1e30]])).ravel().tolist() == [8.0, -8.0]


def assert_alike(one: Standardiser, two: Standardiser) -> None:
    np.testing.assert_allclose(one.mean_F, two.mean_F, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(one.spread_F, two.spread_F, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cuts", [[250], [1, 2, 3], [100, 100, 499], list(range(20, 500, 20))])
def test_a_standardiser_over_blocks_is_the_one_over_all_rows(cuts: list[int]) -> None:
    x_NF = np.random.default_rng(0).normal([3, -2e4, 0, 5, 1], [2, 50, 1e-2, 1, 3], (500, 5)).astype(np.float32)
    x_NF[::7, 0] = np.nan
    x_NF[:, 3] = np.nan  # never known
    x_NF[:300, 4] = np.nan  # unknown to the first blocks
    blocks = np.split(x_NF, cuts)
    assert_alike(fit_standardiser(blocks), fit_standardiser([x_NF]))
    assert_alike(fit_standardiser(reversed(blocks)), fit_standardiser([x_NF]))
    known = fit_standardiser(blocks)
    np.testing.assert_allclose(known.mean_F[[0, 4]], np.nanmean(x_NF[:, [0, 4]].astype(float), axis=0), rtol=1e-5)
    assert (known.mean_F[3], known.spread_F[3]) == (0, 1)


# ---- examples in blocks


def counted(*sizes: int) -> tuple[Examples, list[int]]:
    """Blocks whose examples are numbers, and the order in which blocks were opened."""
    opened: list[int] = []

    def block(place: int, begin: int, n: int) -> ExampleBlock:
        def gather() -> Any:
            opened.append(place)
            return lambda places_B: begin + places_B

        return ExampleBlock(label_N=begin + np.arange(n), open=gather)

    begins = np.cumsum([0, *sizes])[:-1].tolist()
    return Examples([block(k, begins[k], n) for k, n in enumerate(sizes)]), opened


def test_an_epoch_shows_every_example_with_its_label_one_block_after_another() -> None:
    examples, opened = counted(70, 0, 64, 3)
    batches = list(examples.epoch(32, 10, np.random.default_rng(0), CPU))
    assert sorted(opened) == [0, 2, 3] and len(batches) == examples.steps(32, 10) == 3 + 2 + 1
    assert {n for x_B, _ in batches for n in x_B.tolist()} == set(range(137))
    assert all((x_B == label_B).all() for x_B, label_B in batches)


def test_a_single_small_block_is_gone_through_again_until_there_are_enough_steps() -> None:
    examples, _ = counted(40)
    batches = [x_B for x_B, _ in examples.epoch(32, 10, np.random.default_rng(0), CPU)]
    assert len(batches) == examples.steps(32, 10) == 10
    assert set(np.concatenate(batches).tolist()) == set(range(40))


def test_examples_in_order_are_in_their_order() -> None:
    examples, opened = counted(5, 9)
    assert np.concatenate(list(examples.in_order(4, CPU))).tolist() == list(range(14)) and opened == [0, 1]


# ---- presets


def test_every_preset_is_made_by_its_name_and_an_unknown_one_is_refused_with_the_names() -> None:
    assert all(preset(name).name == name for name in PRESETS) and {"smoke", "rtx4060", "rtx3090x2"} == set(PRESETS)
    with pytest.raises(ConfigError, match="choose one of smoke, rtx4060, rtx3090x2"):
        preset("cluster")


def test_an_override_changes_one_number_and_keeps_its_type() -> None:
    plain = preset("smoke")
    changed = preset("smoke", ["train.batch=128", "trees.columns = 1", "train.device=cpu", "bootstrap_draws=500"])
    assert changed.train == Training(batch=128, device="cpu") and changed.net == plain.net
    assert isinstance(changed.trees.columns, float) and changed.trees == Trees(columns=1.0)
    assert changed.bootstrap_draws == 500 and preset("smoke") == plain


def test_the_seed_is_set_beside_the_overrides_and_a_given_seed_wins() -> None:
    assert preset("smoke", seed=7).seed == preset("smoke", ["seed=7"]).seed == 7
    assert preset("smoke", ["seed=7"], seed=9).seed == 9 and preset("smoke").seed == 0


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("train.bach=64", "train.batch=64"),
        ("training.batch=64", "train.batch=64"),
        ("train.batch", "train.batch=64"),
        ("net.widht=8", "net.width=48"),
        ("xyz=1", "train.batch=64"),
        ("name=other", "train.batch=64"),
        ("train=1", ""),
    ],
)
def test_an_override_of_nothing_is_refused_with_what_may_have_been_meant(text: str, near: str) -> None:
    with pytest.raises(ConfigError, match="names no setting; write for example --set ") as caught:
        preset("smoke", [text])
    assert near in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "kind"), [("train.batch=many", "int"), ("train.batch=1.5", "int"),
                                            ("trees.columns=x", "float"), ("net.width=", "int")])  # fmt: skip
def test_an_override_of_the_wrong_type_is_refused_with_a_value_that_fits(text: str, kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"needs a value like .* \({kind}\)"):
        preset("smoke", [text])


def test_an_override_beyond_its_bounds_is_refused_with_the_rule() -> None:
    with pytest.raises(ConfigError, match=r"Training.batch is 0; keep it between"):
        preset("smoke", ["train.batch=0"])


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
        lambda: Training(precision="fp8"),
        lambda: Training(batch=0),
        lambda: Training(epochs=0),
        lambda: Training(views=0),
        lambda: Training(max_train_windows=1),
        lambda: Training(cache_mib=-1),
        lambda: Preset(name="x", bootstrap_draws=10),
        lambda: Preset(name="x", seeds=1),
    ],
)
def test_a_preset_that_cannot_work_is_refused_with_the_rule(make: Any) -> None:
    with pytest.raises(ConfigError, match=r"keep it between|is not a multiple of|choose "):
        make()
