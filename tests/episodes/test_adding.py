"""One's own tarballs into a store: read first, copied whole, named once; what stands against another is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.store import adding
from rlstir_core.episodes.store.adding import Added, add_episodes
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import append_index, write_episode
from rlstir_core.errors import StoreError


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A folder with two episodes of one host."""
    for name in ("ep-1", "ep-2"):
        write_episode(tmp_path / "recorder", meta(name), [(10**18, "clean")], {})
    return tmp_path / "recorder"


def meta(name: str, host: str = "web1", **more: object) -> dict[str, object]:
    start = 10**18
    known = {"episode_id": name, "host_id": host, "profile": "io-walk", "sample_name": "a", "benign": True}
    return {**known, "t_start_wall_ns": start, "t_end_wall_ns": start + 10**10, **more}


def add(store: Path, *paths: Path) -> Added:
    return add_episodes(paths, store, registry=load_registry(store))


def test_a_folder_of_tarballs_becomes_a_store_that_validation_reads(recorded: Path, tmp_path: Path) -> None:
    made = add(tmp_path / "store", recorded)
    assert made.added == ["web1/ep-1", "web1/ep-2"] and not made.refused
    index = read_index(tmp_path / "store")
    assert [(e.host_id, e.episode_id, e.profile) for e in index.entries] == [
        ("web1", "ep-1", "io-walk"),
        ("web1", "ep-2", "io-walk"),
    ]
    assert not index.faults and not index.orphans
    assert all(entry.received_wall_ns for entry in index.entries)


def test_the_same_tarball_twice_is_there_already_and_changes_nothing(recorded: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    add(store, recorded)
    before = (store / "index.jsonl").read_bytes()
    made = add(store, recorded, recorded / "episodes" / "web1" / "ep-1.tar.zst")
    assert not made.added and len(made.there_already) == 3
    assert (store / "index.jsonl").read_bytes() == before


@pytest.mark.parametrize("name", ["ep-1", "EP-1"])
def test_another_episode_of_the_same_name_is_named_and_left_out(recorded: Path, tmp_path: Path, name: str) -> None:
    store = tmp_path / "store"
    add(store, recorded)
    write_episode(tmp_path / "other", meta(name, sample_name="b"), [(10**18, "clean")], {})
    made = add(store, tmp_path / "other")
    assert not made.added
    assert "the store names another episodes/web1/ep-1.tar.zst" in made.refused[0].why
    assert len(read_index(store).entries) == 2


def test_a_tarball_that_would_be_rejected_is_left_out_and_the_others_are_not(recorded: Path, tmp_path: Path) -> None:
    (recorded / "broken.tar.zst").write_bytes(b"no archive")
    made = add(tmp_path / "store", recorded)
    assert len(made.added) == 2
    assert made.refused[0].why.startswith("archive.not_zstd: ")
    assert [path.name for path in (tmp_path / "store" / "episodes").iterdir()] == ["web1"]


def test_a_tarball_of_a_run_that_was_killed_before_the_index_is_taken_up(recorded: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    target = store / "episodes" / "web1"
    target.mkdir(parents=True)
    shutil.copy(recorded / "episodes" / "web1" / "ep-1.tar.zst", target)
    assert add(store, recorded).added == ["web1/ep-1", "web1/ep-2"]
    assert not read_index(store).orphans


def test_a_file_with_other_content_in_the_place_is_left_alone(recorded: Path, tmp_path: Path) -> None:
    target = tmp_path / "store" / "episodes" / "web1" / "ep-1.tar.zst"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"mine")
    made = add(tmp_path / "store", recorded)
    assert made.added == ["web1/ep-2"] and "other content" in made.refused[0].why
    assert target.read_bytes() == b"mine"


def test_nothing_is_written_through_a_link(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store" / "episodes").mkdir(parents=True)
    (tmp_path / "store" / "episodes" / "web1").symlink_to(tmp_path / "elsewhere")
    made = add(tmp_path / "store", recorded)
    assert not made.added and "is a link" in made.refused[0].why
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_tarball_that_changes_while_it_is_read_is_left_out(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Callable[[Path], object] = adding.open_plain

    def changed(path: Path) -> object:
        path.write_bytes(path.read_bytes() + b"more")
        return opened(path)

    monkeypatch.setattr(adding, "open_plain", changed)
    made = add(tmp_path / "store", recorded / "episodes" / "web1" / "ep-1.tar.zst")
    assert not made.added and "changed while it was read" in made.refused[0].why
    assert not list((tmp_path / "store" / "episodes" / "web1").iterdir())


@pytest.mark.parametrize("name", ["none", "empty"])
def test_a_path_without_tarballs_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match=r"\*\.tar\.zst"):
        add(tmp_path / "store", tmp_path / name)


def test_an_index_with_a_torn_line_keeps_it_byte_for_byte(recorded: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    add(store, recorded / "episodes" / "web1" / "ep-1.tar.zst")
    torn = (store / "index.jsonl").read_bytes() + b'{"episode_id": "ha'
    (store / "index.jsonl").write_bytes(torn)
    add(store, recorded / "episodes" / "web1" / "ep-2.tar.zst")
    assert (store / "index.jsonl").read_bytes().startswith(torn + b"\n")
    assert json.loads((store / "index.jsonl").read_text().splitlines()[-1])["episode_id"] == "ep-2"


def test_a_host_that_differs_only_in_case_is_no_second_host(recorded: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    add(store, recorded)
    write_episode(tmp_path / "other", meta("ep-3", host="WEB1"), [(10**18, "clean")], {})
    made = add(store, tmp_path / "other")
    assert not made.added and "the store spells its host web1" in made.refused[0].why
    shutil.copytree(tmp_path / "other" / "episodes", store / "episodes", dirs_exist_ok=True)
    other = store / "episodes" / "WEB1" / "ep-3.tar.zst"
    record = {"episode_id": "ep-3", "host_id": "WEB1", "path": "episodes/WEB1/ep-3.tar.zst"}
    record |= {"bytes": other.stat().st_size, "sha256": hashlib.sha256(other.read_bytes()).hexdigest()}
    append_index(store, [record])  # as another recorder may write it
    (fault,) = read_index(store).faults
    assert fault.reason == "index.case_twin" and "differs from web1 (line 1) only in case" in fault.detail
    assert read_index(store).hosts == ("web1",)


def test_what_lies_there_is_named_though_a_later_one_fails(recorded: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    write_episode(recorded, meta("ep-9", host="web2"), [(10**18, "clean")], {})
    (store / "episodes").mkdir(parents=True)
    (store / "episodes" / "web2").touch()
    made = add(store, recorded)
    assert made.added == ["web1/ep-1", "web1/ep-2"] and "check the store's folders" in made.refused[0].why
    assert len(read_index(store).entries) == 2


def test_a_link_is_named_for_what_it_is(recorded: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.tar.zst"
    link.symlink_to(recorded / "episodes" / "web1" / "ep-1.tar.zst")
    assert "is a link; name the file" in add(tmp_path / "store", link).refused[0].why


def test_two_that_add_at_once_both_finish(recorded: Path, tmp_path: Path) -> None:
    for n in range(3, 15):
        write_episode(recorded, meta(f"ep-{n}"), [(10**18, "clean")], {})
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: add(tmp_path / "store", recorded), range(2)))
    assert sorted(len(made.added) for made in both) == [0, 14] and not any(made.refused for made in both)
    assert len(read_index(tmp_path / "store").entries) == 14 and not read_index(tmp_path / "store").faults
