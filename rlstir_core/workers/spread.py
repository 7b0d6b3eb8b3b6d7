"""Who works on episodes, by what a user wrote; and the way that needs nobody else.

What does not belong here: processes (`local.py`) and Dask (`cluster.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from rlstir_core.errors import ConfigError
from rlstir_core.workers.quota import cores

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

    def must_see(self, files: Sequence[Path], folder: Path) -> None:
        """ConfigError where a worker reads something else in one of these files, cannot write into the folder, or
        makes other results. The paths are absolute: a worker has a working directory of its own."""


class Alone:
    """This process and no other."""

    def must_see(self, files: Sequence[Path], folder: Path) -> None:
        """It does."""

    def each(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
        """See `Workers.each`."""
        for item in items:
            yield work(item)


ALONE = Alone()


def check_workers(text: str) -> str:
    """The same text, where it says who works; ConfigError otherwise."""
    if text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= MOST:
        return text
    if not text or _is_address(text):
        return text
    raise ConfigError(f"workers {text[:80]!r} are neither a number from 1 to {MOST} nor an address; {_EXAMPLE}")


def _is_address(text: str) -> bool:
    try:
        found = urlsplit(text)
        return found.scheme in ("tcp", "tls") and bool(found.hostname) and found.port != 0  # raises for no number
    except ValueError:
        return False


def elsewhere(text: str) -> bool:
    """Whether the workers that a user wrote are those of a scheduler, perhaps on other machines."""
    return "://" in text


def workers_of(text: str) -> Workers:
    """Who works: as many processes as are asked for, the workers of a Dask scheduler, or, for "", one a core."""
    check_workers(text)
    if elsewhere(text):
        from rlstir_core.workers.cluster import on_cluster

        return on_cluster(text)
    n = int(text) if text else min(cores(), _USUALLY_AT_MOST)
    if n == 1:
        return ALONE
    from rlstir_core.workers.local import processes

    return processes(n)
