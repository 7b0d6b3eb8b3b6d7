"""Verdicts between runs: only what changed is decoded again, and nothing stale stays."""

from __future__ import annotations

import dataclasses
import os

import msgspec
import pytest

from rlstir_core.contract.registry import default_registry
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.store.gone import gone_hosts, remove_gone_hosts
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import write_episode, write_index
from rlstir_core.episodes.validation import validate
from rlstir_core.episodes.validation.current import host_changes
from rlstir_core.episodes.validation.gate import VerdictsRefused
from rlstir_core.episodes.validation.validate import validate_host, validate_store
from rlstir_core.episodes.validation.verdicts import read_validation
from rlstir_core.errors import StoreError, UpstreamMissing
from rlstir_core.results import versions
from rlstir_core.results.layout import Layout

REGISTRY = default_registry()


class Lab:
    def __init__(self, build, folder):
        self.build, self.store, self.layout = build, folder / "store", Layout(folder / "data")
        self.records = {}

    def add(self, episode, host="host-a", **meta):
        made = self.build.meta(episode_id=episode, host_id=host, **meta)
        sources = {name: self.build.rows(name) for name in REGISTRY.sources}
        self.records[host, episode] = write_episode(self.store, made, [(self.build.T0, "clean")], sources)
        write_index(self.store, self.records.values())

    def drop(self, episode, host="host-a"):
        (self.store / self.records.pop((host, episode))["path"]).unlink()
        write_index(self.store, self.records.values())

    def run(self, host="host-a", registry=REGISTRY, **options):
        return validate_host(self.store, self.layout, host, registry=registry, index=read_index(self.store), **options)

    def is_current(self):
        return not host_changes(self.store, self.layout, "host-a", registry=REGISTRY, index=read_index(self.store))

    def outputs(self):
        return {
            p: p.read_bytes()
            for p in self.layout.data.rglob("*")
            if p.is_file() and p.name[0] != "_" and p.suffix != ".lock"
        }


@pytest.fixture
def lab(build, tmp_path):
    made = Lab(build, tmp_path)
    for name in ("ep-1", "ep-2", "ep-3"):
        made.add(name)
    return made


def _counts(found):
    return found.n_decoded, found.n_unchanged, found.n_removed


def test_nothing_new_means_nothing_decoded_and_nothing_written(lab):
    assert _counts(lab.run()) == (3, 0, 0)
    before = lab.layout.validation("host-a").stat().st_mtime_ns
    assert _counts(lab.run()) == (0, 3, 0)
    assert lab.layout.validation("host-a").stat().st_mtime_ns == before


def test_new_changed_and_deleted_episodes_and_only_they_are_worked_on(lab):
    lab.run()
    lab.add("ep-4")
    assert _counts(lab.run()) == (1, 3, 0)
    lab.add("ep-2", benign=True)
    assert _counts(lab.run()) == (1, 3, 0)
    assert [row.benign for row in read_validation(lab.layout.validation("host-a"))] == [False, True, False, False]
    lab.drop("ep-1")
    assert _counts(lab.run()) == (0, 3, 1)
    assert not lab.layout.rows("host-a", "ep-1").exists()


def test_a_replaced_tarball_is_rejected_and_its_rows_go(lab):
    lab.run()
    path = lab.store / lab.records["host-a", "ep-1"]["path"]
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    found = lab.run()
    assert _counts(found) == (1, 2, 0)
    assert found.rows[0].verdict == "reject"
    assert not lab.layout.rows("host-a", "ep-1").exists()
    assert _counts(lab.run()) == (0, 3, 0)


def test_a_touched_tarball_is_hashed_but_not_decoded(lab):
    lab.run()
    os.utime(lab.store / lab.records["host-a", "ep-1"]["path"], ns=(1, 1))
    assert _counts(lab.run()) == (0, 3, 0)


def test_lost_rows_are_decoded_again(lab):
    lab.run()
    before = lab.outputs()
    lab.layout.rows("host-a", "ep-2").unlink()
    assert _counts(lab.run()) == (1, 2, 0)
    assert lab.outputs() == before


def test_another_registry_or_limit_decodes_everything(lab):
    lab.run()
    other = msgspec.structs.replace(REGISTRY, profiles=("io-walk",))
    assert _counts(lab.run(registry=other)) == (3, 0, 0)
    limits = dataclasses.replace(Limits(), labels=99)
    assert _counts(lab.run(registry=other, limits=limits)) == (3, 0, 0)


