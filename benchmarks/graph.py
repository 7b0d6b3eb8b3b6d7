"""Subgraphs around a frontier: our sampler against `torch_geometric.utils.k_hop_subgraph`.

One run, CPU time, median of interleaved rounds; both must give the same nodes and the same edges of every type.
Usage: python benchmarks/graph.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np
import torch
from torch_geometric.utils import k_hop_subgraph

from rlstir_core.provenance.csr import TypedGraph, from_edges
from rlstir_core.provenance.sampler import Subgraph, sample
from rlstir_core.provenance.tables import EDGE_TYPES

BAR = 3.0
SIZES = {"an episode": (1_000, 1_400), "an hour": (20_000, 28_000), "a busy hour": (20_000, 80_000)}  # nodes, edges
HOPS = 2

Edges = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]


def make_edges(n_nodes: int, n_edges: int, seed: int = 7) -> tuple[Edges, tuple[int, ...]]:
    """Edges as in logs: few busy processes, many files that are touched once."""
    rng = np.random.default_rng(seed)
    n_procs, n_files = n_nodes // 5, n_nodes * 7 // 10
    ends = (n_procs, n_procs + n_files, n_nodes)
    starts = {"PROC_CHILD": 0, "PROC_FILE_RW": n_procs, "PROC_SOCK_CONN": ends[1], "PROC_PROC_ACCESS": 0}
    stops = {"PROC_CHILD": n_procs, "PROC_FILE_RW": ends[1], "PROC_SOCK_CONN": n_nodes, "PROC_PROC_ACCESS": n_procs}
    share = {"PROC_CHILD": 0.05, "PROC_FILE_RW": 0.7, "PROC_SOCK_CONN": 0.1, "PROC_PROC_ACCESS": 0.15}
    edges: Edges = {}
    first = 0
    for etype in EDGE_TYPES:
        n = int(n_edges * share[etype])
        src = (n_procs * rng.random(n) ** 2).astype(np.int64)
        edges[etype] = (src, rng.integers(starts[etype], stops[etype], n), np.arange(first, first + n))
        first += n
    return edges, ends


class Peer:
    """The library's function on all edges, both ways, and the types of what it gives."""

    def __init__(self, edges: Edges, n_nodes: int) -> None:
        src, dst = (np.concatenate([each[part] for each in edges.values()]) for part in range(2))
        code = np.concatenate([np.full(len(each[0]), i) for i, each in enumerate(edges.values())])
        self.n_nodes, self.n_edges = n_nodes, len(src)
        self.both = torch.from_numpy(np.stack([np.concatenate([src, dst]), np.concatenate([dst, src])]))
        self.code = torch.from_numpy(np.concatenate([code, code + len(edges)]))

    def __call__(self, frontier: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        node, index, _, mask = k_hop_subgraph(frontier, HOPS, self.both, relabel_nodes=True, num_nodes=self.n_nodes)
        code = self.code[mask]
        return node, {etype: index[:, code == i] for i, etype in enumerate(EDGE_TYPES)}


def same(ours: Subgraph, theirs: tuple[torch.Tensor, dict[str, torch.Tensor]]) -> bool:
    """Whether both hold the same nodes and edges."""
    node, index = theirs[0].numpy(), theirs[1]
    if not np.array_equal(np.sort(ours.node_N), node):
        return False
    for etype, mine in ours.edge_index.items():
        one = ours.node_N[mine]
        two = node[index[etype].numpy()]
        if not np.array_equal(one[:, np.lexsort(one)], two[:, np.lexsort(two)]):
            return False
    return True


def measure(name: str, graph: TypedGraph, peer: Peer, repeats: int) -> dict[str, Any]:
    """CPU time of one subgraph, ours and the peer's, on the same frontiers."""
    rng = np.random.default_rng(1)
    frontiers = [rng.integers(0, graph.type_ends[0], 8) for _ in range(repeats)]
    tensors = [torch.from_numpy(each) for each in frontiers]
    equal = all(
        same(sample(graph, each, HOPS, rng, graph.n_nodes), peer(tensor))
        for each, tensor in zip(frontiers[:20], tensors[:20], strict=True)
    )
    times: dict[str, list[float]] = {"ours": [], "k_hop_subgraph": []}
    for _ in range(7):
        start = time.process_time()
        for each in frontiers:
            sample(graph, each, HOPS, rng, graph.n_nodes)
        middle = time.process_time()
        for tensor in tensors:
            peer(tensor)
        times["ours"].append((middle - start) / repeats)
        times["k_hop_subgraph"].append((time.process_time() - middle) / repeats)
    medians = {key: statistics.median(values) for key, values in times.items()}
    sizes = [len(sample(graph, each, HOPS, rng, graph.n_nodes).node_N) for each in frontiers]
    return {
        "graph": name,
        "nodes": graph.n_nodes,
        "edges": peer.n_edges,
        "median_subgraph_nodes": int(statistics.median(sizes)),
        "cpu_us": {key: round(value * 1e6, 1) for key, value in medians.items()},
        "speedup": round(medians["k_hop_subgraph"] / medians["ours"], 2),
        "equal": equal,
    }


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the result as JSON and gives it."""
    parser = argparse.ArgumentParser(description="subgraphs: ours and torch_geometric's k_hop_subgraph")
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    found = []
    for name, (n_nodes, n_edges) in SIZES.items():
        edges, ends = make_edges(n_nodes, n_edges)
        found.append(measure(name, from_edges(edges, ends), Peer(edges, n_nodes), 20 if args.quick else 100))
    result = {
        "benchmark": "graph",
        "hops": HOPS,
        "subgraphs": found,
        "bars": {"speedup": BAR},
        "passed": all(each["speedup"] >= BAR and each["equal"] for each in found),
    }
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
