"""Subgraphs around a frontier: equal to a plain search and to torch_geometric's, bounded, and fair about ties."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlstir_core.provenance import sampler
from rlstir_core.provenance.csr import TypedGraph, from_edges
from rlstir_core.provenance.sampler import Subgraph, sample
from rlstir_core.provenance.tables import EDGE_TYPES

Edges = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]


def random_graph(n_nodes: int, n_edges: int, seed: int) -> tuple[Edges, TypedGraph]:
    rng = np.random.default_rng(seed)
    at_E = np.arange(n_edges)
    code_E = rng.integers(0, len(EDGE_TYPES), n_edges)
    src_E, dst_E = rng.integers(0, n_nodes, (2, n_edges))
    edges = {etype: (src_E[code_E == i], dst_E[code_E == i], at_E[code_E == i]) for i, etype in enumerate(EDGE_TYPES)}
    return edges, from_edges(edges, (n_nodes // 2, n_nodes // 2 + n_nodes // 4, n_nodes))


def search(edges: Edges, frontier: list[int], hops: int) -> dict[int, int]:
    """The hop of every node reached, by the book."""
    near: dict[int, set[int]] = {}
    for src_E, dst_E, _ in edges.values():
        for one, other in zip(src_E.tolist(), dst_E.tolist(), strict=True):
            near.setdefault(one, set()).add(other)
            near.setdefault(other, set()).add(one)
    found, now = dict.fromkeys(frontier, 0), set(frontier)
    for hop in range(1, hops + 1):
        now = {other for each in now for other in near.get(each, ())} - found.keys()
        found |= dict.fromkeys(now, hop)
    return found


def edge_set(part: Subgraph) -> dict[str, list[tuple[int, int, int]]]:
    return {
        etype: sorted(zip(*part.node_N[index].tolist(), part.edge_id[etype].tolist(), strict=True))
        for etype, index in part.edge_index.items()
    }


@pytest.fixture(params=["few edges", "many edges"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to find the edges of a subgraph."""
    monkeypatch.setattr(sampler, "_FEW", 10**9 if request.param == "few edges" else 0)


@pytest.mark.usefixtures("either_way")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(2, 60), st.integers(0, 120), st.integers(0, 3), st.integers(0, 10**6), st.data())
def test_it_is_what_a_plain_search_finds(n_nodes: int, n_edges: int, hops: int, seed: int, data: st.DataObject) -> None:
    edges, graph = random_graph(n_nodes, n_edges, seed)
    frontier = data.draw(st.lists(st.integers(0, n_nodes - 1), max_size=5))
    part = sample(graph, np.array(frontier, np.int64), hops, np.random.default_rng(0))
    hop_of = search(edges, frontier, hops)
    assert dict(zip(part.node_N.tolist(), part.hop_N.tolist(), strict=True)) == hop_of and part.whole
    assert np.all(np.diff(part.hop_N) >= 0)
    assert edge_set(part) == {
        etype: sorted(each for each in zip(*map(np.ndarray.tolist, of), strict=True) if {*each[:2]} <= hop_of.keys())
        for etype, of in edges.items()
    }


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(("n_nodes", "n_edges"), [(300, 500), (5000, 6000), (20_000, 30_000)])
def test_it_is_what_torch_geometric_finds(n_nodes: int, n_edges: int) -> None:
    with warnings.catch_warnings():  # the library uses what torch deprecates
        warnings.simplefilter("ignore")
        from torch_geometric.utils import k_hop_subgraph
    edges, graph = random_graph(n_nodes, n_edges, 3)
    frontier = np.array([1, 7, 7, n_nodes - 1])
    part = sample(graph, frontier, 2, np.random.default_rng(0), n_nodes)
    src, dst = (np.concatenate([each[at] for each in edges.values()]) for at in range(2))
    both = torch.from_numpy(np.stack([np.concatenate([src, dst]), np.concatenate([dst, src])]))
    node, index, _, _ = k_hop_subgraph(
        torch.from_numpy(np.unique(frontier)), 2, both, relabel_nodes=True, num_nodes=n_nodes
    )
    assert np.array_equal(np.sort(part.node_N), node.numpy())
    theirs = sorted(map(tuple, node[index].T.tolist()))
    ours = [(one, other) for each in edge_set(part).values() for one, other, _ in each]
    assert sorted(ours + [(other, one) for one, other in ours]) == theirs


def star(n: int) -> TypedGraph:
    leaves = np.arange(1, n)
    empty = np.zeros(0, np.int64)
    edges = dict.fromkeys(EDGE_TYPES, (empty, empty, empty))
    return from_edges(edges | {"PROC_FILE_RW": (np.zeros(n - 1, np.int64), leaves, leaves)}, (1, n, n))


def test_what_does_not_fit_is_left_out_at_random() -> None:
    rng = np.random.default_rng(5)
    seen = np.zeros(101)
    for _ in range(2000):
        part = sample(star(101), np.array([0]), 3, rng, max_nodes=11)
        assert len(part.node_N) == 11 and part.node_N[0] == 0 and not part.whole
        assert part.edge_index["PROC_FILE_RW"].shape == (2, 10)
        seen[part.node_N] += 1
    assert seen[0] == 2000 and seen[1:].min() > 140 and seen[1:].max() < 265  # 200 expected, 4.5 sigma


def test_the_same_generator_gives_the_same_part() -> None:
    one, two = (sample(star(101), np.array([0]), 1, np.random.default_rng(9), 20) for _ in range(2))
    assert np.array_equal(one.node_N, two.node_N)


def test_a_frontier_that_is_too_large_is_cut_too() -> None:
    part = sample(star(101), np.arange(101), 1, np.random.default_rng(0), 7)
    assert len(np.unique(part.node_N)) == 7 and not part.whole and not part.hop_N.any()


def test_a_node_outside_the_graph_is_refused() -> None:
    for frontier in ([-1], [101]):
        with pytest.raises(IndexError, match="outside"):
            sample(star(101), np.array(frontier), 1, np.random.default_rng(0))


def test_tensors_have_the_types_that_models_want() -> None:
    found = sample(star(10), np.array([0]), 1, np.random.default_rng(0)).tensors()
    assert found["node_N"].dtype == torch.int64 and found["edge_index/PROC_FILE_RW"].dtype == torch.int64
    assert found["type_N"].tolist() == [0] + [1] * 9 and found["edge_index/PROC_CHILD"].shape == (2, 0)
