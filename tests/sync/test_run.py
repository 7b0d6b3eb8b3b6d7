"""New episodes of another store: whole, checked, once, and nothing of one's own is lost."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.store.index import read_index
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.sync.run import Synced, sync_episodes
from rlstir_core.sync.sources import LinkCut, source_of

Fill = Callable[..., Path]


def run(source: object, store: Path) -> Synced:
    return sync_episodes(source_of(str(source)), store, sleep=lambda _: None)


def lines(store: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (store / "index.jsonl").read_text().splitlines()]


def hashes_are_right(store: Path) -> bool:
    found = read_index(store)
    right = [hashlib.sha256((store / e.path).read_bytes()).hexdigest() == e.sha256 for e in found.entries]
    return all(right) and not found.faults and not found.orphans and not list(store.rglob(".tmp-*"))


@pytest.fixture
def source(fill: Fill, tmp_path: Path) -> Path:
    return fill(tmp_path / "source")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_a_new_store_gets_every_episode_and_the_registry_and_the_second_time_nothing(source: Path, store: Path) -> None:
    (source / "registry.toml").write_bytes(Path("rlstir_core/contract/registry.toml").read_bytes())
    made = run(source, store)
    assert (made.fetched, made.there_already, made.exit_code) == (3, 0, 0)
    assert lines(store) == lines(source) and hashes_are_right(store)
    assert (store / "registry.toml").read_bytes() == (source / "registry.toml").read_bytes()
    before = (store / "index.jsonl").stat()
    (source / "registry.toml").write_text("# other\n" + (source / "registry.toml").read_text())
    again = run(source, store)
    assert (again.fetched, again.there_already, again.exit_code) == (0, 3, 0)
    assert "differs from the store's, which stays" in again.registry
    assert (store / "index.jsonl").stat() == before


def test_what_the_store_alone_has_stays(fill: Fill, source: Path, store: Path) -> None:
    fill(store, host="db1")
    made = run(source, store)
    assert made.fetched == 3 and len(lines(store)) == 6 and hashes_are_right(store)


def test_a_link_that_breaks_five_times_costs_five_files_and_no_other_comes_twice(
    fill: Fill, link: Any, tmp_path: Path, store: Path
) -> None:
    source = fill(tmp_path / "source", n=30)
    link.cuts = {4, 9, 10, 20, 33}
    made = run(f"brittle://{source}", store)
    assert (made.fetched, made.cuts, made.exit_code) == (30, 5, 0)
    assert hashes_are_right(store) and lines(store) == lines(source)
    tarballs = {name: n for name, n in link.opened.items() if name.startswith("ep-")}
    assert sum(tarballs.values()) == 30 + 5 and max(tarballs.values()) == 3


def test_a_link_that_stays_broken_leaves_the_rest_and_the_next_time_goes_on_from_there(
    source: Path, link: Any, store: Path
) -> None:
    link.cuts = set(range(4, 99))  # after the index, the registry and the first tarball
    made = run(f"brittle://{source}", store)
    assert (made.fetched, made.left.n, made.exit_code) == (1, 2, 1)
    assert "the link broke 4 times" in made.left.first[0] and hashes_are_right(store)
    link.cuts = set()
    link.opened.clear()
    assert run(f"brittle://{source}", store).fetched == 2
    assert link.opened["ep-000.tar.zst"] == 0


def test_a_source_that_does_not_answer_is_a_cut_and_makes_no_store(source: Path, link: Any, store: Path) -> None:
    link.cuts = set(range(99))
    with pytest.raises(LinkCut, match="connection reset"):
        run(f"brittle://{source}", store)
    assert not store.exists()


@pytest.mark.parametrize("content", [b"x" * 4_000, b"x" * 5_000, b"x" * 3_000], ids=["other", "longer", "shorter"])
def test_a_source_that_changes_under_it_is_noticed_and_left_for_the_next_time(
    source: Path, store: Path, content: bytes
) -> None:
    (source / "episodes/web1/ep-001.tar.zst").write_bytes(content)
    made = run(source, store)
    assert (made.fetched, made.left.n, made.exit_code) == (2, 1, 1)
    assert "line 2: web1/ep-001" in made.left.first[0] and "changed at the source" in made.left.first[0]
    assert hashes_are_right(store)


def test_a_torn_index_is_healed_and_half_a_record_is_left(source: Path, store: Path) -> None:
    one, two, three = (source / "index.jsonl").read_bytes().splitlines()
    (source / "index.jsonl").write_bytes(one + two + b"\n" + three[:50])
    made = run(source, store)
    assert (made.fetched, made.healed.n, made.left.n, made.exit_code) == (2, 1, 1, 1)
    assert (store / "index.jsonl").read_bytes() == one + b"\n" + two + b"\n"
    (source / "index.jsonl").write_bytes(one + two + b"\n" + three + b"\n" + three + b"\n")
    assert run(source, store).exit_code == 0
    assert len(lines(store)) == 3


def test_hostile_lines_are_refused_by_their_line_and_the_others_come(source: Path, store: Path) -> None:
    good = lines(source)
    hostile = [
        good[0] | {"episode_id": "up", "path": "../../up.tar.zst"},
        good[0] | {"episode_id": "../up"},
        good[0] | {"episode_id": "abs", "path": "/etc/passwd"},
        good[0] | {"host_id": "-oProxyCommand=x", "path": "episodes/-oProxyCommand=x/ep-000.tar.zst"},
        good[0] | {"episode_id": "minus", "path": "episodes/web1/minus.tar.zst", "bytes": -1},
        good[0] | {"episode_id": "big", "path": "episodes/web1/big.tar.zst", "bytes": Limits().file_bytes + 1},
        good[0] | {"episode_id": "EP-000", "path": "episodes/web1/EP-000.tar.zst"},
    ]
    text = "".join(json.dumps(record) + "\n" for record in good + hostile)
    (source / "index.jsonl").write_text(text)
    made = run(source, store)
    assert (made.fetched, made.refused.n, made.exit_code) == (3, 7, 2)
    assert all(any(f"line {n}" in text for text in made.refused.first) for n in range(4, 11))
    assert sorted(path.name for path in store.rglob("*.zst")) == [f"ep-00{k}.tar.zst" for k in range(3)]
    assert lines(store) == good


def test_a_link_at_the_source_is_not_followed(source: Path, store: Path) -> None:
    tarball = source / "episodes/web1/ep-000.tar.zst"
    tarball.rename(source / "elsewhere")
    tarball.symlink_to(source / "elsewhere")
    made = run(source, store)
    assert (made.fetched, made.left.n, made.exit_code) == (2, 1, 1)


def test_a_link_in_the_store_is_not_written_through(source: Path, store: Path, tmp_path: Path) -> None:
    (store / "episodes").mkdir(parents=True)
    (tmp_path / "away").mkdir()
    (store / "episodes/web1").symlink_to(tmp_path / "away")
    assert run(source, store).refused.n == 3
    assert not list((tmp_path / "away").iterdir())


def test_an_episode_with_other_content_is_refused_by_name_and_stays(source: Path, store: Path) -> None:
    run(source, store)
    own = (store / "index.jsonl").read_bytes()
    tarball = source / "episodes/web1/ep-001.tar.zst"
    tarball.write_bytes(b"new content")
    changed = lines(source)
    changed[1] |= {"bytes": 11, "sha256": hashlib.sha256(b"new content").hexdigest()}
    (source / "index.jsonl").write_text("".join(json.dumps(record) + "\n" for record in changed))
    made = run(source, store)
    assert (made.fetched, made.refused.n, made.exit_code) == (0, 1, 2)
    assert "the store names another episodes/web1/ep-001.tar.zst" in made.refused.first[0]
    assert (store / "index.jsonl").read_bytes() == own and hashes_are_right(store)


def test_a_tarball_that_the_stores_own_index_disowns_is_replaced_and_a_lost_one_comes_again(
    source: Path, store: Path
) -> None:
    run(source, store)
    own = (store / "index.jsonl").read_bytes()
    (store / "episodes/web1/ep-000.tar.zst").write_bytes(b"half")
    (store / "episodes/web1/ep-001.tar.zst").unlink()
    made = run(source, store)
    assert (made.fetched, made.replaced.n, made.exit_code) == (2, 1, 0)
    assert (store / "index.jsonl").read_bytes() == own and hashes_are_right(store)


def test_a_file_that_no_index_names_is_kept(source: Path, store: Path) -> None:
    own = store / "episodes/web1/ep-000.tar.zst"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"somebody's")
    made = run(source, store)
    assert (made.fetched, made.refused.n) == (2, 1) and own.read_bytes() == b"somebody's"


def test_a_registry_that_cannot_be_read_is_refused(source: Path, store: Path) -> None:
    (source / "registry.toml").write_text("[[[")
    assert run(source, store).exit_code == 2
    assert not (store / "registry.toml").exists()


def test_a_source_that_is_no_store_or_the_store_itself_is_refused_in_a_sentence(source: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match=r"has no index\.jsonl; name a store"):
        run(tmp_path / "empty", tmp_path / "store")
    with pytest.raises(ConfigError, match="name two of them"):
        run(source, source)
    for text in ("", "nowhere-here", "ssh://u:secret@host/x", "ssh://-oProxyCommand=x/y", "ssh://h/a b", "no-such://x"):
        with pytest.raises(ConfigError) as refused:
            source_of(text)
        assert "secret" not in str(refused.value)


KILLED = """
import os, signal, sys
from pathlib import Path
from rlstir_core.sync import run, sources
fetch, seen = sources.Folder.fetch, []
def killed(self, path, to, most, tick):
    fetch(self, path, to, most, tick)
    seen.append(path)
    if len(seen) == 6:  # the index, four tarballs that stand, and one that has no name yet
        os.kill(os.getpid(), signal.SIGKILL)
