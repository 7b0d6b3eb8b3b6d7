"""Foreign table files as Arrow tables: CSV, Parquet, and the `.ts` format of the UEA archive.

The format is recognised by content. Every cell of a CSV stays the text that it is, an empty one the empty text.
What does not belong here: what the columns mean, and which words mean "no value".
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from rlstir_core.errors import StoreError
from rlstir_core.importers.table.mapping import Mapping
from rlstir_core.importers.table.streams import TextBytes
from rlstir_core.importers.table.ts import is_ts, read_ts

_PARQUET = b"PAR1"
_DELIMITERS = ",;\t|"
_HEAD = 1 << 16
_BLOCKS = (1 << 24, 1 << 30)  # a row has to fit; most do in the first
_MAX_COLUMNS = 4096
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_SEP_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # Excel's word on the delimiter


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """One table, the file that it is from, and the side (`train`, `test`) that its place in an archive gives it."""

    path: Path
    table: pa.Table
    sha256: str
    side: str = ""
    n_unread: int = 0  # bytes after the last compressed frame
    index_columns: tuple[str, ...] = ()  # that pandas wrote beside the data of a Parquet file


def read_tables(path: Path, rules: Mapping) -> Iterator[TableFile]:
    """The tables in a file, or in a folder of `*_TRAIN.ts` and `*_TEST.ts`."""
    if path.is_dir():
        found = {side: sorted(path.glob(f"*_{side.upper()}.ts")) for side in ("train", "test")}
        for side, files in found.items():
            if len(files) != 1:
                raise StoreError(f"{path} holds {len(files)} files *_{side.upper()}.ts; give it one, or name files")
        for side, files in found.items():
            yield _read(files[0], rules, side)
        return
    yield _read(path, rules, "")


def _read(path: Path, rules: Mapping, side: str) -> TableFile:
    n_unread, index = 0, tuple[str, ...]()
    try:
        with path.open("rb") as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
            handle.seek(0)
            packed = handle.read(len(_PARQUET)) == _PARQUET
        if packed:
            table = pq.read_table(path)
            index = _pandas_index(table.schema)
        else:
            table, n_unread = _read_text(path, rules)
    except (OSError, EOFError) as error:
        raise StoreError(f"{path} cannot be read ({error}); name a CSV, Parquet or .ts file") from None
    except pa.ArrowException as error:
        first = str(error).splitlines()[0][:200]
        raise StoreError(f"{path} is no table that can be read ({first}); mend the file") from None
    if not table.num_rows:
        raise StoreError(f"{path} has a header but no rows; name a table with data")
    names = _names(table, path)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise StoreError(f"{path} has the column {twice[0]!r} more than once; rename one")
    return TableFile(path=path, table=table, sha256=sha256, side=side, n_unread=n_unread, index_columns=index)


def _names(table: pa.Table, path: Path) -> list[str]:
    try:
        names: list[str] = table.column_names
    except UnicodeDecodeError:
        raise StoreError(f"{path} has a header that is not UTF-8; say its encoding in the mapping") from None
    return names


def _read_text(path: Path, rules: Mapping) -> tuple[pa.Table, int]:
    with TextBytes(path, rules.encoding) as stream:
        head = stream.read(_HEAD) or b""
        if not head.strip():
            raise StoreError(f"{path} is empty; name a table with a header row")
        if is_ts(head) or (path.suffix.lower() == ".ts" and head.lstrip()[:1] in (b"#", b"%", b"@")):
            text = head + (stream.readall() or b"")
            return read_ts(path, text.decode("utf-8", "replace")), stream.n_unread
    return _read_csv(path, head, rules)


def _read_csv(path: Path, head: bytes, rules: Mapping) -> tuple[pa.Table, int]:
    """Every cell as bytes, and what could not be read. Names are the first row that is not blank."""
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()]
    said = _SEP_LINE.fullmatch(lines[0])
    bare = _QUOTED.sub("", lines[1] if said and len(lines) > 1 else lines[0])
    delimiter = rules.delimiter or (said[1] if said else max(_DELIMITERS, key=bare.count))
    for block in _BLOCKS:
        with TextBytes(path, rules.encoding) as stream:
            try:
                rows = pacsv.read_csv(
                    io.BufferedReader(stream),  # a raw stream gives less than was asked for
                    read_options=pacsv.ReadOptions(
                        autogenerate_column_names=True,
                        use_threads=False,  # only then does a fault name its line
                        block_size=block,
                        skip_rows=1 if said else 0,
                    ),
                    parse_options=pacsv.ParseOptions(
                        delimiter=delimiter,
                        newlines_in_values=True,
                        invalid_row_handler=functools.partial(_blank_is_none, delimiter=delimiter),
                    ),
                    convert_options=pacsv.ConvertOptions(
                        column_types={f"f{i}": pa.binary() for i in range(_MAX_COLUMNS)}, strings_can_be_null=False
                    ),
                )
            except pa.ArrowInvalid as error:
                if "straddling" in str(error) and block != _BLOCKS[-1]:
                    continue
                raise
            _check_end(path, rows, stream.tail, delimiter)
            return _named(path, rows), stream.n_unread
    raise AssertionError  # the last block size either reads the file or raises


def _blank_is_none(row: Any, delimiter: str) -> str:
    return "skip" if not row.text.strip() and delimiter not in row.text else "error"


def _check_end(path: Path, rows: pa.Table, tail: bytes, delimiter: str) -> None:
    """StoreError where the file ends inside a quoted cell: all after the stray quote would be one value."""
    cell: bytes = rows.column(rows.num_columns - 1)[-1].as_py() if rows.num_rows else b""
    opened = b'"' + cell.replace(b'"', b'""')
    if len(opened) > len(tail):
        unclosed = opened.endswith(tail)
    else:
        before = tail[: -len(opened)][-1:]
        unclosed = tail.endswith(opened) and before in (b"", b"\n", b"\r", delimiter.encode())
    if unclosed:
        raise StoreError(f"{path} ends inside a quoted cell that begins {cell[:40]!r}; close or remove the quote")


def _named(path: Path, rows: pa.Table) -> pa.Table:
    """The table whose names are the first row's; nameless columns without a value are none."""
    head = [rows.column(i)[0].as_py() for i in range(rows.num_columns)] if rows.num_rows else []
    try:
        names = [name.decode("utf-8") for name in head]
    except UnicodeDecodeError:
        raise StoreError(f"{path} has a header that is not UTF-8; say its encoding in the mapping") from None
    body = rows.slice(1)
    kept = [i for i, name in enumerate(names) if name.strip() or any(len(cell) for cell in body.column(i).to_numpy())]
    return pa.table([body.column(i) for i in kept], names=[names[i] for i in kept])


def _pandas_index(schema: pa.Schema) -> tuple[str, ...]:
    """The columns that were the index of the data frame that a Parquet file was made from."""
    try:
        said = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        listed = said.get("index_columns", []) if isinstance(said, dict) else []
        return tuple(name for name in listed if isinstance(name, str) and name in schema.names)
    except (ValueError, TypeError, UnicodeDecodeError):
        return ()