def test_the_same_store_gives_the_same_bytes_whatever_came_first(lab, build, tmp_path):
    lab.run()
    other = Lab(build, tmp_path / "other")
    for name in ("ep-3", "ep-1", "ep-2"):
        other.add(name)
        other.run()
    mine = {p.relative_to(lab.layout.data): data for p, data in lab.outputs().items()}
    theirs = {p.relative_to(other.layout.data): data for p, data in other.outputs().items()}
    assert mine == theirs


def test_leftovers_of_a_killed_run_are_swept(lab):
    lab.run()
    leftover = lab.layout.rows("host-a", "x").with_name(".tmp-abc.safetensors")
    leftover.write_bytes(b"half")
    lab.run()
    assert not leftover.exists()


def test_a_replacement_that_was_cut_off_and_taken_back_leaves_the_first_rows(lab, build, monkeypatch):
    lab.run()
    before = lab.outputs()
    first = (lab.store / lab.records["host-a", "ep-2"]["path"]).read_bytes(), lab.records["host-a", "ep-2"]
    lab.add("ep-2", t_end_wall_ns=build.T0 + 9 * 10**9)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(validate, "write_validation", killed)
        lab.run()
    lab.records["host-a", "ep-2"] = first[1]
    (lab.store / first[1]["path"]).write_bytes(first[0])
    write_index(lab.store, lab.records.values())
    assert not lab.is_current()
    with pytest.raises(UpstreamMissing, match="was cut off; make it again with"):
        validate.validated(lab.layout, "host-a")
    lab.run()
    assert lab.outputs() == before and lab.is_current()


def test_an_episode_that_a_cut_off_run_began_and_that_was_then_deleted_leaves_nothing(lab, monkeypatch):
    lab.run()
    before = lab.outputs()
    lab.add("ep-9")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(validate, "write_validation", killed)
        lab.run()
    assert lab.layout.rows("host-a", "ep-9").exists()
    lab.drop("ep-9")
    assert not lab.is_current()
    lab.run()
    assert lab.outputs() == before


@pytest.mark.parametrize("damage", [b"", b"{", b'{"verdicts_sha256": "x", "episodes": {}}', None])
def test_a_lost_or_damaged_ledger_is_made_again_without_decoding(lab, damage):
    lab.run()
    path = lab.layout.validation("host-a").with_name("_ledger.json")
    whole = path.read_bytes()
    path.unlink() if damage is None else path.write_bytes(damage)
    assert _counts(lab.run()) == (0, 3, 0)
    assert path.read_bytes() == whole


def test_what_was_validated_does_not_depend_on_the_ledger(lab):
    lab.run()
    known = validate.validated(lab.layout, "host-a")
    lab.layout.validation("host-a").with_name("_ledger.json").unlink()
    assert validate.validated(lab.layout, "host-a") == known and len(known) == 3


def test_a_host_that_the_index_names_no_more_leaves_nothing(lab):
    lab.add("ep-1", host="host-b")
    lab.run()
    before = lab.outputs()
    lab.run("host-b")
    assert gone_hosts(lab.layout, ["host-a", "host-b"]) == ()
    assert remove_gone_hosts(lab.layout, ["host-a"]) == ("host-b",)
    assert lab.outputs() == before and not list(lab.layout.processed.glob("*/host=host-b"))


def test_a_damaged_verdict_file_is_made_again(lab):
    lab.run()
    before = lab.outputs()
    lab.layout.validation("host-a").write_bytes(b"junk")
    lab.run()
    assert lab.outputs() == before


def test_hosts_do_not_touch_each_other(lab):
    lab.add("ep-1", host="host-b")
    lab.run()
    lab.run("host-b")
    before = lab.outputs()
    lab.drop("ep-1", host="host-b")
    assert _counts(lab.run()) == (0, 3, 0)
    assert lab.outputs() == before


def test_verdicts_before_validation_name_the_remedy(lab):
    with pytest.raises(UpstreamMissing, match="materialize validation"):
        read_validation(lab.layout.validation("host-a"))


