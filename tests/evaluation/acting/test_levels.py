"""Resamples of hosts and seeds: what stays whole, what intervals cover, and when there are none."""

from __future__ import annotations

import numpy as np
import pytest

from rlstir_core.evaluation.stats.levels import Levels


def levels(hosts: int, each: int, draws: int = 400) -> Levels:
    return Levels(host_E=tuple(f"h{h:02d}" for h in range(hosts) for _ in range(each)), draws=draws)


def test_a_drawn_host_brings_all_its_episodes_along() -> None:
    by_host = levels(24, 3)
    of_E = by_host.sums(np.eye(72))
    assert (of_E[0] == 1).all()
    assert (of_E.reshape(401, 24, 3).std(axis=2) == 0).all()
    assert (of_E.sum(axis=1) == 72).all() and of_E[1:].std() > 0.5


def test_with_few_hosts_episodes_are_drawn_and_it_is_said() -> None:
    few = levels(4, 10)
    assert few.sums(np.eye(40)).reshape(401, 4, 10)[1:].std(axis=2).max() > 0
    assert "n = 4 test hosts: intervals resample episodes and speak of these hosts" in few.speaks_of
    assert "24 are wanted, so they are rough" in levels(8, 3).speaks_of
    assert levels(24, 1).speaks_of.endswith("they speak of hosts like these.")


def test_there_is_no_interval_below_twenty_episodes_and_none_where_a_figure_is_mostly_undefined() -> None:
    small = levels(6, 3)
    assert small.estimate(np.full(401, 0.5)).note == "n = 18 test episodes, no interval below 20"
    assert small.p_of(np.full(401, 0.5)) is None
    drawn = np.full(401, 0.5)
    drawn[1:100] = np.nan
    said = levels(24, 3).estimate(drawn, undefined="never reached")
    assert (said.value, said.lo, said.note) == (0.5, None, "never reached in 25 % of the resamples, no interval")
    assert levels(24, 3).estimate(np.full(401, np.nan), undefined="never reached").note == "never reached"


def test_a_figure_of_exactly_one_has_the_bound_of_as_many_trials_as_there_are_hosts() -> None:
    said = levels(24, 3).estimate(np.ones(401))
    assert said.unit == "host" and said.hi == 1 and said.lo == pytest.approx(0.025 ** (1 / 24))


def test_the_spread_of_few_seeds_is_that_of_their_mean() -> None:
    found = levels(24, 3, draws=20_000).over_seeds("ppo", [np.full(20_001, each) for each in (0.1, 0.2, 0.6)])
    assert found[0] == pytest.approx(0.3)
    assert found[1:].std() == pytest.approx(np.std([0.1, 0.2, 0.6], ddof=1) / np.sqrt(3), rel=0.03)
    alone = levels(24, 3).over_seeds("greedy", [np.arange(401.0)])
    assert np.array_equal(alone, np.arange(401.0))


@pytest.mark.parametrize(("hosts", "spread"), [(24, 0.0), (24, 0.5), (8, 0.3)])
def test_intervals_of_a_difference_cover_what_they_say(hosts: int, spread: float) -> None:
    rng = np.random.default_rng(hosts)
    of = levels(hosts, 10, draws=500)
    true_HR = rng.normal(0, spread, (hosts, 400))
    drawn_DR = of.sums(np.repeat(true_HR, 10, axis=0) + rng.normal(0, 1, (hosts * 10, 400))) / (hosts * 10)
    said = [of.estimate(drawn_D, bounded=False) for drawn_D in drawn_DR.T]
    covered = np.mean([each.lo <= 0 <= each.hi for each in said if each.lo is not None and each.hi is not None])
    small_p = np.mean([(of.p_of(drawn_D) or 0.0) < 0.05 for drawn_D in drawn_DR.T])
    assert 0.92 <= covered <= 0.98 and 0.02 <= small_p <= 0.08
