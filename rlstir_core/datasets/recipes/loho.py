"""`loho`: leave one host out. Every host is tested once, by models that never saw it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes.base import Division, RecipeSpec, Sides, SplitSettings, apart, hosts_of
from rlstir_core.datasets.recipes.host import require_hosts
from rlstir_core.errors import SplitRefused

_MIN_HOSTS = 3  # two to train on, so that no model rests on one host


def _divide(episodes: Sequence[EpisodeInfo], settings: SplitSettings) -> Division:
    hosts = hosts_of(episodes)
    if len(hosts) < _MIN_HOSTS:
        raise SplitRefused(
            f"recipe 'loho' tests every host by models of all others, and needs {_MIN_HOSTS} hosts with usable "
            f"episodes; there are {len(hosts)} ({', '.join(hosts)}); record on more hosts, or use --recipe host"
        )
    require_hosts("test", settings.test_hosts, hosts)
    return Division(
        rounds=[
            Sides(
                train=[episode for episode in episodes if episode.host != host],
                test=[episode for episode in episodes if episode.host == host],
                held_out=(host,),
            )
            for host in sorted(settings.test_hosts or hosts)
        ]
    )


def _joins(sides: Sides, _: SplitSettings) -> Callable[[EpisodeInfo], bool]:
    """The round's own host; one that no round tests has to wait for a training without it."""
    return lambda episode: episode.host in sides.held_out


RECIPE = RecipeSpec(
    name="loho",
    words="Leave one host out: every host is tested once, by models that saw nothing recorded on it; the predictions "
    "of all rounds are pooled.",
    divide=_divide,
    check=apart("host"),
    joins=_joins,
    settings=frozenset({"test_hosts"}),
    folds_by_host=True,
)
