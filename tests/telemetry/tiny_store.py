"""A store of tiny episodes, and the way from it to features and tensors; also imported by tests of other folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlstir_core.contract.registry import Registry, load_registry
from rlstir_core.episodes.store.index import read_index, save_index
from rlstir_core.episodes.store.writer import jsonl_bytes, write_episode, write_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import BuildSummary, build_features, build_tensors

S = 1_000_000_000
T0 = 1_750_000_000 * S
HOST = "host-a"

REGISTRY = """
name = "tiny"
phases = ["calm", "armed", "attack"]
attack_phases = ["attack"]
onset_phase = "attack"
profiles = ["worm"]
[windowing]
bin_hz = 10.0
length_s = 4.0
stride_s = 2.0
[sources.proc]
vantage = "host"
rate_hz = 10.0
required = true
[sources.proc.fields]
reads = { kind = "counter", quantity = "io" }
writes = { kind = "counter", quantity = "io" }
rss = { kind = "gauge" }
[sources.flow]
vantage = "network"
rate_hz = 1.0
count = true
fields = { bytes = { kind = "event" } }
[sources.agent]
vantage = "guest"
rate_hz = 1.0
fields = { load = { kind = "gauge", type = "float", scale = "linear" } }
"""


def source_rows(seed: int, seconds: float) -> dict[str, dict[str, Any]]:
    """Rows of every source, by seed."""
    rng = np.random.default_rng(seed)
    fast, slow = np.arange(0, seconds, 0.1), np.arange(0, seconds, 1.0)
    flows = np.sort(rng.uniform(0, seconds, int(seconds)))
    times = {"proc": fast, "flow": flows, "agent": slow}
    rows: dict[str, dict[str, Any]] = {}
    for name, t in times.items():
        mono = (t * S).astype(np.int64)
        rows[name] = {"t_wall_ns": T0 + mono, "t_mono_ns": mono}
    rows["proc"]["reads"] = np.cumsum(rng.poisson(40, len(fast)))
    rows["proc"]["writes"] = np.cumsum(rng.poisson(5, len(fast)))
    rows["proc"]["rss"] = rng.integers(1000, 2000, len(fast))
    rows["flow"]["bytes"] = rng.integers(0, 5000, len(flows))
    rows["agent"]["load"] = rng.random(len(slow)).round(3)
    return rows


class Tiny:
    """A store and its data folder."""

    def __init__(self, folder: Path) -> None:
        self.store, self.layout = folder / "store", Layout(folder / "data")
        self.records: dict[str, dict[str, Any]] = {}
        self.store.mkdir(parents=True)
        (self.store / "registry.toml").write_text(REGISTRY)

    @property
    def registry(self) -> Registry:
        return load_registry(self.store)

    def add(
        self, episode: str, seed: int, seconds: float = 20.0, drop: str = "", host: str = HOST, **meta: Any
    ) -> None:
        known = {
            "episode_id": episode,
            "host_id": host,
            "profile": "worm",
            "sample_name": f"s-{seed}",
            "benign": False,
            "t_start_wall_ns": T0,
            "t_end_wall_ns": T0 + int(seconds * S),
        }
        known |= meta
        phases = known.pop("phases", ("calm", "armed", "attack"))
        labels = [(T0 + int(seconds * S * at), phase) for at, phase in zip((0, 0.3, 0.5), phases, strict=True)]
        sources = {name: jsonl_bytes(rows) for name, rows in source_rows(seed, seconds).items() if name != drop}
        self._write(known, labels, sources)

    def add_logs(self, episode: str, line: str, host: str = HOST, **meta: Any) -> None:
        """An episode without telemetry."""
        known = {"episode_id": episode, "host_id": host, "profile": "worm", "sample_name": "unknown", "benign": False}
        times = {"t_start_wall_ns": T0, "t_end_wall_ns": T0 + 20 * S}
        self._write(known | times | meta, [], {}, {"logs/auth.log": f"{line}\n".encode()})

    def _write(self, meta: dict[str, Any], *members: Any) -> None:
        self.records[f"{meta['host_id']}/{meta['episode_id']}"] = write_episode(self.store, meta, *members)
        write_index(self.store, self.records.values())

    def remove(self, episode: str, host: str = HOST) -> None:
        (self.store / self.records.pop(f"{host}/{episode}")["path"]).unlink()
        write_index(self.store, self.records.values())

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(sorted({record["host_id"] for record in self.records.values()}))

    def validate(self, host: str = HOST) -> None:
        validate_host(self.store, self.layout, host, registry=self.registry, index=read_index(self.store))

    def build_all(self) -> Layout:
        """Every host up to its features."""
        save_index(self.layout.index, read_index(self.store))
        write_schema(self.layout.feature_schema, make_schema(self.registry))
        for host in self.hosts:
            self.validate(host)
            build_tensors(self.layout, host, self.registry)
            build_features(self.layout, host, self.registry)
        return self.layout

    def build(self, normalise: str = "ewma") -> tuple[BuildSummary, BuildSummary]:
        self.validate()
        write_schema(self.layout.feature_schema, make_schema(self.registry, normalise))
        return (
            build_tensors(self.layout, HOST, self.registry),
            build_features(self.layout, HOST, self.registry),
        )

    def files(self) -> dict[str, bytes]:
        """Every file of features and tensors, by its path under the data folder."""
        folders = (self.layout.tensors(HOST), self.layout.features(HOST))
        paths = sorted(path for folder in folders for path in folder.iterdir())
        return {str(path.relative_to(self.layout.data)): path.read_bytes() for path in paths}
