"""`host`: whole hosts are held out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes.base import (
    Division,
    Exclusion,
    RecipeSpec,
    Sides,
    SplitSettings,
    apart,
    hosts_of,
    rank,
)
from rlstir_core.errors import SplitRefused

_TEST_HOSTS = 1 / 3
_NEW_HOST_TEST_HOSTS = 5  # from here a claim about a new host has an interval
_NEW_HOST_FROM = 10  # hosts in all, so that the train side keeps as many


def _divide(episodes: Sequence[EpisodeInfo], settings: SplitSettings) -> Division:
    hosts = hosts_of(episodes)
    if len(hosts) < 2:
        raise SplitRefused(
            f"recipe 'host' holds out whole hosts, but every usable episode is of host {hosts[0]!r}; record on a "
            "second host, or use --recipe sample or --recipe time"
        )
    require_hosts("train", settings.train_hosts, hosts)
    require_hosts("test", settings.test_hosts, hosts)
    if both := sorted(set(settings.train_hosts) & set(settings.test_hosts)):
        raise SplitRefused(f"host {both[0]!r} is named as a train host and as a test host; name it once")
    test = set(settings.test_hosts)
    train = set(settings.train_hosts) or (set(hosts) - test if test else set(_default_train_hosts(episodes, hosts)))
    test = test or set(hosts) - train
    if not test:
        raise SplitRefused("every host is named as a train host; leave at least one out for the test side")
    if not train:
        raise SplitRefused("every host is named as a test host; leave at least one out to train on")
    sides = Sides(
        train=[episode for episode in episodes if episode.host in train],
        test=[episode for episode in episodes if episode.host in test],
        held_out=tuple(sorted(test)),
    )
    idle = [episode for episode in episodes if episode.host not in train | test]
    reason = "named neither as a train host nor as a test host"
    excluded = [Exclusion(what=", ".join(hosts_of(idle)), reason=reason, n_episodes=len(idle))]
    return Division(rounds=[sides], excluded=excluded if idle else [])


def require_hosts(side: str, named: Sequence[str], hosts: Sequence[str]) -> None:
    """SplitRefused where a named host has no usable episode."""
    if unknown := sorted(set(named) - set(hosts)):
        raise SplitRefused(f"{side} host {unknown[0]!r} has no usable episode; hosts that have: {', '.join(hosts)}")


def _default_train_hosts(episodes: Sequence[EpisodeInfo], hosts: list[str]) -> list[str]:
    """The hosts that ran the most profiles stay on the train side: a profile never trained on teaches nothing."""
    profiles = defaultdict(set)
    for episode in episodes:
        profiles[episode.host].add(episode.profile)
    n_test = max(1, round(len(hosts) * _TEST_HOSTS))
    if len(hosts) >= _NEW_HOST_FROM:
        n_test = max(n_test, _NEW_HOST_TEST_HOSTS)
    ranked = sorted(hosts, key=lambda host: (-len(profiles[host]), rank(host, 0)))
    return ranked[: len(hosts) - n_test]


def _joins(sides: Sides, settings: SplitSettings) -> Callable[[EpisodeInfo], bool]:
    trained = set(hosts_of(sides.train))
    return lambda e: e.host not in trained and (not settings.test_hosts or e.host in settings.test_hosts)


RECIPE = RecipeSpec(
    name="host",
    words="Whole hosts are held out: nothing recorded on a test host was seen in training or validation.",
    divide=_divide,
    check=apart("host"),
    joins=_joins,
    settings=frozenset({"train_hosts", "test_hosts"}),
    folds_by_host=True,
)
