"""A tarball to one verdict: meta, labels, time, and what is missing."""

from __future__ import annotations

import hashlib
import random
import time

import msgspec
import numpy as np
import pytest
import zstandard

from rlstir_core.contract.registry import default_registry
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.store.writer import jsonl_bytes, tar_bytes
from rlstir_core.episodes.validation.rows import read_rows, write_rows
from rlstir_core.errors import UpstreamMissing


def test_a_good_episode_is_ok_and_typed(build):
    reading = build.read(build.members())
    assert (reading.verdict.verdict, reading.verdict.reason, reading.verdict.reasons) == ("ok", "", ())
    proc = reading.episode.sources["proc"]
    assert proc.columns["utime_ticks"].dtype == np.int64
    assert reading.episode.sources["guest"].columns["load"].dtype == np.float64
    assert reading.episode.clock_offset_ns["perf"] == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema_version": 2}, "meta.schema_version"),
        ({"schema_version": True}, "meta.schema_version"),
        ({"host_id": "a|b"}, "meta.id"),
        ({"episode_id": "../x"}, "meta.id"),
        ({"sample_name": "<script>"}, "meta.id"),
        ({"profile": "io\u202ewalk"}, "meta.id"),
        ({"profile": None}, "meta.id"),
        ({"benign": 0}, "meta.benign"),
        ({"t_start_wall_ns": 1_750_000_000}, "time.unit"),
        ({"t_start_wall_ns": 1.75e18}, "meta.time"),
        ({"t_end_wall_ns": 1_750_000_000_000_000_000}, "time.order"),
        ({"t_end_wall_ns": 2_700_000_000_000_000_000}, "time.span"),
        ({"sources": {"proc": "many"}}, "meta.sources"),
    ],
)
def test_a_meta_that_cannot_be_trusted_is_a_reject(build, changes, reason):
    verdict = build.read(build.members(meta=msgspec.json.encode(build.meta(**changes)))).verdict
    assert (verdict.verdict, verdict.reason) == ("reject", reason)
    assert verdict.detail.isascii()
    assert verdict.detail.isprintable()


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}{}", b'{"schema_version":1,"schema_version":1}', b"\xff", b'{"x":NaN}']
)
def test_a_meta_that_is_not_one_strict_object_is_a_reject(build, raw):
    assert build.read(build.members(meta=raw)).verdict.reason == "meta.json"


def test_extra_meta_keys_are_fine_and_origin_is_kept_escaped(build):
    raw = msgspec.json.encode(build.meta(origin="rün <b>\n", anything={"deep": [1]}))
    episode = build.read(build.members(meta=raw)).episode
    assert episode.meta.origin == "r\\u00fcn <b>\\u000a"


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([(0, "clean"), (1, "exploding")], "label.unknown_phase"),
        ([(0, "clean"), (11, "armed")], "label.outside"),
        ([(-1, "clean")], "label.outside"),
        ([(2, "clean"), (1, "armed")], "label.order"),
        ([(1, "clean"), (1, "armed")], "label.order"),
        ([], "label.missing"),
    ],
)
def test_labels_that_cannot_be_trusted_are_a_reject(build, pairs, reason):
    verdict = build.read(build.members(labels=build.labels(*pairs))).verdict
    assert (verdict.verdict, verdict.reason) == ("reject", reason)


def test_broken_label_lines_are_a_reject(build):
    assert build.read(build.members(labels=b'{"t_wall_ns":1')).verdict.reason == "label.json"
    assert build.read(build.members(labels=b'{"t_wall_ns":"1","phase":"clean"}')).verdict.reason == "label.form"


def test_an_episode_of_logs_alone_needs_no_labels(build):
    members = {"meta.json": msgspec.json.encode(build.meta()), "logs/auth.log": b"x" * 700}
    reading = build.read(members)
    assert reading.verdict.verdict == "degraded"
    assert "label.missing" in reading.verdict.reasons
    assert reading.episode.members["logs/auth.log"] == 700
    assert reading.episode.content_sha256 == ""


def test_a_missing_required_source_degrades(build):
    reading = build.read(build.members(netflow=None))
    assert (reading.verdict.verdict, reading.verdict.reasons) == ("degraded", ("channel.missing",))


def test_an_event_source_without_events_is_ok_and_a_sampled_one_is_not(build):
    assert build.read(build.members(netflow=b"")).verdict.verdict == "ok"
    assert build.read(build.members(qmp=b"")).verdict.reason == "channel.empty"


def test_row_counts_of_the_meta_are_compared(build):
    def verdict(sources):
        return build.read(build.members(meta=msgspec.json.encode(build.meta(sources=sources)))).verdict

    assert verdict({"proc": 20, "perf": None}).verdict == "ok"
    assert verdict({"proc": 21}).reason == "channel.row_count"


def test_an_unknown_profile_is_not_ok(build):
    raw = msgspec.json.encode(build.meta(profile="novel"))
    assert build.read(build.members(meta=raw)).verdict.reasons == ("meta.unknown_profile",)


def test_members_may_come_in_any_order(build):
    names = list(build.members())
    random.Random(3).shuffle(names)
    raw = b"".join(tar_bytes({name: build.members()[name]})[:-1024] for name in names) + bytes(1024)
    assert build.read(raw).verdict.verdict == "ok"


