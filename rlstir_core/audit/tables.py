"""Parquet and CSV files, of which chosen columns are read: their names and types are somebody else's.

What does not belong here: what columns mean (`columns.py`) and how they become numbers (`encode.py`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from rlstir_core.errors import StoreError
from rlstir_core.text import shown

MOST_ROWS = 50_000_000
MOST_BYTES = 8 << 30  # of the columns that are read, unpacked
MOST_COLUMNS = 20_000
_HEADER_BYTES = 1 << 20
_DELIMITERS = (",", ";", "\t")
_BROKEN = (pa.ArrowException, ValueError, OSError, LookupError, OverflowError)  # what damaged files raise


class AuditedTable:
    """A table on disk, open: the names of its columns, and those of them that are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = shown(path.name)
        if not path.is_file():
            raise StoreError(f"{path} is no file; name a table in Parquet or CSV")
        with path.open("rb") as file:
            begin = file.read(4)
        if begin[:2] == b"\x1f\x8b" or begin == b"\x28\xb5\x2f\xfd":
            raise StoreError(f"{self.where} is compressed as a whole; unpack it, or write it as Parquet")
        self.parquet = begin == b"PAR1"
        if not self.parquet and path.suffix.lower() in (".parquet", ".pq"):
            raise StoreError(f"{self.where} is no Parquet file, though its name says so; write it anew")
        try:
            self.names = self._parquet_names() if self.parquet else self._csv_names()
        except _BROKEN as error:
            raise self._broken(error) from None
        if len(self.names) > MOST_COLUMNS:
            raise StoreError(f"{self.where} has {len(self.names):,} columns; at most {MOST_COLUMNS:,} are read")
        twice = sorted({name for name in self.names if self.names.count(name) > 1}) if self._repeats() else []
        if twice:
            raise StoreError(f"{self.where} has more than one column {shown(twice[0])}; rename or drop one")

    def read(self, texts: Iterable[str], numbers: Iterable[str] = (), guessed: Iterable[str] = ()) -> pa.Table:
        """These columns: names of things, numbers, and those whose type decides what they are."""
        texts, numbers, guessed = list(texts), list(numbers), list(guessed)
        wanted = list(dict.fromkeys([*texts, *numbers, *guessed]))
        try:
            if self.parquet:
                return self._read_parquet(wanted, texts)
            types = dict.fromkeys(texts, pa.binary()) | dict.fromkeys(numbers, pa.float64())
            return self._read_csv(wanted, types)
        except _BROKEN as error:
            raise self._broken(error) from None

    def _repeats(self) -> bool:
        return len(set(self.names)) < len(self.names)

    def _parquet_names(self) -> list[str]:
        self._meta = pq.read_metadata(self.path, memory_map=True)
        return [str(name) for name in self._meta.schema.to_arrow_schema().names]

    def _csv_names(self) -> list[str]:
        if self.path.stat().st_size > MOST_BYTES:
            raise StoreError(f"{self.where} is larger than {MOST_BYTES >> 30} GiB; write it as Parquet")
        with self.path.open("rb") as file:
            first = file.readline(_HEADER_BYTES)
        if not first.strip():
            raise StoreError(f"{self.where} is empty; its first line names the columns")
        if b"\0" in first:
            raise StoreError(f"{self.where} is neither Parquet nor CSV; write it as one of them")
        line = first.decode("utf-8-sig").rstrip("\r\n")
        self._delimiter = max(_DELIMITERS, key=line.count)
        return next(csv.reader([line], delimiter=self._delimiter))

    def _read_parquet(self, wanted: list[str], texts: list[str]) -> pa.Table:
        meta = self._meta
        if meta.num_rows > MOST_ROWS:
            raise StoreError(f"{self.where} has {meta.num_rows:,} rows; at most {MOST_ROWS:,} are read")
        paths = [meta.schema.column(place).path for place in range(len(meta.schema))]
        places = [place for place, path in enumerate(paths) if path in wanted or path.partition(".")[0] in wanted]
        size = sum(
            meta.row_group(group).column(place).total_uncompressed_size
            for group in range(meta.num_row_groups)
            for place in places
        )
        if size > MOST_BYTES:
            raise StoreError(f"the columns to read of {self.where} unpack to {size:,} bytes; {MOST_BYTES:,} are read")
        flat = [name for name in texts if name in paths]
        file = pq.ParquetFile(self.path, metadata=meta, read_dictionary=flat, memory_map=True)
        return file.read(columns=wanted).select(wanted)

    def _read_csv(self, wanted: list[str], types: Mapping[str, pa.DataType]) -> pa.Table:
        table = pacsv.read_csv(
            self.path,
            parse_options=pacsv.ParseOptions(delimiter=self._delimiter),
            convert_options=pacsv.ConvertOptions(include_columns=wanted, column_types=dict(types)),
        )
        if table.num_rows > MOST_ROWS:
            raise StoreError(f"{self.where} has {table.num_rows:,} rows; at most {MOST_ROWS:,} are read")
        return table

    def _broken(self, error: BaseException) -> StoreError:
        words = shown(" ".join(str(error).split()))
        return StoreError(
            f"{self.where} cannot be read as {'Parquet' if self.parquet else 'CSV'} ({words}); write it anew"
        )
