"""Split recipes: `host` holds out whole hosts, `sample` holds out sample names, `time` trains on the past.

A recipe is a function of the episodes and the settings alone, so the same store gives the same split. The
unit is the episode; validation is carved from the train side by whole episodes, in folds: each fold is the
validation side of one member of a detector. What does not belong here: the proof that the sides are disjoint
(`proofs.py`).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import msgspec

from rlstir_core.datasets.duplicates import near_duplicates
from rlstir_core.errors import SplitRefused
from rlstir_core.ids import fold

Recipe = Literal["host", "sample", "time"]
RECIPES: tuple[str, ...] = get_args(Recipe)

_TEST_SHARE = 0.3
_TEST_HOSTS = 1 / 3
_MIN_OUTER = 4  # two folds of two
_MIN_SAMPLES = 2  # a profile with one sample cannot have it on both sides
_NEW_HOST_TEST_HOSTS = 5  # from here a claim about a new host has an interval
_NEW_HOST_FROM = 10  # hosts in all, so that the train side keeps as many


class EpisodeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a split may know of an episode."""

    episode_id: str  # one name an episode, over all hosts
    host: str
    profile: str
    sample: str
    benign: bool
    complete: bool
    t_start_wall_ns: int
    t_end_wall_ns: int
    content_sha256: str
    phases: tuple[str, ...]
    signature: tuple[int, ...] = ()  # MinHash of what was recorded, for near-duplicates


class Exclusion(msgspec.Struct, frozen=True, kw_only=True):
    """A named thing that takes no part, and why."""

    what: str
    reason: str
    n_episodes: int


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Episode ids of each side, in the order of the ids."""

    recipe: str
    train: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]  # of `train`: what each member of a detector does not train on
    test: tuple[str, ...]
    excluded: tuple[Exclusion, ...]
    held_out: tuple[str, ...]  # host names, sample names, or the time from which episodes are held out


class SplitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may choose about a split."""

    train_hosts: tuple[str, ...] = ()
    folds: int = 3
    seed: int = 0


def make_split(recipe: str, episodes: Sequence[EpisodeInfo], settings: SplitSettings | None = None) -> Split:
    """The split that `recipe` gives; SplitRefused with the reason where it cannot be honest."""
    settings = settings or SplitSettings()
    if recipe not in _RECIPES:
        raise SplitRefused(f"split recipe {recipe!r} is unknown; choose one of {', '.join(RECIPES)}")
    if not episodes:
        raise SplitRefused("there are no usable episodes to split; see the verdicts of `rlstir validate`")
    if settings.train_hosts and recipe != "host":
        raise SplitRefused(f"train hosts are named, but recipe {recipe!r} does not hold out hosts; use recipe 'host'")
    ordered = sorted(episodes, key=lambda episode: episode.episode_id)
    outer, test, excluded, held_out = _RECIPES[recipe](ordered, settings)
    twins = near_duplicates(
        {e.episode_id: (e.content_sha256, e.signature) for e in outer},
        {e.episode_id: (e.content_sha256, e.signature) for e in test},
    )
    if twins:
        excluded.append(
            Exclusion(
                what=", ".join(sorted(twins)[:5]) + (" …" if len(twins) > 5 else ""),
                reason="near-duplicate of a test episode, taken out of the train side",
                n_episodes=len(twins),
            )
        )
    outer = [episode for episode in outer if episode.episode_id not in twins]
    if len(outer) < _MIN_OUTER or not test:
        raise SplitRefused(
            f"recipe {recipe!r} leaves {len(outer)} train and {len(test)} test episodes, and needs {_MIN_OUTER} and 1; "
            "record more episodes or choose another recipe"
        )
    return Split(
        recipe=recipe,
        train=tuple(e.episode_id for e in outer),
        folds=_folds(outer, settings, by_host=recipe == "host"),
        test=tuple(e.episode_id for e in test),
        excluded=tuple(excluded),
        held_out=held_out,
    )


_Sides = tuple[list[EpisodeInfo], list[EpisodeInfo], list[Exclusion], tuple[str, ...]]


def _by_host(episodes: list[EpisodeInfo], settings: SplitSettings) -> _Sides:
    hosts = sorted({episode.host for episode in episodes})
    if len(hosts) < 2:
        raise SplitRefused(
            f"recipe 'host' holds out whole hosts, but every usable episode is of host {hosts[0]!r}; record on a "
            "second host, or use --recipe sample or --recipe time"
        )
    unknown = sorted(set(settings.train_hosts) - set(hosts))
    if unknown:
        raise SplitRefused(f"train host {unknown[0]!r} has no usable episode; hosts that have: {', '.join(hosts)}")
    train = set(settings.train_hosts or _default_train_hosts(episodes, hosts))
    held_out = tuple(host for host in hosts if host not in train)
    if not held_out:
        raise SplitRefused("every host is named as a train host; leave at least one out for the test side")
    outer = [episode for episode in episodes if episode.host in train]
    return outer, [episode for episode in episodes if episode.host not in train], [], held_out


