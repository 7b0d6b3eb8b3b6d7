"""Hosts that record too few of the channels that the others record: left out by name, by channels and nothing else."""

from __future__ import annotations

import msgspec
import pytest
from split_worlds import ALL, divided, world

from rlstir_core.datasets.channels import sparse_hosts
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.errors import SplitRefused

MANY = tuple(f"c{k}" for k in range(12))


def with_channels(of: dict[str, tuple[str, ...]], hosts: int = 8) -> list[EpisodeInfo]:
    """A world whose hosts record these channels; all of them where nothing is said."""
    return [msgspec.structs.replace(e, channels=of.get(e.host, MANY)) for e in world(hosts)]


@pytest.mark.parametrize("recipe", ALL)
def test_a_host_that_shares_too_few_channels_is_left_out_by_name_and_the_others_keep_theirs(recipe: str) -> None:
    episodes = with_channels({"host-3": ("c0", "power")})
    split = divided(recipe, episodes)
    assert {e.host for e in (*split.trained_on, *split.tested)} == {f"host-{k}" for k in range(8)} - {"host-3"}
    (sparse,) = [each for each in split.excluded if each.kind == "host"]
    assert (sparse.what, sparse.n_episodes) == ("host-3", 12)
    assert sparse.reason.startswith("records 1 of the 12 channels that most hosts record, fewer than 6")
    assert not any(episode.channels for episode in split.episodes)
    kept = divided(recipe, episodes, min_shared_channels=0)
    assert "host-3" in {e.host for e in (*kept.trained_on, *kept.tested)}
    assert not [each for each in kept.excluded if each.kind == "host"]


def test_which_hosts_are_left_out_is_a_matter_of_channels_and_of_no_label() -> None:
    of = {"host-1": MANY[:5], "host-2": MANY[:6], "host-4": ()}
    episodes = with_channels(of)
    assert sparse_hosts(episodes, None)[0] == ["host-1", "host-4"]
    assert sparse_hosts(episodes, 7)[0] == ["host-1", "host-2", "host-4"]
    assert sparse_hosts(episodes, 999)[0] == ["host-1", "host-2", "host-4"]  # nobody has more than all
    other = [msgspec.structs.replace(e, benign=not e.benign, windows={"calm": 9}, profile="x") for e in episodes]
    assert sparse_hosts(other, None) == sparse_hosts(episodes, None)
    # a channel that half of a host's episodes have is recorded there; one of a few is not
    some = [
        msgspec.structs.replace(e, channels=()) if e.host == "host-0" and k % 2 else e for k, e in enumerate(episodes)
    ]
    assert "host-0" not in sparse_hosts(some, None)[0]
    logs = [msgspec.structs.replace(e, windows={}) if e.host == "host-4" else e for e in episodes]
    assert sparse_hosts(logs, None)[0] == ["host-1"]  # logs alone have no channel to share


def test_no_host_is_left_out_where_no_channel_is_of_most_hosts_or_somebody_named_it() -> None:
    of = {f"host-{k}": ("a", "b") if k % 2 else ("c", "d") for k in range(8)}
    assert sparse_hosts(with_channels(of), None) == ([], [])
    split = divided("host", with_channels({"host-3": ("c0",)}), test_hosts=("host-3",))
    assert {e.host for e in split.tested} == {"host-3"}


def test_many_such_hosts_are_counted_and_a_recipe_that_then_has_too_few_names_them() -> None:
    of = {f"host-{k}": () for k in range(25)}
    out, said = sparse_hosts(with_channels(of, hosts=60), None)
    assert len(out) == 25 and len(said) == 21 and said[-1].what == "5 more" and sum(x.n_episodes for x in said) == 300
    with pytest.raises(SplitRefused, match=r"needs 3 hosts.*host host-2 was left out: it records 0 of the 12"):
        divided("loho", with_channels({"host-2": ()}, hosts=3))
