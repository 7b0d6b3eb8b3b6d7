"""Memory and time of the whole graph for recipe `host` as the store grows: from tarballs to the report, tiny models.

The peak of the whole process tree is the sum of proportional set sizes, sampled; the largest step's peak is the
resident size of one process. Two bars: the tree stays under its limit, and the largest step grows by at most a tenth
from the second store to the third. What 50,000 episodes take is extrapolated from the two largest stores, a straight
line for each stage. Usage: python -m benchmarks.memory [--quick] [--episodes 200,800,3200] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

BAR_TREE_GIB = 2.5
BAR_GROWTH = 1.10
_EPISODES = (200, 800, 3200)
_QUICK = (50, 100, 200)
_LAB = 50_000
_HOSTS = ("a-host", "b-host", "c-host", "d-host")
_EVERY_S = 0.25
_TINY = (
    *("train.epochs=3", "train.views=2", "train.max_train_windows=2000", "trees.rounds=30", "bootstrap_draws=500"),
    *("net.width=8", "net.heads=2", "net.layers=1", "net.stem_stride=8"),
)
_ROOT = Path(__file__).resolve().parents[1]


class _Watch:
    """Peaks of a process tree: of all together, and of each process."""

    def __init__(self, root: int) -> None:
        self.root, self.tree = root, 0
        self.rss_kib: dict[int, int] = {}  # by process

    def look(self) -> None:
        pids, total = self._tree(), 0
        for pid in pids:
            with contextlib.suppress(OSError, ValueError):
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                sizes = {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines()[1:] if "kB" in line}
                total += sizes["Pss"]
                self.rss_kib[pid] = max(self.rss_kib.get(pid, 0), sizes["Rss"])
        self.tree = max(self.tree, total)

    def _tree(self) -> set[int]:
        children = defaultdict(list)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, ValueError):
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    children[parent].append(int(entry.name))
        found, todo = set(), [self.root]
        while todo:
            pid = todo.pop()
            found.add(pid)
            todo += children[pid]
        return found


def run(folder: Path, episodes: int) -> dict[str, Any]:
    """Generates a store where there is none, materializes everything and gives peaks and seconds by stage."""
    store, data, home = folder / "store", folder / "data", folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(_ROOT / "dagster.yaml", home)
    if not store.exists():
        from rlstir_core.lab.generate import generate_store
        from rlstir_core.lab.plan import LabOptions

        generate_store(store, hosts=_HOSTS, episodes=episodes, options=LabOptions(seed=3))
    command = [sys.executable, "-m", "rlstir_assets.cli", "materialize", "--store", str(store), "--data", str(data)]
    for setting in _TINY:
        command += ["--set", setting]
    begun = time.monotonic()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DAGSTER_HOME": str(home), "PYTHONPATH": str(_ROOT)}
    process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    os.set_blocking(process.stdout.fileno(), False)  # type: ignore[union-attr]
    watch, printed = _Watch(process.pid), b""
    while process.poll() is None:
        watch.look()
        printed = (printed + (process.stdout.read() or b""))[-4000:]  # type: ignore[union-attr]
        time.sleep(_EVERY_S)
    wall = time.monotonic() - begun
    if process.returncode:
        raise SystemExit(f"materializing {episodes} episodes failed:\n{printed.decode(errors='replace')}")
    seconds, step_of = steps(home)
    peaks: dict[str, float] = {}
    for pid, kib in watch.rss_kib.items():
        step = step_of.get(pid, "driver")
        peaks[step] = max(peaks.get(step, 0.0), round(kib / (1 << 20), 3))
    return {
        "episodes": episodes,
        "wall_s": round(wall, 1),
        "tree_peak_gib": round(watch.tree / (1 << 20), 3),
        "largest_step_gib": max(peaks.values()),
        "data_mib": round(sum(file.stat().st_size for file in data.rglob("*") if file.is_file()) / (1 << 20)),
        "step_peak_gib": dict(sorted(peaks.items())),
        "stage_s": seconds,
    }


def steps(home: Path) -> tuple[dict[str, float], dict[int, str]]:
    """Seconds from the start to the end of every asset's steps (checkpoints together), and whose step a process ran."""
    code = (
        "import json, dagster as dg; i = dg.DagsterInstance.get(); seconds = {}; pids = {}\n"
        "for run in i.get_runs():\n"
        "    for step in i.get_run_step_stats(run.run_id):\n"
        "        name = step.step_key.split('__')[0]\n"
        "        seconds[name] = seconds.get(name, 0) + (step.end_time or 0) - (step.start_time or 0)\n"
        "    for record in i.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_WORKER_STARTED):\n"
        "        event = record.dagster_event\n"
        "        pids[event.event_specific_data.metadata['pid'].value] = event.step_key\n"
        "print(json.dumps([seconds, pids]))"
    )
    environment = {**os.environ, "DAGSTER_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environment, capture_output=True, text=True, check=True
    )
    seconds, pids = json.loads(done.stdout)
    return {name: round(each, 1) for name, each in sorted(seconds.items())}, {int(p): s for p, s in pids.items()}


def extrapolated(smaller: dict[str, Any], larger: dict[str, Any]) -> dict[str, float]:
    """Hours that each stage takes on the lab's episodes, by the line through two stores."""
    span = larger["episodes"] - smaller["episodes"]
    hours = {}
    for stage, seconds in larger["stage_s"].items():
        slope = max(0.0, (seconds - smaller["stage_s"].get(stage, 0.0)) / span)
        hours[stage] = round((seconds + slope * (_LAB - larger["episodes"])) / 3600, 2)
    return hours


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the result as JSON and gives it."""
    parser = argparse.ArgumentParser(description="memory: the whole graph as the store grows")
    parser.add_argument("--quick", action="store_true", help="small stores, where growth is not judged")
    parser.add_argument("--episodes", default="", help="three sizes, separated by commas")
    parser.add_argument("--keep", type=Path, default=None, help="a folder for stores and results, kept")
    args = parser.parse_args(argv)
    sizes = tuple(int(n) for n in args.episodes.split(",")) if args.episodes else _QUICK if args.quick else _EPISODES
    with contextlib.ExitStack() as held:
        folder = args.keep or Path(held.enter_context(tempfile.TemporaryDirectory()))
        runs = [run(folder.resolve() / str(episodes), episodes) for episodes in sizes]
    growth = runs[-1]["largest_step_gib"] / runs[-2]["largest_step_gib"]
    within = all(each["tree_peak_gib"] <= BAR_TREE_GIB for each in runs)
    result = {
        "benchmark": "memory",
        "runs": runs,
        "largest_step_growth": round(growth, 3),
        "hours_for_50000": extrapolated(runs[-2], runs[-1]),
        "bars": {"tree_peak_gib": BAR_TREE_GIB, "largest_step_growth": BAR_GROWTH},
        "passed": bool(within and (args.quick or growth <= BAR_GROWTH)),
    }
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
