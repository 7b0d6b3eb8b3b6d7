"""The batched investigation without a model: steps a second at 64 lanes, actions of chance among the legal ones.

Cases of chance as large as those of a generated store; the time of choosing actions is not counted. There is no peer:
the bar is the one that learning needs. Usage: python benchmarks/acting/environment.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from rlstir_core.investigator.queries.catalogue import KIND_Q, KINDS, QUERIES, STOP
from rlstir_core.investigator.soc.cases import Case, CaseSet
from rlstir_core.investigator.soc.detecting import TECHNIQUES, ConstantDetector
from rlstir_core.investigator.soc.lanes import SocLanes
from rlstir_core.investigator.soc.reward import Rewards
from rlstir_core.investigator.techniques.labels import LABELS

BAR = 50_000  # steps a second
LANES, BUDGET, WIDTH = 64, 60.0, 64
ROWS = (1_000, 3_000)
SHARE = {"host": 0, "tree": 0.07, "process": 0.09, "program": 0.05, "file": 0.25, "account": 0.01, "destination": 0.12}


def drawn_case(rng: np.random.Generator) -> Case:
    """A case of chance: few entities that many rows name, many that one names, and four answers a row."""
    n = int(rng.integers(*ROWS))
    sizes = np.array([max(1, int(SHARE[kind] * n)) for kind in KINDS])
    kind_1 = np.r_[0, np.cumsum(sizes)]
    names_NK = kind_1[:-1] + (sizes * rng.random((n, len(KINDS))) ** 2).astype(int)
    pair_Q1 = np.r_[0, np.cumsum(sizes[KIND_Q])]
    pairs, rows = [], []
    for query, kind in enumerate(KIND_Q.tolist()):
        answers = rng.random(n) < (0.06 if kind == 0 else 0.35)
        row = np.flatnonzero(answers)
        pairs.append(pair_Q1[query] + names_NK[row, kind] - kind_1[kind])
        rows.append(row)
    pair_M, row_M = np.concatenate(pairs), np.concatenate(rows)
    order = np.lexsort((row_M, pair_M))
    process = KINDS.index("process")
    alert = int(rng.integers(n))
    truth = np.zeros(TECHNIQUES + len(LABELS), np.float32)
    return Case(
        episode_id=f"ep-{rng.integers(1 << 30)}",
        host="h1",
        vector_ND=rng.normal(size=(n, WIDTH)).astype(np.float16),
        tree_N=(names_NK[:, KINDS.index("tree")] - kind_1[KINDS.index("tree")]).astype(np.int32),
        ts_N=np.sort(rng.integers(0, 3_600 * 10**9, n)),
        mention_N1=(np.arange(n + 1) * len(KINDS)).astype(np.int32),
        mention_M=names_NK.ravel().astype(np.int32),
        kind_1=kind_1.astype(np.int32),
        rarity_E=np.log2(np.bincount(names_NK.ravel(), minlength=kind_1[-1]).clip(1)).astype(np.uint8),
        pair_Q1=pair_Q1.astype(np.int32),
        answer_P1=np.r_[0, np.cumsum(np.bincount(pair_M, minlength=pair_Q1[-1]))].astype(np.int32),
        answer_M=row_M[order].astype(np.int32),
        alert=alert,
        alert_score=0.0,
        alert_process=int(names_NK[alert, process]),
        truth_K=truth,
        evidence_M=np.zeros(0, np.int32),
        technique_M=np.zeros(0, np.int32),
    )


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer cases and steps")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    n_cases, n_steps, rounds = (20, 300, 3) if options.quick else (100, 1_000, 5)
    rng = np.random.default_rng(0)
    cases = CaseSet(drawn_case(rng) for _ in range(n_cases))
    detector = ConstantDetector(np.full(TECHNIQUES + len(LABELS), 0.3), WIDTH)
    env = SocLanes(cases, detector, Rewards(), BUDGET, LANES)
    _, legal = env.reset(0)
    best, n_done = 0.0, 0
    for _ in range(rounds):
        taken = 0.0
        for _ in range(n_steps):
            wish = rng.random(legal.shape, dtype=np.float32)
            wish[:, STOP] *= 0.2
            wish[~legal] = -1
            action = wish.argmax(axis=1)
            started = time.process_time()
            stepped = env.step(action)
            taken += time.process_time() - started
            legal, n_done = stepped.legal_BA, n_done + int(stepped.done_B.sum())
        best = max(best, n_steps * LANES / taken)
    result = {
        "name": "environment",
        "what": "steps a CPU second of the batched investigation without a model, one thread, best of the rounds",
        "lanes": LANES,
        "queries": len(QUERIES),
        "mean_rows": round(float(np.diff(cases.row_C1).mean())),
        "bytes_a_case": round(cases.n_bytes / len(cases)),
        "steps_a_case": round(rounds * n_steps * LANES / max(1, n_done), 1),
        "rounds": rounds,
        "steps_a_second": round(best),
        "required": BAR,
        "ok": best >= BAR,
    }
    text = json.dumps(result, indent=1)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["ok"] else 1)
