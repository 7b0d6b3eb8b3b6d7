"""Locks: two materializations at once do not work on the same result; the second waits and says so.

A lock is a file that a process holds through the kernel (`flock(2)`), so a process that is killed leaves none
behind. Whoever makes a result holds its lock alone; whoever reads several files that belong together shares it.
To stay clear of deadlock, locks are taken in one order: index, evaluation, checkpoint, host.
What does not belong here: what is protected (`layout.py` names the locks).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from rlstir_core.progress import Tell

_POLL_S = 0.2
_NOTE_BYTES = 200  # of a holder


@contextlib.contextmanager
def holding(path: Path, *, shared: bool = False, waiting: Tell | None = None) -> Iterator[None]:
    """Holds the lock at `path`, alone or shared; while another process holds it, waits and tells who that is."""
    with _opened(path) as handle:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        while not _take(handle, kind):
            if waiting is not None:
                waiting(f"waiting for process {_holder(handle)}, which works on {path.stem}")
            time.sleep(_POLL_S)
        if not shared:
            os.pwrite(handle, f"{os.getpid()}\n".encode().ljust(16), 0)
        yield


@contextlib.contextmanager
def trying(path: Path) -> Iterator[bool]:
    """Holds the lock at `path` alone where nobody else does; says whether it is held."""
    with _opened(path) as handle:
        yield _take(handle, fcntl.LOCK_EX)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock at `path`."""
    if not path.exists():
        return False
    with _opened(path) as handle:
        return not _take(handle, fcntl.LOCK_EX)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        yield handle
    finally:
        os.close(handle)


def _take(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(handle: int) -> str:
    """The process that last held the lock alone: only a hint for a person."""
    note = os.pread(handle, _NOTE_BYTES, 0).split(b"\n")[0]
    return note.decode("ascii", "replace") if note.isdigit() else "another"
