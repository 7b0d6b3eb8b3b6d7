"""Typed GraphSAGE: the same numbers as PyTorch Geometric's, graphs of a batch apart from one another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rlstir_core.investigator.network.fuse import Fuse
from rlstir_core.investigator.network.sage import (
    KINDS,
    PROCESS,
    RELATIONS,
    Edges,
    SageLayer,
    TypedSage,
    batch_graphs,
    edges_of,
    plan_of,
    process_offsets,
)
from rlstir_core.provenance.csr import from_edges
from rlstir_core.provenance.sampler import sample
from rlstir_core.provenance.tables import EDGE_TYPES

NAMES = ("process", "file", "socket")
WIDTHS = (5, 3, 4)


def made(seed: int, counts: tuple[int, int, int] = (12, 30, 6), n: int = 40) -> Edges:
    """A graph with edges that stand in it twice, and nodes without any."""
    rng = np.random.default_rng(seed)
    ends = {"PROC_FILE_RW": 1, "PROC_SOCK_CONN": 2}
    return Edges(
        counts,
        {
            etype: (rng.integers(0, counts[0] // 2, n), rng.integers(0, counts[ends.get(etype, 0)], n))
            for etype in EDGE_TYPES
        },
    )


def features(graph: Edges, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = [rng.normal(size=(n, width)).astype(np.float32) for n, width in zip(graph.counts, WIDTHS, strict=True)]
    return x[0], x[1], x[2]


def peer_of(layer: SageLayer, widths: tuple[int, int, int], out: int) -> nn.Module:
    """HeteroConv of SAGEConv with weights that are copied to `layer`."""
    from torch_geometric.nn import HeteroConv, SAGEConv

    convs = {
        (NAMES[each.source], each.name, NAMES[each.target]): SAGEConv((widths[each.source], widths[each.target]), out)
        for each in RELATIONS
    }
    with torch.no_grad():
        for own in layer.itself.values():
            nn.init.zeros_(own.weight)
            nn.init.zeros_(own.bias)
        for each in RELATIONS:
            conv, own = convs[NAMES[each.source], each.name, NAMES[each.target]], layer.itself[str(each.target)]
            layer.along[each.name].weight.copy_(conv.lin_l.weight)
            own.weight += conv.lin_r.weight
            own.bias += conv.lin_l.bias
    return HeteroConv(convs)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_two_layers_give_what_hetero_conv_gives_with_the_same_weights_there_and_back() -> None:
    torch.manual_seed(0)
    graph = made(0)
    sage = TypedSage(WIDTHS, 8, KINDS)
    one, two = peer_of(sage.first, WIDTHS, 8), peer_of(sage.second, (8, 8, 8), 8)
    index = {
        (NAMES[each.source], each.name, NAMES[each.target]): torch.from_numpy(
            np.stack(graph.of[each.etype][:: 1 if each.forward else -1])
        )
        for each in RELATIONS
    }
    x = features(graph)
    theirs = {name: torch.from_numpy(each).clone().requires_grad_() for name, each in zip(NAMES, x, strict=True)}
    said = two({name: each.relu() for name, each in one(theirs, index).items()}, index)
    batch = batch_graphs([graph], [x])
    for each in batch.x:
        each.requires_grad_()
    ours = sage(batch)
    for kind, name in enumerate(NAMES):
        assert torch.allclose(ours[kind], said[name], atol=1e-5)
    sum((each.square() * (1 + k)).sum() for k, each in enumerate(ours)).backward()
    sum((said[name].square() * (1 + k)).sum() for k, name in enumerate(NAMES)).backward()
    for kind, name in enumerate(NAMES):
        grad, theirs_grad = batch.x[kind].grad, theirs[name].grad
        assert grad is not None and theirs_grad is not None and torch.allclose(grad, theirs_grad, atol=1e-4)
    for each in RELATIONS:
        key = (NAMES[each.source], each.name, NAMES[each.target])
        assert torch.allclose(sage.first.along[each.name].weight.grad, one.convs[key].lin_l.weight.grad, atol=1e-4)


def test_graphs_of_a_batch_do_not_see_one_another_and_one_may_be_empty() -> None:
    torch.manual_seed(0)
    graphs = [made(0), made(1, (0, 0, 0), 0), made(2, (9, 4, 3))]
    sage = TypedSage(WIDTHS, 8)
    together = sage(batch_graphs(graphs, [features(each) for each in graphs]))[0]
    starts = process_offsets(graphs)
    assert starts.tolist() == [0, 12, 12]
    for graph, start in zip(graphs, starts, strict=True):
        alone = sage(batch_graphs([graph], [features(graph)]))[0]
        assert torch.allclose(together[start : start + graph.counts[PROCESS]], alone, atol=1e-6)


def test_a_layer_that_is_asked_for_processes_alone_says_the_same_of_them() -> None:
    torch.manual_seed(0)
    graph = made(3)
    all_kinds, few = SageLayer(WIDTHS, 8), SageLayer(WIDTHS, 8, (PROCESS,))
    few.load_state_dict({name: all_kinds.state_dict()[name] for name in few.state_dict()})
    x = batch_graphs([graph], [features(graph)]).x
    assert len(few(x, plan_of(graph, (PROCESS,)))) == 1
    assert torch.allclose(few(x, plan_of(graph, (PROCESS,)))[0], all_kinds(x, plan_of(graph))[0], atol=1e-6)


def test_a_graph_and_the_part_of_it_that_is_all_of_it_have_the_same_edges() -> None:
    rng = np.random.default_rng(0)
    some = {etype: (rng.integers(0, 3, 5), rng.integers(0, 3, 5), np.arange(5)) for etype in EDGE_TYPES}
    some["PROC_FILE_RW"] = (some["PROC_FILE_RW"][0], some["PROC_FILE_RW"][1] + 3, np.arange(5))
    some["PROC_SOCK_CONN"] = (some["PROC_SOCK_CONN"][0], some["PROC_SOCK_CONN"][1] + 6, np.arange(5))
    graph = from_edges(some, (3, 6, 9))
    whole, part = edges_of(graph), edges_of(sample(graph, np.arange(9), 0, rng))
    assert whole.counts == part.counts == (3, 3, 3)
    for etype in EDGE_TYPES:
        assert sorted(zip(*whole.of[etype], strict=True)) == sorted(zip(*part.of[etype], strict=True))


def test_a_row_without_a_process_is_joined_with_zeros() -> None:
    torch.manual_seed(0)
    fuse = Fuse(4, 3, 5)
    x, nodes = torch.randn(2, 4), torch.randn(2, 3)
    said = fuse(x, nodes, torch.tensor([1, -1]))
    assert said.shape == (2, 5)
    assert torch.equal(said[1], fuse(x, torch.zeros(2, 3), torch.tensor([1, 0]))[1])
    assert not torch.allclose(said[0], fuse(x, torch.zeros(2, 3), torch.tensor([1, 0]))[0])
