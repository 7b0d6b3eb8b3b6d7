"""How much every row of a recording looks like an attack, as a table that is written before any label is read.

What does not belong here: tampering (`tamper_predictions.py`), labels and figures.
"""

# N rows of an episode
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

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
    episode, held = "", list[NDArray[np.float32]]()
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            part = file.read_row_group(group, columns=["episode_id", "model", "p_attack"], use_threads=False)
            part = part.filter(pc.equal(part["model"].cast(pa.string()), model))
            p_N = part["p_attack"].to_numpy()
            for of, first, last in _runs(part["episode_id"].cast(pa.string()).combine_chunks()):
                if of != episode and held:  # one that began in the group before has ended there
                    yield episode, np.concatenate(held).astype(np.float64)
                    held = []
                episode = of
                held.append(p_N[first:last])
    if held:
        yield episode, np.concatenate(held).astype(np.float64)


def _runs(names: pa.Array) -> Iterator[tuple[str, int, int]]:
    """(name, where it begins, where it ends) of names that stand together."""
    found, first = pc.run_end_encode(names), 0
    for name, last in zip(found.values.to_pylist(), found.run_ends.to_pylist(), strict=True):
        yield name, first, last
        first = last
