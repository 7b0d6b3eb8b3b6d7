"""The commands that refusals and closing lines name: complete, so that they can be pasted into the shell at hand.

What does not belong here: the sentences around them.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

DEFAULT_STORE = ".rlstir/store"  # relative to where a command runs
DEFAULT_DATA = ".rlstir/data"


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """A store and the data folder that belongs to it, absolute; None where a command says nothing of it."""

    store: Path | None = None
    data: Path | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """What a command must say to reach this place from here: nothing of what is the default."""
        said: list[str] = []
        for name, path, default in (("--store", self.store, DEFAULT_STORE), ("--data", self.data, DEFAULT_DATA)):
            if path is not None and path != Path(default).absolute():
                said += [name, str(path)]
        return tuple(said)


def absolute(path: str | Path) -> Path:
    """A folder's one name, by which it is known again: absolute and without `..`."""
    found = Path(path).absolute()
    return found.resolve() if ".." in found.parts else found


_ANYWHERE = Workplace()
_HERE: ContextVar[Workplace] = ContextVar("place")


def work_at(store: Path | None = None, data: Path | None = None) -> None:
    """From now on, commands are for this store and this data folder."""
    _HERE.set(
        Workplace(
            store=absolute(store) if store is not None else _HERE.get(_ANYWHERE).store,
            data=absolute(data) if data is not None else _HERE.get(_ANYWHERE).data,
        )
    )


def forget_place() -> None:
    """Commands say nothing of a store again."""
    _HERE.set(_ANYWHERE)


def command(*words: str, place: Workplace | None = None) -> str:
    """`rlstir WORDS`, with whatever of `place` (here, where none is given) is not the default."""
    named = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    options = () if place is None else place.options
    return shlex.join([program(), *words[:named], *options, *words[named:]])


def materialize(*words: str) -> str:
    """`rlstir materialize` for the store and the data folder at hand."""
    return command("materialize", *words, place=_HERE.get(_ANYWHERE))


def how_to_make(key: str, recipe: str = "") -> str:
    """The command that makes one asset (of one recipe): the remedy that a refusal names."""
    return how_to_make_all(f"key:{key}", recipe)


def how_to_make_all(selection: str, recipe: str = "") -> str:
    """The command that makes every asset of a selection."""
    return materialize(*(["--recipe", recipe] if recipe else []), "--select", selection)


def written(*words: str) -> str:
    """`rlstir WORDS` as files say it: the same wherever and by whomever they were made."""
    return shlex.join(["rlstir", *words])


def program() -> str:
    """How this shell reaches `rlstir`: by its name where the environment is active, else by its path."""
    own = Path(sys.executable).with_name("rlstir")
    found = shutil.which("rlstir")
    if not own.is_file() or (found is not None and Path(found).resolve() == own.resolve()):
        return "rlstir"
    here = Path.cwd()
    return str(own.relative_to(here)) if own.is_relative_to(here) else str(own)
