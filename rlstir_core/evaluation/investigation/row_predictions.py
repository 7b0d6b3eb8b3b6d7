"""How much every row of a recording looks like an attack, as a table that is written before any label is read.

What does not belong here: tampering (`tamper_predictions.py`), labels and figures.
"""

# N rows of an episode
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.arrays import Floats
from rlstir_core.evaluation.investigation.whole_tables import WholeTables

_SCHEMA = pa.schema(
    {
        "episode_id": pa.dictionary(pa.int32(), pa.string()),
        "member": pa.dictionary(pa.int32(), pa.string()),
        "seq": pa.int64(),
        "model": pa.dictionary(pa.int32(), pa.string()),
        "p_attack": pa.float32(),
    }
)


class RowWriter(WholeTables):
    """Writes the table, an episode after the other."""

    def __init__(self, path: Path) -> None:
        super().__init__([(path, _SCHEMA)])

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
            self.write(0, pa.table(columns).cast(_SCHEMA))


def read_row_attacks(path: Path, model: str) -> Iterator[tuple[str, Floats]]:
    """(episode, likelihoods of its rows in the order of its table) by one model."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            part = file.read_row_group(group, columns=["episode_id", "model", "p_attack"], use_threads=False)
            if len(part) and part["model"][0].as_py() == model:
                yield part["episode_id"][0].as_py(), part["p_attack"].to_numpy().astype(np.float64)
