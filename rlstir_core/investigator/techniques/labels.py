"""Which techniques an episode's rows carry, by its truth: opened for the side that is being learnt or judged, no other.

What does not belong here: anything that a model sees.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.hostlogs.attack.techniques import in_space, techniques
from rlstir_core.hostlogs.store import LogCounts, host_counts
from rlstir_core.results.layout import Layout

# E episodes, K techniques of the label space
LABELS: tuple[str, ...] = tuple(techniques())
_PLACE = {label: k for k, label in enumerate(LABELS)}


def episode_techniques(layout: Layout, episodes: Sequence[EpisodeInfo]) -> dict[str, tuple[str, ...]]:
    """{episode: what it carries}: ids of the label space where it has one, else ids that no head can say."""
    return {
        episode: tuple(sorted({in_space(technique) or technique for technique in own}))
        for episode, own in exact_techniques(layout, episodes).items()
    }


def exact_techniques(layout: Layout, episodes: Sequence[EpisodeInfo]) -> dict[str, tuple[str, ...]]:
    """{episode: what it carries}, by the ids of now that its truth gives, sub-techniques not rolled up."""
    return _of_counts(layout, episodes, lambda of: tuple(sorted(of.techniques)))


def given_tactics(layout: Layout, episodes: Sequence[EpisodeInfo]) -> dict[str, tuple[str, ...]]:
    """{episode: the tactics that its truth itself names}, beside techniques or where those are not known."""
    return _of_counts(layout, episodes, lambda of: of.tactics)


def _of_counts(
    layout: Layout, episodes: Sequence[EpisodeInfo], ask: Callable[[LogCounts], tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    by_host: dict[str, list[EpisodeInfo]] = defaultdict(list)
    for info in episodes:
        by_host[info.host].append(info)
    found: dict[str, tuple[str, ...]] = {}
    for host, mine in by_host.items():
        counts = host_counts(layout, host)
        for info in mine:
            of = counts.get(info.own_id)
            found[info.episode_id] = ask(of) if of is not None else ()
    return found


def label_matrix(carried: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    """(E, K): which of the label space's techniques each episode carries."""
    y_EK = np.zeros((len(carried), len(LABELS)), np.bool_)
    for e, each in enumerate(carried):
        y_EK[e, [_PLACE[technique] for technique in each if technique in _PLACE]] = True
    return y_EK
