"""The verdicts of one host as a Parquet file: a row per episode, and nothing that a later run would write otherwise.

What does not belong here: reaching a verdict (`reading/read.py`) and deciding which are out of date (`validate.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.atomic import replacing
from rlstir_core.errors import UpstreamMissing


class ValidationRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one episode after reading it; maps are by source."""

    host: str
    episode_id: str
    path: str
    verdict: str
    reason: str
    reasons: tuple[str, ...]
    detail: str
    profile: str = ""
    sample_name: str = ""
    benign: bool | None = None
    origin: str = ""
    corpus: str = ""
    synthetic: bool = False
    t_start_wall_ns: int | None = None
    t_end_wall_ns: int | None = None
    index_sha256: str
    sha256: str  # of the file as it was read; empty when it could not be read to its end
    n_bytes: int
    decode_sha256: str
    content_sha256: str = ""
    logs_sha256: str = ""
    rows: dict[str, int] = {}
    bad_rows: dict[str, int] = {}
    outside_rows: dict[str, int] = {}
    torn_lines: dict[str, int] = {}
    log_bytes: dict[str, int] = {}  # by member
    missing_sources: tuple[str, ...] = ()
    clock_offset_ns: dict[str, int] = {}
    clock_step_ns: int = 0
    clock_drift_ppm: float | None = None  # of the wall clock against the monotonic one; None where it is too short

    @property
    def usable(self) -> bool:
        return self.verdict != "reject"


def read_validation(path: Path) -> list[ValidationRow]:
    """The rows of a host's verdicts; UpstreamMissing when they were never made."""
    try:
        table = pq.ParquetFile(path).read(use_threads=False).select(list(_TYPES)).cast(VALIDATION_SCHEMA)
        columns = {name: table[name].to_pylist() for name in _TYPES}
        for name in _MAPS:
            columns[name] = [_counts(text) for text in columns[name]]
        for name in _LISTS:
            columns[name] = [tuple(values) for values in columns[name]]
        rows = zip(*columns.values(), strict=True)
        return [ValidationRow(**dict(zip(columns, row, strict=True))) for row in rows]
    except (OSError, pa.ArrowException, KeyError, TypeError, msgspec.MsgspecError):
        raise UpstreamMissing(
            f"{path} is not there or cannot be read; materialize validation for this host first"
        ) from None


def write_validation(path: Path, rows: Sequence[ValidationRow]) -> None:
    """Writes the rows; equal rows give equal bytes."""
    columns = []
    for name, kind in _TYPES.items():
        values = [getattr(row, name) for row in rows]
        if name in _MAPS:
            values = [msgspec.json.encode(value).decode() for value in values]
        columns.append(pa.array([list(v) if isinstance(v, tuple) else v for v in values], type=kind))
    table = pa.Table.from_arrays(columns, names=list(_TYPES))
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", store_schema=False)


# Columns of the Parquet file; maps are kept as JSON text.
_TYPES: dict[str, pa.DataType] = {
    "host": pa.string(),
    "episode_id": pa.string(),
    "path": pa.string(),
    "verdict": pa.string(),
    "reason": pa.string(),
    "reasons": pa.list_(pa.string()),
    "detail": pa.string(),
    "profile": pa.string(),
    "sample_name": pa.string(),
    "benign": pa.bool_(),
    "origin": pa.string(),
    "corpus": pa.string(),
    "synthetic": pa.bool_(),
    "t_start_wall_ns": pa.int64(),
    "t_end_wall_ns": pa.int64(),
    "index_sha256": pa.string(),
    "sha256": pa.string(),
    "n_bytes": pa.int64(),
    "decode_sha256": pa.string(),
    "content_sha256": pa.string(),
    "logs_sha256": pa.string(),
    "rows": pa.string(),
    "bad_rows": pa.string(),
    "outside_rows": pa.string(),
    "torn_lines": pa.string(),
    "log_bytes": pa.string(),
    "missing_sources": pa.list_(pa.string()),
    "clock_offset_ns": pa.string(),
    "clock_step_ns": pa.int64(),
    "clock_drift_ppm": pa.float64(),
}
VALIDATION_SCHEMA = pa.schema(_TYPES)
_MAPS = ("rows", "bad_rows", "outside_rows", "torn_lines", "log_bytes", "clock_offset_ns")
_LISTS = tuple(name for name, kind in _TYPES.items() if pa.types.is_list(kind))


def _counts(text: str) -> Any:
    return msgspec.json.decode(text, type=dict[str, int])
