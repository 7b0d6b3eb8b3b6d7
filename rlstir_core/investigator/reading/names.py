"""The names that the rows of a log give to hosts and people, which no text of theirs may say.

What does not belong here: how they are hidden (`text.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlstir_core.investigator.reading.text import HiddenNames

_BLOCK = 4_096  # rows at a time
_NAMING = ("host", "host_said", "user")


def hidden_names(file: pq.ParquetFile, hosts: Iterable[str]) -> HiddenNames:
    """Every host and user that the rows of a file name, and `hosts`."""
    found: dict[str, set[str]] = {name: set() for name in _NAMING}
    for batch in file.iter_batches(_BLOCK, columns=list(_NAMING), use_threads=False):
        for name, values in found.items():
            values.update(each for each in batch.column(name).unique().to_pylist() if each)
    return HiddenNames(sorted({*hosts, *found["host"], *found["host_said"]}), sorted(found["user"]))


def names_in(table: pa.Table) -> HiddenNames:
    """Every host and user that the rows of a table name."""
    host, said, user = ({each for each in pc.unique(table[name]).to_pylist() if each} for name in _NAMING)
    return HiddenNames(sorted(host | said), sorted(user))
