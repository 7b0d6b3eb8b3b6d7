"""Windows, the phase of each, its purity, and the onset of an infection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlstir_core.contract.registry import Windowing
from rlstir_core.telemetry.windows import WindowGrid, onset_ns, phase_of_bins, window_grid, window_labels

S = 1_000_000_000
T0 = 1_750_000_000 * S
PHASES = ("clean", "armed", "attack")


@given(n_bins=st.integers(0, 500), more=st.integers(0, 300), stride=st.integers(1, 60))
def test_a_windows_place_does_not_depend_on_what_comes_after_it(n_bins: int, more: int, stride: int) -> None:
    windowing = Windowing(bin_hz=10.0, length_s=4.0, stride_s=stride / 10)
    short, long = window_grid(n_bins, windowing), window_grid(n_bins + more, windowing)
    assert short.length == long.length == 40
    np.testing.assert_array_equal(long.start_W[: len(short.start_W)], short.start_W)
    assert (short.start_W + 40 <= n_bins).all() and (np.diff(short.start_W) == stride).all()


def test_a_whole_run_is_one_window_of_the_set_length_even_when_the_run_is_shorter_or_longer() -> None:
    windowing = Windowing(bin_hz=1.0, length_s=50.0, whole=True)
    for n_bins in (1, 20, 50, 80):
        grid = window_grid(n_bins, windowing)
        assert grid.start_W.tolist() == [0] and grid.length == 50


def test_a_bin_has_the_phase_at_its_middle_and_none_before_the_first_label() -> None:
    labels = [(T0 + int(0.1 * S), "clean"), (T0 + int(0.349 * S), "attack")]
    phase_T = phase_of_bins(labels, PHASES, T0, 6, 10.0)
    assert phase_T.tolist() == [-1, 0, 0, 2, 2, 2]
    assert phase_of_bins([], PHASES, T0, 3, 10.0).tolist() == [-1, -1, -1]


def test_a_window_has_the_phase_with_the_largest_share_and_that_share_is_its_purity() -> None:
    phase_T = np.array([0, 0, 0, 1, 1, 1, 1, 2, -1, -1])
    label_W, purity_W = window_labels(phase_T, WindowGrid(np.array([0, 3, 6]), 4), 3)
    assert label_W.tolist() == [0, 1, 1]
    np.testing.assert_allclose(purity_W, [0.75, 1.0, 0.25])


def test_a_window_without_a_label_has_none() -> None:
    label_W, purity_W = window_labels(np.full(8, -1), WindowGrid(np.array([0, 4]), 4), 3)
    assert label_W.tolist() == [-1, -1] and purity_W.tolist() == [0, 0]


def test_purity_of_a_window_longer_than_the_run_counts_the_recorded_bins() -> None:
    label_W, purity_W = window_labels(np.array([1, 1, 2]), WindowGrid(np.array([0]), 10), 3)
    assert label_W.tolist() == [1]
    np.testing.assert_allclose(purity_W, [2 / 3])


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        (["clean", "armed", "attack", "clean"], 2),
        (["attack", "clean", "attack"], 2),
        (["attack", "clean"], None),
        (["attack"], 0),
        (["clean"], None),
        ([], None),
    ],
)
def test_the_onset_is_the_first_change_into_the_phase_that_the_recording_shows(
    phases: list[str], expected: int | None
) -> None:
    labels = [(T0 + k * S, phase) for k, phase in enumerate(phases)]
    assert onset_ns(labels, "attack") == (None if expected is None else T0 + expected * S)
