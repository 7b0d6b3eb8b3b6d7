"""How much every row of a recording looks like an attack, as a table that is written before any label is read.

What does not belong here: tampering (`tamper_predictions.py`), labels and figures.
"""

# N rows of an episode
from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.arrays import Floats
from rlstir_core.atomic import replacing

_SCHEMA = pa.schema(
    {
        "episode_id": pa.dictionary(pa.int32(), pa.string()),
        "member": pa.dictionary(pa.int32(), pa.string()),
        "seq": pa.int64(),
        "model": pa.dictionary(pa.int32(), pa.string()),
        "p_attack": pa.float32(),
    }
)


class RowWriter:
    """Writes the table, an episode after the other; it appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path, self._held = path, ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            file = opened.enter_context(replacing(self._path))
            self._file = opened.enter_context(pq.ParquetWriter(file, _SCHEMA, compression="zstd"))
            self._held = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.__exit__(kind, error, trace)

    def add(self, episode_id: str, table: pa.Table, said: dict[str, Floats]) -> None:
        """What every model says of the rows of one episode, in the order of its table."""
        for model, p_N in said.items():
            n = len(table)
            columns = {
                "episode_id": pa.array([episode_id] * n).dictionary_encode(),
                "member": table["member"],
                "seq": table["seq"],
                "model": pa.array([model] * n).dictionary_encode(),
                "p_attack": pa.array(np.asarray(p_N, np.float32)),
            }
            self._file.write_table(pa.table(columns).cast(_SCHEMA))


def read_row_attacks(path: Path, model: str) -> Iterator[tuple[str, Floats]]:
    """(episode, likelihoods of its rows in the order of its table) by one model."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            part = file.read_row_group(group, columns=["episode_id", "model", "p_attack"], use_threads=False)
            if len(part) and part["model"][0].as_py() == model:
                yield part["episode_id"][0].as_py(), part["p_attack"].to_numpy().astype(np.float64)
