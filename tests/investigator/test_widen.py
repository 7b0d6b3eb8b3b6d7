"""A wider and deeper network says at first what the smaller one says, and can learn with all that was added."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_sizes import NODES, batch_of, with_graph

from rlstir_core.investigator.inputs import N_OUTPUTS
from rlstir_core.investigator.network.heads import Investigating
from rlstir_core.investigator.network.widen import NotWidenable, widen
from rlstir_core.learning.presets import Investigator

SMALL = Investigator(width=16, heads=2, row_tokens=12, graph_width=6, fuse_width=20, dropout=0.0)
LARGER = {
    "more heads": replace(SMALL, width=24, heads=3),
    "wider heads": replace(SMALL, width=24),
    "all of it": replace(
        SMALL,
        width=40,
        heads=4,
        row_layers=3,
        episode_layers=2,
        feed_forward=6,
        graph_width=9,
        fuse_width=31,
        row_tokens=16,
    ),
}


def network(numbers: Investigator, nodes: tuple[int, int, int] | None = NODES, seed: int = 0) -> Investigating:
    """A network whose every parameter says something."""
    torch.manual_seed(seed)
    made = Investigating(numbers, 60, torch.linspace(-2, 0, N_OUTPUTS), nodes)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


@pytest.mark.parametrize("name", LARGER)
def test_a_larger_network_says_what_the_smaller_one_said_and_every_part_of_it_can_learn(name: str) -> None:
    batch = with_graph(batch_of(2, 40, 60, 12), 300)
    small = network(SMALL)
    torch.manual_seed(1)
    large = Investigating(LARGER[name], 60, torch.zeros(N_OUTPUTS), NODES)
    widen(small, large)
    said = large(batch)
    assert torch.allclose(small(batch), said, atol=1e-5)
    optimiser = torch.optim.SGD(large.parameters(), 0.1)
    for _ in range(4):  # what was added begins to count after a few steps
        optimiser.zero_grad()
        (large(batch) - said.detach() + 1).square().sum().backward()
        torch.nn.utils.clip_grad_norm_(large.parameters(), 1.0)
        optimiser.step()
    stuck = [
        key
        for key, each in large.named_parameters()
        if each.ndim == 2 and each.grad is not None and not each.grad.any(dim=-1).all()
    ]
    assert set(stuck) <= {"encoder.pieces.weight", "encoder.place_in_row", "head.direct.weight"}  # not all are read


def test_a_network_that_was_widened_is_widened_again_after_it_was_saved() -> None:
    batch = with_graph(batch_of(2, 40, 60, 12), 300)
    small, middle, large = network(SMALL), network(LARGER["more heads"], seed=1), network(LARGER["all of it"], seed=2)
    widen(small, middle)
    again = network(LARGER["more heads"], seed=3)
    again.load_state_dict(middle.state_dict())
    widen(again, large)
    assert torch.allclose(small(batch), large(batch), atol=1e-5)


@pytest.mark.parametrize(
    ("numbers", "nodes", "words"),
    [
        (replace(SMALL, width=8), NODES, "no place in|more than 8"),
        (replace(SMALL, heads=1), NODES, "2 heads of 8 channels"),
        (replace(SMALL, row_tokens=8), NODES, "place_in_row"),
        (SMALL, None, "sage|fuse"),
    ],
)
def test_what_has_no_place_in_the_larger_network_is_named(
    numbers: Investigator, nodes: tuple[int, int, int] | None, words: str
) -> None:
    with pytest.raises(NotWidenable, match=words):
        widen(network(SMALL), network(numbers, nodes))
    with pytest.raises(NotWidenable, match=r"is not in it|another kind"):
        widen(network(SMALL, None), network(SMALL))
