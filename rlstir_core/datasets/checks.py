"""Checks of a split, each with a verdict, before anything is trained.

What does not belong here: making splits (`split.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from rlstir_core.datasets.duplicates import Twins
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.datasets.recipes.base import Sides, SplitCheck
from rlstir_core.datasets.split import Split, SplitRound


def check_split(split: Split, twins: Twins) -> tuple[SplitCheck, ...]:
    """That no episode, content, near-duplicate and, by recipe, host, sample, corpus or time stands on both sides of a
    round, that no episode is tested twice, and that every phase of a test side was seen in training."""
    spec = RECIPES[split.recipe]
    rounds = list(enumerate(split.rounds))
    sides = [Sides(train=split.select(r.train), test=split.select(r.test), held_out=r.held_out) for r in split.rounds]
    return (
        _all(
            "episode_overlap",
            [len(set(r.train) & set(r.test)) for r in split.rounds],
            lambda n: f"{n} episodes on both sides",
        ),
        _tested_once(split.rounds),
        _folds(split.rounds),
        _all("content_overlap", [_contents(each) for each in sides], lambda n: f"{n} contents on both sides"),
        _all(
            "near_duplicates",
            [sum(place in twins.get(name, ()) for name in r.train) for place, r in rounds],
            lambda n: f"{n} train episodes repeat a test episode",
        ),
        _merged([spec.check(each) for each in sides]),
        _coverage(sides),
    )


def phase_support(episodes: Sequence[EpisodeInfo]) -> Counter[str]:
    """Number of episodes in which each phase occurs."""
    return Counter(phase for episode in episodes for phase in set(episode.phases))


def _all(name: str, faults: Sequence[int], words: Callable[[int], str]) -> SplitCheck:
    return SplitCheck(name=name, holds=not any(faults), detail=words(sum(faults)))


def _contents(sides: Sides) -> int:
    return len({e.content_sha256 for e in sides.train} & {e.content_sha256 for e in sides.test} - {""})


def _tested_once(rounds: Sequence[SplitRound]) -> SplitCheck:
    tested = Counter(name for each in rounds for name in each.test)
    twice = sum(n > 1 for n in tested.values())
    detail = f"{len(tested)} episodes tested in {len(rounds)} round{'s' if len(rounds) > 1 else ''}, {twice} twice"
    return SplitCheck(name="tested_once", holds=not twice, detail=detail)


def _folds(rounds: Sequence[SplitRound]) -> SplitCheck:
    holds = True
    for each in rounds:
        dealt = [episode for part in each.folds for episode in part]
        once = len(dealt) == len(set(dealt))
        holds &= once and set(dealt) == set(each.train) and len(each.folds) > 1
    first = rounds[0].folds
    detail = f"{len(first)} folds of {', '.join(str(len(part)) for part in first)} train episodes"
    return SplitCheck(name="validation_folds", holds=holds, detail=detail + (" (round 1)" if len(rounds) > 1 else ""))


def _merged(checks: Sequence[SplitCheck]) -> SplitCheck:
    """The first that fails, or the first."""
    return next((check for check in checks if not check.holds), checks[0])


def _coverage(sides: Sequence[Sides]) -> SplitCheck:
    """A phase that is tested and was never trained on cannot be told; logs alone have no phases."""
    name = "class_coverage"
    train = [phase_support(each.train) for each in sides]
    unseen = sorted(
        {
            phase
            for each, seen in zip(sides, train, strict=True)
            for phase in phase_support(each.test) - seen
            if phase not in seen
        }
    )
    if not any(train) and not unseen:
        return SplitCheck(name=name, holds=True, detail="no episode has labelled windows: there is no phase to cover")
    counts = ", ".join(f"{phase} {n}" for phase, n in sorted(train[0].items()))
    return SplitCheck(
        name=name,
        holds=not unseen and all(len(seen) > 1 for seen in train),
        detail=f"phases never trained on: {', '.join(unseen)}"
        if unseen
        else f"train episodes with each phase: {counts}",
    )
