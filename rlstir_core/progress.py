"""How long work tells whoever waits for it what it does.

What does not belong here: showing it (the command line and Dagster do that).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[int, int, str], None]  # done, of all (0 where that is not known), what
Tell = Callable[[str], None]  # one sentence


def told_to(progress: Progress | None) -> Tell | None:
    """A teller of waiting for whoever follows counted work."""
    return None if progress is None else lambda text: progress(0, 0, text)


Follower = Callable[[float, float], None]  # a step of a training, and validation's macro F1 there
_FOLLOWER: ContextVar[Follower | None] = ContextVar("follower", default=None)


@contextmanager
def followed(by: Follower) -> Iterator[None]:
    """Within it, `by` is told each look that a training takes at its validation side."""
    before = _FOLLOWER.set(by)
    try:
        yield
    finally:
        _FOLLOWER.reset(before)


def looked(step: float, macro_f1: float) -> None:
    """A training looked at its validation side: whoever follows it is told."""
    follower = _FOLLOWER.get()
    if follower is not None:
        follower(step, macro_f1)
