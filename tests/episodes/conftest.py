"""Small episodes and archives for the tests, good ones and bad ones, as one fixture."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zstandard

from rlstir_core.contract.registry import default_registry
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.schema import Reading
from rlstir_core.episodes.store.writer import jsonl_bytes, tar_bytes

SECOND = 10**9


class Builder:
    """Builds the bytes of an episode and reads them."""

    T0 = 1_750_000_000_000_000_000

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def meta(self, **changes: Any) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "episode_id": "ep-1",
            "host_id": "host-a",
            "profile": "io-walk",
            "sample_name": "walker",
            "benign": False,
            "t_start_wall_ns": self.T0,
            "t_end_wall_ns": self.T0 + 10 * SECOND,
        } | changes

    def rows(self, source: str, n: int = 20) -> bytes:
        clock = np.arange(n) * (10 * SECOND // max(n, 1))
        columns: dict[str, Any] = {"t_wall_ns": self.T0 + clock, "t_mono_ns": clock}
        for index, (name, field) in enumerate(default_registry().sources[source].fields.items()):
            columns[name] = np.arange(n) * 0.5 if field.type == "float" else np.arange(n) * (index + 1)
        return jsonl_bytes(columns)

    def other(self, n: int, *but: str) -> dict[str, np.ndarray]:
        """What `guest.jsonl` holds beside clocks and the fields named."""
        return {name: np.arange(n) for name in default_registry().sources["guest"].fields if name not in but}

    def members(self, **changes: bytes | None) -> dict[str, bytes]:
        """The members of an episode that is ok; `proc=…` replaces `proc.jsonl`, None leaves it out."""
        found: dict[str, bytes | None] = {
            "meta.json": msgspec.json.encode(self.meta()),
            "labels.jsonl": self.labels((0, "clean")),
        }
        found |= {f"{name}.jsonl": self.rows(name) for name in default_registry().sources}
        for name, data in changes.items():
            found["meta.json" if name == "meta" else f"{name}.jsonl"] = data
        return {name: data for name, data in found.items() if data is not None}

    def labels(self, *pairs: tuple[float, str]) -> bytes:
        lines = [{"t_wall_ns": self.T0 + int(t * SECOND), "phase": phase} for t, phase in pairs]
        return msgspec.json.Encoder().encode_lines(lines)

    def tar_with(self, change: Any, tar_format: int = tarfile.USTAR_FORMAT, prefix: str = "") -> bytes:
        """A tar of the good members by the standard library, after `change(tar)` had its way."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as tar:
            for name, data in self.members().items():
                info = tarfile.TarInfo(prefix + name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            change(tar)
        return buffer.getvalue()

    def read_bytes(self, data: bytes, limits: Limits | None = None, **claims: Any) -> Reading:
        path = self.folder / "e.tar.zst"
        path.write_bytes(data)
        return read_episode(path, registry=default_registry(), limits=limits, **claims)

    def read(self, content: dict[str, bytes] | bytes, limits: Limits | None = None, **claims: Any) -> Reading:
        raw = content if isinstance(content, bytes) else tar_bytes(content)
        return self.read_bytes(zstandard.ZstdCompressor().compress(raw), limits, **claims)


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    return Builder(tmp_path)
