"""Which store belongs to which data folder, as far as this instance was told: so that nobody has to say it twice.

Beside Dagster's own records, never in a data folder: what lies there names no machine. Losing it loses no result.
What does not belong here: whether a store is the right one (`rlstir_core/episodes/store/binding.py`).
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from rlstir_core.atomic import sweep, write_json

_NAME = "places.json"
_MOST = 50


def remember(store: Path, data: Path) -> None:
    """`store` and `data` were worked on, the last of all."""
    path = _path()
    known = _known(path)
    known.pop(str(data), None)
    known[str(data)] = str(store)
    sweep(path.parent, path.name)
    write_json(path, list(known.items())[-_MOST:])  # in their order


def store_of(data: Path) -> Path | None:
    """The store that `data` was last made from, or None where nobody said."""
    found = _known(_path()).get(str(data))
    return None if found is None else Path(found)


def data_of(store: Path) -> Path | None:
    """The data folder that was last made from `store`."""
    found = [data for data, known in _known(_path()).items() if known == str(store)]
    return Path(found[-1]) if found else None


def last() -> tuple[Path, Path] | None:
    """(store, data) that were worked on last."""
    known = _known(_path())
    if not known:
        return None
    data, store = list(known.items())[-1]
    return Path(store), Path(data)


def _path() -> Path:
    home = os.environ.get("DAGSTER_HOME") or Path(__file__).resolve().parent.parent
    return Path(home).absolute() / ".rlstir" / "dagster" / _NAME


def _known(path: Path) -> dict[str, str]:
    try:
        found = dict(msgspec.json.decode(path.read_bytes(), type=list[tuple[str, str]]))
    except (OSError, msgspec.MsgspecError):
        return {}
    return {data: store for data, store in found.items() if Path(data).is_absolute() and Path(store).is_absolute()}
