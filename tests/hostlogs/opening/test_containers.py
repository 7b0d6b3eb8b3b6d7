"""Foreign logs are found by their content, in whatever they are packed; nothing that is packed can do harm."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from rlstir_core.errors import StoreError
from rlstir_core.hostlogs.opening.containers import Bounds, files
from rlstir_core.hostlogs.opening.recognise import recognise

REAL = Path(__file__).parents[4] / "shared" / "real"
AUDIT = b"type=SYSCALL msg=audit(1521758453.536:1428931): arch=c000003e syscall=2 success=yes\n"


@pytest.mark.parametrize(
    ("head", "log"),
    [
        (AUDIT, "audit"),
        (b"node=web1 " + AUDIT, "audit"),
        (b"----\ntime->Thu Mar 22 22:40:53 2018\n" + AUDIT, "audit"),
        (b"type=PATH msg=audit(02/04/2023 14:16:03.876:34279) : item=1 name=x\n", "audit"),
        (b"Dec 10 06:55:46 LabSZ sshd[24200]: Invalid user x\n", "syslog"),
        (b"Feb  1 06:55:46 h cron: y\r\nFeb  1 06:55:47 h cron: y\r\n", "syslog"),
        (b"<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - failed\n", "syslog"),
        (b"2024-05-01T12:00:00.123456+02:00 host sshd[1]: msg\n", "syslog"),
        (b'{"__REALTIME_TIMESTAMP":"1","MESSAGE":"EventID is 4"}\n', "journald"),
        (b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1\nMESSAGE=x\n\n", "journald"),
        (b'{"EventID":1,"Channel":"Security","Hostname":"h"}\n', "windows_json"),
        (b'\xef\xbb\xbf[ {"Event": {"System": {"EventID": 1}}} ]', "windows_json"),
        (b'{"@timestamp":"x","winlog":{"event_id":1}}', "windows_json"),
        (b"ElfFile\x00rest", "evtx"),
        (b"", None),
        (b"run,label,t\n1,2,3\n", None),
        (b'{"a": 1}\n', None),
        (b"Apache License\nVersion 2.0\n", None),
        (b"# notes\n" * 9 + AUDIT, "audit"),
        (b"\xff\xfe" + AUDIT.decode().encode("utf-16-le"), "audit"),
        (AUDIT.decode().encode("utf-16-le"), "audit"),
        (b"Traceback\n  File x\nValueError\n" * 20 + AUDIT * 5, "audit"),
        (b"# notes\n" * 9, None),
    ],
)
def test_a_format_is_known_by_its_content(head: bytes, log: str | None) -> None:
    assert recognise(head).log == log and recognise(head).container is None


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_700_000_000
            archive.addfile(info, io.BytesIO(data))
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    return out.getvalue()


PACKED = {
    "plain": lambda data: data,
    "zip": lambda data: zipped(inner=data),
    "tar": lambda data: tarred(inner=data),
    "tar.gz": lambda data: gzip.compress(tarred(inner=data)),
    "tar.xz": lambda data: lzma.compress(tarred(inner=data)),
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
    "zip of gz": lambda data: zipped(inner=gzip.compress(data)),
}


@pytest.mark.parametrize("how", PACKED)
def test_a_log_is_found_in_whatever_it_is_packed(tmp_path: Path, how: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(PACKED[how](AUDIT * 100))
    found, *others = files(path)
    assert all(each.passed for each in others) and bool(others) == how.startswith("tar")
    assert found.guess.log == "audit" and found.data == AUDIT * 100 and found.fault == ""
    if how.startswith("tar"):
        assert found.modified_ns == 1_700_000_000 * 10**9 and found.name == "x/inner"


def test_a_folder_is_read_in_the_order_of_names_and_links_are_passed_over_by_name(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "log").write_bytes(AUDIT)
    (tmp_path / "a.zip").write_bytes(zipped(**{"z/log": AUDIT, "y": b"text"}))
    (tmp_path / "c").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "d")
    (tmp_path / "e").symlink_to(tmp_path / "b")
    assert [(each.name, each.guess.log, each.passed) for each in files(tmp_path)] == [
        ("a.zip/y", None, ""),
        ("a.zip/z/log", "audit", ""),
        ("b/log", "audit", ""),
        ("c", None, "a link"),
        ("d", None, "no plain file"),
        ("e", None, "a link"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(AUDIT * 1000)[:-9],
        lzma.compress(AUDIT * 1000)[:-9],
        bz2.compress(AUDIT * 1000)[:-9],
        zipped(a=AUDIT * 1000)[:-30],
        b"PK\x03\x04" + bytes(100),
        b"\x1f\x8b" + bytes(10),
        b"\x28\xb5\x2f\xfd" + bytes(10),
        tarred(a=AUDIT)[:600] + b"garbage" * 200,
    ],
)
def test_a_damaged_container_is_named_and_nothing_is_raised(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    found = list(files(tmp_path / "x"))
    assert [each.fault for each in found if each.fault]
    assert all(not each.data for each in found if each.fault)


JOINED = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
    "pzstd": lambda data: b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstandard.ZstdCompressor().compress(data),
    "zip": lambda data: zipped(**{f"part{len(data)}": data}),
}


@pytest.mark.parametrize("how", JOINED)
def test_every_frame_of_a_file_is_read(tmp_path: Path, how: str) -> None:
    parts = [AUDIT * n for n in (3, 40_000, 1)]
    (tmp_path / "x").write_bytes(b"".join(JOINED[how](part) for part in parts))
    found = list(files(tmp_path / "x"))
    assert b"".join(each.data for each in found) == b"".join(parts)
    assert not any(each.fault for each in found)


@pytest.mark.parametrize("how", [how for how in JOINED if how != "zip"])
def test_frames_that_together_are_one_tar_or_a_tar_each_give_every_member(tmp_path: Path, how: str) -> None:
    tar = tarred(a=AUDIT, b=AUDIT * 2)
    cut = JOINED[how](tar[:700]) + JOINED[how](tar[700:])
    (tmp_path / "one").write_bytes(cut)
    (tmp_path / "two").write_bytes(JOINED[how](tar) + JOINED[how](tarred(c=AUDIT * 3)))
    assert [each.name for each in files(tmp_path / "one") if each.data] == ["one/a", "one/b"]
    assert [each.name for each in files(tmp_path / "two") if each.data] == ["two/a", "two/b", "two/c"]
    assert not any(each.fault for name in ("one", "two") for each in files(tmp_path / name))


@pytest.mark.parametrize("how", JOINED)
def test_what_stands_behind_the_last_frame_is_counted_and_costs_nothing(tmp_path: Path, how: str) -> None:
    (tmp_path / "x").write_bytes(JOINED[how](AUDIT * 100) + b"garbage" * 10_000)
    good, bad = files(tmp_path / "x")
    assert good.data == AUDIT * 100 and not good.fault
    assert "70000 bytes" in bad.fault and "not read" in bad.fault and not bad.data


@pytest.mark.parametrize("how", ["gz", "xz", "bz2", "zst"])
def test_of_a_frame_that_is_cut_short_what_came_before_is_kept_and_the_loss_named(tmp_path: Path, how: str) -> None:
    whole = b"".join(AUDIT.replace(b"1428931", b"%d" % (k * k)) for k in range(60_000))
    (tmp_path / "x").write_bytes(JOINED[how](whole)[:-2000])
    good, bad = files(tmp_path / "x")
    assert good.data and whole.startswith(good.data) and len(good.data) > len(whole) // 4
    assert "cut short" in bad.fault and not bad.data


def test_a_zstd_frame_without_data_that_is_cut_short_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(
        JOINED["zst"](AUDIT) + b"\x50\x2a\x4d\x18" + (9_000).to_bytes(4, "little") + b"x" * 5_000
    )
    good, bad = files(tmp_path / "x")
    assert good.data == AUDIT and "a zstd frame without data is cut short" in bad.fault


def test_zeros_behind_gzip_and_xz_are_padding_not_a_loss(tmp_path: Path) -> None:
    (tmp_path / "zip").write_bytes(zipped(a=AUDIT) + b"\r\n")
    assert [each.fault for each in files(tmp_path / "zip")] == [""]
    for how in ("gz", "xz"):
        (tmp_path / how).write_bytes(JOINED[how](AUDIT) + bytes(512) + JOINED[how](AUDIT) + bytes(4))
        (found,) = files(tmp_path / how)
        assert found.data == AUDIT * 2 and not found.fault


def test_names_that_are_no_utf_8_are_shown_escaped(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / os.fsdecode(b"caf\xe9.log")).write_bytes(AUDIT)
    (tmp_path / "in" / "new\nline.log").write_bytes(AUDIT)
    assert [each.name for each in files(tmp_path / "in")] == ["caf\\xe9.log", "new\\nline.log"]
    (tmp_path / "x.tar").write_bytes(tarred(**{"caf\udce9.log": AUDIT}))
    assert next(files(tmp_path / "x.tar")).name == "x.tar/caf\\xe9.log"
    (tmp_path / "x.zip").write_bytes(zipped(**{"caf\u00e9.log": AUDIT}).replace(b"caf\xc3\xa9", b"cafe\xe9"))
    assert next(files(tmp_path / "x.zip")).name.isprintable()


def test_a_tar_without_the_magic_of_later_ones_is_one_by_its_sum(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t", "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("a", "b"):
            member = tarfile.TarInfo(name)
            member.size = len(AUDIT)
            archive.addfile(member, io.BytesIO(AUDIT))
    raw = bytearray((tmp_path / "t").read_bytes())
    for at in (0, 1024):
        raw[at + 257 : at + 345] = bytes(88)
        raw[at + 148 : at + 156] = b"%06o\0 " % (sum(raw[at : at + 148]) + 256 + sum(raw[at + 156 : at + 512]))
    (tmp_path / "t").write_bytes(raw)
    assert [(each.name, each.data) for each in files(tmp_path / "t")] == [("t/a", AUDIT), ("t/b", AUDIT)]
    assert recognise(bytes(raw[:148]) + b"9999999 " + bytes(raw[156:])).container is None


@pytest.mark.parametrize("zeros", [512, 70_000, 200_003])
def test_a_log_behind_a_hole_is_read(tmp_path: Path, zeros: int) -> None:
    (tmp_path / "a.log").write_bytes(bytes(zeros) + AUDIT)
    (found,) = files(tmp_path / "a.log")
    assert found.guess.log == "audit" and found.data.lstrip(b"\0") == AUDIT
    (tmp_path / "zeros").write_bytes(bytes(zeros))
    assert next(files(tmp_path / "zeros")).guess.log is None


@pytest.mark.parametrize(
    ("inside", "file", "wanted"),
    [
        (1_500_000_000, 1_700_000_000, 1_500_000_000),
        (0, 1_700_000_000, 1_700_000_000),
        (1_500_000_000, 1, 1_500_000_000),
        (1_700_000_000, 1_500_000_000, 1_500_000_000),
        (1, 2, 2),
    ],
)
def test_a_gzip_file_says_when_its_log_was_written_and_a_copy_is_younger(
    tmp_path: Path, inside: int, file: int, wanted: int
) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(AUDIT, mtime=inside))
    os.utime(tmp_path / "a.gz", (file, file))
    assert next(files(tmp_path / "a.gz")).modified_ns == wanted * 10**9


@pytest.mark.parametrize("head", [b"7z\xbc\xaf\x27\x1c\0\4", b"\x04\x22\x4d\x18", b"LPKSHHRH", b"Rar!\x1a\x07\1"])
def test_what_may_hold_logs_and_is_not_opened_is_named_with_a_remedy(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "x").write_bytes(head + bytes(99))
    (found,) = files(tmp_path / "x")
    assert "unpack it" in found.fault or "write it out" in found.fault


def test_bombs_are_cut_at_the_bounds(tmp_path: Path) -> None:
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(50 << 20)))
    (tmp_path / "many.zip").write_bytes(zipped(**{str(k): AUDIT for k in range(50)}))
    nested = AUDIT
    for _ in range(6):
        nested = gzip.compress(nested)
    (tmp_path / "nested").write_bytes(nested)
    bounds = Bounds(file_bytes=1 << 20)
    found = {each.name: each for each in files(tmp_path, bounds)}
    assert "over 1048576 bytes" in found["bomb.gz"].fault and not found["bomb.gz"].data
    assert "containers more than 3 deep" in found["nested"].fault
    assert len(found) == 52
    with pytest.raises(StoreError, match="more than 20 files"):
        list(files(tmp_path, Bounds(files=20)))
    total = Bounds(total_bytes=len(AUDIT) * 10)
    assert sum(bool(each.data) for each in files(tmp_path / "many.zip", total)) <= 10


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not there"):
        list(files(tmp_path / "none"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real logs are not beside this checkout")
@pytest.mark.parametrize(
    ("name", "log", "n_logs", "n_others"),
    [
        ("evtx_mdecrevoisier.tar.xz", "evtx", 281, 0),
        ("mordor", "windows_json", 68, 2),
        ("splunk_attack_data", "windows_json", 1, 1),
        ("loghub", "syslog", 1, 3),
        ("hpc_hiper", "none", 0, 2),
    ],
)
def test_every_real_log_is_recognised_and_nothing_else(name: str, log: str, n_logs: int, n_others: int) -> None:
    guesses = [each.guess.log for each in files(REAL / name)]
    assert guesses.count(log) == n_logs and guesses.count(None) == n_others == len(guesses) - n_logs
