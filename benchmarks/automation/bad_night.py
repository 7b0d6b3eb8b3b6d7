"""An episode as a bad night leaves it: two recorders' clocks are off by four seconds, and netflow is missing.

What does not belong here: the nights (`month.py`).
"""

from __future__ import annotations

import io
import json
import tarfile

import zstandard

_OFF_NS = 4 * 10**9
_LATE, _GONE = ("perf.jsonl", "qmp.jsonl"), "netflow.jsonl"
_MOST = 1 << 28


def spoilt(raw: bytes) -> bytes:
    """The tarball with these members changed; all others as they were."""
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    made = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(plain)) as before, tarfile.open(fileobj=made, mode="w") as after:
        for member in before:
            content = before.extractfile(member)
            if member.name == _GONE or content is None:
                continue
            data = content.read(_MOST)
            data = _later(data) if member.name in _LATE else data
            data = _without_netflow(data) if member.name == "meta.json" else data
            told = tarfile.TarInfo(member.name)
            told.size, told.mtime = len(data), member.mtime
            after.addfile(told, io.BytesIO(data))
    return zstandard.ZstdCompressor().compress(made.getvalue())


def _later(rows: bytes) -> bytes:
    told = [json.loads(line) for line in rows.splitlines()]
    return b"".join(json.dumps(row | {"t_wall_ns": row["t_wall_ns"] + _OFF_NS}).encode() + b"\n" for row in told)


def _without_netflow(meta: bytes) -> bytes:
    told = json.loads(meta)
    if "netflow" in told.get("sources", {}):
        told["sources"]["netflow"] = None
    return json.dumps(told).encode()