def test_every_tarball_of_a_store_has_one_verdict(lab):
    (lab.store / "episodes/host-a/stray.tar.zst").write_bytes(b"x")
    copy = lab.store / "episodes/host-a/ep-9.tar.zst"
    copy.write_bytes((lab.store / "episodes/host-a/ep-1.tar.zst").read_bytes())
    lab.records["host-a", "gone"] = lab.records["host-a", "ep-1"] | {
        "episode_id": "gone",
        "path": "episodes/host-a/gone.tar.zst",
    }
    lab.add("orphan")
    del lab.records["host-a", "orphan"]
    write_index(lab.store, lab.records.values())
    found = dict(validate_store(lab.store, registry=REGISTRY))
    assert {path.split("/")[-1].split(".")[0]: (v.verdict, v.reason) for path, v in found.items()} == {
        "ep-1": ("ok", ""),
        "ep-2": ("ok", ""),
        "ep-3": ("ok", ""),
        "ep-9": ("reject", "meta.identity"),
        "gone": ("reject", "index.missing_file"),
        "orphan": ("degraded", "index.orphan"),
        "stray": ("reject", "archive.truncated"),
    }


def test_progress_is_told(lab):
    told = []
    lab.run(progress=lambda done, total, what: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_the_decode_hash_follows_the_code_version(monkeypatch):
    before = validate.decode_sha256(REGISTRY)
    monkeypatch.setattr(versions, "VERSIONS", {**versions.VERSIONS, "rows": 99})
    assert validate.decode_sha256(REGISTRY) != before


# Verdicts that would replace good ones


def spoil(lab, *episodes):
    for episode in episodes:
        path = lab.store / lab.records["host-a", episode]["path"]
        path.write_bytes(b"spoiled")


def everything(lab):
    return {p: p.read_bytes() for p in lab.layout.data.rglob("*") if p.is_file() and p.suffix != ".lock"}


def test_verdicts_that_reject_most_of_a_host_leave_the_good_ones_in_place(lab):
    lab.run()
    lab.add("ep-3", benign=True)  # a good change comes along, and waits with the others
    spoil(lab, "ep-1", "ep-2")
    before = everything(lab)
    with pytest.raises(
        VerdictsRefused, match=r"2 of 3 episodes of host 'host-a' are rejected \(index.bytes 2\)"
    ) as refusal:
        lab.run()
    assert "3 of 3 were usable, stay as they are" in str(refusal.value)
    assert everything(lab) == before
    assert not lab.is_current()
    assert len(validate.validated(lab.layout, "host-a")) == 3


def test_half_of_a_host_may_be_rejected(lab):
    lab.add("ep-4")
    lab.run()
    spoil(lab, "ep-1", "ep-2")
    assert lab.run().count("reject") == 2
    assert len(validate.validated(lab.layout, "host-a")) == 2


def test_good_episodes_that_left_do_not_make_bad_ones_the_most(lab):
    lab.add("ep-4")
    spoil(lab, "ep-1", "ep-2")
    lab.run()
    lab.drop("ep-3")
    before = everything(lab)
    with pytest.raises(VerdictsRefused, match="2 of 3 episodes"):
        lab.run()
    assert everything(lab) == before


def test_the_first_verdicts_of_a_bad_host_are_kept_for_people_and_refused_to_later_steps(lab):
    spoil(lab, "ep-1", "ep-2")
    found = lab.run()
    assert not found.believable and "2 of 3 episodes of host 'host-a' are rejected (index.bytes 2)" in found.sentence
    assert len(read_validation(lab.layout.validation("host-a"))) == 3
    with pytest.raises(UpstreamMissing, match="more than half, so nothing is made of that host"):
        validate.validated(lab.layout, "host-a")
    lab.add("ep-2")
    assert lab.run().believable
    assert len(validate.validated(lab.layout, "host-a")) == 2


def test_rows_that_wait_are_swept_when_the_run_was_killed(lab, monkeypatch):
    lab.run()
    before = everything(lab)
    for name in ("ep-1", "ep-2", "ep-3"):
        lab.add(name, benign=True)
    really = validate._decode

    def killed(item, **options):
        if item[0].episode_id == "ep-2":
            raise KeyboardInterrupt
        return really(item, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(validate, "_decode", killed)
        lab.run()
    folder = lab.layout.rows("host-a", "x").parent
    assert list(folder.glob(".next-*"))
    assert {path: path.read_bytes() for path in before} == before  # nothing was replaced before it was worth it
    assert lab.run().n_decoded == 3
    assert not list(folder.glob(".next-*"))


def test_tarballs_that_are_not_mounted_are_no_verdict(lab):
    index = read_index(lab.store)
    lab.run()
    before = everything(lab)
    (lab.store / "episodes").rename(lab.store / "unmounted")
    with pytest.raises(StoreError, match=r"none of the 3 tarballs of host 'host-a' is under .*; mount or restore"):
        validate_host(lab.store, lab.layout, "host-a", registry=REGISTRY, index=index)
    assert everything(lab) == before
