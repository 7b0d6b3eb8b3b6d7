"""Intervals by simulation: nominal 95 % must cover what it says, through the code that reports use."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from rlstir_core.evaluation.stats.intervals import Statistic, estimate, new_host_estimate
from rlstir_core.learning.scores import macro_f1

K = 5
EVERY = np.ones(K, bool)
Array = np.ndarray


def episodes(rng: np.random.Generator, count: int, host_effect: Array | float = 0.0) -> Array:
    """Confusion matrices of `count` episodes over five phases. (count, K*K)

    An episode lacks some phases, its windows share a random skill (on top of the host's) and a random habit
    of naming the wrong phase: windows of one episode are anything but independent.
    """
    windows = rng.poisson(8, (count, K)) * (rng.random((count, K)) < [0.9, 0.7, 0.5, 0.5, 0.4])
    base = np.array([1.2, 0.6, 0.2, 0.8, 0.4])
    skill = base + rng.normal(0, 0.8, (count, 1)) + rng.normal(0, 0.5, (count, K)) + host_effect
    hits = rng.binomial(windows, special.expit(skill))
    habit = rng.dirichlet(np.ones(K), size=(count, K))
    habit[:, np.arange(K), np.arange(K)] = 0
    habit /= habit.sum(axis=-1, keepdims=True)
    matrix = rng.multinomial(windows - hits, habit)
    matrix[:, np.arange(K), np.arange(K)] += hits
    return matrix.reshape(count, K * K).astype(np.float64)


def statistic(sums: Array) -> Statistic:
    return Statistic(sums_US=sums, of=lambda s: macro_f1(s, EVERY))


def truth_of(sums: Array) -> float:
    return float(macro_f1(sums.sum(axis=0), EVERY))


@pytest.mark.parametrize("count", [50, 30])
def test_nominal_95_covers_91_to_98_percent_in_a_five_phase_world(count: int) -> None:
    # 50 episodes take the percentile bootstrap, 30 the logit jackknife
    rng = np.random.default_rng(2024)
    target = truth_of(episodes(rng, 300_000))
    covered = []
    for _ in range(1000):
        found = estimate(statistic(episodes(rng, count)), draws=500)
        assert found.lo is not None and found.hi is not None
        covered.append(found.lo <= target <= found.hi)
    assert 0.91 <= np.mean(covered) <= 0.98, f"coverage {np.mean(covered):.3f}"


def world_of_hosts(rng: np.random.Generator, hosts: int, each: int) -> tuple[Array, Array]:
    effect = rng.normal(0, 0.7, (hosts, 1)) + rng.normal(0, 0.4, (hosts, K))
    return episodes(rng, hosts * each, np.repeat(effect, each, axis=0)), np.repeat(np.arange(hosts), each)


def test_nominal_95_covers_a_new_host_in_a_world_of_8_hosts() -> None:
    rng = np.random.default_rng(7)
    target = truth_of(world_of_hosts(rng, 60_000, 5)[0])
    by_host, by_episode = [], []
    for _ in range(1000):
        sums, host = world_of_hosts(rng, 8, 12)
        new = new_host_estimate(statistic(sums), host.astype(str))
        these = estimate(statistic(sums), draws=200)
        assert new.lo is not None and new.hi is not None and these.lo is not None and these.hi is not None
        by_host.append(new.lo <= target <= new.hi)
        by_episode.append(these.lo <= target <= these.hi)
    assert 0.91 <= np.mean(by_host) <= 0.98, f"coverage {np.mean(by_host):.3f}"
    # the reason why a new host gets an interval of its own
    assert np.mean(by_episode) < 0.75, f"coverage {np.mean(by_episode):.3f}"
