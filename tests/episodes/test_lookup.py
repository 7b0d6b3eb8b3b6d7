"""Finding one episode by what a person types; a miss says what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlstir_core.episodes.store.index import IndexEntry
from rlstir_core.episodes.store.lookup import find_entry, known_entries
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.ids import episode_id, host_id
from rlstir_core.results.layout import Layout


def entry(host: str, episode: str) -> IndexEntry:
    return IndexEntry(host_id=host_id(host), episode_id=episode_id(episode), path="", n_bytes=0, sha256="")


ENTRIES = (entry("a", "ep-100"), entry("a", "ep-200"), entry("b", "ep-200"), entry("b", "ep-300"))


def test_an_id_is_enough_where_one_host_has_it() -> None:
    assert find_entry(ENTRIES, "ep-300", "", "store S") is ENTRIES[3]
    assert find_entry(ENTRIES, "ep-200", "b", "store S") is ENTRIES[2]


@pytest.mark.parametrize(
    ("episode", "host", "sentence"),
    [
        ("ep-200", "", r"several hosts \(a, b\); say which with --host"),
        ("ep-100", "c", "host 'c' is not in store S; its hosts are a, b"),
        ("ep-100", "b", "is not of host b, but of a; name that one"),
        ("ep-101", "", "is not among the 4 of store S; there are like ep-100"),
        ("zzz", "a", "is not among the 2 of store S on host a; there are like ep-100, ep-200"),
    ],
)
def test_a_miss_says_what_there_is(episode: str, host: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        find_entry(ENTRIES, episode, host, "store S")


def test_an_empty_store_and_a_folder_that_is_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are none"):
        find_entry((), "ep-1", "", "store S")
    with pytest.raises(StoreError, match="holds nothing that RL-STIR made"):
        known_entries(Layout(tmp_path))
    with pytest.raises(StoreError, match="is not a folder"):
        known_entries(Layout(tmp_path / "none"))
