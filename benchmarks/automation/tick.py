"""A tick of the sensor on a large index, against its limit: 100,000 lines of which 100 are new, within a second.

What does not belong here: what a tick decides (`tests/assets/automation/test_automation.py`).
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIMIT_S, LINES, NEW, HOSTS = 1.0, 100_000, 100, 10


def main(arguments: list[str]) -> dict[str, Any]:
    import dagster as dg

    from rlstir_assets.automation.tick import tick
    from rlstir_assets.resources import Settings
    from rlstir_core.contract.registry import load_registry
    from rlstir_core.episodes.store.binding import refresh_index
    from rlstir_core.results.layout import Layout
    from rlstir_core.telemetry.schema import make_schema, write_schema

    lines = LINES // 10 if "--quick" in arguments else LINES
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.ephemeral() as instance:
        store, layout = Path(folder) / "store", Layout(Path(folder) / "data")
        _add(store, 0, lines)
        refresh_index(store, layout)
        write_schema(layout.feature_schema, make_schema(load_registry(store)))
        before = _resident_mib()
        _add(store, lines, lines + NEW)
        settings = Settings(store=str(store), data=str(layout.data))
        took = []
        for _ in range(5):
            start = time.perf_counter()
            found = tick(instance, settings, ("host",), None)
            took.append(time.perf_counter() - start)
        assert [each.job_name for each in found.requests] == ["index"]
        return {
            "lines": lines,
            "new": NEW,
            "first_s": round(took[0], 4),
            "median_s": round(sorted(took)[2], 4),
            "limit_s": LIMIT_S,
            "within": max(took) <= LIMIT_S,
            "grown_mib": _resident_mib() - before,
        }


def _add(store: Path, start: int, end: int) -> None:
    """Index lines of empty tarballs, dealt to the hosts in turn."""
    for host in range(HOSTS):
        (store / f"episodes/h{host}").mkdir(parents=True, exist_ok=True)
    with (store / "index.jsonl").open("a") as index:
        for k in range(start, end):
            name, of = f"ep-{k:06d}", f"h{k % HOSTS}"
            path = f"episodes/{of}/{name}.tar.zst"
            (store / path).touch()
            record = {"episode_id": name, "host_id": of, "path": path, "bytes": 0, "sha256": "0" * 64}
            index.write(json.dumps(record) + "\n")


def _resident_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    json.dump(main(sys.argv[1:]), sys.stdout, indent=1)
