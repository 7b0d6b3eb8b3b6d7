"""What a worker gives back: the result, or a refusal in words, so that every refusal can cross to another process.

What does not belong here: who works (`local.py`, `cluster.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from rlstir_core import errors
from rlstir_core.errors import RlstirError, StoreError
from rlstir_core.workers.spread import Item, Made


@dataclass(frozen=True)
class Answer(Generic[Made]):
    """A result, or the name and the sentence of what was raised instead."""

    result: tuple[Made] | None = None
    refused: tuple[str, str] = ("", "")

    def given(self) -> Made:
        """The result; raises what was refused."""
        if self.result is not None:
            return self.result[0]
        name, sentence = self.refused
        raise getattr(errors, name, StoreError)(sentence)


def answered(work: Callable[[Item], Made], item: Item) -> Answer[Made]:
    """What `work` says of an item, in a form that another process can be told."""
    try:
        return Answer((work(item),))
    except RlstirError as error:
        return Answer(refused=(type(error).__name__, str(error)))
    except MemoryError:
        return Answer(
            refused=(
                StoreError.__name__,
                f"{named(item)} takes more memory than a worker may have; look at that episode, or take it out of the "
                "store, and run again",
            )
        )


def named(item: object) -> str:
    """What an item is called in a refusal."""
    item = item[0] if isinstance(item, tuple) else item
    for name in ("episode_id", "name", "path"):
        if (known := getattr(item, name, None)) is not None:
            return str(known)
    return str(item)[:200]
