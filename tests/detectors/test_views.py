"""Views: random starts, prefixes, and what another host might have recorded."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlstir_core.contract.registry import Windowing, default_registry
from rlstir_core.detectors.views import (
    RECORDED,
    SCORING,
    View,
    normalised,
    prefix_views,
    scoring_view,
    seconds_seen,
    training_views,
    unbroken,
)
from rlstir_core.telemetry.normalise import normalise
from rlstir_core.telemetry.schema import FeatureSchema, make_schema
from rlstir_core.telemetry.windows import window_grid

WINDOWING = Windowing(bin_hz=10.0, length_s=10.0, stride_s=5.0)


def whole_run() -> FeatureSchema:
    windowing = Windowing(bin_hz=1.0, length_s=50.0, whole=True, prefixes_s=(5.0, 10.0, 20.0, 1.0, 50.0, 90.0))
    return make_schema(msgspec.structs.replace(default_registry(), windowing=windowing))


@given(name=st.from_regex(r"ep-[0-9]{1,4}", fullmatch=True), salt=st.sampled_from(["a", "b"]), n=st.integers(1, 5000))
def test_the_offset_is_a_function_of_the_episodes_id_and_the_salt(name: str, salt: str, n: int) -> None:
    view = View(kind="random", salt=salt)
    assert 0 <= view.offset(name, n) < n and view.offset(name, n) == View(kind="random", salt=salt).offset(name, n)
    assert RECORDED.offset(name, n) == View(kind="prefix", bins=3).offset(name, n) == 0


def test_offsets_are_uniform_and_another_salt_gives_another_start() -> None:
    offsets = np.array([[View(kind="random", salt=s).offset(f"ep-{k}", 1000) for k in range(2000)] for s in "ab"])
    counts = np.histogram(offsets[0], bins=10, range=(0, 1000))[0]
    assert counts.min() > 150 and counts.max() < 250
    assert abs(np.corrcoef(offsets)[0, 1]) < 0.1


def test_windows_across_the_seam_are_left_out_and_no_others() -> None:
    view, n_bins = View(kind="random", salt="x"), 437
    grid = window_grid(n_bins, WINDOWING)
    for k in range(50):
        offset = view.offset(f"ep-{k}", n_bins)
        across = (grid.start_W < offset) & (grid.start_W + grid.length > offset)
        np.testing.assert_array_equal(unbroken(grid, view, f"ep-{k}", n_bins), ~across)
    assert unbroken(grid, RECORDED, "ep-1", n_bins).all()


def test_normalisers_start_anew_at_the_offset() -> None:
    schema = make_schema(default_registry())
    x_CT = np.random.default_rng(0).normal(5, 1, (3, 300)).astype(np.float32)
    view = View(kind="random", salt="x")
    offset = view.offset("ep-1", 300)
    z_CT = normalised(x_CT, schema, view, "ep-1")
    restarted_CT = normalise(np.roll(x_CT, -offset, axis=1), "ewma", 10.0)
    np.testing.assert_array_equal(np.roll(z_CT, -offset, axis=1), restarted_CT)
    assert np.isnan(z_CT[:, offset : offset + 3]).all() and not np.isnan(z_CT[:, offset - 1]).any()


def test_before_the_seam_a_normalised_value_uses_only_bins_from_the_offset_up_to_itself() -> None:
    schema = make_schema(default_registry())
    x_CT = np.random.default_rng(0).normal(5, 1, (2, 300)).astype(np.float32)
    view = View(kind="random", salt="x")
    offset = view.offset("ep-1", 300)
    at = (offset + 200) % 300
    changed_CT = x_CT.copy()
    changed_CT[:, (np.arange(at + 1, offset + 300) if at >= offset else np.arange(at + 1, offset)) % 300] = 99
    order = (np.arange(201) + offset) % 300
    one, two = (normalised(x, schema, view, "ep-1")[:, order] for x in (x_CT, changed_CT))
    np.testing.assert_array_equal(one, two)


def test_the_seconds_that_the_clock_baseline_sees_count_from_the_start_of_scoring() -> None:
    grid, n_bins = window_grid(400, WINDOWING), 400
    np.testing.assert_allclose(seconds_seen(grid, RECORDED, "ep-1", n_bins, 10.0), 10 + 5 * np.arange(7))
    view = View(kind="random", salt="x")
    offset = view.offset("ep-1", n_bins)
    expected = ((grid.start_W - offset) % n_bins + 100) / 10
    np.testing.assert_allclose(seconds_seen(grid, view, "ep-1", n_bins, 10.0), expected)


def test_training_uses_random_starts_with_salts_of_their_own() -> None:
    views = training_views(make_schema(default_registry()), 4, 0.25, 0.5)
    assert len({view.salt for view in views} | {SCORING.salt}) == 5 and {view.kind for view in views} == {"random"}
    assert scoring_view(make_schema(default_registry())) == SCORING and not SCORING.drop and not SCORING.gain


def test_whole_runs_are_trained_on_prefixes_shorter_than_the_run_and_on_the_run() -> None:
    assert [view.bins for view in prefix_views(whole_run())] == [5, 10, 20]
    assert training_views(whole_run(), 4, 0.0, 0.0)[-1] == RECORDED == scoring_view(whole_run())


def test_distortion_is_seeded_moves_log_channels_alone_and_drops_a_whole_source() -> None:
    schema = make_schema(default_registry())
    x_CT = np.full((len(schema.channels), 10), 5, np.float32)
    assert RECORDED.distort(x_CT, schema, "ep-1") is x_CT
    gain = View(kind="random", salt="t", gain=0.5)
    moved = gain.distort(x_CT, schema, "ep-1") - x_CT
    np.testing.assert_array_equal(gain.distort(x_CT, schema, "ep-1") - x_CT, moved)
    assert (moved == moved[:, :1]).all() and len(np.unique(moved[:, 0])) > 20 and (x_CT == 5).all()
    gone = View(kind="random", salt="t", drop=1.0).distort(x_CT, schema, "ep-1")
    dropped = {c.source for c, row in zip(schema.channels, gone, strict=True) if np.isnan(row).all()}
    kept = {c.source for c, row in zip(schema.channels, gone, strict=True) if np.isfinite(row).all()}
    assert len(dropped) == 1 and dropped.isdisjoint(kept) and len(kept) == 4


def test_how_often_a_source_is_dropped_is_the_share_that_was_asked_for() -> None:
    schema = make_schema(default_registry())
    x_CT = np.ones((len(schema.channels), 2), np.float32)
    view = View(kind="random", salt="t", drop=0.25)
    share = np.mean([np.isnan(view.distort(x_CT, schema, f"ep-{k}")).any() for k in range(600)])
    assert share == pytest.approx(0.25, abs=0.06)
