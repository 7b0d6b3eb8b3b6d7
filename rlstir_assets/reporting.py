"""From what the core reports to what Dagster shows: refusals, progress, metadata.

What does not belong here: any decision.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import re
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

# An error that brings what is shown of it has no public name.
from dagster._core.errors import DagsterUserCodeProcessError
from dagster._utils.error import SerializableErrorInfo  # type: ignore[attr-defined]

from rlstir_assets.console import plain
from rlstir_core.errors import ConfigError, RlstirError, SplitRefused

OWNERS = ["team:rlstir"]
_COLUMNS = 50  # of a page 1,400 px wide: the UI cuts longer lines off and does not break them there
# The command that `how_to_make` names, as a click.
_MAKE = re.compile(r"(?:--recipe (?P<partition>[\w.-]+) )?--select key:(?P<key>[\w/]+)")
_LAUNCHPAD = (
    "hold Shift while you click Materialize: that opens the launchpad, where they stand under "
    "resources > settings > config"
)
_FULL = os.strerror(errno.ENOSPC)
_SHOWN_IN_PLACE = 1_000  # characters of markdown; the UI makes a link of more
_QUIET_S = 1.5  # at most one progress line per step in this time


class Refusal(DagsterUserCodeProcessError, dg.Failure):
    """A step failure that says one sentence: what the UI shows of it has no stack trace, and links to what is to be
    made first."""

    def __init__(self, sentence: str, remedy: Mapping[str, dg.MetadataValue]) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            user_code_process_error_infos=[SerializableErrorInfo(f"{sentence}\n", stack=[], cls_name=None)],
            description=sentence,
            metadata=dict(remedy),
            allow_retries=False,
        )


def refusal(error: object) -> Refusal:
    """The failure of a step that was refused with this error or sentence."""
    sentence = plain(error)
    found = _MAKE.search(sentence)
    remedy: dict[str, dg.MetadataValue] = {}
    if found is not None:
        remedy["click Materialize on"] = dg.MetadataValue.asset(dg.AssetKey(found["key"].split("/")))
        if found["partition"]:
            remedy["for partition"] = dg.MetadataValue.text(found["partition"])
    if isinstance(error, ConfigError | SplitRefused):
        remedy["to change settings"] = dg.MetadataValue.text(_LAUNCHPAD)
    return Refusal(sentence, remedy)


@contextlib.contextmanager
def refusals(but: type[RlstirError] | tuple[()] = ()) -> Iterator[None]:
    """Turns a refusal of the core (or a full disk) into a step failure whose description is the sentence.

    Refusals of the kind `but` are left to whoever knows more of them.
    """
    try:
        yield
    except but:
        raise
    except RlstirError as error:
        raise refusal(error) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise refusal(f"{error.strerror or error}{where}: free space or fix the folder, then run again") from None
    except Exception as error:
        if _FULL not in str(error):
            raise
        # Writers of other languages (safetensors, XGBoost) have exceptions of their own for a full disk.
        raise refusal(f"{_FULL} while writing the outputs: free space, then run again") from None


def failing(sentences: Sequence[str]) -> Refusal:
    """The failure of a step that has told what it found: the first sentence, and how many there are more."""
    more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
    return refusal(f"{sentences[0]}{more}")


def teller(context: dg.AssetExecutionContext, what: str = "") -> Callable[[str], None]:
    """A progress function that logs, sparingly."""
    last = 0.0

    def tell(text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _QUIET_S:
            last = now
            context.log.info(plain(f"{what}: {text}" if what else text))

    return tell


def counter(context: dg.AssetExecutionContext) -> Callable[[int, int, str], None]:
    """A progress function for counted work."""
    tell = teller(context)
    return lambda done, total, what: tell(f"{what} {done}/{total}" if total else what)


def png(data: bytes, words: str) -> str:
    """A picture as markdown that the UI shows."""
    return f"![{words}](data:image/png;base64,{base64.b64encode(data).decode()})"


def opening(report: str) -> str:
    """The paragraphs that a report in markdown opens with, as many as the UI shows in place."""
    kept = ""
    for block in report.split("\n\n"):
        if block.startswith("#") and kept:
            break
        if block.lstrip().startswith(("#", "-", "|", "!", "<", ">", "`")):
            continue
        lines = "\\\n".join(textwrap.wrap(block, _COLUMNS, break_long_words=False, break_on_hyphens=False))
        if len(kept) + len(lines) + 2 >= _SHOWN_IN_PLACE:
            break
        kept += f"\n\n{lines}" if kept else lines
    return kept


def table(rows: Sequence[Mapping[str, str | int | float | bool | None]]) -> dg.TableMetadataValue:
    """Rows as table metadata: floats rounded, text on one line without control characters."""
    records = [dg.TableRecord({key: _cell(value) for key, value in row.items()}) for row in rows]
    if not records:
        return dg.MetadataValue.table([], schema=dg.TableSchema([dg.TableColumn("nothing")]))
    return dg.MetadataValue.table(records)


def column_schema(columns: Mapping[str, str], words: Mapping[str, str]) -> dict[str, dg.TableSchema]:
    """The definition metadata by which the UI lists an asset's columns; {column: type} and {column: description}."""
    listed = [dg.TableColumn(name, type=kind, description=words[name]) for name, kind in columns.items()]
    return {"dagster/column_schema": dg.TableSchema(listed)}


def tables_told(tables: Mapping[str, Sequence[Path]], words: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Metadata of Parquet files that were made: their columns by the first file of each table, and their rows in all.

    Columns of several tables are called `<table>.<column>`.
    """
    import pyarrow.parquet as pq

    types: dict[str, str] = {}
    described: dict[str, str] = {}
    for name, paths in tables.items():
        for column, kind in types_of(pq.read_schema(paths[0])).items():
            shown = f"{name}.{column}" if len(tables) > 1 else column
            types[shown], described[shown] = kind, words[name][column]
    n_rows = sum(pq.read_metadata(path).num_rows for paths in tables.values() for path in paths)
    return {**column_schema(types, described), "dagster/row_count": n_rows}


def types_of(schema: Any) -> dict[str, str]:
    """{column: type} of an Arrow schema."""
    return {
        field.name: str(field.type).replace("dictionary<values=string, indices=int32, ordered=0>", "string")
        for field in schema
    }


def _cell(value: str | int | float | bool | None) -> str | int | float | bool | None:
    if isinstance(value, str):
        return plain(value)
    return round(value, 4) if isinstance(value, float) else value