def _default_train_hosts(episodes: list[EpisodeInfo], hosts: list[str]) -> list[str]:
    """The hosts that ran the most profiles stay on the train side: a profile never trained on teaches nothing."""
    profiles = defaultdict(set)
    for episode in episodes:
        profiles[episode.host].add(episode.profile)
    n_test = max(1, round(len(hosts) * _TEST_HOSTS))
    if len(hosts) >= _NEW_HOST_FROM:
        n_test = max(n_test, _NEW_HOST_TEST_HOSTS)
    ranked = sorted(hosts, key=lambda host: (-len(profiles[host]), _rank(host, 0)))
    return ranked[: len(hosts) - n_test]


def _by_sample(episodes: list[EpisodeInfo], settings: SplitSettings) -> _Sides:
    groups: dict[tuple[str, bool], dict[str, list[EpisodeInfo]]] = defaultdict(lambda: defaultdict(list))
    for episode in episodes:
        groups[episode.profile, episode.benign][fold(episode.sample)].append(episode)
    poor = {
        profile: min(len(groups[profile, side]) for side in (True, False) if (profile, side) in groups)
        for profile, _ in groups
    }
    outer: list[EpisodeInfo] = []
    test: list[EpisodeInfo] = []
    excluded: list[Exclusion] = []
    held_out: list[str] = []
    for profile in sorted(p for p, n in poor.items() if n < _MIN_SAMPLES):
        n = sum(len(found) for side in (True, False) for found in groups.pop((profile, side), {}).values())
        excluded.append(
            Exclusion(what=profile, reason=f"profile has too few samples ({poor[profile]}, needs 2)", n_episodes=n)
        )
    for _, samples in sorted(groups.items()):
        names = sorted(samples, key=lambda name: _rank(name, settings.seed))
        cut = max(1, round(len(names) * _TEST_SHARE))
        held_out.extend(names[:cut])
        test.extend(episode for name in names[:cut] for episode in samples[name])
        outer.extend(episode for name in names[cut:] for episode in samples[name])
    shared = {fold(e.sample) for e in outer} & {fold(e.sample) for e in test}
    for name in sorted(shared):
        n = sum(fold(episode.sample) == name for episode in outer)
        reason = "its sample is held out under another profile, so it is taken out of the train side"
        excluded.append(Exclusion(what=name, reason=reason, n_episodes=n))
    outer = [episode for episode in outer if fold(episode.sample) not in shared]
    by_id: Callable[[EpisodeInfo], str] = lambda episode: episode.episode_id  # noqa: E731
    return sorted(outer, key=by_id), sorted(test, key=by_id), excluded, tuple(sorted(held_out))


def _by_time(episodes: list[EpisodeInfo], settings: SplitSettings) -> _Sides:
    begun = sorted(episode.t_start_wall_ns for episode in episodes)
    cut = begun[min(len(begun) - 1, round(len(begun) * (1 - _TEST_SHARE)))]
    outer = [episode for episode in episodes if episode.t_end_wall_ns <= cut]
    test = [episode for episode in episodes if episode.t_start_wall_ns >= cut]
    across = len(episodes) - len(outer) - len(test)
    excluded = [
        Exclusion(what="episodes across the cut", reason="they begin before it and end after it", n_episodes=across)
    ]
    return outer, test, excluded if across else [], (str(cut),)


_RECIPES: dict[str, Callable[[list[EpisodeInfo], SplitSettings], _Sides]] = {
    "host": _by_host,
    "sample": _by_sample,
    "time": _by_time,
}


def _folds(episodes: list[EpisodeInfo], settings: SplitSettings, *, by_host: bool) -> tuple[tuple[str, ...], ...]:
    """The train side in folds: whole hosts where there are enough of them, else alike in host and profile.

    A choice made on a host that was not trained on holds better on a new host.
    """
    count = max(2, min(settings.folds, len(episodes) // 2))
    hosts = sorted({episode.host for episode in episodes}, key=lambda host: _rank(host, settings.seed))
    dealt: list[list[str]] = [[] for _ in range(count)]
    if by_host and len(hosts) >= count:
        for episode in episodes:
            dealt[hosts.index(episode.host) % count].append(episode.episode_id)
    else:
        alike = sorted(
            episodes, key=lambda e: (e.host, e.profile, e.benign, _rank(e.episode_id, settings.seed), e.episode_id)
        )
        for place, episode in enumerate(alike):
            dealt[place % count].append(episode.episode_id)
    return tuple(tuple(sorted(part)) for part in dealt)


def phase_support(episodes: Sequence[EpisodeInfo], ids: Sequence[str]) -> Counter[str]:
    """Number of episodes of `ids` in which each phase occurs."""
    chosen = set(ids)
    return Counter(phase for episode in episodes if episode.episode_id in chosen for phase in set(episode.phases))


def _rank(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big")
