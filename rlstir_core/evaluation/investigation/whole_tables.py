"""Parquet files that are written piece by piece and appear whole or not at all.

Pieces are gathered: a row group for each episode would make what stands at a file's end as large as what it is about,
and readers hold all of that. What does not belong here: what stands in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.atomic import replacing

_ROWS = 1 << 16  # of a row group, at least


class WholeTables:
    """Some files, each with its schema."""

    def __init__(self, files: Sequence[tuple[Path, pa.Schema]]) -> None:
        self._files, self._held = files, ExitStack()
        self._writers: list[pq.ParquetWriter] = []
        self._gathered: list[list[pa.Table]] = [[] for _ in files]
        self._rows = [0] * len(files)

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            paths = [opened.enter_context(replacing(path)) for path, _ in self._files]
            self._writers = [
                opened.enter_context(pq.ParquetWriter(path, schema, compression="zstd"))
                for path, (_, schema) in zip(paths, self._files, strict=True)
            ]
            self._held = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            for which in range(len(self._files)):
                self._put(which)
        self._held.__exit__(kind, error, trace)

    def write(self, which: int, table: pa.Table) -> None:
        """Adds a table to the file of that place."""
        self._gathered[which].append(table)
        self._rows[which] += len(table)
        if self._rows[which] >= _ROWS:
            self._put(which)

    def _put(self, which: int) -> None:
        if self._gathered[which]:
            whole = pa.concat_tables(self._gathered[which]).unify_dictionaries().combine_chunks()
            self._writers[which].write_table(whole)
            self._gathered[which], self._rows[which] = [], 0
