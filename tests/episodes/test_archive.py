"""The container: one zstd frame, a strict tar, and nothing else."""

from __future__ import annotations

import io
import tarfile

import pytest
import zstandard

from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.store.writer import tar_bytes


def _add(name, data=b"", kind=tarfile.REGTYPE, **extra):
    def change(tar):
        info = tarfile.TarInfo(name)
        info.size, info.type = len(data), kind
        for key, value in extra.items():
            setattr(info, key, value)
        tar.addfile(info, io.BytesIO(data))

    return change


def _nothing(tar):
    return None


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_what_honest_tools_write_is_ok(build, tar_format, prefix):
    def folders(tar):
        for name in (".", "./logs"):
            info = tarfile.TarInfo(name)
            info.type, info.mtime = tarfile.DIRTYPE, 1.5
            tar.addfile(info)
        _add("./logs/audit.log", b"type=USER", mtime=12.25)(tar)

    assert build.read(build.tar_with(folders, tar_format, prefix)).verdict.verdict == "ok"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_add("../evil", b"x"), "archive.member_name"),
        (_add("/etc/passwd", b"x"), "archive.member_name"),
        (_add("logs/../../x", b"x"), "archive.member_name"),
        (_add("logs/deep/x.log", b"x"), "archive.member_name"),
        (_add("a\\b", b"x"), "archive.member_name"),
        (_add("link", kind=tarfile.SYMTYPE, linkname="/etc/passwd"), "archive.member_type"),
        (_add("hard", kind=tarfile.LNKTYPE, linkname="meta.json"), "archive.member_type"),
        (_add("dev", kind=tarfile.CHRTYPE), "archive.member_type"),
        (_add("pipe", kind=tarfile.FIFOTYPE), "archive.member_type"),
        (_add("cont", kind=tarfile.CONTTYPE), "archive.member_type"),
        (_add("sparse", kind=tarfile.GNUTYPE_SPARSE), "archive.member_type"),
        (_add("evil", kind=tarfile.DIRTYPE), "archive.folder"),
        (_add("meta.json", b"{}"), "archive.duplicate"),
        (_add("META.json", b"{}"), "archive.duplicate"),
        (_add("./proc.jsonl", b""), "archive.duplicate"),
    ],
)
def test_members_that_are_not_plain_known_files_are_refused(build, change, reason):
    reading = build.read(build.tar_with(change))
    assert (reading.verdict.verdict, reading.verdict.reason) == ("reject", reason)
    assert reading.episode is None


@pytest.mark.parametrize("key", ["path", "size", "linkpath", "GNU.sparse.major", "hdrcharset", "comment"])
def test_pax_headers_may_only_set_times_and_owners(build, key):
    change = _add("notes.txt", b"x", pax_headers={key: "1"})
    assert build.read(build.tar_with(change, tarfile.PAX_FORMAT)).verdict.reason == "archive.pax"


def test_a_pax_header_over_its_limit_is_refused(build):
    change = _add("notes.txt", b"x", pax_headers={"uname": "u" * 9000})
    assert build.read(build.tar_with(change, tarfile.PAX_FORMAT)).verdict.reason == "archive.pax"


def test_a_long_gnu_name_is_refused(build):
    raw = build.tar_with(_add("x" * 120, b"x"), tarfile.GNU_FORMAT)
    assert build.read(raw).verdict.reason == "archive.member_type"


def test_a_safe_member_that_nobody_knows_is_ignored_and_degrades(build):
    reading = build.read(build.tar_with(_add("notes.txt", b"hello")))
    assert (reading.verdict.verdict, reading.verdict.reason) == ("degraded", "archive.unknown_member")
    assert reading.episode.members["notes.txt"] == 5


def test_a_second_frame_trailing_bytes_and_truncation_are_refused(build):
    data = zstandard.ZstdCompressor().compress(tar_bytes(build.members()))
    assert build.read_bytes(data).verdict.verdict == "ok"
    assert build.read_bytes(data + data).verdict.reason == "archive.second_frame"
    assert build.read_bytes(data + b"x").verdict.reason == "archive.truncated"
    assert build.read_bytes(data + b"trailing").verdict.reason == "archive.trailing_bytes"
    assert build.read_bytes(b"").verdict.reason == "archive.empty"
    assert build.read_bytes(b"PK\x03\x04zip").verdict.reason == "archive.not_zstd"
    for cut in range(1, len(data), 97):
        assert build.read_bytes(data[:cut]).verdict.verdict == "reject"


def test_skippable_frames_around_the_frame_are_fine(build):
    skippable = (0x184D2A53).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"hello"
    data = zstandard.ZstdCompressor().compress(tar_bytes(build.members()))
    assert build.read_bytes(skippable + data + skippable).verdict.verdict == "ok"


def test_a_streamed_frame_without_its_size_reads_the_same(build):
    raw = tar_bytes(build.members(proc=build.rows("proc", 3000)))
    engine = zstandard.ZstdCompressor(write_content_size=False, write_checksum=True).compressobj()
    streamed = b"".join(engine.compress(raw[i : i + 1000]) + engine.flush(1) for i in range(0, len(raw), 1000))
    reading = build.read_bytes(streamed + engine.flush())
    assert reading.verdict.verdict == "ok"
    assert reading.episode.sources["proc"].n_rows == 3000


def test_a_window_over_the_limit_is_refused(build):
    parameters = zstandard.ZstdCompressionParameters(window_log=24)
    data = zstandard.ZstdCompressor(compression_params=parameters).compressobj().compress(b"")
    engine = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data += engine.compress(tar_bytes(build.members())) + engine.flush()
    assert build.read_bytes(data).verdict.reason == "archive.window"


def test_output_is_capped_while_it_streams(build):
    engine = zstandard.ZstdCompressor().compressobj()
    head = tar_bytes({"logs.txt": b""})[:512]
    bomb = b"".join([engine.compress(head), *(engine.compress(bytes(2**20)) for _ in range(64)), engine.flush()])
    assert build.read_bytes(bomb, Limits(total_bytes=2**20)).verdict.reason in (
        "archive.too_large",
        "archive.trailing_bytes",
        "archive.truncated",
    )
    sized = zstandard.ZstdCompressor().compress(bytes(2**22))
    assert build.read_bytes(sized, Limits(total_bytes=2**20)).verdict.reason == "archive.too_large"


def test_too_many_members_are_refused(build):
    members = build.members() | {f"n{i}": b"" for i in range(40)}
    assert build.read(members, Limits(members=30)).verdict.reason == "archive.members"


def test_data_after_the_end_of_the_tar_is_refused(build):
    raw = tar_bytes(build.members())
    assert build.read(raw + b"x" * 512).verdict.reason == "archive.trailing_bytes"
    assert build.read(raw + bytes(5120)).verdict.verdict == "ok"
    assert build.read(raw[:-512]).verdict.reason == "archive.truncated"


def test_a_damaged_header_is_refused(build):
    raw = bytearray(tar_bytes(build.members()))
    raw[130] ^= 1
    assert build.read(bytes(raw)).verdict.reason == "archive.checksum"


def test_a_link_in_place_of_the_tarball_is_refused(build, tmp_path):
    build.read(build.members())
    link = tmp_path / "link.tar.zst"
    link.symlink_to(tmp_path / "e.tar.zst")
    from rlstir_core.contract.registry import default_registry
    from rlstir_core.episodes.reading.read import read_episode

    assert read_episode(link, registry=default_registry()).verdict.reason == "index.missing_file"
    assert read_episode(tmp_path, registry=default_registry()).verdict.reason == "index.not_a_file"
