"""Memory of training as the log rows grow: an epoch over stores of 50,000 and 200,000 rows, in a process each.

Rows are read from Parquet, an episode a file, turned to tokens, kept in memory as far as a small budget goes and in a
file beyond it, ordered, read ahead, and a small network takes steps over them. The bar: the peak of the second store
is at most a tenth above that of the first. What is synthetic is the text.
Usage: python -m benchmarks.network.stream [--quick]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BAR_GROWTH = 1.10
_SIZES, _QUICK = (50_000, 200_000), (10_000, 40_000)
_ROWS = 250  # of an episode
_BUDGET = 2 << 20  # bytes of tokens kept in memory
_WORDS, _LONGEST = 5_000, 48


def write(folder: Path, rows: int) -> None:
    """Episodes of random words, a file each."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    for episode in range(rows // _ROWS):
        lengths = rng.integers(6, _LONGEST, _ROWS)
        texts = [" ".join(f"w{word}" for word in rng.integers(3, _WORDS, length)) for length in lengths]
        pq.write_table(pa.table({"text": texts}), folder / f"{episode}.parquet")


def train(folder: Path) -> dict[str, Any]:
    """One epoch; what it took."""
    import numpy as np
    import pyarrow.parquet as pq
    import torch
    from torch.nn import functional

    from benchmarks.network.encoder import one_node_a_kind
    from rlstir_core.investigator.network.encoder import InputWidths
    from rlstir_core.investigator.network.heads import Investigating
    from rlstir_core.investigator.network.packing import sequences
    from rlstir_core.investigator.network.sage import Edges, batch_graphs
    from rlstir_core.investigator.pretraining.loop import Loop, Side
    from rlstir_core.investigator.pretraining.streaming import Kept, TrainingStep, plan, shuffled
    from rlstir_core.investigator.reading.batches import Batch
    from rlstir_core.learning.examples import CacheBudget
    from rlstir_core.learning.presets import Investigator

    torch.set_num_threads(1)
    torch.manual_seed(0)

    def read(place: int) -> list[bytes]:
        texts = pq.read_table(folder / f"{place}.parquet", use_threads=False).column("text").to_pylist()
        return [np.array([2, *(int(word[1:]) for word in text.split())], np.int32).tobytes() for text in texts]

    n = len(list(folder.glob("*.parquet")))
    rows: Kept[list[bytes]] = Kept(read, list[bytes], CacheBudget(_BUDGET), folder)
    started = time.monotonic()
    lengths = [sum(map(len, rows[place])) // 4 for place in range(n)]
    read_s = time.monotonic() - started
    numbers = Investigator(width=16, heads=2, row_tokens=_LONGEST + 1, epochs=1)
    widths = InputWidths(row=8, nodes=(3, 5, 4))
    network = Investigating(numbers, _WORDS, torch.zeros(2), widths)

    def steps(epoch: int) -> list[TrainingStep]:
        return plan(shuffled(n, np.random.default_rng(epoch)).tolist(), lengths, numbers.batch_tokens)

    def batch(places: list[int]) -> Batch:
        held = [rows[place] for place in places]
        texts = sorted({text for own in held for text in own}, key=len)
        at = {text: k for k, text in enumerate(texts)}
        text_X = torch.tensor([at[text] for own in held for text in own])
        return Batch(
            tokens_N=torch.from_numpy(np.frombuffer(b"".join(texts), np.int32).astype(np.int64)),
            texts=sequences([len(text) // 4 for text in texts]),
            text_X=text_X,
            text_P=torch.zeros(1, dtype=torch.int64),
            episodes=sequences([len(own) for own in held]),
            aux_XA=torch.zeros(len(text_X), widths.row),
            look_X=torch.zeros(len(text_X)),
            process_X=torch.full((len(text_X),), -1),
            graph=batch_graphs([Edges((1, 1, 1), {})], [one_node_a_kind(widths)]),
            prior_EK=torch.zeros(len(held), 2),
        )

    def loss(given: Batch, places: list[int]) -> torch.Tensor:
        said = network(given).technique_EK
        return functional.binary_cross_entropy_with_logits(said, torch.zeros_like(said), reduction="sum")

    few = [[list(range(4))]]
    side = Side(steps=steps, batch=batch, loss=loss)
    held = Side(steps=lambda _: few, batch=batch, loss=loss)
    started = time.monotonic()
    Loop(network, side, held, numbers, seed=0, on=torch.device("cpu")).run()
    wall = time.monotonic() - started
    return {
        "rows": n * _ROWS,
        "tokens": sum(lengths),
        "first_reading_s": round(read_s, 1),
        "rows_per_s": round(n * _ROWS / wall),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the result as JSON and gives it."""
    parser = argparse.ArgumentParser(description="memory of training as the log rows grow")
    parser.add_argument("--quick", action="store_true", help="a fifth of the rows")
    parser.add_argument("--train", type=Path, default=None, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.train is not None:
        found = train(args.train)
        print(json.dumps(found))
        return {**found, "passed": True}
    runs = []
    for rows in _QUICK if args.quick else _SIZES:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), rows)
            command = [sys.executable, "-m", "benchmarks.network.stream", "--train", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            runs.append(json.loads(done.stdout))
    growth = runs[-1]["peak_mib"] / runs[0]["peak_mib"]
    result = {
        "benchmark": "stream",
        "runs": runs,
        "growth": round(growth, 3),
        "bars": {"growth": BAR_GROWTH},
        "passed": growth <= BAR_GROWTH,
    }
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
