"""Split recipes hold apart what they say, name what they leave out, and prove it with proofs that can fail."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlstir_core.datasets.checks import prove_coverage, prove_disjoint
from rlstir_core.datasets.recipes import EpisodeInfo, SplitSettings, make_split
from rlstir_core.errors import SplitRefused
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
        "phases": ("calm", "attack"),
    }
    return EpisodeInfo(**{**given_, **known})


def world(hosts: int = 3, per_host: int = 12) -> list[EpisodeInfo]:
    """Two profiles with benign twins, four samples each, shared by every host."""
    out = []
    for h in range(hosts):
        for k in range(per_host):
            profile, benign, sample = ("worm", "bot")[k % 2], bool(k // 2 % 2), k // 4 % 4
            out.append(
                episode(
                    f"ep-{h}{k:02d}",
                    host=f"host-{h}",
                    profile=profile,
                    benign=benign,
                    sample=f"{profile}-{'twin' if benign else 'real'}-{sample}",
                )
            )
    return out


def ids(episodes: list[EpisodeInfo]) -> set[str]:
    return {e.episode_id for e in episodes}


def of(split: Any, side: str, episodes: list[EpisodeInfo]) -> list[EpisodeInfo]:
    chosen = set(getattr(split, side))
    return [e for e in episodes if e.episode_id in chosen]


def proofs_of(split: Any, episodes: list[EpisodeInfo]) -> dict[str, bool]:
    return {proof.name: proof.holds for proof in prove_disjoint(split, episodes)}


# ---- every recipe


@pytest.mark.parametrize("recipe", ["host", "sample", "time"])
def test_the_split_is_a_function_of_the_episodes_whatever_their_order(recipe: str) -> None:
    episodes = world()
    one = make_split(recipe, episodes)
    for seed in range(5):
        shuffled = random.Random(seed).sample(episodes, len(episodes))
        assert make_split(recipe, shuffled) == one


@pytest.mark.parametrize("recipe", ["host", "sample", "time"])
def test_every_episode_stands_on_one_side_or_is_excluded_by_name(recipe: str) -> None:
    episodes = world()
    split = make_split(recipe, episodes)
    sides = [*split.train, *split.test]
    assert len(sides) == len(set(sides)) and set(sides) <= ids(episodes)
    assert len(episodes) - len(sides) == sum(exclusion.n_episodes for exclusion in split.excluded)
    assert split.train and split.test


@pytest.mark.parametrize("recipe", ["host", "sample", "time"])
def test_every_proof_of_a_split_holds(recipe: str) -> None:
    episodes = world()
    split = make_split(recipe, episodes)
    proofs = prove_disjoint(split, episodes)
    assert all(proof.holds for proof in proofs) and len({proof.name for proof in proofs}) == 5
    assert prove_coverage(split, episodes).holds


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from(["worm", "bot"]), st.booleans(), st.integers(0, 4), st.integers(0, 9)
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from(["host", "sample", "time"]),
)
def test_a_split_of_anything_is_refused_or_proven(rows: list[Any], recipe: str) -> None:
    episodes = [
        episode(f"ep-{k}", host=f"h-{h}", profile=p, benign=b, sample=f"s-{s}", content_sha256=f"c-{k % (c + 5)}")
        for k, (h, p, b, s, c) in enumerate(rows)
    ]
    try:
        split = make_split(recipe, episodes)
    except SplitRefused as refusal:
        assert ";" in str(refusal) and "\n" not in str(refusal)
        return
    assert all(proofs_of(split, episodes).values()) and split.train and split.test
    left_out = len(episodes) - len((*split.train, *split.test))
    assert left_out == sum(exclusion.n_episodes for exclusion in split.excluded)


@pytest.mark.parametrize("recipe", ["host", "sample", "time"])
@pytest.mark.parametrize("folds", [2, 3, 5])
def test_validation_is_carved_from_the_train_side_by_whole_episodes(recipe: str, folds: int) -> None:
    split = make_split(recipe, world(hosts=3, per_host=16), SplitSettings(folds=folds))
    dealt = [name for part in split.folds for name in part]
    assert len(split.folds) == folds and sorted(dealt) == list(split.train)
    assert min(len(part) for part in split.folds) >= 2


def test_validation_is_whole_hosts_where_there_are_enough_of_them() -> None:
    episodes = world(hosts=6, per_host=8)
    host_of = {e.episode_id: e.host for e in episodes}
    hosts = [{host_of[name] for name in part} for part in make_split("host", episodes).folds]
    assert len(hosts) == 3 and all(hosts) and sum(len(part) for part in hosts) == len(set.union(*hosts))


def test_folds_within_one_host_are_alike_in_profile() -> None:
    episodes = world(hosts=2, per_host=24)
    profile_of = {e.episode_id: (e.profile, e.benign) for e in episodes}
    for part in make_split("host", episodes).folds:
        counts = [sum(profile_of[name] == kind for name in part) for kind in set(profile_of.values())]
        assert counts == [2, 2, 2, 2]


def test_another_seed_deals_other_folds_and_leaves_the_test_hosts() -> None:
    episodes = world(hosts=2, per_host=24)
    one, two = (make_split("host", episodes, SplitSettings(seed=seed)) for seed in (0, 1))
    assert one.test == two.test and one.folds != two.folds


def test_no_episode_at_all_an_unknown_recipe_and_too_few_episodes_are_refused() -> None:
    with pytest.raises(SplitRefused, match="no usable episodes"):
        make_split("time", [])
    with pytest.raises(SplitRefused, match="choose one of host, sample, time"):
        make_split("random", world())
    with pytest.raises(SplitRefused, match="leaves 1 train and 1 test episodes, and needs 4 and 1"):
        make_split("host", [episode("ep-1", host="a"), episode("ep-2", host="b")])
    with pytest.raises(SplitRefused, match="use recipe 'host'"):
        make_split("time", world(), SplitSettings(train_hosts=("host-0",)))


# ---- host


def test_one_host_is_refused_with_the_reason_and_a_remedy() -> None:
    with pytest.raises(
        SplitRefused, match=r"every usable episode is of host 'host-0'; record on a second host"
    ) as caught:
        make_split("host", world(hosts=1))
    assert "--recipe sample" in str(caught.value) and isinstance(caught.value, ValueError)


def test_whole_hosts_are_held_out() -> None:
    episodes = world(hosts=4)
    split = make_split("host", episodes)
    held_out = {e.host for e in of(split, "test", episodes)}
    assert held_out == set(split.held_out) and len(held_out) == 1
    assert held_out.isdisjoint({e.host for e in of(split, "train", episodes)})


def test_named_train_hosts_are_the_train_side() -> None:
    episodes = world(hosts=3)
    split = make_split("host", episodes, SplitSettings(train_hosts=("host-1",)))
    assert {e.host for e in of(split, "train", episodes)} == {"host-1"} and split.held_out == ("host-0", "host-2")


@pytest.mark.parametrize(
    ("named", "says"),
    [(("host-9",), "train host 'host-9' has no usable episode; hosts that have: host-0, host-1"),
     (("host-0", "host-1"), "leave at least one out")],
)  # fmt: skip
def test_train_hosts_that_cannot_be_are_refused(named: tuple[str, ...], says: str) -> None:
    with pytest.raises(SplitRefused, match=says):
        make_split("host", world(hosts=2), SplitSettings(train_hosts=named))


def test_the_host_that_ran_fewer_profiles_is_the_one_held_out() -> None:
    episodes = [e for e in world(hosts=2) if e.host == "host-1" or e.profile == "worm"]
    assert make_split("host", episodes).held_out == ("host-0",)


def test_ten_hosts_leave_five_for_a_claim_about_a_new_host() -> None:
    assert len(make_split("host", world(hosts=10, per_host=4)).held_out) == 5


# ---- sample


def test_sample_names_are_held_out_within_each_profile_and_side() -> None:
    episodes = world()
    split = make_split("sample", episodes)
    for profile in ("worm", "bot"):
        for benign in (True, False):
            test = {e.sample for e in of(split, "test", episodes) if (e.profile, e.benign) == (profile, benign)}
            train = {e.sample for e in of(split, "train", episodes) if (e.profile, e.benign) == (profile, benign)}
            assert test and train and test.isdisjoint(train) and test <= set(split.held_out)


def test_a_profile_with_one_sample_is_excluded_by_name() -> None:
    episodes = [*world(), *(episode(f"lone-{k}", profile="lonely", sample="only") for k in range(3))]
    split = make_split("sample", episodes)
    (exclusion,) = split.excluded
    assert (
        exclusion.what == "lonely" and exclusion.n_episodes == 3 and "too few samples (1, needs 2)" in exclusion.reason
    )
    assert not {f"lone-{k}" for k in range(3)} & {*split.train, *split.test}


def test_a_sample_that_two_profiles_share_does_not_stand_on_both_sides() -> None:
    episodes = [episode(f"ep-{k}", profile=("worm", "bot")[k % 2], sample=f"shared-{k // 2 % 3}") for k in range(24)]
    for seed in range(8):
        try:
            split = make_split("sample", episodes, SplitSettings(seed=seed))
        except SplitRefused:
            continue
        assert proofs_of(split, episodes)["sample_overlap"]
        left_out = len(episodes) - len((*split.train, *split.test))
        assert left_out == sum(exclusion.n_episodes for exclusion in split.excluded)


def test_samples_that_differ_in_case_alone_are_one_sample() -> None:
    episodes = [episode(f"ep-{k}", sample=("Payload", "payload", "other", "third")[k % 4]) for k in range(16)]
    for seed in range(8):
        split = make_split("sample", episodes, SplitSettings(seed=seed))
        train, test = ({e.sample.lower() for e in of(split, side, episodes)} for side in ("train", "test"))
        assert train.isdisjoint(test)


# ---- time


def test_time_trains_on_the_past_and_drops_episodes_across_the_cut() -> None:
    episodes = [episode(f"ep-{k:02d}") for k in range(30)]
    late = max(e.t_start_wall_ns for e in episodes)
    episodes.append(episode("long", t_start_wall_ns=0, t_end_wall_ns=late))
    split = make_split("time", episodes)
    test, outer = of(split, "test", episodes), of(split, "train", episodes)
    assert max(e.t_end_wall_ns for e in outer) <= int(split.held_out[0]) <= min(e.t_start_wall_ns for e in test)
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


@pytest.mark.parametrize("recipe", ["host", "sample", "time"])
def test_copies_across_the_sides_are_taken_out_of_the_train_side(recipe: str) -> None:
    episodes = world()
    before = make_split(recipe, episodes)
    victim, copied, near = before.test[0], before.train[0], before.train[1]
    changes: dict[str, Callable[[EpisodeInfo], EpisodeInfo]] = {
        victim: lambda e: msgspec.structs.replace(e, signature=signature(recording(7)), content_sha256="same"),
        copied: lambda e: msgspec.structs.replace(e, content_sha256="same"),
        near: lambda e: msgspec.structs.replace(e, signature=signature(recording(7, noise=0.005))),
    }
    twins = [changes.get(e.episode_id, lambda e: e)(e) for e in episodes]
    split = make_split(recipe, twins)
    assert victim in split.test
    assert not {copied, near} & {*split.train}
    exclusion = split.excluded[-1]
    assert exclusion.n_episodes == 2 and copied in exclusion.what and near in exclusion.what
    assert all(proofs_of(split, twins).values())


# ---- the proofs can fail


def test_the_proofs_fail_on_a_split_that_overlaps() -> None:
    episodes = world()
    split = make_split("host", episodes)
    stolen = msgspec.structs.replace(split, train=(*split.train, split.test[0]))
    assert proofs_of(stolen, episodes) == {
        "episode_overlap": False,
        "validation_folds": False,
        "content_overlap": False,
        "near_duplicates": False,
        "host_overlap": False,
    }
    assert prove_disjoint(stolen, episodes)[0].detail == "1 episodes on both sides"


def test_the_proof_of_the_folds_fails_when_one_is_dealt_twice_lost_or_alone() -> None:
    episodes = world()
    split = make_split("host", episodes)
    first, *rest = split.folds
    for folds in ((first, first, *rest), tuple(rest), (split.train,), (first, (*first, split.test[0]), *rest)):
        assert proofs_of(msgspec.structs.replace(split, folds=folds), episodes)["validation_folds"] is False


def test_the_proof_of_near_duplicates_fails_on_a_copy_with_another_hash() -> None:
    episodes = world()
    split = make_split("host", episodes)
    same = signature(recording(3))
    twins = [
        msgspec.structs.replace(e, signature=same) if e.episode_id in (split.train[0], split.test[0]) else e
        for e in episodes
    ]
    proofs = proofs_of(split, twins)
    assert proofs["near_duplicates"] is False and proofs["content_overlap"] is True


@pytest.mark.parametrize(("recipe", "proof"), [("sample", "sample_overlap"), ("time", "time_order")])
def test_the_proof_of_a_recipe_fails_when_its_sides_are_swapped_in_part(recipe: str, proof: str) -> None:
    episodes = world()
    split = make_split(recipe, episodes)
    moved = msgspec.structs.replace(
        split, train=(*split.train[1:], split.test[0]), test=(*split.test[1:], split.train[0])
    )
    proofs = proofs_of(moved, episodes)
    assert proofs["episode_overlap"] is True and proofs[proof] is False


def test_coverage_fails_where_the_test_side_has_a_phase_that_was_never_trained_on() -> None:
    episodes = world()
    split = make_split("host", episodes)
    strange = [
        msgspec.structs.replace(e, phases=("calm", "dormant")) if e.episode_id == split.test[0] else e for e in episodes
    ]
    proof = prove_coverage(split, strange)
    assert not proof.holds and proof.detail == "phases never trained on: dormant"
    one_phase = [msgspec.structs.replace(e, phases=("calm",)) for e in episodes]
    assert not prove_coverage(split, one_phase).holds
