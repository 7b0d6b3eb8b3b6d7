"""What the generated sensors write: rates, clocks, counters, multiplexing, resets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rlstir_core.contract.registry import default_registry
from rlstir_core.lab import generate
from rlstir_core.lab.hosts import DEFAULT_HOSTS
from rlstir_core.lab.plan import EpisodePlan, LabOptions, plan_store
from rlstir_core.lab.sensors import sources
from rlstir_core.lab.sensors.activities import RESOURCES

SOURCES = {
    "proc": sources.proc,
    "perf": sources.perf,
    "qmp": sources.qmp,
    "netflow": sources.netflow,
    "guest": sources.guest,
}


def _recording(plan: EpisodePlan, options: LabOptions) -> sources.SensorInput:
    return generate.recording(plan, options, generate.play(plan, options))


@pytest.fixture(scope="module")
def recordings() -> list[sources.SensorInput]:
    options = LabOptions(seed=1)
    return [_recording(plan, options) for plan in plan_store(hosts=DEFAULT_HOSTS, episodes=24, options=options)]


def _columns(recordings: list[sources.SensorInput], name: str) -> Iterator[tuple[sources.SensorInput, Any]]:
    return ((recording, SOURCES[name](recording)) for recording in recordings)


@pytest.mark.parametrize(("name", "hz"), [("proc", 10.0), ("perf", 10.0), ("qmp", 1.0), ("guest", 1.0)])
def test_a_source_is_sampled_at_its_true_rate_with_jitter(
    recordings: list[sources.SensorInput], name: str, hz: float
) -> None:
    for recording, columns in _columns(recordings, name):
        steps = np.diff(columns["t_wall_ns"])
        assert 0.95 * hz <= len(steps) / recording.duration_s <= hz
        assert (steps > 0).all()
        assert np.median(steps) == pytest.approx(1e9 / hz, rel=0.03)
        assert len(np.unique(steps)) > len(steps) / 2


def test_netflow_has_one_line_a_flow_in_order(recordings: list[sources.SensorInput]) -> None:
    for recording, columns in _columns(recordings, "netflow"):
        assert len(columns["bytes"]) == recording.n_flows + len(recording.connections)
        assert (np.diff(columns["t_wall_ns"]) >= 0).all()
        assert (columns["bytes"] >= columns["pkts"]).all()


@pytest.mark.parametrize("name", SOURCES)
def test_times_lie_inside_the_episode(recordings: list[sources.SensorInput], name: str) -> None:
    for recording, columns in _columns(recordings, name):
        seconds = (columns["t_wall_ns"] - recording.start_wall_ns) / 1e9
        assert seconds[0] >= 0
        assert seconds[-1] < recording.duration_s


def test_netflows_monotonic_clock_is_uptime_and_the_others_is_episode_time(
    recordings: list[sources.SensorInput],
) -> None:
    for name in SOURCES:
        for _, columns in _columns(recordings[:3], name):
            assert (columns["t_mono_ns"][0] > 40_000e9) == (name == "netflow")


@pytest.mark.parametrize("name", ["proc", "perf", "qmp", "guest"])
def test_counters_are_never_negative_and_fall_only_at_one_reset(
    recordings: list[sources.SensorInput], name: str
) -> None:
    fields = default_registry().sources[name].fields
    falling = 0
    for _, columns in _columns(recordings, name):
        falls: set[int] = set()
        for field, spec in fields.items():
            assert (columns[field] >= 0).all()
            if spec.kind in ("counter", "scaler"):
                falls |= set(np.flatnonzero(np.diff(columns[field]) < 0).tolist())
        assert len(falls) <= 1
        falling += len(falls)
    assert falling <= len(recordings) // 3


def test_the_guest_agent_restarts_now_and_then() -> None:
    options = LabOptions(seed=2, duration_s=20.0)
    plans = plan_store(hosts=("a",), episodes=60, options=options)
    restarts = [(np.diff(sources.guest(_recording(plan, options))["files_opened"]) < 0).any() for plan in plans]
    assert 0 < sum(restarts) < 20


def test_perf_counts_only_while_it_runs(recordings: list[sources.SensorInput]) -> None:
    for recording, columns in _columns(recordings, "perf"):
        share = np.diff(columns["time_running_ns"]) / np.diff(columns["time_enabled_ns"])
        share = share[(share > 0) & (share <= 1.0 + 1e-6)]
        assert len(share) >= len(columns["t_wall_ns"]) - 2
        assert np.median(share) == pytest.approx(recording.host.mux, rel=0.05)
        assert (columns["time_running_ns"] < columns["time_enabled_ns"]).mean() > 0.9


def test_what_the_sensors_saw_adds_up_to_the_activity(recordings: list[sources.SensorInput]) -> None:
    """Scaled by enabled/running, the cycles of an episode are those that the machine spent."""
    for recording, columns in _columns(recordings[:6], "perf"):
        enabled, running = np.diff(columns["time_enabled_ns"]), np.diff(columns["time_running_ns"])
        steps = np.diff(columns["cycles"])
        whole = (steps >= 0) & (running > 0)
        seen = (steps[whole] * enabled[whole] / running[whole]).sum() / enabled[whole].sum() * 1e9
        assert seen == pytest.approx(recording.rates[RESOURCES.index("cycles")].mean(), rel=0.1)


def test_rss_is_refreshed_as_seldom_as_the_host_does(recordings: list[sources.SensorInput]) -> None:
    for recording, columns in _columns(recordings, "proc"):
        assert (columns["rss_bytes"] % 4096 == 0).all()
        moves = np.mean(np.diff(columns["rss_bytes"]) != 0)
        assert moves <= 1.0 / recording.host.rss_every + 0.01
