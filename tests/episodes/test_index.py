"""The index: every readable record is kept, every fault has its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlstir_core.episodes.store.index import parse_index, read_index
from rlstir_core.errors import StoreError


def _record(episode: str = "ep-1", host: str = "host-a", **changes: object) -> dict[str, object]:
    path = f"episodes/{host}/{episode}.tar.zst"
    return {"episode_id": episode, "host_id": host, "path": path, "bytes": 3, "sha256": "ab" * 32} | changes


def _line(*records: dict[str, object]) -> bytes:
    return b"".join(json.dumps(record).encode() for record in records) + b"\n"


def _reasons(raw: bytes) -> list[tuple[int, str]]:
    return [(fault.line, fault.reason) for fault in parse_index(raw).faults]


def test_two_records_in_one_line_both_survive_and_are_named():
    found = parse_index(_line(_record("a")) + _line(_record("b"), _record("c")))
    assert [entry.episode_id for entry in found.entries] == ["a", "b", "c"]
    assert [fault.detail for fault in found.faults] == ["line 2: two records in one line, both kept"]


def test_half_a_record_at_the_end_is_named():
    found = parse_index(_line(_record("a")) + _line(_record("b"))[:40])
    assert len(found.entries) == 1
    assert "line 2: half a record at the end" in found.faults[0].detail


def test_half_a_record_before_a_whole_one_loses_only_the_half():
    found = parse_index(_line(_record("a"))[:40] + _line(_record("b")))
    assert [entry.episode_id for entry in found.entries] == ["b"]
    assert found.faults[0].reason == "index.unreadable"


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "../../etc/passwd"},
        {"path": "/etc/passwd"},
        {"path": "episodes/host-b/ep-1.tar.zst"},
        {"path": None},
        {"bytes": -1},
        {"bytes": True},
        {"bytes": "3"},
        {"sha256": "xyz"},
        {"sha256": 5},
        {"host_id": "a/b"},
        {"episode_id": ".."},
        {"profile": "<b>"},
        {"received_wall_ns": "now"},
    ],
)
def test_a_record_of_the_wrong_form_is_a_fault_with_its_line(changes):
    assert _reasons(_line(_record("a")) + _line(_record(**changes))) == [(2, "index.form")]


def test_of_a_repeated_episode_the_last_record_is_used():
    raw = _line(_record("a")) + _line(_record("a", sha256="cd" * 32)) + _line(_record("A"))
    found = parse_index(raw)
    assert [entry.sha256[:2] for entry in found.entries] == ["cd"]
    assert _reasons(raw) == [(2, "index.repeated"), (3, "index.case_twin")]


def test_details_are_safe_to_print():
    raw = _line(_record("a")) + _line(_record(path="\u202e<script>\x1b[31m"))
    detail = parse_index(raw).faults[0].detail
    assert detail.isascii()
    assert detail.isprintable()


@pytest.mark.parametrize(("make", "words"), [(False, "is not a folder"), (True, r"no index\.jsonl")])
def test_a_store_that_is_not_there_says_what_to_do(tmp_path, make, words):
    store = tmp_path / "s"
    if make:
        store.mkdir()
    with pytest.raises(StoreError, match=words) as caught:
        read_index(store)
    assert "rlstir lab generate" in str(caught.value)


def test_an_empty_store_is_refused(tmp_path):
    (tmp_path / "index.jsonl").write_bytes(b"")
    with pytest.raises(StoreError, match="empty"):
        read_index(tmp_path)


def test_orphans_missing_files_and_links_are_named(tmp_path):
    folder = tmp_path / "episodes" / "host-a"
    folder.mkdir(parents=True)
    (folder / "orphan.tar.zst").write_bytes(b"x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "ep-9.tar.zst").write_bytes(b"x")
    (tmp_path / "episodes" / "host-b").symlink_to(outside)
    (folder / "link.tar.zst").symlink_to(outside / "ep-9.tar.zst")
    (tmp_path / "index.jsonl").write_bytes(
        _line(_record("gone")) + _line(_record("ep-9", "host-b")) + _line(_record("link"))
    )
    found = read_index(tmp_path)
    assert found.entries == ()
    assert found.orphans == ("episodes/host-a/orphan.tar.zst",)
    assert [fault.reason for fault in found.faults].count("index.missing_file") == 3


@given(st.lists(st.tuples(st.sampled_from([b"", b"\n", b"{", b'{"a', b"\xff", b"\n\n"]), st.booleans()), max_size=8))
def test_every_well_formed_record_comes_out_once_and_in_order(plan):
    raw, expected = b"", []
    for number, (junk, newline) in enumerate(plan):
        raw += junk + json.dumps(_record(f"e{number}")).encode() + (b"\n" if newline else b"")
        expected.append(f"e{number}")
    found = parse_index(raw)
    assert [entry.episode_id for entry in found.entries] == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(raw):
    parse_index(raw)
