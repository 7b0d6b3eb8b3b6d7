"""The techniques that were found as an ATT&CK Navigator layer: by `rlstir investigate`, or by a model on a test side.

The score of a cell is the model's, from 0 to 1. What could not be named is grey, so that a cell without a colour was
looked for. What does not belong here: labels (`layer.py`), and finding anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.atomic import write_json
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.hostlogs.attack.techniques import current_id, techniques
from rlstir_core.hostlogs.exports.layer import cell, grey_cell, layer
from rlstir_core.text import plain

_FORMAT: Final = "rlstir-inquiry-1"
_PARQUET: Final = b"PAR1"
_MOST_BYTES = 1 << 30
_FIRST = ("encoder", "knowledge")  # whose predictions are painted, where several models speak
_COLUMNS = ["model", "episode_id", "technique", "score", "named"]
_COMMENT = 300


class _FoundTechnique(msgspec.Struct, frozen=True):
    technique: str
    logs: int
    score: float
    by: str
    log: str


class _FoundFile(msgspec.Struct, frozen=True):
    format: str
    n_logs: int
    techniques: list[_FoundTechnique]
    sayable: list[str]


def export_found(found: Path, out: Path) -> int:
    """Writes the layer of what a file says was found, and gives the number of techniques.

    The file is the JSON of `rlstir investigate` or a `techniques.parquet` of predictions; StoreError where it is
    neither.
    """
    try:
        with found.open("rb") as handle:
            head = handle.read(len(_PARQUET))
            if head == _PARQUET:
                said, sayable, by = _predictions(found)
            else:
                said, sayable, by = _inquiry(head + handle.read(_MOST_BYTES))
    except FileNotFoundError:
        raise StoreError(
            f"{found} is not there; write it with: rlstir investigate PATH --json > {found.name}"
        ) from None
    except (
        msgspec.MsgspecError,
        UnicodeDecodeError,
        RecursionError,
        KeyError,
        ConfigError,
        pa.ArrowException,
    ) as error:
        raise StoreError(
            f"{found} does not say what was found ({str(error).splitlines()[0][:120]}); name the JSON of "
            "`rlstir investigate` or a techniques.parquet of predictions"
        ) from None
    write_json(out, _layer(said, sayable, by))
    return len(said)


def _inquiry(raw: bytes) -> tuple[list[_FoundTechnique], set[str], str]:
    read = msgspec.json.decode(raw, type=_FoundFile)
    if read.format != _FORMAT:
        raise ConfigError(f"its format is {plain(read.format, 40)}, not {_FORMAT}")
    return read.techniques, set(read.sayable), f"rlstir investigate in {_logs(read.n_logs)}"


def _predictions(path: Path) -> tuple[list[_FoundTechnique], set[str], str]:
    """What the encoder, or else the first model, names; what it can say is what it ever ranks."""
    with pq.ParquetFile(path) as file:
        table = file.read(columns=_COLUMNS, use_threads=False)
    models = sorted(set(table["model"].to_pylist()))
    if not models:
        raise ConfigError("it holds no prediction")
    model = next((each for each in _FIRST if each in models), models[0])
    rows = [row for row in table.to_pylist() if row["model"] == model]
    best: dict[str, dict[str, Any]] = {}
    logs: dict[str, set[str]] = {}
    for row in rows:
        if row["named"]:
            logs.setdefault(row["technique"], set()).add(row["episode_id"])
            if row["technique"] not in best or row["score"] > best[row["technique"]]["score"]:
                best[row["technique"]] = row
    found = [_FoundTechnique(own, len(logs[own]), row["score"], model, row["episode_id"]) for own, row in best.items()]
    n = len({row["episode_id"] for row in rows})
    return found, {row["technique"] for row in rows}, f"{plain(model, 40)} in {_logs(n)} of a test side"


def _layer(said: Collection[_FoundTechnique], sayable: Collection[str], by: str) -> Mapping[str, Any]:
    cells = []
    for each in said:
        own = current_id(each.technique)
        where = plain(f"named in {_logs(each.logs)}, likeliest in {each.log}, by {each.by}", _COMMENT)
        cells.append(cell(own, round(min(max(each.score, 0.0), 1.0), 4), where, {"logs": str(each.logs)}))
    cells += [
        grey_cell(own, "could not be named: nothing that was asked speaks of it")
        for own in techniques()
        if own not in sayable
    ]
    return layer(
        "RL-STIR findings",
        f"Techniques that were found by {by}. The score is the model's, the highest of all logs. No colour: looked "
        "for and not named. Grey: in the label space, but nothing that was asked can name it.",
        cells,
        most=1.0,
        grey="could not be named",
    )


def _logs(n: int) -> str:
    return "1 log" if n == 1 else f"{n} logs"
