"""A graph as arrays: compressed rows of neighbours, both ways and by type, for samplers and models.

What does not belong here: what nodes and edges mean (`tables.py`), and which part of a graph is taken (`sampler.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Ints
from rlstir_core.provenance.tables import EDGE_TYPES, NODE_TABLES, Graph

# N nodes (or rows), E edges, M neighbours gathered


class Csr(NamedTuple):
    """Neighbours of each node: `dst_E[ptr_N1[i]:ptr_N1[i + 1]]`, and the edge that leads to each, a row of `edges`."""

    ptr_N1: Ints  # (N + 1,)
    degree_N: Ints
    dst_E: Ints
    edge_E: Ints


class TypedGraph(NamedTuple):
    """One graph. Ids count processes, then files, then sockets; `type_ends` holds where each kind ends."""

    n_nodes: int
    type_ends: tuple[int, ...]
    type_N: NDArray[np.int8]  # 0 process, 1 file, 2 socket
    etypes: tuple[str, ...]
    edge_2E: Ints  # all edges, type after type: sources, destinations
    edge_id_E: Ints  # and their numbers
    etype_ends: Ints  # where each type of them ends
    forward: Csr  # from source to destination; the row of a node's edges of type t is t * n_nodes + node
    backward: Csr  # the same from destination to source
    either: Csr  # all types, both ways, a row per node


def typed_graph(graph: Graph) -> TypedGraph:
    """The arrays of a graph's four tables."""
    ends = np.cumsum([len(graph[name]) for name in NODE_TABLES])
    edges = graph["edges"]
    words = edges["etype"].combine_chunks()
    names = words.dictionary.to_pylist()
    code_E = words.indices.to_numpy()
    src_E, dst_E = edges["src_id"].to_numpy(), edges["dst_id"].to_numpy()
    by_type = {
        etype: np.flatnonzero(code_E == names.index(etype)) if etype in names else np.zeros(0, np.int64)
        for etype in EDGE_TYPES
    }
    return from_edges(
        {etype: (src_E[at_E], dst_E[at_E], at_E) for etype, at_E in by_type.items()},
        tuple(int(end) for end in ends),
    )


def from_edges(edges: Mapping[str, tuple[Ints, Ints, Ints]], type_ends: tuple[int, ...]) -> TypedGraph:
    """The arrays of edges by type: sources, destinations, and the number of each edge, all (E,)."""
    n = type_ends[-1] if type_ends else 0
    src_E, dst_E, at_E = (np.concatenate([each[part] for each in edges.values()]) for part in range(3))
    row_E = np.repeat(np.arange(len(edges)) * n, [len(each[0]) for each in edges.values()])
    return TypedGraph(
        n_nodes=n,
        type_ends=type_ends,
        type_N=np.searchsorted(type_ends, np.arange(n), side="right").astype(np.int8),
        etypes=tuple(edges),
        edge_2E=np.stack([src_E, dst_E]).astype(np.int64),
        edge_id_E=at_E.astype(np.int64),
        etype_ends=np.cumsum([len(each[0]) for each in edges.values()]),
        forward=csr(row_E + src_E, dst_E, at_E, n * len(edges)),
        backward=csr(row_E + dst_E, src_E, at_E, n * len(edges)),
        either=csr(np.concatenate([src_E, dst_E]), np.concatenate([dst_E, src_E]), np.concatenate([at_E, at_E]), n),
    )


def csr(row_E: Ints, dst_E: Ints, at_E: Ints, n_rows: int) -> Csr:
    """Compressed rows; the edges of a row stay in their order."""
    order_E = np.argsort(row_E, kind="stable")
    ptr_N1 = np.zeros(n_rows + 1, np.int64)
    degree_N = np.bincount(row_E, minlength=n_rows)
    np.cumsum(degree_N, out=ptr_N1[1:])
    return Csr(ptr_N1, degree_N, dst_E[order_E].astype(np.int64), at_E[order_E].astype(np.int64))


def gather(of: Csr, row_N: Ints) -> tuple[Ints, Ints]:
    """Where the edges of some rows lie, and how many each has. (N,) -> (M,), (N,)"""
    n_N = of.degree_N[row_N]
    ends_N = n_N.cumsum()
    place_M = (of.ptr_N1[row_N] - ends_N + n_N).repeat(n_N)
    place_M += np.arange(len(place_M))
    return place_M, n_N
