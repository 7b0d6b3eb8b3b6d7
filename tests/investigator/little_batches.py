"""Batches of random rows with a random graph, made without a store."""

from __future__ import annotations

import numpy as np
import torch

from rlstir_core.investigator.network.encoder import InputWidths
from rlstir_core.investigator.network.packing import sequences
from rlstir_core.investigator.network.sage import Edges, batch_graphs
from rlstir_core.investigator.reading.batches import Batch
from rlstir_core.provenance.tables import EDGE_TYPES

WIDTHS = InputWidths(row=9, nodes=(3, 5, 4))
TECHNIQUES = 80


def little_batch(episodes: int, rows: int, pieces: int, longest: int, nodes: int) -> Batch:
    """Episodes of so many rows, each a text of its own, over one graph of so many nodes, a third of them processes."""
    rng = np.random.default_rng(0)
    n_X = episodes * rows
    lengths = np.sort(rng.integers(max(1, longest // 4), longest + 1, n_X)).tolist()
    counts = (nodes // 3, nodes // 3, nodes - 2 * (nodes // 3))
    ends = {"PROC_FILE_RW": 1, "PROC_SOCK_CONN": 2}
    of = {
        etype: (rng.integers(0, counts[0], nodes // 3), rng.integers(0, counts[ends.get(etype, 0)], nodes // 3))
        for etype in EDGE_TYPES
    }
    x = [rng.normal(size=(n, width)).astype(np.float32) for n, width in zip(counts, WIDTHS.nodes, strict=True)]
    return Batch(
        tokens_N=torch.from_numpy(rng.integers(3, pieces, sum(lengths))),
        texts=sequences(lengths),
        text_X=torch.from_numpy(rng.permutation(n_X)),
        text_P=torch.from_numpy(rng.integers(0, n_X, counts[0])),
        episodes=sequences([rows] * episodes),
        aux_XA=torch.from_numpy(rng.normal(size=(n_X, WIDTHS.row)).astype(np.float32)),
        look_X=torch.from_numpy(rng.normal(size=n_X).astype(np.float32)),
        process_X=torch.from_numpy(rng.integers(-1, counts[0], n_X)),
        graph=batch_graphs([Edges(counts, of)], [(x[0], x[1], x[2])]),
        prior_EK=torch.zeros(episodes, TECHNIQUES),
    )
