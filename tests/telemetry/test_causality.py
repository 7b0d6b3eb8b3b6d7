"""A value of window i, or of bin t, does not change when later rows are cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlstir_core.contract.registry import Registry
from rlstir_core.telemetry.channels import bin_channels
from rlstir_core.telemetry.features import episode_features
from rlstir_core.telemetry.normalise import NORMALISERS, normalise, normalised_names
from rlstir_core.telemetry.schema import make_schema
from rlstir_core.telemetry.windows import window_grid

S = 1_000_000_000
T0 = 1_750_000_000 * S
SECONDS = 30.0


def cut_rows(sources: dict[str, dict[str, Any]], at_s: float) -> dict[str, dict[str, Any]]:
    """The rows that were there at `at_s`, as a recorder that stopped then would have left them."""
    until = T0 + int(at_s * S)
    return {
        name: {column: np.asarray(values)[np.asarray(rows["t_wall_ns"]) < until] for column, values in rows.items()}
        for name, rows in sources.items()
    }


def damaged(sources: dict[str, dict[str, Any]], seed: int) -> dict[str, dict[str, Any]]:
    """Rows with resets, gaps in time and missing values, as real hosts give them."""
    rng = np.random.default_rng(seed)
    reads = sources["proc"]["reads"]
    reads[rng.integers(len(reads)) :] //= 3
    sources["proc"]["rss"][rng.random(len(reads)) < 0.1] = -1
    keep = np.ones(len(reads), bool)
    hole = rng.integers(len(reads))
    keep[hole : hole + rng.integers(40)] = False
    sources["proc"] = {name: values[keep] for name, values in sources["proc"].items()}
    return sources


@pytest.mark.parametrize("normaliser", NORMALISERS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), cut_s=st.floats(0.1, SECONDS))
def test_no_feature_and_no_tensor_row_changes_when_later_rows_are_cut(
    make_rows: Any, registry: Registry, normaliser: str, seed: int, cut_s: float
) -> None:
    schema, hz = make_schema(registry, normaliser), registry.windowing.bin_hz
    sources = damaged(make_rows(seed, SECONDS), seed)
    full_bins, cut_bins = round(SECONDS * hz), int(cut_s * hz)
    full_CT = bin_channels(sources, registry, T0, full_bins)
    cut_CT = bin_channels(cut_rows(sources, cut_bins / hz), registry, T0, cut_bins)
    np.testing.assert_array_equal(cut_CT, full_CT[:, :cut_bins])
    np.testing.assert_array_equal(normalise(cut_CT, normaliser, hz), normalise(full_CT, normaliser, hz)[:, :cut_bins])
    grid = window_grid(cut_bins, registry.windowing)
    before_WF = episode_features(cut_CT, schema, grid)
    after_WF = episode_features(full_CT, schema, window_grid(full_bins, registry.windowing))
    np.testing.assert_array_equal(before_WF, after_WF[: len(grid.start_W)])


def test_a_normalised_value_says_nothing_of_its_own_future() -> None:
    x_CT = np.random.default_rng(0).normal(3, 1, (2, 200)).astype(np.float32)
    changed_CT = x_CT.copy()
    changed_CT[:, 120:] = 99.0
    for normaliser in NORMALISERS:
        one, two = normalise(x_CT, normaliser, 10.0), normalise(changed_CT, normaliser, 10.0)
        np.testing.assert_array_equal(one[:, :120], two[:, :120])


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_a_normaliser_gives_a_row_for_each_name_and_is_missing_where_its_channel_is(normaliser: str) -> None:
    x_CT = np.random.default_rng(0).normal(3, 1, (3, 150)).astype(np.float32)
    x_CT[1, 40:60] = np.nan
    x_CT[2] = np.nan
    z = normalise(x_CT, normaliser, 10.0)
    names = normalised_names(normaliser, ("a", "b", "c"))
    assert z.shape == (len(names), 150) and z.dtype == np.float32
    for name, row in zip(names, z, strict=True):
        x_T = x_CT["abc".index(name[0])]
        assert np.isnan(row[np.isnan(x_T)]).all() and name[1] == "~"
        assert np.isfinite(row[100:]).any() == (name[0] != "c")


def test_the_ewma_normaliser_equals_its_definition() -> None:
    rng = np.random.default_rng(1)
    x_T = rng.normal(20, 0.5, 120).astype(np.float32)
    x_T[rng.random(120) < 0.2] = np.nan
    z_T = normalise(x_T[None], "ewma", 10.0)[0]
    decay = 0.5 ** (1 / 200)
    for t in range(120):
        past = [(decay ** (t - 1 - s), float(x_T[s])) for s in range(t) if np.isfinite(x_T[s])]
        weight = sum(w for w, _ in past)
        if np.isnan(x_T[t]) or weight < 5:
            assert np.isnan(z_T[t])
            continue
        mean = sum(w * v for w, v in past) / weight
        spread = (sum(w * (v - mean) ** 2 for w, v in past) / weight) ** 0.5 + 0.02
        assert z_T[t] == pytest.approx(np.clip((x_T[t] - mean) / spread, -8, 8), abs=1e-4)


def test_the_running_rank_lies_between_0_and_1_and_tells_high_from_low() -> None:
    x_CT = np.random.default_rng(2).normal(0, 1, (1, 900)).astype(np.float32)
    x_CT[0, 800], x_CT[0, 810] = 50.0, -50.0
    rank_T = normalise(x_CT, "runq", 10.0)[0]
    assert np.nanmin(rank_T) >= 0 and np.nanmax(rank_T) <= 1 and rank_T[800] == 1 and rank_T[810] == 0


def test_the_normalisers_do_not_see_a_constant_gain_of_a_host() -> None:
    x_CT = np.random.default_rng(3).normal(5, 1, (1, 300)).astype(np.float32)
    for normaliser in ("ewma", "runq", "self", "dyn"):
        one, two = normalise(x_CT, normaliser, 10.0), normalise(x_CT + np.float32(4), normaliser, 10.0)
        np.testing.assert_allclose(one, two, atol=2e-5)


def test_a_whole_run_window_longer_than_the_episode_is_padded_with_missing_bins(registry: Registry) -> None:
    import msgspec

    whole = msgspec.structs.replace(
        registry, windowing=msgspec.structs.replace(registry.windowing, whole=True, length_s=10.0)
    )
    schema = make_schema(whole, "none")
    x_CT = np.random.default_rng(4).normal(5, 1, (len(schema.channels), 40)).astype(np.float32)
    row = dict(zip(schema.columns, episode_features(x_CT, schema, window_grid(40, whole.windowing))[0], strict=True))
    assert row["proc.rss|missing"] == pytest.approx(0.6)
    assert row["proc.rss|max"] == x_CT[schema.channel_names.index("proc.rss")].max()
