"""GraphSAGE over typed provenance graphs, both ways along every type of edge, with the mean of each type's neighbours.

Hamilton et al. 2017, arXiv:1706.02216, as PyTorch Geometric's HeteroConv of SAGEConv computes it, with less work: what
a node adds of itself is one matrix instead of one a relation, and each relation's matrix is multiplied where fewer rows
are, before its mean is taken or after. Several graphs are one disjoint union. What does not belong here: what is known
of a node, and which part of a graph is looked at (`provenance/sampler.py`).
"""

# P nodes of a kind, E edges of a type, L rows that a relation multiplies, C channels in, G channels out
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rlstir_core.arrays import Array, Floats, Ints
from rlstir_core.provenance.csr import TypedGraph, csr
from rlstir_core.provenance.sampler import Subgraph
from rlstir_core.provenance.tables import EDGE_TYPES, PROC_FILE_RW, PROC_SOCK_CONN

PROCESS, FILE, SOCKET = KINDS = (0, 1, 2)
_END: Final = {PROC_FILE_RW: FILE, PROC_SOCK_CONN: SOCKET}  # what an edge ends at; all begin at a process
Widths = tuple[int, int, int]  # of processes, files, sockets


class Relation(NamedTuple):
    """A type of edge in one of its directions."""

    name: str
    etype: str
    forward: bool
    source: int
    target: int


RELATIONS: Final = tuple(
    relation
    for etype in EDGE_TYPES
    for end in [_END.get(etype, PROCESS)]
    for relation in (
        Relation(etype, etype, True, PROCESS, end),
        Relation(f"{etype}_BACK", etype, False, end, PROCESS),
    )
)


class Edges(NamedTuple):
    """The edges of a graph by type, its nodes numbered by kind."""

    counts: Widths
    of: Mapping[str, tuple[Ints, Ints]]  # sources, targets


def edges_of(graph: TypedGraph | Subgraph) -> Edges:
    """The edges of a whole graph or of a part of one. The nodes of a kind keep their order."""
    number_N = np.empty(len(graph.type_N), np.int64)
    counts = [0, 0, 0]
    for kind in KINDS:
        at_P = np.flatnonzero(graph.type_N == kind)
        number_N[at_P] = np.arange(len(at_P))
        counts[kind] = len(at_P)
    if isinstance(graph, Subgraph):
        index = dict(graph.edge_index)
    else:
        index = dict(zip(graph.etypes, np.split(graph.edge_2E, graph.etype_ends[:-1], axis=1), strict=True))
    return Edges((counts[0], counts[1], counts[2]), {etype: tuple(number_N[at_2E]) for etype, at_2E in index.items()})


class Bag(NamedTuple):
    """A sparse matrix, and its transpose for the way back: rows are weighted sums of rows."""

    at_E: Tensor
    ptr_L1: Tensor
    weight_E: Tensor
    back_at_E: Tensor
    back_ptr_P1: Tensor
    back_weight_E: Tensor


class _Sums(torch.autograd.Function):
    """embedding_bag both ways: its own backward scatters, where the transpose only gathers."""

    @staticmethod
    def forward(ctx: Any, x_PC: Tensor, bag: Bag) -> Tensor:
        ctx.bag = bag
        return _sum_rows(x_PC, bag.at_E, bag.ptr_L1, bag.weight_E)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None]:
        bag: Bag = ctx.bag
        return _sum_rows(grads[0].contiguous(), bag.back_at_E, bag.back_ptr_P1, bag.back_weight_E), None


def sums(x_PC: Tensor, bag: Bag) -> Tensor:
    """(P, C) -> (L, C), in float32."""
    summed: Tensor = _Sums.apply(x_PC.float(), bag)  # type: ignore[no-untyped-call]
    return summed


def _sum_rows(x_PC: Tensor, at_E: Tensor, ptr_L1: Tensor, weight_E: Tensor) -> Tensor:
    if not len(at_E):
        return x_PC.new_zeros(len(ptr_L1) - 1, x_PC.shape[1])
    return functional.embedding_bag(
        at_E, x_PC, ptr_L1, mode="sum", per_sample_weights=weight_E, include_last_offset=True
    )


class Plan(NamedTuple):
    """How one layer goes: rows of each kind are gathered, each relation multiplies its part, all are spread."""

    gathers: tuple[Bag, Bag, Bag]
    n_rows: tuple[tuple[int, ...], ...]  # of the relations that begin at each kind, in their order
    spread: Bag
    kinds: tuple[int, ...]  # of nodes that this layer has something to say of


@dataclass(frozen=True, kw_only=True)
class GraphBatch:
    """Several graphs as one: the processes of the first, of the second, and so on; files and sockets likewise."""

    x: tuple[Tensor, Tensor, Tensor]  # (P, C) of each kind
    whole: Plan
    processes: Plan  # for a last layer of which only processes are asked for

    def to(self, device: torch.device) -> GraphBatch:
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin(self) -> GraphBatch:
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Any) -> GraphBatch:
        def bag(one: Bag) -> Bag:
            return Bag(*(change(each) for each in one))

        def plan(one: Plan) -> Plan:
            gathers = (bag(one.gathers[0]), bag(one.gathers[1]), bag(one.gathers[2]))
            return one._replace(gathers=gathers, spread=bag(one.spread))

        x = (change(self.x[0]), change(self.x[1]), change(self.x[2]))
        return replace(self, x=x, whole=plan(self.whole), processes=plan(self.processes))


def batch_graphs(graphs: Sequence[Edges], features: Sequence[tuple[Array, Array, Array]]) -> GraphBatch:
    """The disjoint union of graphs with the features of their nodes, (P, C) of each kind."""
    union = _union(graphs)
    x = [torch.from_numpy(np.concatenate([each[kind] for each in features])) for kind in KINDS]
    return GraphBatch(x=(x[0], x[1], x[2]), whole=plan_of(union), processes=plan_of(union, (PROCESS,)))


