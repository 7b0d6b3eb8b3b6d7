"""The workers of a Dask scheduler, which share nothing with this process but the store and the data folder.

Dask is asked for when an address is given, and not before. A worker that dies has its items done by another; what keeps
killing workers is named. What does not belong here: when they are asked for (`spread.py`).
"""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.results.versions import VERSIONS
from rlstir_core.workers.answers import Answer, answered, named
from rlstir_core.workers.spread import Item, Made

_AHEAD = 3  # items a worker that may wait
_PATIENCE_S = 20
_EXTRA = "install the extra with: pip install 'rlstir[dask]'"


@functools.cache
def on_cluster(address: str) -> Cluster:
    """The workers of the scheduler there; ConfigError where there is none, or none that could work."""
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(f"workers {address}: Dask is not installed; {_EXTRA}") from None
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
        self._seen: set[Path] = set()

    def must_see(self, paths: Sequence[Path]) -> None:
        """See `Workers.must_see`."""
        unseen = [path for path in paths if path not in self._seen]
        if not unseen:
            return
        found: dict[str, tuple[list[bool], Any]] = self.client.run(_looked, [str(path) for path in unseen])
        if not found:
            raise ConfigError(f"the Dask scheduler at {self.address} has no worker; start some with `dask worker`")
        for at, path in enumerate(unseen):
            blind = sorted(worker for worker, (sees, _) in found.items() if not sees[at])
            if blind:
                raise ConfigError(
                    f"{len(blind)} of {len(found)} Dask workers do not see {path}, the first is {blind[0]}; mount its "
                    "folder there under the same path"
                )
        other = sorted(worker for worker, (_, versions) in found.items() if versions != dict(VERSIONS))
        if other:
            raise ConfigError(
                f"{len(other)} of {len(found)} Dask workers have another version of rlstir, the first is {other[0]}; "
                "install the same one there"
            )
        self._seen.update(unseen)

    def each(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
        """See `Workers.each`."""
        from distributed import CancelledError, KilledWorker

        most = _AHEAD * max(1, len(self.client.scheduler_info(n_workers=-1)["workers"]))
        waiting: deque[tuple[Item, Any]] = deque()
        ahead = iter(items)
        try:
            for item in ahead:
                waiting.append((item, self._asked(work, item)))
                if len(waiting) < most:
                    continue
                yield self._told(*waiting.popleft(), (KilledWorker, CancelledError)).given()
            while waiting:
                yield self._told(*waiting.popleft(), (KilledWorker, CancelledError)).given()
        except BaseException:
            self.client.cancel([future for _, future in waiting])
            raise

    def _asked(self, work: Callable[[Item], Made], item: Item) -> Any:
        return self.client.submit(answered, work, item, pure=False, retries=1)

    def _told(self, item: Any, future: Any, lost: tuple[type[BaseException], ...]) -> Answer[Any]:
        try:
            found: Answer[Any] = future.result()
            return found
        except lost as error:
            raise StoreError(
                f"Dask gave up on {named(item)} ({type(error).__name__}), perhaps for want of memory; what was "
                "finished before is kept: look at that episode, or take it out of the store, and run again"
            ) from None
        except RuntimeError as error:
            if "deserialization" not in str(error):
                raise
            raise ConfigError(
                f"the Dask workers at {self.address} cannot load rlstir as it is here; install the same version there"
            ) from None


def _looked(paths: list[str]) -> tuple[list[bool], dict[str, int]]:
    """Which of these this worker sees, and the versions of what it makes."""
    return [os.path.exists(path) for path in paths], dict(VERSIONS)  # noqa: PTH110 - plain strings cross to it
