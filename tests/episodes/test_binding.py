"""A data folder belongs to one store: it is known again by what it holds, and nothing of it goes without a word."""

from __future__ import annotations

import json
import shutil

import pytest

from rlstir_core.episodes.store.binding import check_store, is_bound, opened_index, refresh_index
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import write_episode, write_index
from rlstir_core.errors import StoreError, UpstreamMissing
from rlstir_core.results.layout import Layout
from rlstir_core.results.store_identity import identity_of, read_identity


class Lab:
    """A store that can be changed, and a data folder."""

    def __init__(self, build, folder, name="store"):
        self.build, self.store, self.layout = build, folder / name, Layout(folder / "data")
        self.records = {}

    def add(self, host, episode, profile="io-walk"):
        meta = self.build.meta(episode_id=episode, host_id=host, profile=profile)
        self.records[host, episode] = write_episode(
            self.store, meta, [(self.build.T0, "clean")], {"proc": self.build.rows("proc")}
        )
        write_index(self.store, self.records.values())

    def drop(self, host):
        for key in [key for key in self.records if key[0] == host]:
            (self.store / self.records.pop(key)["path"]).unlink()
        write_index(self.store, self.records.values())

    def refresh(self, **options):
        return refresh_index(self.store, self.layout, **options)

    def outputs(self):
        return {p: p.read_bytes() for p in self.layout.data.rglob("*") if p.is_file() and p.suffix != ".lock"}


@pytest.fixture
def lab(build, tmp_path):
    made = Lab(build, tmp_path)
    for host in ("host-a", "host-b", "host-c"):
        for episode in ("ep-1", "ep-2"):
            made.add(host, episode)
    return made


@pytest.fixture
def other(build, tmp_path):
    made = Lab(build, tmp_path, "other")
    made.add("host-a", "ep-1", profile="mem-churn")  # the same names, another recording
    return made


def test_the_first_reading_binds_the_folder_and_names_no_path(lab):
    lab.refresh()
    identity = json.loads(lab.layout.store_identity.read_text())
    assert (identity["n_episodes"], identity["hosts"], len(identity["anchors"])) == (
        6,
        ["host-a", "host-b", "host-c"],
        6,
    )
    assert str(lab.store.parent) not in lab.layout.store_identity.read_text()


def test_another_store_is_refused_with_a_folder_of_its_own_and_nothing_changes(lab, other):
    lab.refresh()
    before = lab.outputs()
    own = f"rlstir materialize --store {other.store} --data {other.store}-data"
    for refused in (
        lambda: refresh_index(other.store, lab.layout),
        lambda: refresh_index(other.store, lab.layout, prune=True),
        lambda: opened_index(other.store, lab.layout),
        lambda: check_store(other.store, lab.layout),
    ):
        with pytest.raises(StoreError, match="belongs to another store") as refusal:
            refused()
        assert str(refusal.value).endswith(own)
    assert lab.outputs() == before


def test_a_store_that_was_moved_or_has_new_episodes_is_the_same(lab):
    lab.refresh()
    lab.add("host-d", "ep-9")
    lab.store = lab.store.rename(lab.store.with_name("elsewhere"))
    assert lab.refresh().index.hosts == ("host-a", "host-b", "host-c", "host-d")
    copied = shutil.copytree(lab.store, lab.store.with_name("copied"))
    assert opened_index(copied, lab.layout).hosts == ("host-a", "host-b", "host-c", "host-d")


def test_a_large_store_is_known_by_any_of_its_anchors():
    contents = [("h", f"ep-{n}", f"{n:064x}") for n in range(5_000)]
    identity = identity_of(contents, n_episodes=5_000, hosts=["h"])
    assert len(identity.anchors) == 1_024
    assert identity.knows([*contents, ("h", "new", "0" * 64)])
    assert not identity.knows(("g", name, sha256) for _, name, sha256 in contents)


def test_a_lost_identity_is_read_from_the_index_that_was_kept(lab, other):
    lab.refresh()
    for damage in (None, b"{", b'{"format": 9, "anchors": [], "n_episodes": 0, "hosts": []}'):
        lab.layout.store_identity.unlink() if damage is None else lab.layout.store_identity.write_bytes(damage)
        with pytest.raises(StoreError, match="belongs to another store"):
            refresh_index(other.store, lab.layout)
    lab.refresh()
    assert read_identity(lab.layout.store_identity) is not None