def process_offsets(graphs: Sequence[Edges]) -> Ints:
    """What is added to the number of a process of each graph where they are one batch."""
    return np.cumsum([0, *(graph.counts[PROCESS] for graph in graphs)])[:-1]


def _union(graphs: Sequence[Edges]) -> Edges:
    starts = np.cumsum([[0, 0, 0], *(graph.counts for graph in graphs)], axis=0)
    joined: dict[str, tuple[Ints, Ints]] = {}
    for etype in EDGE_TYPES:
        end, none = _END.get(etype, PROCESS), np.zeros(0, np.int64)
        pairs = [graph.of.get(etype, (none, none)) for graph in graphs]
        sources = [source + start[PROCESS] for (source, _), start in zip(pairs, starts, strict=False)]
        targets = [target + start[end] for (_, target), start in zip(pairs, starts, strict=False)]
        joined[etype] = (np.concatenate([none, *sources]), np.concatenate([none, *targets]))
    return Edges((int(starts[-1][0]), int(starts[-1][1]), int(starts[-1][2])), joined)


def plan_of(edges: Edges, kinds: tuple[int, ...] = KINDS) -> Plan:
    """How a layer goes over these edges that says something of `kinds`."""
    first = np.cumsum([0, *(edges.counts[kind] if kind in kinds else 0 for kind in KINDS)])
    gathers, n_rows, spread, done = [], [], [], 0
    for kind in KINDS:
        rows, sizes, made = [], [], 0
        for relation in RELATIONS:
            if relation.source != kind or relation.target not in kinds:
                continue
            source_E, target_E = edges.of.get(relation.etype, (np.zeros(0, np.int64),) * 2)
            if not relation.forward:
                source_E, target_E = target_E, source_E
            share_E = 1.0 / np.maximum(1, np.bincount(target_E, minlength=edges.counts[relation.target]))[target_E]
            sources_L, of_source_E = np.unique(source_E, return_inverse=True)
            targets_L, of_target_E = np.unique(target_E, return_inverse=True)
            start = first[relation.target]
            if len(targets_L) <= len(sources_L):  # the mean, then the matrix
                n = len(targets_L)
                rows.append((made + of_target_E, source_E, share_E))
                spread.append((start + targets_L, done + made + np.arange(n), np.ones(n)))
            else:
                n = len(sources_L)
                rows.append((made + np.arange(n), sources_L, np.ones(n)))
                spread.append((start + target_E, done + made + of_source_E, share_E))
            sizes.append(n)
            made += n
        gathers.append(_bag(rows, made, edges.counts[kind]))
        n_rows.append(tuple(sizes))
        done += made
    return Plan((gathers[0], gathers[1], gathers[2]), tuple(n_rows), _bag(spread, int(first[-1]), done), kinds)


def _bag(parts: Sequence[tuple[Ints, Ints, Floats]], n_rows: int, n_from: int) -> Bag:
    """Rows, what each takes and with which weight."""
    row_E, from_E, weight_E = (np.concatenate([np.zeros(0), *each]) for each in zip(*parts, strict=True))
    row_E, from_E = row_E.astype(np.int64), from_E.astype(np.int64)
    there = csr(row_E, from_E, np.arange(len(row_E)), n_rows)
    back = csr(from_E, row_E, np.arange(len(row_E)), n_from)
    weight_E = weight_E.astype(np.float32)
    arrays = (there.dst_E, there.ptr_N1, weight_E[there.edge_E], back.dst_E, back.ptr_N1, weight_E[back.edge_E])
    return Bag(*(torch.from_numpy(each) for each in arrays))


class SageLayer(nn.Module):
    """One step along the edges: of every node of `kinds`, itself and the means of its neighbours. -> (P, G) each"""

    def __init__(self, widths: Widths, out: int, kinds: tuple[int, ...] = KINDS) -> None:
        super().__init__()
        self.kinds = kinds
        self.itself = nn.ModuleDict({str(kind): nn.Linear(widths[kind], out) for kind in kinds})
        self.along = nn.ModuleDict(
            {each.name: nn.Linear(widths[each.source], out, bias=False) for each in RELATIONS if each.target in kinds}
        )

    def forward(self, x: Sequence[Tensor], plan: Plan) -> list[Tensor]:
        rows = []
        for kind in KINDS:
            along = [each for each in RELATIONS if each.source == kind and each.name in self.along]
            parts = torch.split(sums(x[kind], plan.gathers[kind]), list(plan.n_rows[kind]))
            rows += [self.along[each.name](part) for each, part in zip(along, parts, strict=True)]
        own = torch.cat([self.itself[str(kind)](x[kind]) for kind in self.kinds])
        said = own + sums(torch.cat(rows), plan.spread)
        return list(torch.split(said, [len(x[kind]) for kind in self.kinds]))


class TypedSage(nn.Module):
    """Two layers. Of `kinds` of nodes the second says something, each of `width` channels."""

    def __init__(self, widths: Widths, width: int, kinds: tuple[int, ...] = (PROCESS,)) -> None:
        super().__init__()
        if kinds not in ((PROCESS,), KINDS):
            raise ValueError("a graph is asked for its processes, or for all its nodes")
        self.first, self.second = SageLayer(widths, width), SageLayer((width,) * 3, width, kinds)

    def forward(self, batch: GraphBatch) -> list[Tensor]:
        """The embeddings of the nodes of `kinds`, (P, G) each."""
        x = [functional.relu(each) for each in self.first(batch.x, batch.whole)]
        said: list[Tensor] = self.second(x, batch.whole if self.second.kinds == KINDS else batch.processes)
        return said
