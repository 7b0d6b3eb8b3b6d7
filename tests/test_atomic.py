"""Durable writes: a final file appears whole or not at all, whatever fails and wherever."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.atomic import (
    canonical_sha256,
    file_sha256,
    json_bytes,
    replacing,
    sweep,
    write_bytes,
    write_json,
    write_text,
)


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


class NthCall:
    """Every call that changes the disk, counted over all of them; the n-th does something else."""

    STEPS = ("os.open", "os.fsync", "os.replace", "os.rename", "pathlib.Path.write_bytes", "pathlib.Path.chmod")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, n: int, instead: Callable[..., object]) -> None:
        self.calls = 0
        for step in self.STEPS:
            module, _, name = step.rpartition(".")
            owner = Path if module == "pathlib.Path" else os
            monkeypatch.setattr(owner, name, self.counted(getattr(owner, name), n, instead))

    def counted(self, real: Callable[..., Any], n: int, instead: Callable[..., object]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self.calls += 1
            return (instead if self.calls == n else real)(*given, **named)

        return call


def calls_of_one_write(target: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        counter = NthCall(patch, -1, full_disk)
        write_text(target, "old")
    return counter.calls


def test_whichever_call_fails_the_file_is_the_old_or_the_new_one_and_the_error_names_it(target: Path) -> None:
    n_calls = calls_of_one_write(target)
    assert n_calls >= 6  # temporary file, write, mode, sync, rename, sync of the folder
    for n in range(1, n_calls + 1):
        write_text(target, "old")
        with pytest.MonkeyPatch.context() as patch:
            NthCall(patch, n, full_disk)
            with pytest.raises(OSError, match="No space left") as caught:
                write_text(target, "new")
        assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(target)
        assert target.read_text() in ("old", "new")
        assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # of Python 3.12 and later, where threads run
@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_the_process_is_killed_at_the_file_is_the_old_or_the_new_one(target: Path, moment: str) -> None:
    outcomes = []
    for n in range(1, calls_of_one_write(target) + 1):
        write_text(target, "old")
        child = os.fork()
        if child == 0:
            with pytest.MonkeyPatch.context() as patch:
                NthCall(patch, n + (moment == "after"), lambda *_, **__: os._exit(9))
                write_text(target, "new")
            os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        outcomes.append(target.read_text())
        sweep(target.parent, target.name)
        assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert set(outcomes) == {"old", "new"} and outcomes == sorted(outcomes, reverse=True)


def test_only_the_leftovers_of_the_named_file_are_swept(target: Path) -> None:
    mine, other = target.with_name(".tmp-report.md-x"), target.with_name(".tmp-other.md-x")
    for path in (mine, other):
        path.write_text("half")
    sweep(target.parent, target.name)
    assert other.exists() and not mine.exists()
    sweep(target.parent.parent, deep=True)
    assert [path.name for path in target.parent.iterdir()] == [target.name]


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
