"""Split recipes hold apart what they say, name what they leave out, and refuse what they cannot split."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_worlds import (
    ALL,
    ONE_ROUND,
    checks_of,
    divided,
    episode,
    failing,
    ids,
    sides_of,
    world,
)

from rlstir_core.datasets.checks import check_split
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.split import heeded, make_split
from rlstir_core.errors import SplitRefused

# ---- every recipe


def test_there_are_the_six_recipes_and_each_says_what_it_holds_apart() -> None:
    assert list(RECIPES) == ALL and all(len(spec.words) > 40 for spec in RECIPES.values())
    assert [name for name, spec in RECIPES.items() if not spec.headline] == ["random"]
    assert all(spec.name == name and spec.words.endswith(".") for name, spec in RECIPES.items())


@pytest.mark.parametrize("recipe", ALL)
def test_the_split_is_a_function_of_the_episodes_whatever_their_order(recipe: str) -> None:
    episodes = world()
    one = make_split(recipe, episodes)
    for seed in range(5):
        shuffled = random.Random(seed).sample(episodes, len(episodes))
        assert make_split(recipe, shuffled) == one


@pytest.mark.parametrize("recipe", ONE_ROUND)
def test_every_episode_stands_on_one_side_or_is_excluded_by_name(recipe: str) -> None:
    episodes = world()
    split = divided(recipe, episodes)
    sides = sides_of(split)
    assert len(sides) == len(set(sides)) and set(sides) <= ids(episodes) and set(sides) == set(split.by_name)
    assert len(episodes) - len(sides) == sum(exclusion.n_episodes for exclusion in split.excluded)
    assert split.trained_on and split.tested


@pytest.mark.parametrize("recipe", ALL)
def test_every_check_of_a_split_holds(recipe: str) -> None:
    split, twins = make_split(recipe, world())
    assert failing(split, twins) == set()
    names = {"episode_overlap", "tested_once", "validation_folds", "content_overlap", "near_duplicates"}
    assert names | {"class_coverage"} <= set(checks_of(split))
    checks = check_split(split, twins)
    assert all(check.detail for check in checks) and len({check.name for check in checks}) == len(checks)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from(["worm", "bot"]), st.booleans(), st.integers(0, 4), st.integers(0, 9)
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from(ALL),
)
def test_a_split_of_anything_is_refused_or_checked(rows: list[Any], recipe: str) -> None:
    episodes = [
        episode(
            f"ep-{k}",
            host=f"h-{h}",
            corpus=f"corpus-{h % 2}",
            profile=p,
            benign=b,
            sample=f"s-{s}",
            content_sha256=f"c-{k % (c + 5)}",
        )
        for k, (h, p, b, s, c) in enumerate(rows)
    ]
    try:
        split, twins = make_split(recipe, episodes)
    except SplitRefused as refusal:
        assert ";" in str(refusal) and "\n" not in str(refusal)
        return
    assert failing(split, twins) == set() and all(each.train and each.test for each in split.rounds)
    if recipe != "loho":
        left_out = len(episodes) - len(sides_of(split))
        assert left_out == sum(exclusion.n_episodes for exclusion in split.excluded)


def test_no_episode_at_all_an_unknown_recipe_and_too_few_episodes_are_refused() -> None:
    with pytest.raises(SplitRefused, match="no usable episodes"):
        make_split("time", [])
    with pytest.raises(SplitRefused, match="'days' is unknown; choose one of host, loho, sample, time, corpus, random"):
        make_split("days", world())
    with pytest.raises(SplitRefused, match="leaves 1 train and 1 test episodes, and needs 4 and 1"):
        make_split("host", [episode("ep-1", host="a"), episode("ep-2", host="b")])


# ---- settings


NAMES: dict[str, tuple[str, ...]] = {"train_hosts": ("host-0",), "test_hosts": ("host-0",), "train_corpora": ("x",)}
HEEDED = {"host": {"train_hosts", "test_hosts"}, "loho": {"test_hosts"}, "corpus": {"train_corpora"}}


@pytest.mark.parametrize("recipe", ALL)
@pytest.mark.parametrize("name", NAMES)
def test_names_that_a_recipe_does_not_heed_are_refused_and_dropped_where_it_is_one_of_many(
    recipe: str, name: str
) -> None:
    asked = SplitSettings(**{name: NAMES[name]}, folds=4, seed=5)
    kept = heeded(RECIPES[recipe], asked)
    assert (kept.folds, kept.seed) == (4, 5)
    if name in HEEDED.get(recipe, ()):
        assert kept == asked
        return
    assert kept == SplitSettings(folds=4, seed=5)
    able = ", ".join(other for other in ALL if name in HEEDED.get(other, ()))
    says = f"{name.replace('_', ' ')} are named, but recipe '{recipe}' does not heed them; use recipe {able}"
    with pytest.raises(SplitRefused, match=says):
        make_split(recipe, world(), asked)
    assert make_split(recipe, world(), kept)


# ---- host


def test_one_host_is_refused_with_the_reason_and_a_remedy() -> None:
    with pytest.raises(
        SplitRefused, match=r"every usable episode is of host 'host-0'; record on a second host"
    ) as caught:
        make_split("host", world(hosts=1))
    assert "--recipe sample" in str(caught.value) and isinstance(caught.value, ValueError)


def test_whole_hosts_are_held_out() -> None:
    split = divided("host", world(hosts=4))
    held_out = {e.host for e in split.tested}
    assert held_out == set(split.rounds[0].held_out) and len(held_out) == 1
    assert held_out.isdisjoint({e.host for e in split.trained_on})


def test_named_train_hosts_are_the_train_side() -> None:
    split = divided("host", world(hosts=3), train_hosts=("host-1",))
    assert {e.host for e in split.trained_on} == {"host-1"} and split.rounds[0].held_out == ("host-0", "host-2")


def test_named_test_hosts_are_the_test_side_and_all_others_train() -> None:
    split = divided("host", world(hosts=4), test_hosts=("host-2", "host-0"))
    assert {e.host for e in split.trained_on} == {"host-1", "host-3"}
    assert {e.host for e in split.tested} == {"host-0", "host-2"} == set(split.rounds[0].held_out)


def test_a_host_that_is_named_on_neither_side_is_excluded_by_name() -> None:
    episodes = world(hosts=4)
    split = divided("host", episodes, train_hosts=("host-1",), test_hosts=("host-2",))
    assert {e.host for e in split.trained_on} == {"host-1"} and {e.host for e in split.tested} == {"host-2"}
    (exclusion,) = split.excluded
    assert exclusion.what == "host-0, host-3" and exclusion.n_episodes == 24 and "neither" in exclusion.reason


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"train_hosts": ("host-9",)}, "train host 'host-9' has no usable episode; hosts that have: host-0, host-1"),
        ({"test_hosts": ("host-9",)}, "test host 'host-9' has no usable episode; hosts that have: host-0, host-1"),
        ({"train_hosts": ("host-0", "host-1")}, "leave at least one out for the test side"),
        ({"test_hosts": ("host-0", "host-1")}, "leave at least one out to train on"),
        ({"train_hosts": ("host-0",), "test_hosts": ("host-1", "host-0")}, "'host-0' is named as a train host and as"),
    ],
)
def test_named_hosts_that_cannot_be_are_refused(named: dict[str, tuple[str, ...]], says: str) -> None:
    with pytest.raises(SplitRefused, match=says):
        make_split("host", world(hosts=2), SplitSettings(**named))


def test_the_host_that_ran_fewer_profiles_is_the_one_held_out() -> None:
    episodes = [e for e in world(hosts=2) if e.host == "host-1" or e.profile == "worm"]
    assert divided("host", episodes).rounds[0].held_out == ("host-0",)


def test_ten_hosts_leave_five_for_a_claim_about_a_new_host() -> None:
    assert len(divided("host", world(hosts=10, per_host=4)).rounds[0].held_out) == 5


# ---- leave one host out


def test_every_host_is_tested_exactly_once_and_never_by_models_that_saw_it() -> None:
    episodes = world(hosts=5, per_host=4)
    split = divided("loho", episodes)
    assert [each.held_out for each in split.rounds] == [(f"host-{h}",) for h in range(5)]
    assert [e.episode_id for e in split.tested] == sorted(ids(episodes)) and not split.excluded
    for each in split.rounds:
        tested, trained = ({split.by_name[name].host for name in side} for side in (each.test, each.train))
        assert tested == set(each.held_out) and tested.isdisjoint(trained) and len(trained) == 4


def test_hosts_may_be_named_that_are_tested_alone() -> None:
    split = divided("loho", world(hosts=4), test_hosts=("host-3", "host-1"))
    assert [each.held_out for each in split.rounds] == [("host-1",), ("host-3",)]
    assert {e.host for e in split.trained_on} == {f"host-{h}" for h in range(4)}
    with pytest.raises(SplitRefused, match="test host 'host-9' has no usable episode"):
        divided("loho", world(hosts=4), test_hosts=("host-9",))


def test_two_hosts_are_too_few_to_leave_one_out() -> None:
    with pytest.raises(SplitRefused, match=r"needs 3 hosts .* there are 2 \(host-0, host-1\); .* --recipe host"):
        make_split("loho", world(hosts=2))


def test_a_round_that_leaves_too_few_episodes_is_named() -> None:
    episodes = [*world(hosts=1, per_host=9), episode("ep-1", host="b"), episode("ep-2", host="c")]
    with pytest.raises(SplitRefused, match="leaves 2 train and 9 test episodes where host-0 is held out"):
        make_split("loho", episodes)


# ---- corpus


def test_whole_corpora_are_held_out_and_the_largest_are_trained_on() -> None:
    episodes = [*world(hosts=3), *(episode(f"few-{k}", host=f"host-{k % 3}", corpus="theirs") for k in range(5))]
    split = divided("corpus", episodes)
    assert split.rounds[0].held_out == ("theirs",) == tuple({e.corpus for e in split.tested})
    assert "theirs" not in {e.corpus for e in split.trained_on} and failing(split) == set()


def test_named_train_corpora_are_the_train_side() -> None:
    split = divided("corpus", world(hosts=6, corpora=3), train_corpora=("corpus-1",))
    assert {e.corpus for e in split.trained_on} == {"corpus-1"}
    assert split.rounds[0].held_out == ("corpus-0", "corpus-2") == tuple(sorted({e.corpus for e in split.tested}))


@pytest.mark.parametrize(
    ("named", "says"),
    [
        (("corpus-9",), "train corpus 'corpus-9' has no usable episode; corpora that have: corpus-0, corpus-1"),
        (("corpus-0", "corpus-1"), "every corpus is named as a train corpus; leave at least one out"),
    ],
)
def test_train_corpora_that_cannot_be_are_refused(named: tuple[str, ...], says: str) -> None:
    with pytest.raises(SplitRefused, match=says):
        divided("corpus", world(), train_corpora=named)


def test_one_corpus_is_refused_with_a_remedy() -> None:
    with pytest.raises(SplitRefused, match="every usable episode is of corpus 'corpus-0'; import another one with"):
        divided("corpus", world(corpora=1))


@pytest.mark.parametrize("recipe", ["corpus", "host", "random"])
def test_episodes_of_logs_alone_are_split_and_the_check_says_that_there_is_no_phase(recipe: str) -> None:
    episodes = [msgspec.structs.replace(e, windows={}, logs=("logs/auth.log",)) for e in world()]
    split, twins = make_split(recipe, episodes)
    assert failing(split, twins) == set() and split.trained_on and split.tested
    detail = checks_of(split)["class_coverage"].detail
    assert detail == "no episode has labelled windows: there is no phase to cover"


# ---- random


def test_random_draws_episodes_and_says_that_it_is_no_result() -> None:
    split = divided("random", world(hosts=4))
    assert {e.host for e in split.tested} == {e.host for e in split.trained_on} == {f"host-{h}" for h in range(4)}
    assert len(split.tested) == round(0.3 * 48) and not split.headline and "are no result" in split.words
    assert [e.episode_id for e in divided("random", world(hosts=4), seed=1).tested] != [
        e.episode_id for e in split.tested
    ]


# ---- sample


def test_sample_names_are_held_out_within_each_profile_and_side() -> None:
    split = divided("sample", world())
    for profile in ("worm", "bot"):
        for benign in (True, False):
            test = {e.sample for e in split.tested if (e.profile, e.benign) == (profile, benign)}
            train = {e.sample for e in split.trained_on if (e.profile, e.benign) == (profile, benign)}
            assert test and train and test.isdisjoint(train) and test <= set(split.rounds[0].held_out)


def test_a_profile_with_one_sample_is_excluded_by_name() -> None:
    episodes = [*world(), *(episode(f"lone-{k}", profile="lonely", sample="only") for k in range(3))]
    split = divided("sample", episodes)
    (exclusion,) = split.excluded
    assert (
        exclusion.what == "lonely" and exclusion.n_episodes == 3 and "too few samples (1, needs 2)" in exclusion.reason
    )
    assert not {f"lone-{k}" for k in range(3)} & set(sides_of(split))


def test_a_sample_that_two_profiles_share_does_not_stand_on_both_sides() -> None:
    episodes = [episode(f"ep-{k}", profile=("worm", "bot")[k % 2], sample=f"shared-{k // 2 % 3}") for k in range(24)]
    for seed in range(8):
        try:
            split = divided("sample", episodes, seed=seed)
        except SplitRefused:
            continue
        assert checks_of(split)["sample_overlap"].holds
        left_out = len(episodes) - len(sides_of(split))
        assert left_out == sum(exclusion.n_episodes for exclusion in split.excluded)


def test_samples_that_differ_in_case_alone_are_one_sample() -> None:
    episodes = [episode(f"ep-{k}", sample=("Payload", "payload", "other", "third")[k % 4]) for k in range(16)]
    for seed in range(8):
        split = divided("sample", episodes, seed=seed)
        train, test = ({e.sample.lower() for e in side} for side in (split.trained_on, split.tested))
        assert train.isdisjoint(test)


# ---- time


def test_time_trains_on_the_past_and_drops_episodes_across_the_cut() -> None:
    episodes = [episode(f"ep-{k:02d}") for k in range(30)]
    late = max(e.t_start_wall_ns for e in episodes)
    episodes.append(episode("long", t_start_wall_ns=0, t_end_wall_ns=late))
    split = divided("time", episodes)
    test, outer = split.tested, split.trained_on
    assert (
        max(e.t_end_wall_ns for e in outer) <= int(split.rounds[0].held_out[0]) <= min(e.t_start_wall_ns for e in test)
    )
    assert "long" not in ids(outer) | ids(test)
    assert [(e.what, e.n_episodes) for e in split.excluded] == [("episodes across the cut", 1)]
