"""The checks of a split can fail: each does where the split is wrong in its way, and no other."""

from __future__ import annotations

import msgspec
import pytest
from split_worlds import (
    checks_of,
    divided,
    failing,
    in_round,
    recording,
    world,
)

from rlstir_core.datasets import duplicates
from rlstir_core.telemetry.signature import signature


def test_the_checks_fail_on_a_split_that_overlaps() -> None:
    episodes = world()
    split = divided("host", episodes)
    first = split.rounds[0]
    stolen = in_round(split, train=(*first.train, first.test[0]))
    twins = duplicates.tested_twins([split.tested], split.trained_on)
    assert failing(stolen, twins) == {
        "episode_overlap",
        "validation_folds",
        "content_overlap",
        "near_duplicates",
        "host_overlap",
    }
    assert checks_of(stolen)["episode_overlap"].detail == "1 episodes on both sides"


def test_the_checks_look_at_every_round() -> None:
    split = divided("loho", world(hosts=4))
    *rest, last = split.rounds
    stolen = msgspec.structs.replace(last, train=(*last.train, last.test[0]))
    wrong = msgspec.structs.replace(split, rounds=(*rest, stolen))
    assert failing(wrong) == {"episode_overlap", "validation_folds", "content_overlap", "host_overlap"}


def test_the_check_of_the_rounds_fails_when_an_episode_is_tested_twice() -> None:
    split = divided("loho", world(hosts=3))
    again = msgspec.structs.replace(split, rounds=(*split.rounds, split.rounds[0]))
    assert failing(again) == {"tested_once"}
    assert checks_of(again)["tested_once"].detail == "36 episodes tested in 4 rounds, 12 twice"


def test_the_check_of_the_folds_fails_when_one_is_dealt_twice_lost_or_alone() -> None:
    split = divided("host", world())
    train, test, (first, *rest) = split.rounds[0].train, split.rounds[0].test, split.rounds[0].folds
    for folds in ((first, first, *rest), tuple(rest), (train,), (first, (*first, test[0]), *rest)):
        assert failing(in_round(split, folds=folds)) == {"validation_folds"}


def test_the_check_of_near_duplicates_fails_on_a_copy_with_another_hash() -> None:
    split = divided("host", world())
    same = {"signature": signature(recording(3))}
    train, test = (msgspec.structs.replace(side[0], **same) for side in (split.trained_on, split.tested))
    assert failing(split, duplicates.tested_twins([[test]], [train])) == {"near_duplicates"}
    assert failing(split, {train.episode_id: frozenset({1})}) == set()  # of a round that does not train on it


@pytest.mark.parametrize(
    ("recipe", "check"), [("sample", "sample_overlap"), ("time", "time_order"), ("corpus", "corpus_overlap")]
)
def test_the_check_of_a_recipe_fails_when_its_sides_are_swapped_in_part(recipe: str, check: str) -> None:
    split = divided(recipe, world())
    train, test = split.rounds[0].train, split.rounds[0].test
    moved = in_round(split, train=(*train[1:], test[0]), test=(*test[1:], train[0]))
    assert checks_of(moved)["episode_overlap"].holds and check in failing(moved)


def test_coverage_fails_where_the_test_side_has_a_phase_that_was_never_trained_on() -> None:
    episodes = world()
    name = divided("host", episodes).rounds[0].test[0]
    strange = [
        msgspec.structs.replace(e, windows={"calm": 1, "dormant": 1}) if e.episode_id == name else e for e in episodes
    ]
    split = divided("host", strange)
    check = checks_of(split)["class_coverage"]
    assert failing(split) == {"class_coverage"} and check.detail == "phases never trained on: dormant"
    one_phase = divided("host", [msgspec.structs.replace(e, windows={"calm": 1}) for e in episodes])
    assert failing(one_phase) == {"class_coverage"}


def test_coverage_is_asked_of_every_round() -> None:
    episodes = [
        msgspec.structs.replace(e, windows={"calm": 1, "attack": 1, "dormant": 1}) if e.host == "host-1" else e
        for e in world()
    ]
    split = divided("loho", episodes)
    assert checks_of(split)["class_coverage"].detail == "phases never trained on: dormant"
