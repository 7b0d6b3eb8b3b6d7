"""Split recipes hold apart what they say, name what they leave out, and are checked by checks that can fail."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlstir_core.datasets import duplicates
from rlstir_core.datasets.checks import check_split
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.datasets.recipes.base import SplitCheck, SplitSettings
from rlstir_core.datasets.split import Split, heeded, make_split
from rlstir_core.errors import ConfigError, SplitRefused
from rlstir_core.telemetry.signature import signature

H = 3_600 * 10**9


def episode(name: str, **known: Any) -> EpisodeInfo:
    number = int("".join(c for c in name if c.isdigit()) or 0)
    given_ = {
        "episode_id": name,
        "host": "host-a",
        "profile": "worm",
        "sample": f"sample-{number}",
        "benign": False,
        "complete": True,
        "t_start_wall_ns": number * H,
        "t_end_wall_ns": number * H + H // 2,
        "content_sha256": f"content-{name}",
        "windows": {"calm": 3, "attack": 2},
    }
    return EpisodeInfo(**{**given_, **known})


def world(hosts: int = 3, per_host: int = 12, corpora: int = 2) -> list[EpisodeInfo]:
    """Two profiles with benign twins, four samples each, shared by every host."""
    out = []
    for h in range(hosts):
        for k in range(per_host):
            profile, benign, sample = ("worm", "bot")[k % 2], bool(k // 2 % 2), k // 4 % 4
            out.append(
                episode(
                    f"ep-{h}{k:02d}",
                    host=f"host-{h}",
                    corpus=f"corpus-{h % corpora}",
                    profile=profile,
                    benign=benign,
                    sample=f"{profile}-{'twin' if benign else 'real'}-{sample}",
                )
            )
    return out


def ids(episodes: list[EpisodeInfo]) -> set[str]:
    return {e.episode_id for e in episodes}


def divided(recipe: str, episodes: list[EpisodeInfo], **settings: Any) -> Split:
    return make_split(recipe, episodes, SplitSettings(**settings))[0]


def sides_of(split: Split) -> list[str]:
    """Names on a side of any round, once for each side."""
    return [*ids(split.trained_on), *(e.episode_id for e in split.tested)]


def checks_of(split: Split, twins: Any = None) -> dict[str, SplitCheck]:
    return {check.name: check for check in check_split(split, twins or {})}


def failing(split: Split, twins: Any = None) -> set[str]:
    return {name for name, check in checks_of(split, twins).items() if not check.holds}


def in_round(split: Split, **changes: Any) -> Split:
    """The split with another first round."""
    first, *rest = split.rounds
    return msgspec.structs.replace(split, rounds=(msgspec.structs.replace(first, **changes), *rest))


HONEST = ["host", "loho", "sample", "time", "corpus"]
ALL = [*HONEST, "random"]
ONE_ROUND = [recipe for recipe in ALL if recipe != "loho"]


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
    assert all(check.detail for check in check_split(split, twins))


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


@pytest.mark.parametrize("recipe", ALL)
@pytest.mark.parametrize("folds", [2, 3, 5])
def test_validation_is_carved_from_the_train_side_by_whole_episodes(recipe: str, folds: int) -> None:
    for each in divided(recipe, world(hosts=3, per_host=16), folds=folds).rounds:
        dealt = [name for part in each.folds for name in part]
        assert len(each.folds) == folds and sorted(dealt) == list(each.train)
        assert min(len(part) for part in each.folds) >= 2


@pytest.mark.parametrize("folds", [-1, 0, 1, 21])
def test_a_number_of_folds_that_cannot_be_is_refused_with_the_rule(folds: int) -> None:
    with pytest.raises(ConfigError, match=f"folds is {folds}; keep it between 2 and 20"):
        SplitSettings(folds=folds)


@pytest.mark.parametrize("recipe", ["host", "loho"])
def test_validation_is_whole_hosts_where_there_are_enough_of_them(recipe: str) -> None:
    split = divided(recipe, world(hosts=6, per_host=8))
    for each in split.rounds:
        hosts = [{split.by_name[name].host for name in part} for part in each.folds]
        assert len(hosts) == 3 and all(hosts) and sum(len(part) for part in hosts) == len(set.union(*hosts))


def test_folds_within_one_host_are_alike_in_profile() -> None:
    split = divided("host", world(hosts=2, per_host=24))
    for part in split.rounds[0].folds:
        kinds = [(split.by_name[name].profile, split.by_name[name].benign) for name in part]
        assert sorted(kinds.count(kind) for kind in set(kinds)) == [2, 2, 2, 2]


@pytest.mark.parametrize("hosts", [2, 6])
def test_telemetry_is_dealt_to_every_fold_before_logs_alone_fill_one(hosts: int) -> None:
    silent = [
        episode(f"log-{h}{k}", host=f"web-{h}", windows={}, logs=("logs/auth.log",)) for h in range(6) for k in range(4)
    ]
    episodes = [*world(hosts=hosts, per_host=8), *silent]
    for recipe in ("host", "loho"):
        split = divided(recipe, episodes, test_hosts=("host-0",))
        assert all(any(split.by_name[n].windows for n in part) for part in split.rounds[0].folds)


def test_another_seed_deals_other_folds_and_leaves_the_test_hosts() -> None:
    one, two = (divided("host", world(hosts=2, per_host=24), seed=seed).rounds[0] for seed in (0, 1))
    assert one.test == two.test and one.folds != two.folds


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


# ---- duplicates


def recording(seed: int, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x_CT = rng.normal(5, 2, (6, 400)).astype(np.float32)
    where = np.random.default_rng(seed + 1000).random(400) < noise
    x_CT[:, where] += 1
    return x_CT


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


# ---- the checks can fail


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
