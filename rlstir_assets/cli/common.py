"""What every command shares: refusals in one sentence, folders, and how values are printed.

What does not belong here: any command.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import textwrap
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import click

from rlstir_assets.console import plain
from rlstir_core import remedies
from rlstir_core.errors import ConfigError, RlstirError
from rlstir_core.remedies import DEFAULT_DATA, DEFAULT_STORE

P = ParamSpec("P")
STRICT_HELP = "Any loss that the summary names is an error (exit code 2)."
STORE_HELP = f"The store of raw episodes (RLSTIR_STORE, else {DEFAULT_STORE})."
DATA_HELP = f"Where outputs go (RLSTIR_DATA, else {DEFAULT_DATA})."
READ_HELP = f"The data folder that holds the results (RLSTIR_DATA, else {DEFAULT_DATA})."
WIDTH = 79  # of what is printed
_INTERRUPTED = 130  # what shells give for SIGINT


def refusing(command: Callable[P, None]) -> Callable[P, None]:
    """A refusal, or a disk that cannot be written, is one sentence and exit code 2; Ctrl-C is one and 130."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RlstirError as error:
            fail(str(error))
        except KeyboardInterrupt:
            fail("interrupted; what was finished is kept, the same command goes on from there", _INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output left; click ends quietly
                raise
            where = f" ({error.filename})" if error.filename else ""
            remedy = "free some space" if error.errno == errno.ENOSPC else "check the path and its permissions"
            fail(f"{error.strerror or error}{where}; {remedy} and run the command again")

    return run


def fail(sentence: str, code: int = 2) -> None:
    click.echo(f"rlstir: {plain(' '.join(sentence.split()))}", err=True)
    sys.exit(code)


def folder(value: str | None, variable: str, default: str) -> Path:
    """The folder that an option names, else the environment; ConfigError where its name is no text."""
    named = value or os.environ.get(variable) or default
    try:
        named.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"folder {plain(ascii(named))} is no name in UTF-8; rename it or name another") from None
    return remedies.absolute(named)


def next_step(store: Path) -> str:
    """The line that says how to go on with `store`."""
    return plain(f"next: {how_to_go_on(store)}")


def how_to_go_on(store: Path) -> str:
    """The command that makes what `store` allows; a store of its own place gets a data folder of its own too."""
    return remedies.command("materialize", *_recipe(store), place=place_of(store))


def _recipe(store: Path) -> tuple[str, ...]:
    """What a store of one host needs to be told where its telemetry is to be learnt from."""
    from rlstir_core.contract.registry import load_registry
    from rlstir_core.episodes.store.index import read_index
    from rlstir_core.episodes.validation.kinds import seems_logs_alone

    index = read_index(store)
    if len(index.hosts) > 1 or seems_logs_alone(store, index, load_registry(store)):
        return ()
    return ("--recipe", "sample")


def place_of(store: Path) -> remedies.Workplace:
    """`store` and its data folder: the one that the environment names, or that was used before, or one beside it."""
    from rlstir_assets import places

    named = os.environ.get("RLSTIR_DATA")
    if named:
        data = remedies.absolute(named)
    elif store == Path(DEFAULT_STORE).absolute():
        data = Path(DEFAULT_DATA).absolute()
    else:
        data = places.data_of(store) or Path(f"{store}-data")
    return remedies.Workplace(store=store, data=data)


def work_between(data: str | None, store: str | None) -> tuple[Path, Path]:
    """The data folder and the store that options or the environment name; from now on remedies name them.

    A data folder knows its store, where nobody names another.
    """
    from rlstir_assets import places

    target = folder(data, "RLSTIR_DATA", remedies.DEFAULT_DATA)
    known = None if store or os.environ.get("RLSTIR_STORE") else places.store_of(target)
    source = known or folder(store, "RLSTIR_STORE", remedies.DEFAULT_STORE)
    remedies.work_at(source, target)
    return target, source


def work_on(data: Path) -> remedies.Workplace:
    """From now on remedies name this data folder, and its store where it is known; gives both."""
    from rlstir_assets import places

    store = places.store_of(data)
    remedies.work_at(store, data)
    return remedies.Workplace(store=store, data=data)


def names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def as_text(value: object) -> str:
    import msgspec

    return json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=1)  # in ASCII


def short(text: str, most: int, *, keep_end: bool = True) -> str:
    """The text on at most so many columns; of a path the end tells more."""
    if len(text) <= most:
        return text
    return f"..{text[2 - most :]}" if keep_end else f"{text[: most - 2]}.."


def wrapped(text: str, indent: int) -> list[str]:
    """Lines that fit a terminal of 80 columns."""
    first, others = " " * indent, " " * (indent + 2)
    return textwrap.wrap(plain(text), WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)
