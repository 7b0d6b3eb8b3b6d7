"""The investigator's policies on any table of columns with costs: the same greedy and PPO code as on log rows.

A CSV file with a header, numbers in every column and the class in the last one; costs in a second file, `name,cost` a
line, or 1 for each. Rows are dealt into train, validation and test by the seed; test rows are read once.
Usage: python -m benchmarks acquire --csv F [--costs C.csv] [--seeds 3] --out O.jsonl
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np
import torch

from benchmarks.acting.asked import check_asked
from rlstir_core.atomic import write_bytes
from rlstir_core.errors import RlstirError
from rlstir_core.investigator.acquire.study import AcquireNumbers, PointLine, compare
from rlstir_core.investigator.acquire.table import read_table
from rlstir_core.text import plain


def summary(lines: list[PointLine]) -> str:
    """Means over seeds: accuracy by method and point, with the cost, and the return where there is a price."""
    found: dict[tuple[str, str], list[PointLine]] = defaultdict(list)
    for line in lines:
        found[line.method, str(line.point)].append(line)
    rows = [f"{'method':<15} {'point':<13} {'cost':>7} {'accuracy':>9} {'auroc':>7} {'return':>8}"]
    for (method, point), same in found.items():
        cost, accuracy, auroc = (float(np.mean([getattr(s, of) for s in same])) for of in ("cost", "accuracy", "auroc"))
        earned = [s.earned for s in same if s.earned is not None]
        words = f"{np.mean(earned):8.4f}" if earned else ""
        rows.append(f"{method:<15} {point:<13} {cost:7.2f} {accuracy:9.4f} {auroc:7.4f} {words}".rstrip())
    return "\n".join(rows)


def main(argv: list[str] | None = None) -> int:
    """Writes the lines; 2 with one sentence where the table cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks acquire", description="policies on a costed table")
    parser.add_argument("--csv", type=Path, required=True, help="a table of numbers, the class last")
    parser.add_argument("--costs", type=Path, help="name,cost of every column; 1 for each without")
    parser.add_argument("--seeds", type=int, default=3, help="how many times everything is dealt and fitted anew")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {plain(text)}", file=sys.stderr, flush=True)

    try:
        check_asked(args.seeds, args.out, [args.csv, *filter(None, [args.costs])])
        table = read_table(args.csv, args.costs)
        lines = [line for seed in range(args.seeds) for line in compare(table, seed, AcquireNumbers(), tell)]
        write_bytes(args.out, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    except (RlstirError, OSError) as error:
        print(plain(f"Error: {error}"), file=sys.stderr)
        return 2
    print(summary(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