def test_a_folder_that_forgot_its_store_gives_no_strangers_results_away(lab, other):
    lab.refresh()
    lab.layout.tensors("host-b").mkdir(parents=True)
    lab.layout.store_identity.write_bytes(b"{")
    lab.layout.index.write_bytes(b'{"entr')
    before = lab.outputs()
    with pytest.raises(StoreError, match=r"hosts that .* does not name \(host-b\).* --data .*, or .* --prune$"):
        refresh_index(other.store, lab.layout)
    assert lab.outputs() == before and lab.layout.tensors("host-b").exists()
    lab.refresh()  # its own store names all of them
    assert lab.layout.tensors("host-b").exists()


def test_what_was_known_is_counted_by_name_where_the_index_is_lost(lab):
    lab.refresh()
    lab.layout.index.unlink()
    for host, episode in [*lab.records][1:]:
        (lab.store / lab.records.pop((host, episode))["path"]).unlink()
        lab.add(host, f"new-{episode}")
    with pytest.raises(StoreError, match="5 of 6 episodes"):
        lab.refresh()


def test_a_link_in_the_place_of_results_goes_and_what_it_leads_to_stays(lab, tmp_path):
    lab.refresh()
    (tmp_path / "elsewhere").mkdir()
    lab.layout.tensors("host-c").parent.mkdir(parents=True)
    lab.layout.tensors("host-c").symlink_to(tmp_path / "elsewhere")
    lab.drop("host-c")
    assert lab.refresh().departed == ("host-c",)
    assert not lab.layout.tensors("host-c").is_symlink() and (tmp_path / "elsewhere").is_dir()


def test_an_index_that_did_not_change_is_not_read_again(lab, monkeypatch):
    lab.refresh()

    def read(_):
        raise AssertionError("the index was read")

    monkeypatch.setattr("rlstir_core.episodes.store.binding.named_entries", read)
    check_store(lab.store, lab.layout)


def test_a_host_that_left_goes_with_what_was_made_of_it(lab):
    lab.refresh()
    lab.layout.tensors("host-c").mkdir(parents=True)
    lab.drop("host-c")
    assert lab.refresh().departed == ("host-c",)
    assert not lab.layout.tensors("host-c").exists()
    assert lab.refresh().departed == ()


def test_more_than_half_of_the_hosts_or_episodes_goes_only_when_asked(lab):
    lab.refresh()
    lab.layout.tensors("host-b").mkdir(parents=True)
    lab.drop("host-b")
    lab.drop("host-c")
    before = lab.outputs()
    with pytest.raises(StoreError) as refusal:
        lab.refresh()
    message = str(refusal.value)
    assert message.startswith("2 of 3 hosts (host-b, host-c) and 4 of 6 episodes that ")
    assert message.endswith(f"rlstir materialize --store {lab.store} --data {lab.layout.data} --prune")
    assert lab.outputs() == before and lab.layout.tensors("host-b").exists()
    assert lab.refresh(prune=True).departed == ("host-b", "host-c")
    assert not lab.layout.tensors("host-b").exists()
    assert lab.refresh().index.hosts == ("host-a",)  # the smaller store is what is known now


def test_tarballs_that_are_not_mounted_are_no_reason_to_forget_their_hosts(lab):
    lab.refresh()
    shutil.rmtree(lab.store / "episodes")
    with pytest.raises(StoreError, match=r"3 of 3 hosts .* their tarballs are not there for 6; bring them back"):
        lab.refresh()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (shutil.rmtree, "is not a folder"),
        (lambda store: (store / "index.jsonl").unlink(), "has no index.jsonl"),
        (lambda store: (store / "index.jsonl").write_bytes(b""), "is empty"),
        (lambda store: (store / "index.jsonl").write_bytes(b"what is this\n{}\n"), "no line of .* names an episode"),
    ],
)
def test_a_store_of_which_nothing_can_be_read_is_refused_before_anything_is_written(lab, damage, says):
    lab.refresh()
    before = lab.outputs()
    damage(lab.store)
    for refused in (lab.refresh, lambda: opened_index(lab.store, lab.layout)):
        with pytest.raises(StoreError, match=says):
            refused()
    assert lab.outputs() == before


def test_a_folder_without_an_index_names_the_command_that_makes_it(lab):
    with pytest.raises(UpstreamMissing, match="key:episode_index"):
        opened_index(lab.store, lab.layout)
    assert not lab.layout.data.exists()


def test_the_folder_is_bound_as_long_as_the_store_says_the_same(lab):
    assert is_bound(lab.layout, lab.refresh().index)
    lab.add("host-a", "ep-3")
    assert not is_bound(lab.layout, read_index(lab.store))
