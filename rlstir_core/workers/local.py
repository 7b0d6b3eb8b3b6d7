"""Processes of this machine, started when there is enough to do, and kept until this process ends.

What does not belong here: when they are asked for (`spread.py`).
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from pathlib import Path

from rlstir_core.errors import StoreError
from rlstir_core.workers.answers import Answer, answered, named
from rlstir_core.workers.batches import WorkBatches, answered_all
from rlstir_core.workers.spread import ALONE, Item, Made

_WORTH = 12  # items a process, from which starting it pays
_AHEAD = 3  # batches a process that may wait, so that memory does not grow with the number of items
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

_Answers = tuple[list[Answer[Made]], float]


@functools.cache
def processes(n: int) -> LocalProcesses:
    """The `n` processes of this one."""
    return LocalProcesses(n)


class LocalProcesses:
    """As many processes as are worth it, and at most `n`."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._pool: ProcessPoolExecutor | None = None
        # a step is a child of multiprocessing, which waits for its own children and knows no atexit
        Finalize(None, self.close, exitpriority=100)

    def must_see(self, files: Sequence[Path], folder: Path) -> None:
        """They see what this process does."""

    def close(self) -> None:
        """Ends them; what has not begun is given up."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def each(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
        """See `Workers.each`; few items are done here while nobody was started for others."""
        if len(items) < 2 or (self._pool is None and len(items) < 2 * _WORTH):
            yield from ALONE.each(work, items)
            return
        batches = WorkBatches(items)
        waiting: deque[tuple[Sequence[Item], Future[_Answers[Made]]]] = deque()
        try:
            while True:
                while len(waiting) < _AHEAD * self.n and (batch := batches.next(self.n)):
                    waiting.append((batch, self._asked(work, batch)))
                if not waiting:
                    return
                batch, future = waiting.popleft()
                try:
                    answers, seconds = future.result()
                except BrokenProcessPool:
                    for answer in self._again(work, batch):
                        yield answer.given()
                    waiting = deque((each, self._asked(work, each)) for each, _ in waiting)
                    continue
                batches.took(len(answers), seconds)
                for answer in answers:
                    yield answer.given()
        except BaseException:
            for _, future in waiting:
                future.cancel()
            raise

    def _asked(self, work: Callable[[Item], Made], batch: Sequence[Item]) -> Future[_Answers[Made]]:
        if self._pool is None:
            self._pool = _started(self.n)
        try:
            return self._pool.submit(answered_all, work, batch)
        except BrokenProcessPool:  # it broke over another batch, whose turn comes
            broken: Future[_Answers[Made]] = Future()
            broken.set_exception(BrokenProcessPool())
            return broken

    def _again(self, work: Callable[[Item], Made], batch: Sequence[Item]) -> Iterator[Answer[Made]]:
        """Once more, one by one: a process that died takes down all that waited with it, and one item is the cause."""
        self.close()
        with _started(1) as alone:
            for item in batch:
                try:
                    yield alone.submit(answered, work, item).result()
                except BrokenProcessPool:
                    raise StoreError(
                        f"the process that worked on {named(item)} died twice, perhaps for want of memory; what was "
                        "finished before is kept: look at that episode, or take it out of the store, and run again"
                    ) from None


def _started(n: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """One thread of arithmetic a process, as there are others; and it ends when the process that started it does."""
    for name in _ONE_THREAD:
        os.environ[name] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the one that started them ends them
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()


def _end_with(parent: BaseProcess | None) -> None:
    """Ends this process when its parent was killed, which nobody else would tell it."""
    if parent is not None:
        parent.join()
        os._exit(1)
