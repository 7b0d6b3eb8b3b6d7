"""Dagster's share of the wall time of `make run`, against its limit: how long no asset's own code was at work.

A generated store goes from nothing to its report in a home of its own, as `make run` does it. A step is at work from
its start to its end, as it says itself; everything else counts as Dagster's: starting, planning, processes, polling,
and the command around them. What does not belong here: what the steps take (`benchmarks/memory.py` and others).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LIMIT = 0.06
EPISODES = 100  # as `make run` generates


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks share", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer episodes and few passes: its share is larger then")
    options = parser.parse_args(arguments)
    json.dump(_share(quick=options.quick), sys.stdout, indent=1)
    return 0


def _share(*, quick: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="rlstir-share-") as folder:
        root = Path(folder)
        shutil.copy(Path(__file__).parents[2] / "dagster.yaml", root)
        os.environ["DAGSTER_HOME"] = folder
        rlstir = [sys.executable, "-m", "rlstir_assets.cli"]
        place = ("--store", str(root / "store"))
        few = ("--set", "train.epochs=3", "--set", "ppo.steps=2048") if quick else ()
        made = [*rlstir, "lab", "generate", *place, "--episodes", str(24 if quick else EPISODES)]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        begun = time.time()
        done = [*rlstir, "materialize", *place, "--data", str(root / "data"), *few]
        subprocess.run(done, check=True, stdout=subprocess.DEVNULL)
        wall = time.time() - begun
        at_work, steps, runs = _at_work()
    return {
        "wall_s": round(wall, 1),
        "steps_at_work_s": round(at_work, 1),
        "runs": runs,
        "steps": steps,
        "share": round(1 - at_work / wall, 4),
        "limit": LIMIT,
        "within": 1 - at_work / wall <= LIMIT,
    }


def _at_work() -> tuple[float, int, int]:
    """Seconds in which at least one step was at work, and how many steps of how many runs there were."""
    import dagster as dg

    from rlstir_assets.instance import open_instance

    spans: list[tuple[float, float]] = []
    with open_instance() as instance:
        runs = instance.get_run_ids()
        for run in runs:
            begun: dict[str | None, float] = {}
            for event in instance.all_logs(run):
                kind = event.dagster_event_type
                if kind == dg.DagsterEventType.STEP_START:
                    begun[event.step_key] = event.timestamp
                elif kind == dg.DagsterEventType.STEP_SUCCESS:
                    spans.append((begun[event.step_key], event.timestamp))
    return _covered(spans), len(spans), len(runs)


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of spans."""
    total, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
