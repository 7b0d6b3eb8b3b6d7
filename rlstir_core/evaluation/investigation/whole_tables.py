"""Parquet files that are written piece by piece and appear whole or not at all.

What does not belong here: what stands in them.
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


class WholeTables:
    """Some files, each with its schema."""

    def __init__(self, files: Sequence[tuple[Path, pa.Schema]]) -> None:
        self._files, self._held = files, ExitStack()
        self._writers: list[pq.ParquetWriter] = []

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
        self._held.__exit__(kind, error, trace)

    def write(self, which: int, table: pa.Table) -> None:
        """Adds a table to the file of that place."""
        self._writers[which].write_table(table)
