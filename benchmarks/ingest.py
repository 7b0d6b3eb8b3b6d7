"""Reading an episode: ours against the obvious reader and against bare zstd decompression.

One run, CPU time, median of interleaved rounds. The obvious reader (tarfile + json + pandas) is kept here as
the reference; both must give the same numbers. Usage: python benchmarks/ingest.py [--quick]
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zstandard

from rlstir_core.contract.registry import CLOCK_FIELDS, default_registry
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.store.writer import write_episode
from rlstir_core.lab.generate import make_episode as generate_episode
from rlstir_core.lab.plan import LabOptions, plan_store

BAR_OBVIOUS = 5.0
BAR_ZSTD = 0.15


def make_episode(store: Path, seconds: int = 120, seed: int = 7) -> Path:
    """An episode of all five sources and no logs, as the lab's generator makes it."""
    options = LabOptions(seed=seed, duration_s=float(seconds))
    plans = plan_store(hosts=("elliott-thinkpad",), episodes=16, options=options)
    made = generate_episode(next(plan for plan in plans if plan.netflow), options)
    return store / str(write_episode(store, made.meta, made.labels, made.sources)["path"])


def obvious(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """What most people would write: decompress, tarfile, json per line, a DataFrame per source."""
    raw = zstandard.ZstdDecompressor().decompress(path.read_bytes())
    frames = {}
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        for member in tar:
            if member.name.endswith(".jsonl") and member.name != "labels.jsonl":
                handle = tar.extractfile(member)
                rows = [json.loads(line) for line in handle] if handle else []
                frames[member.name.removesuffix(".jsonl")] = pd.DataFrame(rows)
    columns = {}
    for name, source in default_registry().sources.items():
        frame = frames[name].sort_values("t_wall_ns", kind="stable")
        columns[name] = {field: frame[field].to_numpy() for field in (*CLOCK_FIELDS, *source.fields)}
    return columns


def ours(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """The project's reader, with every check of a hostile archive."""
    reading = read_episode(path, registry=default_registry())
    if reading.verdict.verdict != "ok" or reading.episode is None:
        raise SystemExit(f"the benchmark's episode is not ok: {reading.verdict}")
    return {name: rows.columns for name, rows in reading.episode.sources.items()}


def bare_zstd(path: Path) -> int:
    """Decompression alone: what no reader of this format can beat."""
    return len(zstandard.ZstdDecompressor().decompress(path.read_bytes()))


def largest_difference(path: Path) -> float:
    """The largest relative difference between the two readers' values."""
    one, two = ours(path), obvious(path)
    worst = 0.0
    for name, columns in two.items():
        for field, theirs in columns.items():
            mine = one[name][field].astype(np.float64)
            reference = theirs.astype(np.float64)
            worst = max(worst, float(np.max(np.abs(mine - reference) / np.maximum(1.0, np.abs(reference)))))
    return worst


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the result as JSON and gives it."""
    parser = argparse.ArgumentParser(description="ingest: ours, the obvious reader, bare zstd")
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    args = parser.parse_args(argv)
    repeats = 2 if args.quick else 10
    subjects: dict[str, Callable[[Path], object]] = {"ours": ours, "obvious": obvious, "bare_zstd": bare_zstd}
    with tempfile.TemporaryDirectory() as folder:
        path = make_episode(Path(folder))
        difference = largest_difference(path)
        n_bytes = bare_zstd(path)
        times: dict[str, list[float]] = {name: [] for name in subjects}
        for _ in range(5):
            for name, subject in subjects.items():
                n = repeats * (10 if name == "bare_zstd" else 1)
                start = time.process_time()
                for _ in range(n):
                    subject(path)
                times[name].append((time.process_time() - start) / n)
    medians = {name: statistics.median(values) for name, values in times.items()}
    against_obvious = medians["obvious"] / medians["ours"]
    against_zstd = medians["bare_zstd"] / medians["ours"]
    result = {
        "benchmark": "ingest",
        "decompressed_bytes": n_bytes,
        "cpu_ms": {name: round(value * 1e3, 3) for name, value in medians.items()},
        "speedup_over_obvious": round(against_obvious, 2),
        "share_of_bare_zstd": round(against_zstd, 3),
        "largest_difference": difference,
        "bars": {"speedup_over_obvious": BAR_OBVIOUS, "share_of_bare_zstd": BAR_ZSTD},
        "passed": bool(against_obvious >= BAR_OBVIOUS and against_zstd >= BAR_ZSTD and difference <= 1e-6),
    }
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
