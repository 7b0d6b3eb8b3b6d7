"""The lab: episodes with telemetry, logs and truth against their limit of time, and memory against itself.

A limit and no peer: nobody else writes such episodes. 100 episodes of two minutes with all members in 60 s; the peak
memory of many episodes over that of few, each in a process of its own, near 1: episodes are written one by one. Events
and edges that come back through parsers and graph are measured by tests/lab/test_truth.py. Usage: python
benchmarks/lab.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIMIT_S = 60.0
BAR_MEMORY = 1.15
_RUN = """
import resource, sys
from pathlib import Path
from rlstir_core.lab.generate import generate_store
generate_store(Path(sys.argv[1]), episodes=int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def generated(episodes: int) -> tuple[float, float, int]:
    """Seconds, peak MiB and bytes of a store of so many episodes, made by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        store = Path(folder) / "store"
        command = [sys.executable, "-c", _RUN, str(store), str(episodes)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        took_s = time.perf_counter() - began
        size = sum(path.stat().st_size for path in store.rglob("*.tar.zst"))
    return took_s, int(output) / 1024, size


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args(argv).quick
    many, few = (20, 6) if quick else (100, 25)
    took_s, peak_mib, size = generated(many)
    _, peak_of_few, _ = generated(few)
    limit_s = LIMIT_S * many / 100
    share, grown = took_s / limit_s, peak_mib / peak_of_few
    result = {
        "episodes": many,
        "seconds": round(took_s, 1),
        "share of the limit": round(share, 3),
        "peak MiB": round(peak_mib),
        "peak over that of a quarter of them": round(grown, 3),
        "bars": {"share of the limit": 1.0, "peak over that of a quarter of them": BAR_MEMORY},
        "MiB of tarballs": round(size / 2**20, 1),
        "passed": share <= 1.0 and grown <= BAR_MEMORY,
    }
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
