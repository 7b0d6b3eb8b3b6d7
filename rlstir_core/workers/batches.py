"""Items in batches that take half a second, since asking another process costs much of what a small item does.

Dask takes some 4 ms to ask for anything, and decoding a short episode takes 7 to 12. What does not belong here: who
works.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Generic

from rlstir_core.workers.answers import Answer, answered
from rlstir_core.workers.spread import Item, Made

MOST = 48  # items, so that little waits in memory
_LASTS_S = 0.5
_SHARE = 2  # batches a worker that what is left is divided into, so that none ends long after the others


def answered_all(work: Callable[[Item], Made], items: Sequence[Item]) -> tuple[list[Answer[Made]], float]:
    """The answers up to the first refusal, and the seconds that they took."""
    began = time.perf_counter()
    answers: list[Answer[Made]] = []
    for item in items:
        answers.append(answered(work, item))
        if answers[-1].result is None:
            break
    return answers, time.perf_counter() - began


class WorkBatches(Generic[Item]):
    """Takes items in their order, as many at once as their predecessors took time."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items, self._at, self._size = items, 0, 1

    def next(self, workers: int) -> Sequence[Item]:
        """The next batch for one of so many workers; empty at the end."""
        fair = (len(self._items) - self._at) // (_SHARE * workers)
        batch = self._items[self._at : self._at + max(1, min(self._size, fair))]
        self._at += len(batch)
        return batch

    def took(self, n: int, seconds: float) -> None:
        """So long `n` items took."""
        fits = int(n * _LASTS_S / max(seconds, 1e-6))
        self._size = max(1, min(MOST, 2 * self._size, fits))
