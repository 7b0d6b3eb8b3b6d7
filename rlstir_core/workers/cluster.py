"""The workers of a Dask scheduler, which share nothing with this process but the store and the data folder.

Dask is asked for when an address is given, and not before. A worker that dies has its items done by another; an item
that kills workers by itself is named. What does not belong here: when they are asked for (`spread.py`), and what a
worker must see (`looking.py`).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.workers.answers import Answer, named
from rlstir_core.workers.batches import WorkBatches, answered_all
from rlstir_core.workers.looking import Look, answers_in, asked_in, look
from rlstir_core.workers.spread import Item, Made

_AHEAD = 3  # batches a thread of a worker that may wait
_PATIENCE_S = 20.0
_COUNTED_S = 5.0  # workers come and go; so long their number is believed
_EXTRA = "install the extra with: pip install 'rlstir[dask]'"
_KEPT = "what was finished before is kept"


@functools.cache
def on_cluster(address: str) -> Cluster:
    """The workers of the scheduler there; ConfigError where there is none, or none that could work."""
    try:
        from distributed import Client, Security
    except ImportError:
        raise ConfigError(f"workers {address}: Dask is not installed; {_EXTRA}") from None
    _quiet()
    if address.startswith("tls://") and Security().get_connection_args("client").get("ssl_context") is None:
        raise ConfigError(
            f"workers {address}: no certificates are known for it; name them in Dask's configuration "
            "(distributed.comm.tls), or use a tcp:// address on a network of its own"
        )
    try:
        client = Client(address, timeout=_PATIENCE_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"no Dask scheduler answers at {address} ({type(error).__name__}); start one with `dask scheduler`, or "
            "write a number of processes"
        ) from None
    return Cluster(client, address)


class Cluster:
    """See `Workers`; `client` is distributed.Client."""

    def __init__(self, client: Any, address: str) -> None:
        self.client, self.address = client, address
        self._seen: set[tuple[Path, ...]] = set()

    def must_see(self, files: Sequence[Path], folder: Path) -> None:
        """See `Workers.must_see`."""
        if (*files, folder) in self._seen:
            return
        with asked_in(folder) as question:
            try:
                found: dict[str, Look | Exception] = self.client.run(look, files, question, on_error="return")
            except OSError:
                raise self._gone() from None
            if not found:
                raise self._no_worker()
            answers_in(question, found, [*files])
        self._seen.add((*files, folder))

    def each(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
        """See `Workers.each`."""
        batches = WorkBatches(items)
        waiting: deque[tuple[Sequence[Item], Any]] = deque()
        threads, counted = 1, float("-inf")
        try:
            while True:
                if time.monotonic() - counted > _COUNTED_S:
                    threads, counted = max(1, self._threads()), time.monotonic()
                while len(waiting) < _AHEAD * threads and (batch := batches.next(threads)):
                    waiting.append((batch, self._asked(work, batch)))
                if not waiting:
                    return
                for answer in self._next(work, waiting, batches):
                    yield answer.given()
        except BaseException:
            self._let_go([future for _, future in waiting])
            raise

    def _next(
        self, work: Callable[[Item], Made], waiting: deque[tuple[Sequence[Item], Any]], batches: WorkBatches[Item]
    ) -> Iterator[Answer[Made]]:
        from distributed import KilledWorker

        batch, future = waiting.popleft()
        try:
            answers, seconds = self._told(batch, future)
        except KilledWorker:  # perhaps for the sake of another that waited for the same worker
            for other, its in waiting:
                with contextlib.suppress(Exception):  # told in its own turn
                    self._told(other, its)
            yield from self._one_by_one(work, batch)
            return
        batches.took(len(answers), seconds)
        yield from answers

    def _one_by_one(self, work: Callable[[Item], Made], batch: Sequence[Item]) -> Iterator[Answer[Made]]:
        from distributed import KilledWorker

        for item in batch:
            try:
                yield self._told([item], self._asked(work, [item]))[0][0]
            except KilledWorker:
                raise StoreError(
                    f"workers of Dask died whenever they worked on {named(item)}, perhaps for want of memory; {_KEPT}: "
                    "look at that episode, or take it out of the store, and run again"
                ) from None

    def _asked(self, work: Callable[[Item], Made], batch: Sequence[Item]) -> Any:
        return self.client.submit(answered_all, work, batch, pure=False, retries=1)

    def _told(self, batch: Sequence[object], future: Any) -> tuple[list[Answer[Any]], float]:
        """The answers and their seconds; raises KilledWorker, and in words what else may happen to it."""
        from distributed import CancelledError, wait
        from distributed.comm import CommClosedError

        while True:
            try:
                with self.client.as_current():  # first, as a result that is given up half-way is told in a traceback
                    wait(future, timeout=_PATIENCE_S)
                answers: tuple[list[Answer[Any]], float] = future.result(timeout=_PATIENCE_S)
                return answers
            except (CancelledError, CommClosedError):
                raise self._gone() from None
            except TimeoutError:
                if future.done():  # the work's own
                    raise
                self._wait_for_one(batch[0])
            except RuntimeError as error:
                if "deserialization" not in str(error):
                    raise
                raise ConfigError(
                    f"the Dask scheduler at {self.address} cannot load rlstir as it is here; install the same version "
                    "there"
                ) from None

    def _wait_for_one(self, item: object) -> None:
        """StoreError where no worker is there and none comes."""
        try:
            if not self._threads():
                self.client.wait_for_workers(1, timeout=_PATIENCE_S)
        except TimeoutError:
            raise StoreError(
                f"no Dask worker is left at {self.address} while {named(item)} waits; {_KEPT}: a worker that ends by "
                "itself mostly lacks memory, so look into its log, start some with `dask worker`, and run again"
            ) from None

    def _threads(self) -> int:
        """How many items can be worked on at once."""
        try:
            return sum(self.client.nthreads().values())
        except OSError:
            raise self._gone() from None

    def _let_go(self, futures: list[Any]) -> None:
        """Gives up what was asked for. What is in work is waited for: it writes files that are not to change later."""
        from distributed import wait
        from distributed.comm import CommClosedError

        with contextlib.suppress(TimeoutError, CommClosedError, StoreError):
            if futures and self._threads():
                with self.client.as_current():
                    wait(futures, timeout=_PATIENCE_S)
            self.client.cancel(futures)

    def _no_worker(self) -> ConfigError:
        return ConfigError(
            f"the Dask scheduler at {self.address} has no worker; start some with "
            f"`dask worker --nworkers auto {self.address}`"
        )

    def _gone(self) -> StoreError:
        return StoreError(
            f"the Dask scheduler at {self.address} went away, or gave up what it was asked; {_KEPT}: start it and its "
            "workers, and run again"
        )


def _quiet() -> None:
    """Dask tells of workers and schedulers that went away in warnings and tracebacks; here a sentence tells it."""
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
