"""Proofs about a split: each is a check with a verdict, run before anything is trained.

What does not belong here: making splits (`recipes.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rlstir_core.datasets.duplicates import near_duplicates
from rlstir_core.datasets.recipes import EpisodeInfo, Split, phase_support
from rlstir_core.ids import fold


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """One statement about a split and whether it holds."""

    name: str
    holds: bool
    detail: str


def prove_disjoint(split: Split, episodes: Sequence[EpisodeInfo]) -> tuple[Proof, ...]:
    """That no episode, content, near-duplicate and, by recipe, host, sample or time stands on both sides."""
    by_id = {episode.episode_id: episode for episode in episodes}
    shared = set(split.train) & set(split.test)
    outer = [by_id[i] for i in split.train]
    test = [by_id[i] for i in split.test]
    contents = {e.content_sha256 for e in outer} & {e.content_sha256 for e in test}
    twins = near_duplicates(
        {e.episode_id: (e.content_sha256, e.signature) for e in outer},
        {e.episode_id: (e.content_sha256, e.signature) for e in test},
    )
    proofs = [
        Proof(
            name="episode_overlap",
            holds=not shared,
            detail=f"{len(shared)} episodes on both sides",
        ),
        _prove_folds(split),
        Proof(name="content_overlap", holds=not contents, detail=f"{len(contents)} contents on both sides"),
        Proof(
            name="near_duplicates",
            holds=not twins,
            detail=f"{len(twins)} train episodes repeat a test episode",
        ),
        _prove_recipe(split, outer, test),
    ]
    return tuple(proofs)


def _prove_folds(split: Split) -> Proof:
    dealt = [episode for part in split.folds for episode in part]
    once = len(dealt) == len(set(dealt))
    return Proof(
        name="validation_folds",
        holds=once and set(dealt) == set(split.train) and len(split.folds) > 1,
        detail=f"{len(split.folds)} folds of {', '.join(str(len(part)) for part in split.folds)} train episodes",
    )


def _prove_recipe(split: Split, outer: list[EpisodeInfo], test: list[EpisodeInfo]) -> Proof:
    if split.recipe == "time":
        latest, earliest = max(e.t_end_wall_ns for e in outer), min(e.t_start_wall_ns for e in test)
        return Proof(
            name="time_order",
            holds=latest <= earliest,
            detail=f"train ends {(earliest - latest) / 1e9:.0f} s before test begins",
        )
    held_apart = "host" if split.recipe == "host" else "sample"
    both = {fold(getattr(e, held_apart)) for e in outer} & {fold(getattr(e, held_apart)) for e in test}
    detail = f"{len(both)} {split.recipe}s on both sides"
    return Proof(name=f"{split.recipe}_overlap", holds=not both, detail=detail)


def prove_coverage(split: Split, episodes: Sequence[EpisodeInfo]) -> Proof:
    """That every phase of the test side was seen in training."""
    train = phase_support(episodes, split.train)
    unseen = sorted(set(phase_support(episodes, split.test)) - set(train))
    counts = ", ".join(f"{phase} {n}" for phase, n in sorted(train.items()))
    return Proof(
        name="class_coverage",
        holds=not unseen and len(train) > 1,
        detail=f"phases never trained on: {', '.join(unseen)}"
        if unseen
        else f"train episodes with each phase: {counts}",
    )
