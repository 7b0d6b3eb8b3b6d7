"""One new episode: bringing validation, tensors and features up to date, against building the whole store.

CPU time of fresh processes, start and imports aside and printed beside it. The new episode is brought in five
times, another one each time, in a large store and in a quarter of it: the share is judged on the median, and
the peak memory of the two stores is compared. Usage: python benchmarks/incremental.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BAR_SHARE = 0.01
BAR_MEMORY = 1.10  # peak memory in the large store over that in a quarter of it
_ROUNDS = 5
_MIB = 1 << 20


def update(store: Path, data: Path) -> dict[str, Any]:
    """What the driver does up to the features, without Dagster: look at every host, work where something is new."""
    import pyarrow as pa

    from rlstir_core.contract.registry import load_registry
    from rlstir_core.episodes.store.index import read_index, save_index
    from rlstir_core.episodes.validation.validate import validate_host
    from rlstir_core.results.layout import Layout
    from rlstir_core.staleness import schema_is_current, stale_host_stages
    from rlstir_core.telemetry.schema import make_schema, write_schema
    from rlstir_core.telemetry.store import build_features, build_tensors

    pa.array([0])  # imports pandas where it is installed
    imports = time.process_time()
    layout, registry = Layout(data), load_registry(store)
    index = read_index(store)
    save_index(layout.index, index)
    if not schema_is_current(store, layout, "ewma"):
        write_schema(layout.feature_schema, make_schema(registry))
    made = 0
    for host in index.hosts:
        if stale_host_stages(store, layout, host):
            validate_host(store, layout, host, registry=registry, index=index)
            build_tensors(layout, host, registry)
            made += build_features(layout, host, registry)["made"]
    return {
        "start_and_imports_s": imports,
        "work_s": time.process_time() - imports,
        "made": made,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MIB,
    }


def in_process_of_its_own(store: Path, data: Path) -> dict[str, Any]:
    """`update` in a fresh process of one thread."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.incremental", "--update", str(store), str(data)],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def arrive(store: Path, newcomers: Path, record: dict[str, Any]) -> None:
    """Puts one more episode into the store, as a recorder would."""
    from rlstir_core.episodes.store.writer import append_index

    target = store / str(record["path"])
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(newcomers / str(record["path"]), target)
    append_index(store, [record])


def measure(folder: Path, episodes: int, newcomers: Path, records: list[dict[str, Any]]) -> dict[str, Any]:
    """The full build of a store of `episodes`, then one newcomer after another."""
    from rlstir_core.lab.generate import generate_store
    from rlstir_core.lab.plan import LabOptions

    store, data = folder / "store", folder / "data"
    generate_store(store, episodes=episodes, options=LabOptions(seed=3))
    full = in_process_of_its_own(store, data)
    rounds = []
    for record in records:
        arrive(store, newcomers, record)
        rounds.append(in_process_of_its_own(store, data))
    assert full["made"] == episodes and all(each["made"] == 1 for each in rounds)
    return {
        "episodes": episodes,
        "full_build_s": round(full["work_s"], 2),
        "full_build_peak_mib": round(full["peak_mib"]),
        "one_new_s": round(statistics.median(each["work_s"] for each in rounds), 3),
        "one_new_range_s": [round(bound(each["work_s"] for each in rounds), 3) for bound in (min, max)],
        "one_new_peak_mib": round(max(each["peak_mib"] for each in rounds)),
        "start_and_imports_s": round(statistics.median(each["start_and_imports_s"] for each in rounds), 2),
        "share": round(statistics.median(each["work_s"] for each in rounds) / full["work_s"], 5),
    }


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the result as JSON and gives it."""
    parser = argparse.ArgumentParser(description="incremental: one new episode against the full build")
    parser.add_argument("--quick", action="store_true", help="a store of 200 episodes, where the bar is not judged")
    args = parser.parse_args(argv)
    from rlstir_core.episodes.store.writer import INDEX_NAME
    from rlstir_core.lab.generate import generate_store
    from rlstir_core.lab.plan import LabOptions

    episodes = 200 if args.quick else 2000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate_store(folder / "newcomers", episodes=2 * _ROUNDS, options=LabOptions(seed=4))
        text = (folder / "newcomers" / INDEX_NAME).read_text().replace("}{", "}\n{")
        records = [json.loads(line) for line in text.splitlines()][:_ROUNDS]
        quarter = measure(folder / "quarter", episodes // 4, folder / "newcomers", records)
        whole = measure(folder / "whole", episodes, folder / "newcomers", records)
    memory = whole["one_new_peak_mib"] / quarter["one_new_peak_mib"]
    result = {
        "benchmark": "incremental",
        "quarter": quarter,
        "whole": whole,
        "memory_growth": round(memory, 3),
        "bars": {"share": BAR_SHARE, "memory_growth": BAR_MEMORY},
        "passed": bool(memory <= BAR_MEMORY and (args.quick or whole["share"] <= BAR_SHARE)),
    }
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    if sys.argv[1:2] == ["--update"]:
        print(json.dumps(update(Path(sys.argv[2]), Path(sys.argv[3]))))
    else:
        raise SystemExit(0 if main()["passed"] else 1)
