"""What a network takes: parameters to the byte, kept activations as autograd counts them, presets that can be built."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from rlstir_core.investigator.inputs import N_OUTPUTS
from rlstir_core.investigator.network.encoder import LogEncoder
from rlstir_core.investigator.network.heads import Investigating
from rlstir_core.investigator.network.sage import Edges, batch_graphs
from rlstir_core.investigator.network.sizes import flops, memory
from rlstir_core.investigator.reading.batches import Batch, collate, packed
from rlstir_core.learning.presets import Investigator, preset
from rlstir_core.provenance.tables import EDGE_TYPES

NODES = (24, 16, 12)  # widths of what is known of nodes


def batch_of(episodes: int, rows: int, pieces: int, longest: int) -> Batch:
    rng = np.random.default_rng(0)
    made = [
        packed([[2, *rng.integers(3, pieces, rng.integers(longest // 4, longest))] for _ in range(rows)])
        for _ in range(episodes)
    ]
    return collate(made, np.zeros((episodes, N_OUTPUTS)))


def with_graph(batch: Batch, nodes: int) -> Batch:
    """The batch with a graph of so many nodes, a third of them processes."""
    rng = np.random.default_rng(0)
    counts = (nodes // 3, nodes // 3, nodes - 2 * (nodes // 3))
    ends = {"PROC_FILE_RW": 1, "PROC_SOCK_CONN": 2}
    of = {
        etype: (rng.integers(0, counts[0], nodes // 3), rng.integers(0, counts[ends.get(etype, 0)], nodes // 3))
        for etype in EDGE_TYPES
    }
    x = [rng.normal(size=(n, width)).astype(np.float32) for n, width in zip(counts, NODES, strict=True)]
    node_X = torch.from_numpy(rng.integers(-1, counts[0], batch.episodes.n_tokens))
    return replace(batch, graph=batch_graphs([Edges(counts, of)], [(x[0], x[1], x[2])]), node_X=node_X)


def kept(network: torch.nn.Module, *inputs: Any) -> int:
    """Bytes that autograd keeps, parameters apart."""
    own = {each.untyped_storage().data_ptr() for each in network.parameters()}
    seen: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        said = network(*inputs)
        total = sum(seen.values())
    assert said.requires_grad  # and is held until here, so that no place was used twice
    return total


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_activations_are_what_autograd_keeps_within_a_quarter(dropout: float) -> None:
    numbers = Investigator(width=64, heads=4, row_layers=3, row_tokens=32, rows=40, dropout=dropout)
    network = Investigating(numbers, 200, torch.zeros(N_OUTPUTS))
    batch = batch_of(2, 40, 200, 32)
    tokens, rows = batch.rows.n_tokens, batch.episodes.n_tokens
    said = memory(network, numbers, half=False, tokens=tokens, rows=rows)
    assert said.activations == pytest.approx(kept(network, batch), rel=0.25)
    again = Investigating(replace(numbers, checkpointing=True), 200, torch.zeros(N_OUTPUTS))
    inputs = (3 * tokens + rows) * numbers.width * 4  # of each layer, held by what makes it again
    one = kept(again.encoder.row_layers[0], torch.randn(tokens, numbers.width), batch.rows)
    assert said.checkpointed == pytest.approx(kept(again, batch) + inputs + one, rel=0.25)


def test_activations_of_graphs_are_counted_within_a_quarter() -> None:
    numbers = Investigator(width=64, heads=4, row_tokens=16, rows=20, dropout=0.0, graph_width=64, fuse_width=96)
    network = Investigating(numbers, 200, torch.zeros(N_OUTPUTS), NODES)
    batch = with_graph(batch_of(2, 20, 200, 16), 400)
    said = memory(network, numbers, half=False, tokens=batch.rows.n_tokens, rows=batch.episodes.n_tokens, nodes=400)
    assert said.activations == pytest.approx(kept(network, batch), rel=0.25)


@pytest.mark.parametrize(("name", "layers", "width", "heads"), [("rtx4060", 8, 512, 8), ("rtx3090x2", 12, 768, 12)])
def test_presets_have_the_sizes_of_the_design_and_fit_their_devices(
    name: str, layers: int, width: int, heads: int
) -> None:
    numbers = preset(name).investigator
    assert numbers.row_layers + numbers.episode_layers == layers
    assert (numbers.width, numbers.heads, numbers.feed_forward * width) == (width, heads, 4 * width)
    assert (numbers.graph_width, numbers.fuse_width, numbers.vocabulary) == (256, 768, 32_000)
    assert numbers.batch_tokens * numbers.accumulate // numbers.devices >= 32_000 and numbers.checkpointing
    with torch.device("meta"):
        network = Investigating(numbers, numbers.vocabulary, torch.zeros(N_OUTPUTS), NODES)
    found = memory(network, numbers, half=True, nodes=5_000)
    state = network.state_dict()
    buffers = {name for name, _ in network.named_buffers()}
    assert found.weights == sum(each.nbytes for key, each in state.items() if key not in buffers)
    assert found.total_checkpointed < {"rtx4060": 8, "rtx3090x2": 24}[name] * 2**30 * 0.75
    assert found.total > 1.5 * found.total_checkpointed
    assert any("checkpointed" in value for _, value in found.lines())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rtx4060", "rtx3090x2"])
def test_presets_take_one_step(name: str) -> None:
    numbers = preset(name).investigator
    torch.manual_seed(0)
    network = Investigating(numbers, 400, torch.zeros(N_OUTPUTS), NODES)
    batch = with_graph(batch_of(1, 4, 400, 8), 20)
    optimiser = torch.optim.AdamW(network.parameters(), numbers.learning_rate)
    losses = []
    for _ in range(2):
        loss = (network(batch) - 1).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[1] < losses[0]


def test_operations_are_those_that_torch_counts() -> None:
    numbers = Investigator(width=32, heads=2, row_tokens=16, dropout=0.0)
    network = LogEncoder(numbers, 50)
    batch = batch_of(2, 6, 50, 16)
    with FlopCounterMode(display=False) as counted, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        network(batch)
    said = flops(numbers, batch.rows.groups, batch.episodes.groups)
    assert said == pytest.approx(counted.get_total_flops(), rel=0.05)
