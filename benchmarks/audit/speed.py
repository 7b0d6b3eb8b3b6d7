"""`rlstir audit` on a million rows: seconds of the whole command, start included, and the most memory it took.

Tables as somebody would bring them: eight classes with a score each and times, or two classes with one score; many
rows in few episodes, or few rows in many. The limit is for Parquet;
CSV is told beside it. What does not belong here: whether checks find anything (tests).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

LIMIT_S = 2.0
ROUNDS = 3
FEATURES = 20
CASES = {"two classes, 2,000 episodes": (2, 2_000), "eight classes, 100,000 episodes": (8, 100_000)}


def write_tables(folder: Path, rows: int, n_classes: int, n_episodes: int, *, csv: bool = False) -> list[str]:
    """Predictions, split and episodes of a detector that is right in most rows; the arguments of the command."""
    rng = np.random.default_rng(0)
    name_E = np.array([f"episode-{e:06d}" for e in range(n_episodes)])
    episode_N = np.sort(rng.integers(0, n_episodes, rows))
    class_K = np.array([f"class-{k}" for k in range(n_classes)] if n_classes > 2 else ["benign", "malware"])
    y_N = rng.integers(0, n_classes, n_episodes)[episode_N] if n_classes == 2 else rng.integers(0, n_classes, rows)
    logit_NK = rng.normal(0, 1, (rows, n_classes)) + 2 * (np.arange(n_classes) == y_N[:, None])
    score_NK = np.exp(logit_NK) / np.exp(logit_NK).sum(axis=1, keepdims=True)
    best_N = score_NK.argmax(axis=1) if n_classes > 2 else (score_NK[:, 1] >= 0.437).astype(np.int64)
    columns: dict[str, Any] = {"episode": name_E[episode_N], "label": class_K[y_N], "predicted": class_K[best_N]}
    columns |= {f"p_{name}": score_NK[:, k] for k, name in enumerate(class_K)} if n_classes > 2 else {}
    columns |= {"time_s": rng.random(rows) * 600} | ({"score": score_NK[:, 1]} if n_classes == 2 else {})
    host_E = rng.integers(0, 40, n_episodes)
    side_E = np.where(host_E < 25, "test", np.where(host_E < 30, "validation", "train"))
    split = {"episode": name_E, "side": side_E, "host": np.char.add("host-", host_E.astype(np.str_))}
    about: dict[str, Any] = {
        "episode": name_E,
        "start_time": rng.random(n_episodes),
        "duration_s": rng.random(n_episodes),
    }
    about |= {f"feature_{f}": rng.normal(size=n_episodes) for f in range(FEATURES)}
    suffix = "csv" if csv else "parquet"
    for name, table in (("predictions", columns), ("split", split), ("episodes", about)):
        write = pacsv.write_csv if csv else pq.write_table
        write(pa.table(table), folder / f"{name}.{suffix}")
    return [
        *(str(folder / f"{name}.{suffix}") for name in ("predictions", "split")),
        "--episodes",
        str(folder / f"episodes.{suffix}"),
    ]


def timed(arguments: list[str]) -> tuple[float, float, float, int]:
    """(seconds, seconds of CPU, MiB at most, exit code) of the whole command."""
    begin = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "rlstir_assets.cli", "audit", *arguments, "--json"], stdout=-3)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begin
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, child.returncode


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit.speed")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="one round")
    given = parser.parse_args(arguments)
    found: dict[str, Any] = {"rows": given.rows, "limit_s": LIMIT_S, "cores": os.cpu_count()}
    for case, (n_classes, n_episodes) in CASES.items():
        for csv in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                tables = write_tables(Path(folder), given.rows, n_classes, n_episodes, csv=csv)
                rounds = [timed(tables) for _ in range(1 if given.quick else ROUNDS)]
            assert all(code in (0, 1) for *_, code in rounds), rounds
            seconds = statistics.median(each[0] for each in rounds)
            found[f"{case}, {'CSV' if csv else 'Parquet'}"] = {
                "seconds": round(seconds, 2),
                "cpu_seconds": round(statistics.median(each[1] for each in rounds), 2),
                "MiB": round(max(each[2] for each in rounds)),
                "within_limit": seconds <= LIMIT_S,
            }
    print(json.dumps(found, indent=1))
    return 0 if all(each["within_limit"] for case, each in found.items() if case.endswith("Parquet")) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
