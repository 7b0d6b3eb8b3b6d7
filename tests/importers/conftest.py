"""What the tests of tables share: a small table, its mapping, and what the store that it becomes holds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.schema import Reading
from rlstir_core.importers.table.summary import ImportSummary
from rlstir_core.importers.tables import import_table

LAB = """
name = "lab"
keys = { episode = "run", host = "host", profile = { constant = "p" }, sample = "run" }
time = { column = "when", unit = "s" }
labels = { column = "state", phases = ["clean", "bad"], benign = ["clean"] }
windowing = { whole = false, bin_hz = 1.0, length_s = 4.0, stride_s = 2.0 }
[[channels]]
columns = ["*"]
"""
T0 = 1_716_494_400
# neither rises with time
LOADS = (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4)


def table(rows: Iterable[Iterable[object]], columns: str = "run,host,when,state,load") -> str:
    return "\n".join([columns, *(",".join(map(str, row)) for row in rows)]) + "\n"


def rows(steps: Iterable[int], run: str = "r1", host: str = "m1", turn: int = 10) -> list[list[object]]:
    """A row a second: clean up to step `turn`, bad from there on."""
    return [[run, host, T0 + i, "clean" if i < turn else "bad", LOADS[i % len(LOADS)]] for i in steps]


def bring(
    folder: Path, text: str | bytes, mapping: str = LAB, name: str = "t.csv", store: str = "store", **options: Any
) -> ImportSummary:
    """Imports a table that is written into `folder` first."""
    (folder / "m.toml").write_text(mapping)
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_table(folder / name, folder / "m.toml", folder / store, **options)


def read_back(store: Path) -> dict[str, Reading]:
    """What the reader says of every episode, by the run's own name."""
    registry = load_registry(store)
    records = [json.loads(line) for line in (store / "index.jsonl").read_text().splitlines()]
    read = [
        read_episode(store / record["path"], registry=registry, sha256=record["sha256"], n_bytes=record["bytes"])
        for record in records
    ]
    return {reading.episode.meta.origin: reading for reading in read if reading.episode is not None}


def content(store: Path) -> dict[str, bytes]:
    """Every tarball and the index, byte for byte."""
    files = [*store.rglob("*.zst"), store / "index.jsonl"]
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in files}


def phases(store: Path, run: str = "r1", t0: int = T0) -> list[tuple[float, str]]:
    """The labels of a run, in seconds from `t0`."""
    episode = read_back(store)[run].episode
    assert episode is not None
    return [(label.t_wall_ns / 1e9 - t0, label.phase) for label in episode.labels]


def column(store: Path, name: str = "load", run: str = "r1", source: str = "table") -> list[float]:
    episode = read_back(store)[run].episode
    assert episode is not None
    return episode.sources[source].columns[name].tolist()


@pytest.fixture
def kit() -> SimpleNamespace:
    """All of the above by name, for tests cannot import it from here."""
    names = (table, rows, bring, read_back, content, phases, column)
    return SimpleNamespace(LAB=LAB, LOADS=LOADS, T0=T0, **{each.__name__: each for each in names})
