"""Which store belongs to which data folder, and what was chosen for it, as far as this instance was told.

So that nobody has to say it twice.

Beside Dagster's own records, never in a data folder: what lies there names no machine. Losing it loses no result.
What does not belong here: whether a store is the right one (`rlstir_core/episodes/store/binding.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from rlstir_core.atomic import sweep, write_json

_NAME = "places.json"
_MOST = 50


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A data folder, the store that it was last made from, and what was chosen then."""

    data: str
    store: str
    choices: dict[str, Any] = {}


def remember(store: Path, data: Path, choices: Mapping[str, Any]) -> None:
    """`store` and `data` were worked on, the last of all, with these settings."""
    path = _path()
    others = [place for place in _known(path) if place.data != str(data)]
    sweep(path.parent, path.name)
    write_json(path, [*others, Place(data=str(data), store=str(store), choices=dict(choices))][-_MOST:])


def store_of(data: Path) -> Path | None:
    """The store that `data` was last made from, or None where nobody said."""
    return next((Path(place.store) for place in _known(_path()) if place.data == str(data)), None)


def choices_of(data: Path) -> dict[str, Any]:
    """The settings that `data` was last made with, or nothing where nobody said."""
    return next((place.choices for place in _known(_path()) if place.data == str(data)), {})


def data_of(store: Path) -> Path | None:
    """The data folder that was last made from `store`."""
    found = [place.data for place in _known(_path()) if place.store == str(store)]
    return Path(found[-1]) if found else None


def last() -> tuple[Path, Path] | None:
    """(store, data) that were worked on last."""
    known = _known(_path())
    return (Path(known[-1].store), Path(known[-1].data)) if known else None


def _path() -> Path:
    home = os.environ.get("DAGSTER_HOME") or Path(__file__).resolve().parent.parent
    return Path(home).absolute() / ".rlstir" / "dagster" / _NAME


def _known(path: Path) -> list[Place]:
    """In their order; nothing where the file is lost or is another version's."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=list[Place])
    except (OSError, msgspec.MsgspecError):
        return []
    return [place for place in found if Path(place.data).is_absolute() and Path(place.store).is_absolute()]
