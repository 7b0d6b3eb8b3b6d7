"""Locks: the second waits and says for whom, and a killed holder blocks nobody."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rlstir_core.progress import told_to
from rlstir_core.results.lock import holding, is_held

HOLDER = """
import sys, time
from pathlib import Path
from rlstir_core.results.lock import holding
with holding(Path(sys.argv[1]), shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "host a.lock"


class Other:
    """Another process that holds the lock until it is killed."""

    def __init__(self, lock: Path, how: str) -> None:
        command = [sys.executable, "-c", HOLDER, str(lock), how]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None and self.process.stdout.readline() == "held\n"

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def test_the_second_waits_and_says_for_whom_until_the_first_is_killed(lock: Path) -> None:
    told: list[str] = []
    with Other(lock, "alone") as other:
        threading.Timer(0.5, other.process.kill).start()
        start = time.monotonic()
        with holding(lock, waiting=told.append):
            assert time.monotonic() - start > 0.3
    assert set(told) == {f"waiting for process {other.process.pid}, which works on host a"}


def test_readers_share_and_a_writer_waits_for_them(lock: Path) -> None:
    told: list[str] = []
    with Other(lock, "shared") as other:
        with holding(lock, shared=True, waiting=told.append):
            assert told == []
        threading.Timer(0.3, other.process.kill).start()
        with holding(lock, waiting=told.append):
            assert told


def test_a_lock_is_held_only_while_its_process_lives(lock: Path) -> None:
    assert not is_held(lock) and not lock.exists()
    with Other(lock, "alone") as other:
        assert is_held(lock)
        other.kill()
        assert not is_held(lock)
    with holding(lock):
        assert is_held(lock)
    assert not is_held(lock)


def test_a_lock_that_is_a_link_is_refused(lock: Path) -> None:
    lock.parent.mkdir()
    lock.symlink_to(lock.with_name("elsewhere"))
    with pytest.raises(OSError, match="symbolic links"), holding(lock):
        pass
    assert not lock.with_name("elsewhere").exists()


def test_waiting_is_told_as_progress_without_counts() -> None:
    told: list[tuple[int, int, str]] = []
    teller = told_to(lambda done, total, what: told.append((done, total, what)))
    assert teller is not None
    teller("waiting")
    assert told == [(0, 0, "waiting")] and told_to(None) is None
