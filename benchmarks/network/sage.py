"""Typed GraphSAGE: ours against PyTorch Geometric's HeteroConv of SAGEConv, forward and backward.

One run, CPU time, median of interleaved rounds, the same weights; both must give the same numbers for all nodes.
How long our arrays take is shown beside it: they are made once a graph.
Usage: python -m benchmarks.network.sage [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.graph import make_edges
from rlstir_core.investigator.network.sage import (
    KINDS,
    RELATIONS,
    SageLayer,
    TypedSage,
    Widths,
    batch_graphs,
    edges_of,
)
from rlstir_core.provenance.csr import from_edges

BAR, BAR_EQUAL = 1.5, 1e-5
_NAMES = ("process", "file", "socket")
_IN, _HIDDEN = 64, 256
_SIZES = {"an episode": (1_000, 1_400), "the sampler's most": (5_000, 7_000), "busy": (5_000, 20_000)}  # nodes, edges
_JUDGED = "the sampler's most"


def peer_of(layer: SageLayer, widths: Widths, out: int) -> torch.nn.Module:
    """HeteroConv with weights that are copied to `layer`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_geometric.nn import HeteroConv, SAGEConv
    convs = {
        (_NAMES[each.source], each.name, _NAMES[each.target]): SAGEConv((widths[each.source], widths[each.target]), out)
        for each in RELATIONS
    }
    with torch.no_grad():
        for own in layer.itself.values():
            own.weight.zero_()
            own.bias.zero_()
        for each in RELATIONS:
            conv, own = convs[_NAMES[each.source], each.name, _NAMES[each.target]], layer.itself[str(each.target)]
            layer.along[each.name].weight.copy_(conv.lin_l.weight)
            own.weight += conv.lin_r.weight
            own.bias += conv.lin_l.bias
    return HeteroConv(convs)


def _cpu(once: Callable[[], list[torch.Tensor]]) -> float:
    start = time.process_time()
    torch.stack([said.square().sum() for said in once()]).sum().backward()
    return time.process_time() - start


def measure(name: str, n_nodes: int, n_edges: int, rounds: int) -> dict[str, Any]:
    """CPU time of forward and backward, ours and the peer's, on one graph."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    graph = from_edges(*make_edges(n_nodes, n_edges))
    edges = edges_of(graph)
    x = [rng.normal(size=(n, _IN)).astype(np.float32) for n in edges.counts]
    start = time.process_time()
    batch = batch_graphs([edges_of(graph)], [(x[0], x[1], x[2])])
    plan_s = time.process_time() - start
    sage = TypedSage((_IN,) * 3, _HIDDEN, KINDS)
    one, two = peer_of(sage.first, (_IN,) * 3, _HIDDEN), peer_of(sage.second, (_HIDDEN,) * 3, _HIDDEN)
    index = {
        (_NAMES[each.source], each.name, _NAMES[each.target]): torch.from_numpy(
            np.stack(edges.of[each.etype][:: 1 if each.forward else -1])
        )
        for each in RELATIONS
    }
    features = dict(zip(_NAMES, batch.x, strict=True))

    def ours() -> list[torch.Tensor]:
        return sage(batch)

    def peer() -> list[torch.Tensor]:
        said = two({kind: each.relu() for kind, each in one(features, index).items()}, index)
        return [said[kind] for kind in _NAMES]

    with torch.no_grad():
        apart = max(float((a - b).abs().max()) for a, b in zip(ours(), peer(), strict=True))
    times: dict[str, list[float]] = {"ours": [], "HeteroConv": []}
    for _ in range(rounds):
        times["ours"].append(_cpu(ours))
        times["HeteroConv"].append(_cpu(peer))
    medians = {key: statistics.median(values[1:]) for key, values in times.items()}
    return {
        "graph": name,
        "nodes": n_nodes,
        "edges": n_edges,
        "cpu_ms": {key: round(value * 1e3, 2) for key, value in medians.items()},
        "arrays_ms": round(plan_s * 1e3, 2),
        "speedup": round(medians["HeteroConv"] / medians["ours"], 2),
        "max_abs_difference": apart,
    }


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the result as JSON and gives it."""
    parser = argparse.ArgumentParser(description="typed GraphSAGE: ours and torch_geometric's HeteroConv")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    found = [measure(name, *size, 6 if args.quick else 21) for name, size in _SIZES.items()]
    result = {
        "benchmark": "sage",
        "width_in": _IN,
        "hidden": _HIDDEN,
        "graphs": found,
        "bars": {"speedup": BAR, "max_abs_difference": BAR_EQUAL, "judged_on": _JUDGED},
        "passed": all(each["max_abs_difference"] <= BAR_EQUAL for each in found)
        and all(each["speedup"] >= BAR for each in found if each["graph"] == _JUDGED),
    }
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