sources.Folder.fetch = killed
run.sync_episodes(sources.source_of(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_kill_in_the_middle_costs_one_file_and_leaves_nothing_half(
    fill: Fill, link: Any, tmp_path: Path, store: Path
) -> None:
    source = fill(tmp_path / "source", n=8)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, source, store], env={**os.environ, "PYTHONPATH": str(Path.cwd())}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    whole = [path for path in store.rglob("*.tar.zst") if not path.name.startswith(".")]
    assert len(whole) == 4 and len(list(store.rglob(".tmp-*"))) == 1
    made = run(f"brittle://{source}", store)
    assert (made.fetched, made.there_already, made.exit_code) == (4, 4, 0)
    assert hashes_are_right(store) and sorted(map(str, lines(store))) == sorted(map(str, lines(source)))
    assert sum(n for name, n in link.opened.items() if name.startswith("ep-")) == 4


def test_the_command_says_what_became_of_the_episodes_and_its_exit_code_tells(
    invoke: Any, source: Path, store: Path
) -> None:
    done = invoke("sync", source, "--store", store, "--rate", "50MB")
    assert done.exit_code == 0 and "3 of 3 episodes fetched (0.0 MiB), 0 were there already" in done.stdout
    (source / "episodes/web1/ep-001.tar.zst").unlink()
    (store / "episodes/web1/ep-001.tar.zst").unlink()
    left = invoke("sync", source, "--store", store, "--json")
    assert left.exit_code == 1 and json.loads(left.stdout)["left"]["n"] == 1
    assert invoke("sync", source, "--store", store, "--rate", "fast").exit_code == 2


def test_progress_is_told_while_a_file_comes_slowly(source: Path, store: Path) -> None:
    told: list[tuple[float, str]] = []
    since = time.monotonic()
    sync_episodes(
        source_of(str(source), 8_000), store, progress=lambda *_: told.append((time.monotonic() - since, str(_[2])))
    )
    took = time.monotonic() - since
    gaps = [b[0] - a[0] for a, b in pairwise(told)]
    assert took > 1.2 and max(gaps) < 1.2  # seconds; two are promised
