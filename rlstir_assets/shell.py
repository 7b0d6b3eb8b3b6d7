"""`dagster asset materialize` from a shell: a partition or selection that cannot be is one sentence, not a traceback.

Dagster raises before anything of ours runs, so its own last word is put in order here. What does not belong here:
refusals of assets (`reporting.py`) and of `rlstir` (`cli/common.py`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import dagster as dg
from dagster._check import CheckError  # what its command line raises has no public name

from rlstir_assets.console import plain
from rlstir_assets.environment import check_room_for_sockets
from rlstir_assets.partitions import HOST_PARTITION
from rlstir_assets.resources import Settings
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.episodes.store.index import load_index
from rlstir_core.errors import ConfigError, UpstreamMissing
from rlstir_core.remedies import command

_CALL = ["asset", "materialize"]
_NAMED = 20


def tell_refusals_plainly() -> None:
    """From now on, in a process of `dagster asset materialize`, such an error is a sentence and exit code 2."""
    if Path(sys.argv[0]).name in ("dagster", "__main__.py") and sys.argv[1:3] == _CALL:
        sys.excepthook = _told
        try:
            check_room_for_sockets()
        except ConfigError as error:
            _end(str(error))
        select = _option(sys.argv[3:], "--select")
        if select and _names_nothing(select):  # Dagster would make every asset instead
            _end(f"--select {select!r} names no asset; write for example --select key:validation")


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, dg.DagsterInvalidSubsetError | dg.DagsterInvariantViolationError | CheckError):
        sys.__excepthook__(kind, error, trace)
        return
    words = sys.argv[3:]
    select = _option(words, "--select") or "..."
    sentence = _of_selection(select) or _of_partition(error, select, _option(words, "--partition"))
    _end(sentence)


def _end(sentence: str) -> None:
    sys.stderr.write(f"{plain(f'rlstir: {sentence}')}\n")
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(2)  # an uncaught error would end with 1, which says nothing of whose mistake it was


def _names_nothing(select: str) -> bool:
    """Whether a selection, as Dagster's command line reads it, holds no asset; what cannot be read, it tells itself."""
    from rlstir_assets.definitions import defs

    try:
        return not dg.AssetSelection.from_coercible(select.split(",")).resolve(defs.resolve_asset_graph())
    except (dg.DagsterError, ValueError, CheckError):
        return False


def _of_selection(select: str) -> str:
    """Why the selection names nothing, where that is the trouble."""
    from rlstir_assets.driver.materialize import selected

    try:
        selected(select)
    except ConfigError as error:
        return str(error)
    return ""


def _of_partition(error: BaseException, select: str, partition: str) -> str:
    what = str(error).splitlines()[0].removeprefix("Failure condition: ").rstrip(".")
    asked = f"--select {select!r}" + (f" --partition {partition!r}" if partition else "")
    return (
        f"{asked} cannot be made ({what}); assets of hosts take one of {_hosts()}, assets of recipes one of "
        f"{', '.join(RECIPES)}, others none, and one call takes one kind: for all of them use "
        f"{command('materialize', '--select', select)}"
    )


def _option(words: list[str], name: str) -> str:
    for place, word in enumerate(words):
        if word == name and place + 1 < len(words):
            return words[place + 1]
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""


def _hosts() -> str:
    """The hosts of the index, or what this instance knows where it was not read."""
    try:
        names: Sequence[str] = load_index(Settings().layout.index).hosts
    except UpstreamMissing:
        with dg.DagsterInstance.get() as instance:
            names = instance.get_dynamic_partitions(HOST_PARTITION)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (", ".join(names[:_NAMED]) or "(none is known: make episode_index first)") + more
