"""The part of a graph around a frontier: all nodes within k hops, at most so many, with the edges among them.

Whole hops are taken while they fit; of the hop that does not, a random part, since any fixed order would leak where
the log put things. What does not belong here: which nodes make a good frontier, and the model (`investigator/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Ints
from rlstir_core.provenance.csr import TypedGraph, gather

if TYPE_CHECKING:
    import torch

# N nodes of the subgraph, E edges (of one type where types are told apart), M edges gathered, K of them kept

MAX_NODES = 5000
_FEW = 16  # edges of the graph for each node of the subgraph


class Subgraph(NamedTuple):
    """Nodes in the order of hops, the frontier first; edges by type, in the numbering of the nodes here."""

    node_N: Ints  # ids in the graph
    hop_N: NDArray[np.int8]
    type_N: NDArray[np.int8]  # 0 process, 1 file, 2 socket
    edge_index: Mapping[str, NDArray[np.int64]]  # (2, E): source, destination
    edge_id: Mapping[str, Ints]  # (E,): rows of the table of edges
    whole: bool  # nothing was left out for want of room

    def tensors(self) -> dict[str, torch.Tensor]:
        """The arrays as tensors that share their memory: `node_N`, `type_N`, `hop_N`, `edge_index/<type>` (2, E)."""
        import torch

        found = {name: torch.from_numpy(getattr(self, name)) for name in ("node_N", "hop_N", "type_N")}
        return found | {f"edge_index/{etype}": torch.from_numpy(each) for etype, each in self.edge_index.items()}


def sample(
    graph: TypedGraph, frontier: Ints, hops: int, rng: np.random.Generator, max_nodes: int = MAX_NODES
) -> Subgraph:
    """The subgraph within `hops` of `frontier` (ids, repeats allowed), at most `max_nodes` nodes of it."""
    place = np.zeros(graph.n_nodes, np.int64)  # 1 + a node's number in the subgraph; 0 outside
    now = np.asarray(frontier, np.int64)
    if len(now) and not 0 <= now.min() <= now.max() < graph.n_nodes:
        raise IndexError(f"the frontier names nodes outside 0 … {graph.n_nodes - 1}")
    taken: list[Ints] = []
    n = 0
    for hop in range(hops + 1):
        if hop:
            reached_M = graph.either.dst_E[gather(graph.either, now)[0]]
            now = reached_M[place[reached_M] == 0]
        now = _distinct(now, place)
        whole = len(now) <= max_nodes - n
        if not whole:
            place[now] = 0
            now = rng.choice(now, max_nodes - n, replace=False)
        place[now] = np.arange(n + 1, n + 1 + len(now))
        taken.append(now)
        n += len(now)
        if not whole or not len(now):
            break
    node_N = np.concatenate(taken)
    hop_N = np.empty(n, np.int8)
    end = n
    for hop in range(len(taken) - 1, -1, -1):
        hop_N[:end] = hop
        end -= len(taken[hop])
    index_2E, id_E, ends = _inside(graph, node_N, place)
    slices = {
        etype: slice(*span) for etype, span in zip(graph.etypes, zip([0, *ends], ends, strict=False), strict=True)
    }
    return Subgraph(
        node_N=node_N,
        hop_N=hop_N,
        type_N=graph.type_N[node_N],
        edge_index={etype: index_2E[:, each] for etype, each in slices.items()},
        edge_id={etype: id_E[each] for etype, each in slices.items()},
        whole=whole,
    )


def _distinct(node_M: Ints, place: Ints) -> Ints:
    """Each node once: the mention that wrote last stands for all. Leaves marks at their places."""
    at_M = np.arange(1, len(node_M) + 1)
    place[node_M] = at_M
    once: Ints = node_M[place[node_M] == at_M]
    return once


def _inside(graph: TypedGraph, node_N: Ints, place: Ints) -> tuple[NDArray[np.int64], Ints, list[int]]:
    """The edges between nodes of the subgraph, type after type, and where each type ends. (2, E), (E,)"""
    if len(graph.edge_id_E) <= _FEW * len(node_N):  # looking at all edges is cheaper than finding some
        to_2E = place[graph.edge_2E]
        kept_K = (to_2E[0] * to_2E[1]).nonzero()[0]
        ends: list[int] = kept_K.searchsorted(graph.etype_ends).tolist()
        return to_2E[:, kept_K] - 1, graph.edge_id_E[kept_K], ends
    n, n_types = len(node_N), len(graph.etypes)
    row_N = (np.arange(n_types)[:, None] * graph.n_nodes + node_N).ravel()
    at_M, n_N = gather(graph.forward, row_N)
    to_M = place[graph.forward.dst_E[at_M]]
    kept_K = to_M.nonzero()[0]
    ends = kept_K.searchsorted(n_N.reshape(n_types, n).sum(axis=1).cumsum()).tolist()
    from_M = np.tile(np.arange(n), n_types).repeat(n_N)
    return np.stack([from_M[kept_K], to_M[kept_K] - 1]), graph.forward.edge_E[at_M[kept_K]], ends
