"""Which hosts record too few of the channels that the others record: a detector needs channels that all hosts share.

Decided by channels alone, never by a label or a score, so it holds for both sides of a split. What does not belong
here: the channels that a detector then sees (`detectors/inputs.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes.base import Exclusion

MIN_EPISODE_SHARE = 0.5  # a host has a channel when it is known in so many of its episodes
_NAMED = 20  # hosts; further ones are counted


def host_channels(episodes: Sequence[EpisodeInfo]) -> dict[str, frozenset[str]]:
    """{host: the channels of the primary mode that it records}, of hosts that have episodes with labelled windows."""
    sizes: Counter[str] = Counter()
    known: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)  # most episodes of a host have the same ones
    for episode in episodes:
        if episode.windows:
            sizes[episode.host] += 1
            known[episode.host][episode.channels] += 1
    found = {}
    for host, sets in known.items():
        counts: Counter[str] = Counter()
        for channels, n in sets.items():
            counts.update(dict.fromkeys(channels, n))
        found[host] = frozenset(name for name, n in counts.items() if n >= MIN_EPISODE_SHARE * sizes[host])
    return found


def sparse_hosts(
    episodes: Sequence[EpisodeInfo], least: int | None, kept: Collection[str] = ()
) -> tuple[list[str], list[Exclusion]]:
    """The hosts that record fewer than `least` of the channels that most hosts record, and what a split says of them.

    Without `least` that is half of those channels, so that one poor recorder does not take the others' channels away.
    A host in `kept`, which somebody named, stays.
    """
    channels = host_channels(episodes)
    counts = Counter(name for names in channels.values() for name in names)
    common = {name for name, n in counts.items() if 2 * n > len(channels)}
    needed = (len(common) + 1) // 2 if least is None else min(least, len(common))
    out = sorted(host for host, names in channels.items() if len(names & common) < needed and host not in kept)
    sizes = Counter(episode.host for episode in episodes)
    said = [
        Exclusion(
            kind="host",
            what=host,
            reason=f"records {len(channels[host] & common)} of the {len(common)} channels that most hosts record, "
            f"fewer than {needed} (--min-shared-channels)",
            n_episodes=sizes[host],
        )
        for host in out[:_NAMED]
    ]
    if rest := out[_NAMED:]:
        n = sum(sizes[host] for host in rest)
        said.append(Exclusion(kind="host", what=f"{len(rest)} more", reason="likewise", n_episodes=n))
    return out, said
