"""Rows that are each well formed and that no sensor saw: still times, thin sources, odd counters; honest ones too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlstir_core.contract.registry import default_registry
from rlstir_core.episodes.reading.plausible import covered, odd_counter
from rlstir_core.episodes.schema import SourceRows
from rlstir_core.episodes.store.writer import jsonl_bytes

SECOND = 10**9
N = 600


def counter(values: np.ndarray) -> str:
    """What is odd about a counter of a row each 100 ms."""
    t = np.arange(len(values)) * SECOND // 10
    return odd_counter(SourceRows(name="x", columns={"t_wall_ns": t, "c": values}, n_rows=len(t)), "c")


def growing(start: int = 10**9, most: int = 1000) -> np.ndarray:
    return start + np.cumsum(np.random.default_rng(3).integers(0, most, N))


def changed(values: np.ndarray, rows: slice, to: Any) -> np.ndarray:
    again = values.copy()
    again[rows] = to
    return again


def test_a_reset_is_no_fault_wherever_it_is_and_however_often():
    for start in (0, 500, 10**9, 2**62):
        values = growing(start)
        assert not counter(values)
        for place in (1, 7, N // 2, N - 1):
            again = values.copy()
            again[place:] -= again[place - 1]
            assert not counter(again)
            again[place + 3 :] = np.arange(len(again[place + 3 :])) * 900
            assert not counter(again)
    assert not counter((np.arange(N) * 100) % 3000)
    assert not counter(2**63 - 1 - np.arange(N))
    wrapped = (growing(2**32 - 10_000) % 2**32).astype(np.int64)
    assert (np.diff(wrapped) < 0).sum() == 1
    assert not counter(wrapped)


def test_a_burst_before_a_restart_is_no_fault():
    values = np.repeat([4096, 700_000_000, 700_004_096, 8192, 12_288], 50)
    assert not counter(values)


def test_missing_values_are_no_fall():
    assert not counter(changed(growing(), slice(5, N, 3), -1))
    assert not counter(np.where(np.arange(N) % 4 == 0, growing().astype(float), np.nan))
    assert not counter(np.full(N, -1))


@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 2), slice(300, 303), slice(200, 500), slice(599, 600)])
@pytest.mark.parametrize("value", [2**62, 2**63 - 1, 2**60])
def test_a_counter_that_reads_a_huge_value_is_odd(rows, value):
    assert counter(changed(growing(), rows, value))
    assert counter(changed(growing().astype(float), rows, float(value)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (changed(growing(), slice(300, 302), growing()[300:302] + 2**32), "falls back after 2 row"),
        (changed(growing(10**5), slice(400, 401), 3 * 10**6), "falls back after 1 row"),
        (changed(growing(), slice(300, 301), 0), "jumps back after 1 row"),
        (changed(growing(), slice(300, 305), 12_345), "jumps back after 5 row"),
        (changed(np.zeros(N, np.int64), slice(9, 10), 2**40), "falls back after 1 row"),
        (growing() * (np.arange(N) % 2), "comes back in 299 of the 599 rows"),
    ],
)
def test_a_counter_that_goes_back_to_its_course_is_odd(values, words):
    assert words in counter(values)


def test_many_excursions_do_not_pass_for_ordinary_steps():
    assert counter(changed(growing(), slice(30, N, 30), growing()[30:N:30] + 2**45))


def test_what_a_source_says_of_an_episode_is_a_share_of_its_time():
    def share(seconds, rate_hz):
        wall = np.array(seconds, dtype=np.int64) * SECOND
        return covered(wall, np.diff(wall), 0, 100 * SECOND, rate_hz)

    assert share(range(100), 1.0) == 1.0
    assert share(range(0, 100, 2), 10.0) == 1.0  # a slow meter
    assert share(range(30, 100), 1.0) == pytest.approx(0.73)
    assert share([*range(40), *range(50, 100)], 1.0) == pytest.approx(0.92)
    assert share([50], 10.0) == pytest.approx(0.003)
    assert share([0, 100], 10.0) < 0.1
    assert share(range(-60, -1), 1.0) == 0.0


def test_every_fault_has_a_reason_and_names_the_field(build):
    t = np.arange(100) * SECOND // 10

    def verdict(source="proc", **columns):
        fields = {name: np.arange(100) * 7 for name in default_registry().sources[source].fields}
        rows = {"t_wall_ns": build.T0 + t, "t_mono_ns": t} | fields | columns
        data = jsonl_bytes({name: values for name, values in rows.items() if values is not None})
        return build.read(build.members(**{source: data})).verdict

    assert verdict().verdict == "ok"
    still = verdict(t_wall_ns=np.full(100, build.T0 + SECOND), t_mono_ns=np.full(100, SECOND))
    assert still.reasons == ("time.still", "channel.coverage")
    slow = verdict(t_mono_ns=t + t // 5)
    assert (slow.reasons, "by 1.980 s in proc" in slow.detail) == (("time.drift",), True)
    absent = verdict(utime_ticks=None, minflt=np.where(np.arange(100) < 4, 5, -1))
    assert absent.reasons == ("channel.field",)
    assert "utime_ticks, minflt" in absent.detail
    jumped = verdict(rchar=np.where(np.arange(100) == 50, 2**62, np.arange(100)))
    assert (jumped.reasons, "rchar jumps by 4.61e+18" in jumped.detail) == (("channel.counter",), True)
    assert verdict("qmp", balloon_bytes=np.where(np.arange(100) == 50, 2**62, 4096)).verdict == "ok"  # a gauge may
