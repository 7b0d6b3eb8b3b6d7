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

REAL = Path(__file__).parents[3] / "shared" / "real"
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
        (b'{"EventID":1,"Hostname":"h"}\n', "windows_json"),
        (b'\xef\xbb\xbf[ {"Event": {"System": {}}} ]', "windows_json"),
        (b'{"@timestamp":"x","winlog":{"event_id":1}}', "windows_json"),
        (b"ElfFile\x00rest", "evtx"),
        (b"", None),
        (b"run,label,t\n1,2,3\n", None),
        (b'{"a": 1}\n', None),
        (b"Apache License\nVersion 2.0\n", None),
        (b"# notes\n" * 9 + AUDIT, None),
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
    (found,) = files(path)
    assert found.guess.log == "audit" and found.data == AUDIT * 100 and found.fault == ""
    if how.startswith("tar"):
        assert found.modified_ns == 1_700_000_000 * 10**9 and found.name == "x/inner"


def test_a_folder_is_read_in_the_order_of_names_and_links_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "log").write_bytes(AUDIT)
    (tmp_path / "a.zip").write_bytes(zipped(**{"z/log": AUDIT, "y": b"text"}))
    (tmp_path / "c").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "d")
    assert [(each.name, each.guess.log) for each in files(tmp_path)] == [
        ("a.zip/y", None),
        ("a.zip/z/log", "audit"),
        ("b/log", "audit"),
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
