"""Episodes one after the other in bounded memory: kept where there is room, ordered in blocks, read ahead.

What does not belong here: what an episode is (`reading/`), and what is done with a batch (`loop.py`).
"""

# E episodes
from __future__ import annotations

import ctypes
import os
import queue
import tempfile
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np

from rlstir_core.arrays import Ints
from rlstir_core.learning.examples import CacheBudget

T = TypeVar("T")
TrainingStep = list[list[int]]  # its batches: of each, the places of episodes
_BLOCK, _BLOCKS = 64, 16  # neighbours that stay together, and how many such blocks are shuffled into one another
_AHEAD = 2  # batches that are made before they are asked for


class Kept(Generic[T]):
    """Things that are made once: kept in memory while the budget lasts, then in a file without a name in `folder`."""

    def __init__(self, make: Callable[[int], T], kind: Any, budget: CacheBudget, folder: Path) -> None:
        self._make, self._budget, self._folder = make, budget, folder
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind)
        self._held: dict[int, bytes] = {}
        self._at: dict[int, tuple[int, int]] = {}  # of those in the file
        self._file: Any = None
        self._end = 0

    def __getitem__(self, place: int) -> T:
        held = self._held.get(place)
        if held is None and place in self._at:
            start, size = self._at[place]
            held = os.pread(self._file.fileno(), size, start)
        if held is None:
            held = msgspec.msgpack.encode(self._make(place))
            if self._budget.take(len(held)):
                self._held[place] = held
            else:
                self._write(place, held)
        return self._decoder.decode(held)

    def _write(self, place: int, data: bytes) -> None:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - lives as long as this
            weakref.finalize(self, self._file.close)
        self._file.write(data)
        self._at[place] = (self._end, len(data))
        self._end += len(data)


def shuffled(n: int, rng: np.random.Generator) -> Ints:
    """A random order of n things, in which what is far apart in the file is not asked for in turn. (n,)

    Up to some thousand things it is any order; of more, blocks of neighbours are shuffled into one another.
    """
    starts = rng.permutation(np.arange(0, n, _BLOCK))
    pools = [starts[at : at + _BLOCKS] for at in range(0, len(starts), _BLOCKS)]
    blocks = [np.concatenate([np.arange(start, min(n, start + _BLOCK)) for start in pool]) for pool in pools]
    return np.concatenate([np.zeros(0, np.int64), *(rng.permutation(block) for block in blocks)])


def plan(order: Iterable[int], tokens_E: Sequence[int] | Ints, budget: int, accumulate: int = 1) -> list[TrainingStep]:
    """The steps of an epoch: of each, `accumulate` batches of at most `budget` tokens; one episode always fits."""
    batches: list[list[int]] = []
    n = 0
    for place in order:
        size = int(tokens_E[place])
        if not batches or n + size > budget:
            batches.append([])
            n = 0
        batches[-1].append(int(place))
        n += size
    return [batches[at : at + accumulate] for at in range(0, len(batches), accumulate)]


def prefetched(make: Callable[[T], Any], items: Sequence[T], ahead: int = _AHEAD) -> Generator[Any, None, None]:
    """`make(item)` of every item in order, made by one thread while the last ones are worked on.

    At most `ahead` wait. What the thread raises is raised here.
    """
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(maxsize=ahead)
    stop = threading.Event()

    def put(result: Any, error: BaseException | None) -> None:
        while not stop.is_set():
            try:
                ready.put((result, error), timeout=0.05)
            except queue.Full:
                continue
            return

    def work() -> None:
        for item in items:
            if stop.is_set():
                return
            try:
                put(make(item), None)
            except BaseException as error:  # handed to whoever waits for it
                put(None, error)
                return

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        for _ in items:
            result, error = ready.get()
            if error is not None:
                raise error
            yield result
    finally:
        stop.set()
        thread.join()


def give_back() -> None:
    """Gives memory that was freed back to the system, where the C library can (glibc).

    Batches of ever other sizes leave its heap in pieces, which grows with every epoch although nothing is held.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
