"""Copies and near-copies of a recording are told apart from others, and never stand on both sides of a round."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from split_worlds import (
    ONE_ROUND,
    divided,
    episode,
    failing,
    ids,
    recording,
    sides_of,
    world,
)

from rlstir_core.datasets import duplicates
from rlstir_core.datasets.split import make_split
from rlstir_core.telemetry.signature import signature


def test_the_signature_tells_the_same_recording_from_another() -> None:
    def overlap(one: tuple[int, ...], two: tuple[int, ...]) -> float:
        return float(np.mean(np.array(one) == np.array(two)))

    same = signature(recording(1))
    assert signature(recording(1)) == same and len(same) == 64
    assert overlap(same, signature(recording(1, noise=0.01))) > 0.7
    assert overlap(same, signature(recording(2))) < 0.1


def test_a_recording_that_stands_still_identifies_nothing() -> None:
    assert signature(np.full((3, 500), 2, np.float32)) == () == signature(np.full((3, 500), np.nan, np.float32))


@pytest.mark.parametrize("recipe", ONE_ROUND)
def test_copies_across_the_sides_are_taken_out_of_the_train_side(recipe: str) -> None:
    episodes = world()
    before = divided(recipe, episodes).rounds[0]
    victim, copied, near = before.test[0], before.train[0], before.train[1]
    changes: dict[str, dict[str, Any]] = {
        victim: {"signature": signature(recording(7)), "content_sha256": "same"},
        copied: {"content_sha256": "same"},
        near: {"signature": signature(recording(7, noise=0.005))},
    }
    split, twins = make_split(recipe, [msgspec.structs.replace(e, **changes.get(e.episode_id, {})) for e in episodes])
    assert victim in split.rounds[0].test and set(twins) - ids(split.tested) == {copied, near}
    assert not {copied, near} & set(sides_of(split))
    exclusion = split.excluded[-1]
    assert exclusion.n_episodes == 2 and copied in exclusion.what and near in exclusion.what
    assert failing(split, twins) == set()


def test_a_near_duplicate_leaves_the_train_side_of_the_round_that_tests_its_twin_and_no_other() -> None:
    same, content = signature(recording(7)), {"content_sha256": "same"}
    changes = {
        "ep-000": {"signature": same},
        "ep-100": {"signature": signature(recording(7, noise=0.005))},
        "ep-201": content,
        "ep-001": content,
    }
    episodes = [msgspec.structs.replace(e, **changes.get(e.episode_id, {})) for e in world(hosts=3)]
    split, twins = make_split("loho", episodes)
    missing = [{"ep-000", "ep-001", "ep-100", "ep-201"} - {*each.train, *each.test} for each in split.rounds]
    assert missing == [{"ep-100", "ep-201"}, {"ep-000"}, {"ep-001"}]
    assert failing(split, twins) == set() and len(split.tested) == len(episodes)
    (exclusion,) = split.excluded
    assert exclusion.n_episodes == 4 and "near-duplicate" in exclusion.reason


def test_episodes_whose_content_has_no_hash_and_no_signature_are_nobodys_twins() -> None:
    episodes = [msgspec.structs.replace(e, content_sha256="", signature=()) for e in world()]
    split, twins = make_split("host", episodes)
    assert twins == {} and not split.excluded and failing(split, twins) == set()
    assert len(sides_of(split)) == len(episodes)


def test_twins_are_told_by_the_rounds_that_test_them() -> None:
    same = signature(recording(1))
    one, two, three = (episode(f"ep-{k}", signature=same) for k in range(3))
    other = episode("ep-9", signature=signature(recording(2)))
    assert duplicates.tested_twins([[one], [other], [two]], [three]) == {
        **{f"ep-{k}": frozenset({0, 2}) for k in range(3)},
        "ep-9": frozenset({1}),
    }
    assert (
        duplicates.tested_twins([[other]], [three]) == {"ep-9": frozenset({0})}
        and duplicates.tested_twins([], [one]) == {}
    )


def test_signatures_are_not_kept_in_the_split() -> None:
    episodes = [msgspec.structs.replace(e, signature=signature(recording(k))) for k, e in enumerate(world())]
    assert not any(e.signature for e in divided("host", episodes).episodes)
