"""`python -m benchmarks [--quick]`: every benchmark against its peer, JSON on standard output and in benchmarks/out.

`python -m benchmarks NAME ...` runs one of those alone that have arguments of their own.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

_PEERS = (
    "ingest",
    "features",
    "detectors.speed",
    "bootstrap",
    "incremental",
    "acting.environment",
    "hostlogs",
    "templates",
    "graph",
    "network.sage",
    "network.encoder",
    "network.stream",
    "techniques",
    "investigate",
    "lab",
    "automation.tick",
    "memory",
)
_ALONE = {
    "nights": "automation.nights",
    "cores": "automation.cores",
    "share": "automation.share",
    "month": "automation.month",
    "audit": "audit.speed",
    "acquire": "acting.acquire",
    "toys": "acting.toys",
    "ppo": "acting.ppo",
    "coverage": "detectors.coverage",
    "hiper": "detectors.hiper",
    "unseen": "detectors.unseen",
    "results": "public.results",
}

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in _ALONE:
        raise SystemExit(import_module(f"benchmarks.{_ALONE[sys.argv[1]]}").main(sys.argv[2:]))
    results = {name.rsplit(".", 1)[-1]: import_module(f"benchmarks.{name}").main(sys.argv[1:]) for name in _PEERS}
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    json.dump(results, sys.stdout, indent=1)
