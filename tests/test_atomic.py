"""Durable writes: a final file appears whole or not at all, whatever fails and wherever."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from rlstir_core import atomic
from rlstir_core.atomic import canonical_sha256, file_sha256, json_bytes, replacing, write_bytes, write_json, write_text


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "reports" / "report.md"
    path.parent.mkdir()
    path.write_text("old")
    return path


def assert_untouched(target: Path) -> None:
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_write_replaces_the_file_and_leaves_nothing_beside_it(target: Path) -> None:
    write_text(target, "new")
    assert target.read_text() == "new" and [p.name for p in target.parent.iterdir()] == [target.name]
    assert target.stat().st_mode & 0o777 == 0o644


def test_folders_that_are_missing_are_made(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "b" / "c.bin", b"x")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"x"


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.write_bytes"])
def test_a_full_disk_at_any_step_leaves_the_old_file_and_names_it(
    target: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(step, full_disk)
    with pytest.raises(OSError, match="No space left") as caught:
        write_text(target, "new")
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(target)
    assert_untouched(target)


def test_no_room_for_the_temporary_file_names_the_final_one(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic.tempfile, "mkstemp", full_disk)
    with pytest.raises(OSError, match="No space left") as caught:
        write_text(target, "new")
    assert caught.value.filename == str(target)
    assert_untouched(target)


def test_an_error_of_the_writer_itself_leaves_the_old_file(target: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replacing(target) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert_untouched(target)


def test_the_file_is_synced_before_the_rename_and_the_folder_after_it(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real_replace, real_fsync = Path.replace, os.fsync

    def replace(self: Path, other: Path) -> Path:
        done.append("rename")
        return real_replace(self, other)

    def fsync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real_fsync(handle)

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(os, "fsync", fsync)
    write_text(target, "new")
    assert done == ["file", "rename", "folder"]


def test_equal_values_give_equal_bytes_and_hashes(tmp_path: Path) -> None:
    one, two = {"b": 1, "a": [1.5, None]}, {"a": [1.5, None], "b": 1}
    assert json_bytes(one) == json_bytes(two)
    assert canonical_sha256(one) == canonical_sha256(two) != canonical_sha256({"a": [1.5, None], "b": 2})
    for name, value in (("one.json", one), ("two.json", two)):
        write_json(tmp_path / name, value)
    assert file_sha256(tmp_path / "one.json") == file_sha256(tmp_path / "two.json")
