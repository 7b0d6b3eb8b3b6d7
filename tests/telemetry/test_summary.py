"""Window statistics against a straightforward reference."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlstir_core.telemetry import summary
from rlstir_core.telemetry.summary import OF_PARTS, STATISTICS, missing_share, part_statistics, window_statistics

HZ = 10.0


def reference(x_L: np.ndarray) -> dict[str, float]:
    """The statistics of one window, written down one by one."""
    series = pd.Series(x_L.astype(np.float64))
    known = series.dropna()
    if known.empty:
        return dict.fromkeys(STATISTICS, np.nan)
    seconds = known.index.to_numpy() / HZ
    centred = series - known.mean()
    square = float((centred**2).sum())
    steps = series.diff().abs()
    moving = square > len(known) * 1e-12
    return {
        "mean": known.mean(),
        "std": known.std(ddof=0),
        "min": known.min(),
        **{f"q{int(100 * q)}": known.quantile(q) for q in (0.10, 0.25, 0.75, 0.90)},
        "median": known.median(),
        "max": known.max(),
        "slope": np.polyfit(seconds, known, 1)[0] if len(known) > 1 else 0.0,
        "absdiff": steps.mean() if steps.notna().any() else 0.0,
        "lag1": float((centred * centred.shift(1)).sum()) / square if moving else 0.0,
        "rise": known.iloc[-1] - known.iloc[0],
    }


def assert_agrees(x_ST: np.ndarray, start_W: np.ndarray, length: int) -> None:
    mine_WSQ = window_statistics(x_ST, start_W, length, HZ)
    for w, start in enumerate(start_W):
        for s in range(len(x_ST)):
            expected = reference(x_ST[s, start : start + length])
            np.testing.assert_allclose(
                mine_WSQ[w, s], [expected[name] for name in STATISTICS], rtol=2e-6, atol=2e-6, err_msg=f"{s} {start}"
            )


def test_statistics_of_complete_windows_equal_the_reference() -> None:
    rng = np.random.default_rng(0)
    x_ST = np.stack([rng.normal(18, 2, 90), rng.normal(0, 0.01, 90), np.full(90, 3.5), np.arange(90.0)])
    assert_agrees(x_ST.astype(np.float32), np.array([0, 7, 50]), 40)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1), length=st.integers(2, 30))
def test_statistics_of_windows_with_gaps_equal_the_reference(seed: int, share: float, length: int) -> None:
    rng = np.random.default_rng(seed)
    x_ST = rng.normal(5, 2, (3, 45)).astype(np.float32)
    x_ST[rng.random(x_ST.shape) < share] = np.nan
    assert_agrees(x_ST, np.array([0, 15]), length)


def test_the_complete_path_equals_the_partial_path() -> None:
    x_NL = np.random.default_rng(1).normal(10, 3, (1200, 100)).astype(np.float32)
    one, two = summary._complete(x_NL, HZ), summary._partial(x_NL, HZ)
    np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6)


def test_a_gap_elsewhere_in_the_series_changes_no_bit_of_a_window() -> None:
    x_ST = np.random.default_rng(2).normal(10, 3, (1, 300)).astype(np.float32)
    gap_ST = x_ST.copy()
    gap_ST[:, 250] = np.nan
    whole, holed = (window_statistics(x, np.array([0, 100, 200]), 100, HZ) for x in (x_ST, gap_ST))
    assert whole[:2].tobytes() == holed[:2].tobytes() and not np.array_equal(whole[2], holed[2])


def test_a_window_without_a_known_bin_has_no_statistics() -> None:
    assert np.isnan(window_statistics(np.full((2, 30), np.nan, np.float32), np.array([0]), 20, HZ)).all()


def test_no_window_gives_no_row() -> None:
    out_WSQ = window_statistics(np.zeros((2, 30), np.float32), np.empty(0, np.int64), 20, HZ)
    assert out_WSQ.shape == (0, 2, len(STATISTICS))


def test_a_series_that_stands_still_has_no_autocorrelation_and_no_spread() -> None:
    out = dict(
        zip(STATISTICS, window_statistics(np.full((1, 20), 7.3, np.float32), np.array([0]), 20, HZ)[0, 0], strict=True)
    )
    assert out["std"] < 1e-6 and out["lag1"] == 0 and out["slope"] == pytest.approx(0, abs=1e-6) and out["rise"] == 0


def test_missing_share_counts_the_bins_of_the_window() -> None:
    x_CT = np.zeros((2, 10), np.float32)
    x_CT[0, 3:6] = np.nan
    np.testing.assert_allclose(missing_share(x_CT, np.array([0, 4]), 5), [[0.4, 0.0], [0.4, 0.0]])


@pytest.fixture(scope="module")
def benchmark_script() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "features.py"
    spec = importlib.util.spec_from_file_location("features_benchmark", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_runs_and_both_ways_agree(
    benchmark_script: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    result = benchmark_script.main(["--quick", "--out", str(tmp_path / "features.json")])
    assert result["largest_difference"] <= 1e-6 and result["speedup_over_pandas"] > 2
    assert json.loads(capsys.readouterr().out) == result == json.loads((tmp_path / "features.json").read_text())


def test_the_pandas_reference_agrees_where_bins_are_missing(benchmark_script: ModuleType) -> None:
    x_ST, grid, hz = benchmark_script.make_series(30.0)
    rng = np.random.default_rng(3)
    x_ST[rng.random(x_ST.shape) < 0.3] = np.nan
    x_ST[5], x_ST[6, ::2] = np.nan, np.nan
    mine, theirs = benchmark_script.ours(x_ST, grid, hz), benchmark_script.with_pandas(x_ST, grid, hz)
    assert benchmark_script.largest_difference(mine, theirs) <= 1e-6


@pytest.mark.parametrize("length", [9, 40, 150])
def test_statistics_of_parts_are_those_of_windows_that_are_the_parts(length: int) -> None:
    x_ST = np.random.default_rng(1).normal(5, 2, (3, 170)).astype(np.float32)
    x_ST[1, 20:40] = np.nan
    found_P = part_statistics(x_ST, np.array([0]), length, HZ)[0]
    assert found_P.shape == (3, len(OF_PARTS))
    for name, told_S in zip(OF_PARTS, found_P.T, strict=True):
        statistic, _, which = name.rpartition("_")
        part, parts = map(int, which.split("of"))
        begin, end = (round(length * k / parts) for k in (part - 1, part))
        for s, told in enumerate(told_S):
            expected = reference(x_ST[s, begin : max(end, begin + 2)])[statistic]
            np.testing.assert_allclose(told, expected, rtol=2e-5, atol=2e-5, err_msg=f"{name} of {s}")


@pytest.mark.parametrize("length", [2, 3, 5])
def test_the_shortest_runs_have_parts_that_overlap_and_none_that_reaches_beyond(length: int) -> None:
    found = part_statistics(np.arange(length, dtype=np.float32)[None], np.array([0]), length, HZ)
    assert found.shape == (1, 1, len(OF_PARTS)) and np.isfinite(found).all()


def test_what_comes_after_a_part_changes_nothing_in_it() -> None:
    x_ST = np.random.default_rng(2).normal(0, 1, (1, 80)).astype(np.float32)
    later_ST = x_ST.copy()
    later_ST[:, 40:] = 9.0
    early = [k for k, name in enumerate(OF_PARTS) if name.endswith(("_1of4", "_2of4", "_1of8", "_4of8"))]
    before, after = (part_statistics(x, np.array([0]), 80, HZ)[0, 0] for x in (x_ST, later_ST))
    assert np.array_equal(before[early], after[early]) and not np.array_equal(before, after)
