"""The ledger of a folder of results: which episodes each file (or folder) holds, and the input hash each was made from.

A file whose entry is what is wanted is not made again. Before work begins the ledger notes which files are in
work, now and then and afterwards what they hold, so a run that is cut off works again on what it had begun, keeps what
was finished but for the last seconds, and nothing it leaves is lost sight of. What does not belong here: the results.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from rlstir_core.atomic import canonical_sha256, write_bytes
from rlstir_core.results.versions import version

_NAME = "_ledger.json"  # Parquet readers pass over names that begin with an underscore
EVERY_S = 20.0  # so much work a run that is killed may lose

Held = dict[str, str]  # {episode: input hash} of one file
Ledger = dict[str, Held]  # by the file's name


class Changes(msgspec.Struct, frozen=True):
    """What a folder needs: files to make and to drop, and the episodes that make the difference."""

    files: tuple[str, ...]
    surplus: tuple[str, ...]  # files that nothing wants
    make: tuple[str, ...]  # episodes that no file holds as wanted
    drop: tuple[str, ...]  # episodes held that nothing wants

    def __bool__(self) -> bool:
        return bool(self.files or self.surplus)


def read_ledger(folder: Path) -> Ledger:
    """What the files of `folder` hold; empty where it is lost or damaged (then everything is made again)."""
    try:
        return msgspec.json.decode((folder / _NAME).read_bytes(), type=Ledger)
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def write_ledger(folder: Path, ledger: Mapping[str, Held]) -> None:
    """Replaces the ledger of `folder`."""
    write_bytes(folder / _NAME, msgspec.json.encode(ledger, order="sorted"))


def held_sha256(folder: Path, stage: str) -> str:
    """The data version of a folder: a hash of what its files were made from, and by which version of the stage."""
    return canonical_sha256([version(stage), read_ledger(folder)])


def begin(folder: Path, todo: Changes) -> None:
    """Notes that the files to be made hold nothing that may be relied on."""
    write_ledger(folder, read_ledger(folder) | {name: {} for name in todo.files})


class Noting:
    """Calls `note` now and then while something is told to be finished, and once where work is cut off by a refusal."""

    def __init__(self, note: Callable[[], None]) -> None:
        self._note, self._noted, self._fresh = note, time.monotonic(), False

    def finished(self) -> None:
        """Something more is whole."""
        self._fresh = True
        if time.monotonic() - self._noted >= EVERY_S:
            self.now()

    def now(self) -> None:
        """Notes what is whole, unless it is noted."""
        if self._fresh:
            self._note()
            self._noted, self._fresh = time.monotonic(), False


@contextlib.contextmanager
def noting(note: Callable[[], None]) -> Iterator[Noting]:
    """Work whose finished part is noted though its rest is cut off."""
    notes = Noting(note)
    try:
        yield notes
    except BaseException:
        notes.now()
        raise


@contextlib.contextmanager
def noting_files(
    folder: Path, wanted: Ledger, first: Callable[[], None] = lambda: None
) -> Iterator[Callable[[str], None]]:
    """Gives what is told the name of each file that is whole, to be noted; `first` writes what must not lag behind."""
    whole: list[str] = []

    def note() -> None:
        first()
        write_ledger(folder, read_ledger(folder) | {name: wanted[name] for name in whole})

    with noting(note) as notes:

        def finished(name: str) -> None:
            whole.append(name)
            notes.finished()

        yield finished


def finish(folder: Path, wanted: Ledger, todo: Changes) -> None:
    """Removes what is not wanted, temporary files and folders of killed runs among it, and notes what is held."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name.startswith("_") or path.name in wanted:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if todo:
        write_ledger(folder, wanted)


def changes(folder: Path, wanted: Ledger) -> Changes:
    """What must be made and dropped so that the files of `folder` hold what is wanted of them."""
    have = {name: held for name, held in read_ledger(folder).items() if (folder / name).exists()}
    held = {episode: key for name in have for episode, key in have[name].items()}
    asked = {episode: key for name in wanted for episode, key in wanted[name].items()}
    return Changes(
        files=tuple(sorted(name for name in wanted if have.get(name) != wanted[name])),
        surplus=tuple(sorted(have.keys() - wanted.keys())),
        make=tuple(sorted(episode for episode, key in asked.items() if held.get(episode) != key)),
        drop=tuple(sorted(held.keys() - asked.keys())),
    )
