"""Who works on episodes, by what a user wrote; and the way that needs nobody else.

What does not belong here: processes (`local.py`) and Dask (`cluster.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from rlstir_core.errors import ConfigError

Item = TypeVar("Item")
Made = TypeVar("Made")
MOST = 256  # processes
_USUALLY_AT_MOST = 8  # where nobody says: memory is shared with the steps beside this one
_EXAMPLE = "write a number of processes, such as 4, or a Dask scheduler's address, such as tcp://10.0.0.5:8786"


class Workers(Protocol):
    """Does the same with every item."""

    def each(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
        """What `work` gives of every item, in their order, as it is made.

        `work` and all that it is given must be picklable. What it refuses is raised here in the item's turn;
        StoreError names the item on which a process died twice.
        """

    def must_see(self, paths: Sequence[Path]) -> None:
        """ConfigError where a worker does not see one of these, or makes results of another version."""


class Alone:
    """This process and no other."""

    def must_see(self, paths: Sequence[Path]) -> None:
        """It does."""

    def each(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
        """See `Workers.each`."""
        for item in items:
            yield work(item)


ALONE = Alone()


def cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def check_workers(text: str) -> str:
    """The same text, where it says who works; ConfigError otherwise."""
    if text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= MOST:
        return text
    kind, separator, place = text.partition("://")
    if not text or (separator and kind in ("tcp", "tls") and place):
        return text
    raise ConfigError(f"workers {text[:80]!r} are neither a number from 1 to {MOST} nor an address; {_EXAMPLE}")


def workers_of(text: str) -> Workers:
    """Who works: as many processes as are asked for, the workers of a Dask scheduler, or, for "", one a core."""
    check_workers(text)
    if "://" in text:
        from rlstir_core.workers.cluster import on_cluster

        return on_cluster(text)
    n = int(text) if text else min(cores(), _USUALLY_AT_MOST)
    if n == 1:
        return ALONE
    from rlstir_core.workers.local import processes

    return processes(n)
