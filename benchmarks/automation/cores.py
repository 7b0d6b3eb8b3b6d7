"""The episodes of one host by one process, by several and by Dask, against each other: wall time, and equal files.

A thousand synthetic episodes on one host; processes are started within what is timed, Dask's workers before it. Rounds
go in turns, and the medians are compared. Usage: python -m benchmarks cores [--episodes 1000] [--rounds 3] [--stages]
[--store S]. What does not belong here: a worker that dies (`tests/workers`).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LIMITS = {"2": 1.7, "dask": 1.6}  # times as fast as one process, on two cores
_HOST = "solo"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks cores", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=int, default=1000, help="of the host")
    parser.add_argument("--rounds", type=int, default=3, help="of each way, in turns")
    parser.add_argument("--stages", action="store_true", help="every stage of a host, not decoding alone")
    parser.add_argument("--store", type=Path, help="a store with one host named solo; without it one is generated")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rlstir-cores-") as folder:
        store = options.store or _generated(Path(folder) / "store", options.episodes)
        json.dump(_measured(store, Path(folder), options.rounds, options.stages), sys.stdout, indent=1)
    return 0


def _generated(store: Path, episodes: int) -> Path:
    from rlstir_core.lab.generate import generate_store

    generate_store(store, hosts=(f"{_HOST}:windows",), episodes=episodes)
    return store


def _measured(store: Path, root: Path, rounds: int, stages: bool) -> dict[str, Any]:
    from rlstir_core.workers.local import LocalProcesses
    from rlstir_core.workers.spread import ALONE, Workers, workers_of

    took: dict[str, list[float]] = {}
    files: dict[str, set[str]] = {}

    free: dict[str, list[float]] = {}

    def run(name: str, workers: Workers) -> None:
        data = root / f"{name}-{len(took.get(name, []))}"
        began, busy = time.perf_counter(), _busy_s()
        _make(store, data, workers, stages)
        wall = time.perf_counter() - began
        took.setdefault(name, []).append(wall)
        free.setdefault(name, []).append((_busy_s() - busy) / wall)
        files.setdefault(name, set()).add(_hash(data))
        subprocess.run(["rm", "-rf", str(data)], check=True)

    with _dask(root) as address:
        cluster = workers_of(address) if address else None
        for _ in range(rounds):
            run("1", ALONE)
            for n in (2, 4):
                pool = LocalProcesses(n)
                run(str(n), pool)
                pool.close()
            if cluster is not None:
                run("dask", cluster)
    median = {name: statistics.median(each) for name, each in took.items()}
    faster = {name: round(median["1"] / each, 2) for name, each in median.items() if name != "1"}
    return {
        "cores": len(os.sched_getaffinity(0)),
        "rounds": rounds,
        "stages": "all" if stages else "decoding",
        "seconds": {name: [round(each, 2) for each in own] for name, own in took.items()},
        "cores_busy": {name: [round(each, 2) for each in own] for name, own in free.items()},  # with others' work
        "load": [round(each, 1) for each in os.getloadavg()],
        "times_as_fast": faster,
        "limits": LIMITS,
        "within": all(faster.get(name, 0.0) >= limit for name, limit in LIMITS.items()),
        "equal_files": len(set().union(*files.values())) == 1,
    }


def _make(store: Path, data: Path, workers: Any, stages: bool) -> None:
    from rlstir_core.contract.registry import load_registry
    from rlstir_core.episodes.store.binding import refresh_index
    from rlstir_core.episodes.validation.validate import validate_host
    from rlstir_core.hostlogs.store import build_log_events
    from rlstir_core.provenance.store import build_graphs
    from rlstir_core.results.layout import Layout
    from rlstir_core.telemetry.schema import make_schema, write_schema
    from rlstir_core.telemetry.store import build_features, build_tensors

    layout = Layout(data)
    index, registry = refresh_index(store, layout).index, load_registry(store)
    validate_host(store, layout, _HOST, registry=registry, index=index, workers=workers)
    if not stages:
        return
    write_schema(layout.feature_schema, make_schema(registry))
    built: tuple[Callable[[], object], ...] = (
        lambda: build_tensors(layout, _HOST, registry, workers=workers),
        lambda: build_features(layout, _HOST, registry, workers=workers),
        lambda: build_log_events(store, layout, _HOST, workers=workers),
        lambda: build_graphs(layout, _HOST, workers=workers),
    )
    for build in built:
        build()


def _busy_s() -> float:
    """Seconds that the cores of this machine worked so far, for whomever."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _hash(data: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in data.rglob("*") if path.is_file() and ".locks" not in path.parts):
        digest.update(f"{path.relative_to(data)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


@contextlib.contextmanager
def _dask(root: Path) -> Iterator[str]:
    """The address of a scheduler with two workers of one thread each; empty where Dask is not installed."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        yield ""
        return
    known, log = root / "scheduler.json", (root / "dask.log").open("wb")
    place = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(known)]
    single = ["--nthreads", "1", "--no-nanny"]
    commands = [
        ["dask_scheduler", *place, "--port", "0"],
        *(["dask_worker", *place, *single, "--local-directory", str(root / f"w{k}")] for k in range(2)),
    ]
    started = []
    try:
        for name, *words in commands:
            command = [sys.executable, "-m", f"distributed.cli.{name}", *words]
            started.append(subprocess.Popen(command, cwd=root, stdout=log, stderr=log, start_new_session=True))
        while not known.exists():
            time.sleep(0.2)
        address = str(json.loads(known.read_text())["address"])
        from distributed import Client

        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
