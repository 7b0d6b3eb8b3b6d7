"""What a network takes: parameters to the byte, kept activations as autograd counts them, presets that can be built."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from little_batches import TECHNIQUES, WIDTHS, little_batch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from rlstir_core.errors import ConfigError
from rlstir_core.investigator.network.encoder import LogEncoder
from rlstir_core.investigator.network.heads import Investigating
from rlstir_core.investigator.network.sizes import flops, memory
from rlstir_core.learning.presets import Investigator, preset


def made(numbers: Investigator, pieces: int) -> Investigating:
    return Investigating(numbers, pieces, torch.zeros(TECHNIQUES), WIDTHS)


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
    assert said[0].requires_grad  # and is held until here, so that no place was used twice
    return total


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("nodes", [30, 600])
def test_activations_are_what_autograd_keeps_within_a_quarter(dropout: float, nodes: int) -> None:
    numbers = Investigator(
        width=64, heads=4, row_layers=3, row_tokens=32, rows=40, dropout=dropout, graph_width=64, fuse_width=96,
        members=2,
    )  # fmt: skip
    network = made(numbers, 200)
    batch = little_batch(2, 40, 200, 32, nodes)
    tokens, rows = batch.texts.n_tokens, batch.episodes.n_tokens
    said = memory(network, numbers, half=False, tokens=tokens, rows=rows, nodes=nodes)
    assert said.activations == pytest.approx(kept(network, batch), rel=0.25)
    again = made(replace(numbers, checkpointing=True), 200)
    inputs = 2 * (3 * tokens + rows) * numbers.width * 4  # of each layer, held by what makes it again
    one = kept(again.members[0].encoder.row_layers[0], torch.randn(tokens, numbers.width), batch.texts)
    assert said.checkpointed == pytest.approx(kept(again, batch) + inputs + one, rel=0.25)


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
        network = made(numbers, numbers.vocabulary)
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
    network = made(numbers, 400)
    batch = little_batch(1, 4, 400, 8, 20)
    optimiser = torch.optim.AdamW(network.parameters(), numbers.learning_rate)
    losses = []
    for _ in range(2):
        loss = sum((each - 1).square().mean() for each in network(batch))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[1] < losses[0]


def test_operations_are_those_that_torch_counts() -> None:
    numbers = Investigator(width=32, heads=2, row_layers=1, row_tokens=16, dropout=0.0)
    network = LogEncoder(numbers, 50, WIDTHS)
    batch = little_batch(2, 60, 50, 16, 3)
    with FlopCounterMode(display=False) as counted, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        network(batch)
    said = flops(numbers, batch.texts.groups, batch.episodes.groups)
    assert said == pytest.approx(counted.get_total_flops(), rel=0.1)  # less the graph's


def test_an_encoder_without_its_transformer_has_no_layers_and_what_it_can_be_without_is_told() -> None:
    numbers = Investigator(row_layers=2, without="transformer")
    bare = LogEncoder(numbers, 50, WIDTHS)
    assert not len(bare.row_layers) and not len(bare.episode_layers)
    batch = little_batch(2, 60, 50, 16, 3)
    assert bare(batch).shape == (batch.episodes.n_tokens, numbers.fuse_width)
    assert flops(numbers, batch.texts.groups, batch.episodes.groups) == 0
    network = made(replace(numbers, members=2), 50)
    network.keep_encoders()
    learning = {name.split(".")[2] for name, each in network.named_parameters() if each.requires_grad}
    assert learning == {"heads"}  # members.0.heads...
    with pytest.raises(ConfigError, match="without is 'heads'; choose one of graph, transformer, first-look"):
        Investigator(without="heads")
