"""Rows become channels: rates, events, levels, and what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlstir_core.contract.registry import Field, Registry, Source, Windowing
from rlstir_core.telemetry.channels import bin_channels, counter_rates, episode_bins, multiplex_scale

S = 1_000_000_000
T0 = 1_750_000_000 * S


def at_hz(n: int, hz: float) -> np.ndarray:
    return T0 + (np.arange(n) * (S / hz)).astype(np.int64)


def one_source(rate_hz: float = 10.0, bin_hz: float = 10.0, **source: Any) -> Registry:
    fields = source.pop("fields")
    return Registry(
        name="tiny",
        phases=("calm", "attack"),
        attack_phases=("attack",),
        profiles=("worm",),
        windowing=Windowing(bin_hz=bin_hz, length_s=1.0, stride_s=0.5),
        sources={"s": Source(vantage="host", rate_hz=rate_hz, fields=fields, **source)},
    )


def linear(kind: Any, **more: Any) -> Field:
    return Field(kind=kind, scale="linear", **more)


def binned(registry: Registry, n_bins: int, **columns: Any) -> np.ndarray:
    rows = {name: np.asarray(column) for name, column in columns.items()}
    return bin_channels({"s": rows}, registry, T0, n_bins)


def test_a_counter_reset_is_missing_not_negative() -> None:
    rates = counter_rates(np.array([100, 110, 4, 10]), at_hz(4, 10))
    np.testing.assert_allclose(rates, [np.nan, 100.0, np.nan, 60.0])


def test_a_step_from_or_to_a_missing_count_is_missing() -> None:
    np.testing.assert_allclose(counter_rates(np.array([1, -1, 3, 4]), at_hz(4, 1)), [np.nan, np.nan, np.nan, 1.0])
    floats = counter_rates(np.array([1.0, np.nan, 3.0, 4.5]), at_hz(4, 1))
    np.testing.assert_allclose(floats, [np.nan, np.nan, np.nan, 1.5])


def test_two_rows_of_one_time_give_no_rate() -> None:
    assert np.isnan(counter_rates(np.array([1, 5, 9]), np.array([T0, T0, T0 + S]))[1])


@pytest.mark.parametrize("n", [0, 1])
def test_one_row_alone_has_no_rate(n: int) -> None:
    assert np.isnan(counter_rates(np.arange(n), at_hz(n, 1))).all()


def test_counters_near_2_to_the_62_keep_their_digits() -> None:
    counts = (1 << 62) + np.array([0, 1, 3, 1003], np.int64)
    np.testing.assert_array_equal(counter_rates(counts, at_hz(4, 1))[1:], [1.0, 2.0, 1000.0])
    x_CT = binned(
        one_source(fields={"n": linear("counter")}, rate_hz=1.0, bin_hz=2.0), 8, t_wall_ns=at_hz(4, 1), n=counts
    )
    np.testing.assert_array_equal(x_CT[0, [2, 4, 6]], np.float32([1, 2, 1000]))


def test_perf_counters_are_scaled_by_time_enabled_over_time_running() -> None:
    enabled, running = np.array([0, 100, 200, 300, 400]), np.array([0, 100, 150, 150, 250])
    np.testing.assert_allclose(multiplex_scale(enabled, running), [np.nan, 1.0, 2.0, np.nan, 1.0])
    counts = np.array([0, 10, 20, 20, 40])
    rates = counter_rates(counts, at_hz(5, 1), multiplex_scale(enabled, running))
    np.testing.assert_allclose(rates, [np.nan, 10.0, 20.0, np.nan, 20.0])


@pytest.mark.parametrize("gone", ["enabled", "running"])
def test_a_missing_scaler_makes_both_steps_beside_it_missing(gone: str) -> None:
    times = {"enabled": np.arange(1, 6) * 10**9, "running": np.arange(1, 6) * 10**8}
    times[gone][2] = -1
    scale = multiplex_scale(times["enabled"], times["running"])
    np.testing.assert_allclose(scale, [np.nan, 10.0, np.nan, np.nan, 10.0])


def test_a_counter_that_did_not_run_is_missing_in_the_tensor() -> None:
    registry = one_source(
        fields={"n": linear("counter"), "on": linear("scaler"), "ran": linear("scaler")},
        time_enabled="on",
        time_running="ran",
    )
    x_CT = binned(
        registry, 5, t_wall_ns=at_hz(5, 10), n=[0, 1, 2, 2, 3], on=[0, 10, 20, 30, 40], ran=[0, 10, 15, 15, 25]
    )
    np.testing.assert_allclose(x_CT, [[np.nan, 10.0, 20.0, np.nan, 10.0]], rtol=1e-6)


def test_the_bin_of_a_reset_is_missing_and_not_the_value_before_held_over_it() -> None:
    registry = one_source(fields={"n": linear("counter")})
    x_CT = binned(registry, 5, t_wall_ns=at_hz(5, 10), n=[0, 1, 2, 0, 1])
    np.testing.assert_allclose(x_CT, [[np.nan, 10.0, 10.0, np.nan, 10.0]], rtol=1e-6)


def test_events_are_zero_where_the_source_is_present_and_missing_where_it_is_absent() -> None:
    registry = one_source(fields={"bytes": linear("event")}, count=True, rate_hz=1.0)
    x_CT = binned(registry, 4, t_wall_ns=T0 + np.array([0, 10, 250]) * 1_000_000, bytes=[5, 7, 9])
    np.testing.assert_allclose(x_CT, [[120, 0, 90, 0], np.arcsinh([20, 0, 10, 0])], rtol=1e-6)
    quiet = binned(registry, 4, t_wall_ns=np.empty(0, np.int64), bytes=np.empty(0, np.int64))
    np.testing.assert_array_equal(quiet, np.zeros((2, 4)))
    assert np.isnan(bin_channels({}, registry, T0, 4)).all()


def test_a_1_hz_level_is_held_for_one_and_a_half_periods_at_most() -> None:
    registry = one_source(fields={"level": linear("gauge"), "n": linear("counter")}, rate_hz=1.0)
    x_CT = binned(registry, 60, t_wall_ns=at_hz(3, 1), level=[1, 2, 3], n=[0, 4, 8])
    np.testing.assert_array_equal(x_CT[0, :36], np.repeat([1, 2, 3], [10, 10, 16]))
    assert np.isnan(x_CT[0, 36:]).all(), "held 15 bins after the last row's own, and no longer"
    assert np.isnan(x_CT[1, :10]).all() and (x_CT[1, 10:36] == 4).all() and np.isnan(x_CT[1, 36:]).all()


def test_an_amount_since_the_row_before_is_not_held() -> None:
    registry = one_source(fields={"d": linear("delta")}, rate_hz=1.0)
    x_CT = binned(registry, 11, t_wall_ns=at_hz(2, 1), d=[5, 6])
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(x_CT[0])), [0, 10])


def test_rows_on_the_grid_fall_one_into_each_bin() -> None:
    n = 36_000
    registry = one_source(fields={"level": linear("gauge")}, rate_hz=100.0)
    x_CT = binned(registry, n, t_wall_ns=T0 + np.arange(n) * (S // 10), level=np.arange(n))
    np.testing.assert_array_equal(x_CT[0], np.arange(n))


def test_rows_outside_the_episode_are_left_out() -> None:
    registry = one_source(fields={"level": linear("gauge")}, rate_hz=10.0)
    x_CT = binned(registry, 2, t_wall_ns=T0 + np.array([-5 * S, 0, 3 * S]), level=[7, 8, 9])
    np.testing.assert_array_equal(x_CT, [[8, 8]])


def test_several_rows_of_a_bin_are_averaged_over_the_known_ones() -> None:
    registry = one_source(fields={"level": linear("gauge")}, rate_hz=50.0)
    x_CT = binned(registry, 2, t_wall_ns=T0 + np.array([0, 20, 40, 110]) * 1_000_000, level=[1, -1, 3, -1])
    np.testing.assert_array_equal(x_CT, [[2, np.nan]])


def test_a_log_channel_knows_zero_and_stays_finite_for_the_largest_counter() -> None:
    registry = one_source(fields={"level": Field(kind="gauge")}, rate_hz=10.0)
    x_CT = binned(registry, 3, t_wall_ns=at_hz(3, 10), level=[0, 1000, (1 << 63) - 1])
    np.testing.assert_allclose(x_CT[0], np.arcsinh([0.0, 1000.0, float(1 << 63)]), rtol=1e-6)


def test_a_value_too_large_for_float32_is_missing() -> None:
    registry = one_source(fields={"level": linear("gauge", type="float")}, rate_hz=10.0)
    x_CT = binned(registry, 2, t_wall_ns=at_hz(2, 10), level=[1e300, 2.0])
    np.testing.assert_array_equal(x_CT, [[np.nan, 2.0]])


@pytest.mark.parametrize(
    ("seconds", "bins"), [(0.0, 1), (0.05, 1), (0.1, 1), (1.0, 10), (1.0000000001, 10), (1.01, 11), (3600.0, 36_000)]
)
def test_bins_cover_the_episode(seconds: float, bins: int) -> None:
    assert episode_bins(T0, T0 + int(seconds * S), 10.0) == bins
