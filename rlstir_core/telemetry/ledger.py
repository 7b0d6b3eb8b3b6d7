"""The ledger of a folder of results: which input each episode's result was made from.

An episode whose input hash stands in the ledger is not worked on again. The ledger is written after the
results, so a run that is cut off works again on what it had not noted. What does not belong here: the results.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from rlstir_core.atomic import write_bytes

_NAME = "_ledger.json"  # Parquet readers pass over names that begin with an underscore
_IN_WORK = ""  # no input has this hash


class Changes(msgspec.Struct, frozen=True):
    """What a folder of results needs: episodes to make, and episodes whose results must go."""

    make: tuple[str, ...]
    drop: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.make or self.drop)


def read_ledger(folder: Path) -> dict[str, str]:
    """{episode: input hash}; empty where there is none or it cannot be read (then everything is made again)."""
    try:
        return msgspec.json.decode((folder / _NAME).read_bytes(), type=dict[str, str])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def write_ledger(folder: Path, ledger: dict[str, str]) -> None:
    """Replaces the ledger of `folder`."""
    write_bytes(folder / _NAME, msgspec.json.encode(ledger, order="sorted"))


def begin(folder: Path, todo: Changes) -> None:
    """Notes in the ledger what is about to be made: what a run that is cut off leaves is then known to the next."""
    write_ledger(folder, read_ledger(folder) | dict.fromkeys(todo.make, _IN_WORK))


def sweep(folder: Path, keep: set[str]) -> None:
    """Removes results that no wanted episode has, and temporary files of a run that was killed."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name != _NAME and path.name not in keep:
            path.unlink(missing_ok=True)


def changes(folder: Path, wanted: dict[str, str], result: Callable[[str], Path]) -> Changes:
    """What must be made and dropped so that `folder` holds the results of `wanted` {episode: input hash}.

    `result` names the file that holds an episode's result; one that is gone must be made again.
    """
    have = {episode: key for episode, key in read_ledger(folder).items() if result(episode).exists()}
    return Changes(
        make=tuple(sorted(episode for episode, key in wanted.items() if have.get(episode) != key)),
        drop=tuple(sorted(set(have) - set(wanted))),
    )
