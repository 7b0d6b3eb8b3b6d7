"""`python -m benchmarks [--quick]`: every benchmark against its peer, JSON on standard output and in benchmarks/out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks import (
    bootstrap,
    features,
    graph,
    hostlogs,
    incremental,
    ingest,
    investigate,
    lab,
    memory,
    techniques,
    templates,
)
from benchmarks.network import encoder, sage, stream

if __name__ == "__main__":
    results = {
        name: module.main(sys.argv[1:])
        for name, module in (
            ("ingest", ingest),
            ("features", features),
            ("bootstrap", bootstrap),
            ("incremental", incremental),
            ("hostlogs", hostlogs),
            ("templates", templates),
            ("graph", graph),
            ("sage", sage),
            ("encoder", encoder),
            ("stream", stream),
            ("techniques", techniques),
            ("investigate", investigate),
            ("lab", lab),
            ("memory", memory),
        )
    }
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    json.dump(results, sys.stdout, indent=1)
