"""What a split recipe is: a name, a sentence, who stands on which side in each round, and what must hold of it.

Most recipes have one round; `loho` has one per host. What does not belong here: any particular recipe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.errors import ConfigError
from rlstir_core.ids import fold

TEST_SHARE = 0.3


class SplitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may choose about a split."""

    train_hosts: tuple[str, ...] = ()
    test_hosts: tuple[str, ...] = ()
    train_corpora: tuple[str, ...] = ()
    min_shared_channels: int | None = None  # of those that most hosts record; None: half of them
    folds: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.folds <= 20:
            raise ConfigError(f"folds is {self.folds}; keep it between 2 and 20")
        if self.min_shared_channels is not None and self.min_shared_channels < 0:
            raise ConfigError(f"min_shared_channels is {self.min_shared_channels}; write 0 to keep every host, or more")


class Exclusion(msgspec.Struct, frozen=True, kw_only=True):
    """A named thing that takes no part, and why."""

    what: str
    reason: str
    n_episodes: int
    kind: str = "episodes"  # what it is


class SplitCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One statement about a split and whether it holds."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Sides:
    """One round: who trains, who tests, and what is held out."""

    train: Sequence[EpisodeInfo]
    test: Sequence[EpisodeInfo]
    held_out: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Division:
    """Every round of a recipe, and what takes no part in any."""

    rounds: Sequence[Sides]
    excluded: Sequence[Exclusion] = ()


@dataclass(frozen=True, kw_only=True)
class RecipeSpec:
    """A split recipe. `divide` is a function of the episodes (ordered by name) and the settings alone."""

    name: str
    words: str  # what is held apart, in one sentence
    divide: Callable[[Sequence[EpisodeInfo], SplitSettings], Division]
    check: Callable[[Sides], SplitCheck]
    joins: Callable[[Sides, SplitSettings], Callable[[EpisodeInfo], bool]]  # who may test where the train side stays
    settings: frozenset[str] = frozenset()  # of the named hosts and corpora, those that it heeds
    folds_by_host: bool = False  # whole hosts where there are enough of them
    headline: bool = True  # False: stands in the report to show a gap, and is never quoted


def apart(attribute: str) -> Callable[[Sides], SplitCheck]:
    """The check that no `attribute` (host, sample, corpus, episode_id) stands on both sides.

    Case does not tell names apart here, so `episode_id_overlap` asks a little more than `episode_overlap`, which every
    split is asked.
    """

    def check(sides: Sides) -> SplitCheck:
        both = {fold(getattr(e, attribute)) for e in sides.train} & {fold(getattr(e, attribute)) for e in sides.test}
        many = "corpora" if attribute == "corpus" else f"{attribute.replace('_', ' ')}s"
        return SplitCheck(name=f"{attribute}_overlap", holds=not both, detail=f"{len(both)} {many} on both sides")

    return check


def unless_trained(attribute: str) -> Callable[[Sides, SplitSettings], Callable[[EpisodeInfo], bool]]:
    """Who may test: whoever's `attribute` (host, sample, corpus, episode_id) was not trained on."""

    def joins(sides: Sides, _: SplitSettings) -> Callable[[EpisodeInfo], bool]:
        trained = {fold(getattr(episode, attribute)) for episode in sides.train}
        return lambda episode: fold(getattr(episode, attribute)) not in trained

    return joins


def rank(name: str, seed: int) -> int:
    """A place for `name` in an order that nobody chose; another seed, another order."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big")


def hosts_of(episodes: Sequence[EpisodeInfo]) -> list[str]:
    return sorted({episode.host for episode in episodes})
