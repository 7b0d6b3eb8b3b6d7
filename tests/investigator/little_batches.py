"""Batches of random rows with a random graph, and views of a few rows, made without a store."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import torch

from rlstir_core.arrays import Ints
from rlstir_core.investigator.network.encoder import InputWidths
from rlstir_core.investigator.network.packing import sequences
from rlstir_core.investigator.network.sage import Edges, batch_graphs
from rlstir_core.investigator.reading.batches import Batch
from rlstir_core.investigator.reading.shown import Shown, shown
from rlstir_core.investigator.reading.surroundings import FILE_KINDS, SOCKET_KINDS, Surroundings
from rlstir_core.investigator.reading.view import FEATURES, LogView
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


class Words:
    """A tokenizer that learnt nothing: a piece for every word."""

    size = 200

    def rows(self, texts: Sequence[str], most: int) -> list[list[int]]:
        return [[2, *(3 + crc32(word.encode()) % (self.size - 3) for word in text.split())][:most] for text in texts]


def little_view(
    rows: Sequence[tuple[str, int]], processes: Sequence[tuple[str, int]] = (), kinds: Sequence[int] | None = None
) -> LogView:
    """Rows of (text, process) and processes of (text, parent); the event before is that of the same process."""
    texts = list(dict.fromkeys([text for text, _ in [*rows, *processes]]))
    place = {text: at for at, text in enumerate(texts)}
    process_N = np.array([process for _, process in rows], np.int32)
    parent_P = np.array([parent for _, parent in processes], np.int32)
    before = [max((k for k in range(n) if process_N[k] == process_N[n] >= 0), default=-1) for n in range(len(rows))]
    child_E = np.flatnonzero(parent_P >= 0)
    none = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    edges: dict[str, tuple[Ints, Ints]] = dict.fromkeys(EDGE_TYPES, none)
    edges["PROC_CHILD"] = (parent_P[child_E].astype(np.int64), child_E)
    return LogView(
        texts=texts,
        text_N=np.array([place[text] for text, _ in rows], np.int32),
        kind_N=np.zeros(len(rows), np.int32) if kinds is None else np.array(kinds, np.int32),
        process_N=process_N,
        before_N=np.array(before, np.int32),
        text_P=np.array([place[text] for text, _ in processes], np.int32),
        parent_P=parent_P,
        around=Surroundings(
            edges=Edges((len(processes), 0, 0), edges),
            file_FC=np.zeros((0, len(FILE_KINDS)), np.float32),
            socket_SC=np.zeros((0, len(SOCKET_KINDS)), np.float32),
        ),
        members=["logs/auth.log"],
        member_N=np.zeros(len(rows), np.int32),
        seq_N=np.arange(len(rows)),
        ts_N=np.arange(len(rows)),
        features_NF=np.zeros((len(rows), len(FEATURES)), np.float32),
    )


def little_shown(view: LogView, prior: float = 0.0) -> Shown:
    """All rows of a view as a model takes them."""
    return shown(view, Words(), 12, np.full(TECHNIQUES, prior, np.float32))  # type: ignore[arg-type]
