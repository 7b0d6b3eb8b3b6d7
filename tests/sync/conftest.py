"""Small stores to copy from, and a link that breaks where a test says so."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from rlstir_core.episodes.store.writer import write_index


def _fill(store: Path, n: int = 3, size: int = 4_000, host: str = "web1") -> Path:
    """A store of `n` files with hashes that are right; what is in them is nobody's business here."""
    records = []
    for k in range(n):
        path = f"episodes/{host}/ep-{k:03}.tar.zst"
        data = hashlib.shake_128(f"{host}{k}".encode()).digest(size)
        (store / path).parent.mkdir(parents=True, exist_ok=True)
        (store / path).write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        record = {"episode_id": f"ep-{k:03}", "host_id": host, "path": path, "bytes": size, "sha256": sha256}
        records.append(record | {"profile": "io-walk", "received_wall_ns": 10**18 + k})
    write_index(store, records)
    return store


class Link(LocalFileSystem):
    """A folder behind a link that breaks in the middle of the files whose turn is in `cuts`."""

    protocol = "brittle"
    cachable = False
    cuts: ClassVar[set[int]] = set()
    opened: ClassVar[Counter[str]] = Counter()

    def _open(self, path: str, mode: str = "rb", *args: Any, **more: Any) -> Any:
        Link.opened[Path(path).name] += 1
        handle = super()._open(path, mode, *args, **more)
        return Breaking(handle) if sum(Link.opened.values()) in Link.cuts else handle


class Breaking:
    """Half of a file, and then nothing."""

    def __init__(self, handle: Any) -> None:
        self._handle, self._n = handle, 0

    def read(self, n: int) -> bytes:
        self._n += 1
        if self._n > 1:
            raise ConnectionResetError("connection reset by peer")
        return bytes(self._handle.read(min(n, 1_000)))

    def __enter__(self) -> Breaking:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()


@pytest.fixture
def link() -> Iterator[type[Link]]:
    Link.cuts, Link.opened = set(), Counter()
    fsspec.register_implementation("brittle", Link, clobber=True)
    yield Link


@pytest.fixture
def fill() -> Callable[..., Path]:
    return _fill
