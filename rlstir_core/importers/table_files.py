"""Foreign table files as Arrow tables: CSV (also gzipped), Parquet, and the `.ts` format of the UEA archive.

The format is recognised by content. What does not belong here: what the columns mean.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from rlstir_core.errors import StoreError

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_DELIMITERS = ",;\t|"
_HEAD = 65_536
_NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"]


@dataclass(frozen=True)
class TableFile:
    """One table, and the side (`train`, `test`) that its place in an archive gives it."""

    table: pa.Table
    side: str = ""


def read_tables(path: Path, text_columns: set[str], delimiter: str = "") -> Iterator[TableFile]:
    """The tables in a file, or in a folder of `*_TRAIN.ts` and `*_TEST.ts`."""
    if path.is_dir():
        found = {side: sorted(path.glob(f"*_{side.upper()}.ts")) for side in ("train", "test")}
        for side, files in found.items():
            if len(files) != 1:
                raise StoreError(f"{path} holds {len(files)} files *_{side.upper()}.ts; give it one, or name a file")
        for side, files in found.items():
            yield TableFile(_read(files[0], text_columns, delimiter), side)
        return
    yield TableFile(_read(path, text_columns, delimiter), "")


def _read(path: Path, text_columns: set[str], delimiter: str) -> pa.Table:
    try:
        with path.open("rb") as handle:
            start = handle.read(4)
        if start == _PARQUET:
            table = pq.read_table(path)
        else:
            with _opened(path, start) as handle:
                head = handle.read(_HEAD)
            if not head.strip():
                raise StoreError(f"{path} is empty; name a table with a header row")
            if _is_ts(head):
                with _opened(path, start) as handle:
                    table = _read_ts(path, handle.read())
            else:
                table = _read_csv(path, start, head, text_columns, delimiter)
    except (OSError, EOFError) as error:
        raise StoreError(f"{path} cannot be read ({error}); name a CSV, Parquet or .ts file") from None
    except pa.ArrowException as error:
        first = str(error).splitlines()[0]
        raise StoreError(f"{path} is no table that can be read ({first}); mend the file") from None
    if not table.num_rows:
        raise StoreError(f"{path} has a header but no rows; name a table with data")
    try:
        names = table.column_names
    except UnicodeDecodeError:
        raise StoreError(f"{path} has a header that is not UTF-8; convert the file") from None
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise StoreError(f"{path} has the column {twice[0]!r} more than once; rename one")
    return table


def _opened(path: Path, start: bytes) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if start[:2] == _GZIP else path.open("rb")


def _read_csv(path: Path, start: bytes, head: bytes, text_columns: set[str], delimiter: str) -> pa.Table:
    first = head.splitlines()[0].decode("utf-8", "replace")
    chosen = delimiter or max(_DELIMITERS, key=first.count)
    options = pacsv.ConvertOptions(
        column_types=dict.fromkeys(text_columns, pa.string()), null_values=_NULLS, strings_can_be_null=True
    )
    with _opened(path, start) as handle:
        return pacsv.read_csv(handle, parse_options=pacsv.ParseOptions(delimiter=chosen), convert_options=options)


def _is_ts(head: bytes) -> bool:
    lines = (line.strip().lower() for line in head.splitlines())
    return any(line.startswith((b"@problemname", b"@data")) for line in lines)


def _read_ts(path: Path, raw: bytes) -> pa.Table:
    """Columns `series`, `label`, `dim_0`, `dim_1`, …; a row per step. `?` and NaN are missing."""
    header, _, body = raw.decode("utf-8", "replace").partition("@data")
    flags = {}
    for line in header.splitlines():
        name, _, value = line.strip().partition(" ")
        flags[name.lower()] = value.strip().lower()
    if flags.get("@timestamps") == "true":
        raise StoreError(f"{path} holds time stamps inside its series; convert it to a plain .ts file")
    if not flags.get("@classlabel", "").startswith("true"):
        raise StoreError(f"{path} has no class labels; name a classification set")
    names, labels, dims = [], [], list[list[np.ndarray]]()
    for number, line in enumerate((text for text in body.splitlines() if text.strip()), 1):
        *series, label = line.strip().split(":")
        values = [_floats(path, number, text) for text in series]
        length = max((len(v) for v in values), default=0)
        if not length or (dims and len(values) != len(dims[0])):
            raise StoreError(f"{path} series {number} has {len(values)} dimensions; give each series the same")
        dims.append([np.pad(v, (0, length - len(v)), constant_values=np.nan) for v in values])
        names += [str(number)] * length
        labels += [label.strip()] * length
    columns = {"series": pa.array(names), "label": pa.array(labels)}
    for d in range(len(dims[0]) if dims else 0):
        columns[f"dim_{d}"] = pa.array(np.concatenate([one[d] for one in dims]), from_pandas=True)
    return pa.table(columns)


def _floats(path: Path, number: int, text: str) -> np.ndarray:
    try:
        return np.array([np.nan if v.strip() in ("?", "") else float(v) for v in text.split(",")])
    except ValueError as error:
        raise StoreError(f"{path} series {number}: {error}; mend the value") from None
