"""Work on many items by other processes gives what it gives here, in the same order, whoever dies."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlstir_core.errors import ConfigError, SplitRefused, StoreError
from rlstir_core.workers.batches import MOST
from rlstir_core.workers.local import LocalProcesses
from rlstir_core.workers.quota import cores
from rlstir_core.workers.spread import ALONE, check_workers, workers_of

ITEMS = list(range(40))


def squared(item: int) -> tuple[int, int]:
    return item * item, os.getpid()


def refused_at_7(item: int) -> int:
    if item == 7:
        raise SplitRefused("seven is refused; take another")
    return item


def killed(item: tuple[str, Path], *, always: bool) -> str:
    """Dies on the item `bad`, the first time or each time."""
    name, folder = item
    if name == "bad" and (always or not (folder / "died").exists()):
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return name


def noted(item: int, *, folder: Path) -> int:
    (folder / str(item)).touch()
    return item


@pytest.fixture
def pool() -> Iterator[LocalProcesses]:
    made = LocalProcesses(2)
    yield made
    made.close()


def test_many_items_are_done_by_other_processes_and_come_in_their_order(pool: LocalProcesses) -> None:
    found = list(pool.each(squared, ITEMS))
    assert [value for value, _ in found] == [value for value, _ in ALONE.each(squared, ITEMS)]
    assert os.getpid() not in {pid for _, pid in found}
    assert {pid for _, pid in pool.each(squared, ITEMS[:3])}.isdisjoint({os.getpid()})  # they are there by now


def test_few_items_start_nobody(pool: LocalProcesses) -> None:
    assert {pid for _, pid in pool.each(squared, ITEMS[:10])} == {os.getpid()}


def test_a_refusal_is_raised_in_its_turn_as_what_it_is(pool: LocalProcesses) -> None:
    found = []
    with pytest.raises(SplitRefused, match="seven is refused; take another"):
        for each in pool.each(refused_at_7, ITEMS):
            found.append(each)
    assert found == list(range(7))
    assert list(pool.each(refused_at_7, ITEMS[8:])) == ITEMS[8:]


def test_a_process_that_is_killed_loses_nothing_and_an_item_that_kills_twice_is_named(
    pool: LocalProcesses, tmp_path: Path
) -> None:
    items = [(f"ep-{k}", tmp_path) for k in range(30)]
    items[12] = ("bad", tmp_path)
    work = functools.partial(killed, always=False)
    assert list(pool.each(work, items)) == [name for name, _ in items]
    found = []
    with pytest.raises(StoreError, match=r"worked on bad died twice"):
        for name in pool.each(functools.partial(killed, always=True), items):
            found.append(name)
    assert found == [f"ep-{k}" for k in range(12)]


def test_no_more_is_begun_than_is_asked_for(pool: LocalProcesses, tmp_path: Path) -> None:
    results = pool.each(functools.partial(noted, folder=tmp_path), list(range(2000)))
    assert [next(results) for _ in range(5)] == list(range(5))
    results.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.iterdir())) < 2 * 3 * MOST + 20  # what waits for two processes, and what was given


def with_a_pool() -> None:
    assert len(list(LocalProcesses(2).each(squared, ITEMS))) == len(ITEMS)


def test_a_child_of_multiprocessing_that_started_some_ends_with_them() -> None:
    child = multiprocessing.get_context("spawn").Process(target=with_a_pool)
    child.start()
    child.join(60)
    alive = child.is_alive()
    child.kill()
    assert not alive and child.exitcode == 0


@pytest.mark.parametrize("text", ["", "1", "256", "tcp://10.0.0.5:8786", "tls://lab:1"])
def test_who_works_can_be_said(text: str) -> None:
    assert check_workers(text) == text


@pytest.mark.parametrize(
    "text", ["0", "257", "-1", "many", "tcp://", "tcp://:1", "tcp://x:port", "tcp://x:0", "http://x:1", "1.5", "٣"]
)
def test_who_cannot_work_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="write a number of processes, such as 4"):
        check_workers(text)


def test_one_process_is_this_one() -> None:
    assert workers_of("1") is ALONE and workers_of("3") is workers_of("3") and cores() >= 1


def out_of_memory(item: str) -> str:
    raise MemoryError


@pytest.mark.slow
def test_an_item_that_takes_too_much_memory_is_named(pool: LocalProcesses) -> None:
    with pytest.raises(StoreError, match="ep-0 takes more memory than a worker may have"):
        list(pool.each(out_of_memory, [f"ep-{k}" for k in range(30)]))


_PARENT = """
import sys, time
from rlstir_core.workers.local import LocalProcesses
if __name__ == "__main__":
    pool = LocalProcesses(2)
    try:
        for _ in pool.each(time.sleep, [0.01] * 60):
            print(*pool._pool._processes, flush=True)
            time.sleep(60)  # while the others have nothing to do
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int], Path]]:
    """A process with two others that are idle, their ids, and what all of them say of errors."""
    script, errors = tmp_path / "parent.py", tmp_path / "errors"
    script.write_text(_PARENT)
    with errors.open("w") as told:
        command = [sys.executable, "-P", str(script)]
        path = os.pathsep.join(sys.path)
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=told, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        assert process.stdout is not None
        others = [int(each) for each in process.stdout.readline().split()]
        time.sleep(1)
        yield process, others, errors
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def gone(pid: int) -> bool:
    """Whether a process is no more, within some seconds."""
    for _ in range(100):
        status = Path(f"/proc/{pid}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up under /proc")
def test_processes_end_with_the_one_that_started_them(parent: tuple[subprocess.Popen[str], list[int], Path]) -> None:
    process, others, _ = parent
    assert len(others) == 2
    process.kill()
    process.wait()
    assert all(map(gone, others))


@pytest.mark.slow
def test_ctrl_c_leaves_no_traceback_of_those_who_wait(parent: tuple[subprocess.Popen[str], list[int], Path]) -> None:
    process, _, errors = parent
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 130
    assert errors.read_text() == ""
