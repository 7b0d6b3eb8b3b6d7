"""Cases of chance with long answers, and a detector that listens: what the environment's rules are tried on."""

from __future__ import annotations

import numpy as np

from rlstir_core.arrays import Array, Ints
from rlstir_core.investigator.queries.catalogue import KIND_Q, KINDS
from rlstir_core.investigator.soc.cases import Case

WIDTH, N_ANSWERS = 6, 5


def drawn_case(seed: int, n_rows: int = 90) -> Case:
    """A case whose rows name entities by chance; about half of the pairs have no answer, some have many pages."""
    rng = np.random.default_rng(seed)
    sizes = np.r_[1, rng.integers(3, 9, len(KINDS) - 1)]
    kind_1 = np.r_[0, np.cumsum(sizes)]
    named = [np.unique(np.r_[0, rng.integers(0, kind_1[-1], rng.integers(1, 5))]) for _ in range(n_rows)]
    alert = int(rng.integers(n_rows))
    process = int(kind_1[KINDS.index("process")]) if seed % 3 else -1
    named[alert] = np.unique(np.r_[named[alert], max(process, 0)])
    pair_Q1 = np.r_[0, np.cumsum(sizes[KIND_Q])]
    answers = [
        np.sort(rng.choice(n_rows, rng.integers(1, 40), replace=False)) if rng.random() < 0.6 else np.zeros(0, int)
        for _ in range(pair_Q1[-1])
    ]
    attack = seed % 2
    truth = np.r_[attack, 0, attack * (rng.random(N_ANSWERS - 2) < 0.5)]
    return Case(
        episode_id=f"ep-{seed}",
        host="h1",
        vector_ND=rng.normal(size=(n_rows, WIDTH)).astype(np.float16),
        tree_N=rng.integers(0, 7, n_rows).astype(np.int32),
        ts_N=np.sort(rng.integers(0, 60, n_rows)) * 1_000_000_000,
        mention_N1=np.r_[0, np.cumsum([len(each) for each in named])].astype(np.int32),
        mention_M=np.concatenate(named).astype(np.int32),
        kind_1=kind_1.astype(np.int32),
        rarity_E=rng.integers(0, 3, kind_1[-1]).astype(np.uint8),
        pair_Q1=pair_Q1.astype(np.int32),
        answer_P1=np.r_[0, np.cumsum([len(each) for each in answers])].astype(np.int32),
        answer_M=np.concatenate(answers).astype(np.int32),
        alert=alert,
        alert_score=float(rng.normal()),
        alert_process=process,
        truth_K=truth.astype(np.float32),
        evidence_M=np.flatnonzero(rng.random(n_rows) < 0.1 * attack).astype(np.int32),
        technique_M=np.zeros(0, np.int32),
    )


class Listening:
    """Says something else after every row, and remembers what it was told in which order."""

    width, n_answers = WIDTH, N_ANSWERS

    def pool(self, n_lanes: int, most_trees: int) -> _Heard:
        return _Heard(n_lanes)


class _Heard:
    def __init__(self, n_lanes: int) -> None:
        self.heard_BD = np.zeros((n_lanes, WIDTH), np.float32)

    def clear(self, lane_M: Ints) -> None:
        self.heard_BD[lane_M] = 0

    def add(self, lane_M: Ints, tree_M: Ints, vector_MD: Array) -> None:
        for lane, tree, vector in zip(lane_M.tolist(), tree_M.tolist(), vector_MD, strict=True):
            self.heard_BD[lane] = self.heard_BD[lane] * np.float32(0.9) + vector * np.float32(1 + tree % 3)

    def answers(self) -> Array:
        found: Array = 1 / (1 + np.exp(-self.heard_BD[:, :N_ANSWERS]))
        return found

    def foreseen(self, lane_M: Ints, tree_M: Ints, vector_MD: Array) -> Array:
        kept = self.heard_BD.copy()
        self.add(lane_M, tree_M, vector_MD)
        found, self.heard_BD = self.answers(), kept
        return found