def test_rows_out_of_order_are_sorted_and_rows_outside_are_dropped(build):
    t = build.T0 + np.array([3, 1, 2, 10**6, 4]) * 10**9
    data = jsonl_bytes({"t_wall_ns": t, "t_mono_ns": t - build.T0, "load": np.arange(5.0), **build.other(5, "load")})
    reading = build.read(build.members(guest=data))
    guest = reading.episode.sources["guest"]
    assert guest.columns["load"].tolist() == [1.0, 2.0, 0.0, 4.0]
    assert (guest.n_unsorted, guest.n_outside) == (1, 1)
    assert reading.verdict.reasons == ("time.outside",)


def test_a_clock_step_degrades_but_uptime_does_not(build):
    t = np.arange(10) * 10**9
    wall = build.T0 + t + np.where(t >= 5 * 10**9, 2 * 10**9, 0)
    stepped = jsonl_bytes({"t_wall_ns": wall, "t_mono_ns": t, **build.other(10)})
    reading = build.read(build.members(guest=stepped))
    assert reading.verdict.reasons == ("time.clock_step",)
    assert reading.episode.clock_step_ns == 2 * 10**9
    uptime = jsonl_bytes({"t_wall_ns": build.T0 + t, "t_mono_ns": t + 10**15, "bytes": t + 1, "pkts": t + 1})
    reading = build.read(build.members(netflow=uptime))
    assert reading.verdict.verdict == "ok"
    assert reading.episode.clock_offset_ns["netflow"] == -(10**15)


def test_the_index_must_agree(build, tmp_path):
    build.read(build.members())
    raw = (tmp_path / "e.tar.zst").read_bytes()
    claims = {"host_id": "host-a", "episode_id": "ep-1", "sha256": hashlib.sha256(raw).hexdigest(), "n_bytes": len(raw)}

    def reason(**changes):
        return read_episode(tmp_path / "e.tar.zst", registry=default_registry(), **claims | changes).verdict.reason

    assert reason() == ""
    assert reason(sha256="0" * 64) == "index.sha256"
    assert reason(n_bytes=3) == "index.bytes"
    assert reason(host_id="host-b") == "meta.identity"
    assert reason(episode_id="ep-2") == "meta.identity"


def test_damaged_bytes_never_raise(build, tmp_path):
    rng = random.Random(5)
    raw = tar_bytes(build.members())
    packed = zstandard.ZstdCompressor().compress(raw)
    for turn in range(300):
        data = bytearray(packed if turn % 2 else raw)
        for _ in range(max(1, len(data) // 100)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        reading = build.read_bytes(bytes(data) if turn % 2 else zstandard.ZstdCompressor().compress(bytes(data)))
        assert reading.verdict.verdict in ("ok", "degraded", "reject")
        assert (reading.episode is None) == (reading.verdict.verdict == "reject")


def test_single_damaged_bytes_never_raise(build):
    rng = random.Random(6)
    raw = tar_bytes(build.members())
    for _ in range(300):
        data = bytearray(raw)
        data[rng.randrange(len(data))] = rng.randrange(256)
        assert build.read(bytes(data)).verdict.verdict in ("ok", "degraded", "reject")


def test_rows_come_back_as_they_were_written(build, tmp_path):
    episode = build.read(build.members()).episode
    write_rows(tmp_path / "rows.safetensors", episode)
    first = (tmp_path / "rows.safetensors").read_bytes()
    again = read_rows(tmp_path / "rows.safetensors")
    write_rows(tmp_path / "rows.safetensors", again)
    assert (tmp_path / "rows.safetensors").read_bytes() == first
    assert again.meta == episode.meta
    assert again.labels == episode.labels
    assert again.content_sha256 == episode.content_sha256
    for name, rows in episode.sources.items():
        for field, column in rows.columns.items():
            np.testing.assert_array_equal(again.sources[name].columns[field], column)


def test_rows_that_are_not_there_name_the_remedy(tmp_path):
    with pytest.raises(UpstreamMissing, match="materialize validation"):
        read_rows(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(UpstreamMissing, match="cannot be read"):
        read_rows(tmp_path / "bad.safetensors")


def test_members_that_are_held_in_memory_have_a_size(build):
    assert build.read(build.members(meta=b" " * 300_000)).verdict.reason == "meta.too_large"
    assert build.read(build.members(labels=b"\n" * 3_000_000)).verdict.reason == "label.too_large"


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        b'{"a":[' * 8 + b"1," * 500_000,
        b'{"a":' * 200_000,
        b"[" * 1_000_000,
        b"{" * 1_000_000,
        b'{"a":"' + b"x" * 1_000_000,
        b'{"t_wall_ns":1,"t_mono_ns":1,"new":' + b"9" * 1_000_000 + b"}",
    ],
    ids=["torn arrays", "deep objects", "deep arrays", "braces", "open text", "long number"],
)
def test_the_worst_lines_cost_less_than_two_seconds(build, line):
    members = build.members(proc=(line + b"\n") * 60)
    start = time.process_time()
    assert build.read(members).verdict.verdict in ("degraded", "reject")
    assert time.process_time() - start < 2.0


@pytest.mark.slow
def test_many_bad_short_lines_cost_less_than_two_seconds(build):
    row = b'{"t_wall_ns":%d,"t_mono_ns":1,"bytes":1,"pkts":2,"new":1}\n' % build.T0
    members = build.members(netflow=row * 99_000)
    start = time.process_time()
    assert build.read(members).episode.sources["netflow"].n_rows == 99_000
    assert time.process_time() - start < 2.0
