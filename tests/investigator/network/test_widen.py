"""A wider and deeper network says at first what the smaller one says, and can learn with all that was added."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from little_batches import TECHNIQUES, WIDTHS, little_batch
from torch import nn

from rlstir_core.investigator.network.heads import Investigating
from rlstir_core.investigator.network.widen import NotWidenable, widen
from rlstir_core.investigator.reading.batches import Batch
from rlstir_core.learning.presets import Investigator

SMALL = Investigator(width=16, heads=2, row_tokens=12, graph_width=6, fuse_width=20, dropout=0.0, members=1)
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


def network(numbers: Investigator, pieces: int = 60, seed: int = 0) -> Investigating:
    """A network whose every parameter says something."""
    torch.manual_seed(seed)
    made = Investigating(numbers, pieces, torch.linspace(-2, 0, TECHNIQUES), WIDTHS)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def said_by(network: Investigating, batch: Batch) -> torch.Tensor:
    return torch.cat([each.flatten() for each in network(batch)])


@pytest.mark.parametrize("name", LARGER)
def test_a_larger_network_says_what_the_smaller_one_said_and_every_part_of_it_can_learn(name: str) -> None:
    batch = little_batch(2, 40, 60, 12, 300)
    small = network(SMALL)
    torch.manual_seed(1)
    large = Investigating(LARGER[name], 60, torch.zeros(TECHNIQUES), WIDTHS)
    widen(small, large)
    said = said_by(large, batch)
    assert torch.allclose(said_by(small, batch), said, atol=1e-5)
    optimiser = torch.optim.SGD(large.parameters(), 0.1)
    for _ in range(4):  # what was added begins to count after a few steps
        optimiser.zero_grad()
        (said_by(large, batch) - said.detach() + 1).square().sum().backward()
        torch.nn.utils.clip_grad_norm_(large.parameters(), 1.0)
        optimiser.step()
    stuck = [
        key
        for key, each in large.named_parameters()
        if each.ndim == 2 and each.grad is not None and not each.grad.any(dim=-1).all()
    ]
    not_all_read = ("encoder.pieces.weight", "encoder.place_in_text", "heads.direct.weight")
    assert all(key.endswith(not_all_read) for key in stuck)


def test_a_network_that_was_widened_is_widened_again_after_it_was_saved() -> None:
    batch = little_batch(2, 40, 60, 12, 300)
    small, middle, large = network(SMALL), network(LARGER["more heads"], seed=1), network(LARGER["all of it"], seed=2)
    widen(small, middle)
    again = network(LARGER["more heads"], seed=3)
    again.load_state_dict(middle.state_dict())
    widen(again, large)
    assert torch.allclose(said_by(small, batch), said_by(large, batch), atol=1e-5)


@pytest.mark.parametrize(
    ("numbers", "pieces", "words"),
    [
        (replace(SMALL, width=8), 60, "no place in|more than 8"),
        (replace(SMALL, heads=1), 60, "2 heads of 8 channels"),
        (replace(SMALL, row_tokens=8), 60, "place_in_text"),
        (SMALL, 61, "pieces.weight"),
        (replace(SMALL, members=2), 60, "members.1 is not in it"),
    ],
)
def test_what_has_no_place_in_the_larger_network_is_named(numbers: Investigator, pieces: int, words: str) -> None:
    with pytest.raises(NotWidenable, match=words):
        widen(network(SMALL), network(numbers, pieces))


def test_a_network_of_other_parts_is_no_start() -> None:
    with pytest.raises(NotWidenable, match="the network is of another kind"):
        widen(network(SMALL), nn.Module())
    with pytest.raises(NotWidenable, match="1 has no counterpart"):
        widen(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)), nn.Sequential(nn.Linear(1, 1)))
    with pytest.raises(NotWidenable, match="heads is of another kind"):
        other = network(SMALL)
        other.members[0].heads = nn.Linear(2, 2)
        widen(network(SMALL), other)
