"""The one place that writes a store: episode tarballs, index lines, and the JSONL inside them.

Equal arguments give equal bytes: members in a fixed order, times and owners zero, pure ustar headers, one
zstd frame at a fixed level. What does not belong here: what the episodes hold (generators and importers make
that) and reading them back (`reading/`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zstandard

from rlstir_core.atomic import sweep, write_bytes
from rlstir_core.contract.members import LABELS, META
from rlstir_core.errors import StoreError
from rlstir_core.ids import episode_id, host_id, safe_name
from rlstir_core.results.lock import holding

INDEX_NAME = "index.jsonl"
ZSTD_LEVEL = 3
_BLOCK = 512
_ENCODER = msgspec.json.Encoder()

IndexRecord = dict[str, Any]


def write_episode(
    store: Path,
    meta: Mapping[str, Any],
    labels: Iterable[tuple[int, str]],
    sources: Mapping[str, bytes],
    extra: Mapping[str, bytes] | None = None,
) -> IndexRecord:
    """Writes `<store>/episodes/<host>/<episode>.tar.zst` and gives its index record.

    `sources` maps a source's name to its JSONL bytes; `extra` maps other member names (`logs/auth.log`,
    `gt_ttp_sequence.json`) to their bytes. `schema_version` and `sources` (rows of each) are filled into the
    meta where they are absent. The index itself is not touched: see `write_index` and `append_index`.
    """
    host, episode = host_id(meta.get("host_id")), episode_id(meta.get("episode_id"))
    rows = {name: data.count(b"\n") for name, data in sources.items()}
    full = {"schema_version": 1, "sources": rows, **meta}
    lines = [{"t_wall_ns": int(t), "phase": phase} for t, phase in labels]
    members = {META: _ENCODER.encode(full) + b"\n", LABELS: _ENCODER.encode_lines(lines)}
    members.update({f"{safe_name(name, 'source')}.jsonl": data for name, data in sources.items()})
    members.update(extra or {})
    data = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(tar_bytes(members))
    path = f"episodes/{host}/{episode}.tar.zst"
    write_bytes(store / path, data)
    record: IndexRecord = {
        "episode_id": episode,
        "host_id": host,
        "path": path,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    record.update({key: meta[key] for key in ("profile", "sample_name") if key in meta})
    return record


def write_index(store: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Writes `<store>/index.jsonl` from `records`, in their order, whole or not at all."""
    write_bytes(store / INDEX_NAME, _ENCODER.encode_lines(list(records)))


def append_index(store: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Adds `records` to the index; lines that are there already stay byte for byte."""
    path = store / INDEX_NAME
    with holding(store / ".index.lock"):  # two writers at once, and neither's lines are lost
        before = path.read_bytes() if path.exists() else b""
        if before and not before.endswith(b"\n"):
            before += b"\n"
        sweep(store, INDEX_NAME)
        write_bytes(path, before + _ENCODER.encode_lines(list(records)))


def jsonl_bytes(columns: Mapping[str, np.ndarray[Any, Any] | Sequence[Any]]) -> bytes:
    """JSONL from equally long columns, one object per row, keys in the order of `columns`.

    A missing value (None, NaN, or -1 in an integer array, as in decoded rows) leaves its key out.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise StoreError(f"the columns of one source differ in length: {lengths}; give each row every column")
    names = list(columns)
    lists, missing = [], np.zeros(next(iter(lengths.values()), 0), dtype=bool)
    for name, column in columns.items():
        values, gaps = _python_values(name, column)
        lists.append(values)
        missing |= gaps
    rows = [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]
    for index in np.flatnonzero(missing):
        rows[index] = {name: value for name, value in rows[index].items() if value is not None}
    return _ENCODER.encode_lines(rows)


def tar_bytes(members: Mapping[str, bytes]) -> bytes:
    """A pure ustar archive of `members`: `meta.json` first, then the others by name."""
    parts = []
    for name in sorted(members, key=lambda member: (member != META, member)):
        data = members[name]
        parts += [_header(name, len(data)), data, b"\0" * (-len(data) % _BLOCK)]
    parts.append(b"\0" * (2 * _BLOCK))
    return b"".join(parts)


def _header(name: str, size: int) -> bytes:
    encoded = name.encode("ascii", "strict")
    if len(encoded) > 100 or size >= 8**11:
        raise StoreError(f"member {name[:80]!r} of {size} bytes does not fit a ustar header; shorten it")
    block = bytearray(_BLOCK)
    block[0 : len(encoded)] = encoded
    block[100:108] = b"0000644\0"
    block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"00000000000\0"
    block[156:157] = b"0"
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _python_values(name: str, column: np.ndarray[Any, Any] | Sequence[Any]) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """The column as Python objects with None for missing, and where those are."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "iuf":
        is_float = column.dtype.kind == "f"
        gaps = np.isnan(column) if is_float else column == -1
        if is_float and np.isinf(column).any():
            raise StoreError(f"column {name!r} holds an infinite value; JSON has none, so make it missing")
        values = column.tolist()
    else:
        values = list(column)
        gaps = np.fromiter((_is_missing(value) for value in values), dtype=bool, count=len(values))
    for index in np.flatnonzero(gaps):
        values[index] = None
    return values, gaps


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
