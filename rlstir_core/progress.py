"""How long work tells whoever waits for it what it does.

What does not belong here: showing it (the command line and Dagster do that).
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]  # done, of all (0 where that is not known), what
Tell = Callable[[str], None]  # one sentence


def told_to(progress: Progress | None) -> Tell | None:
    """A teller of waiting for whoever follows counted work."""
    return None if progress is None else lambda text: progress(0, 0, text)
