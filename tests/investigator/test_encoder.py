"""The network: masks, padding and heads do what they say, with weights that were never trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlstir_core.investigator.inputs import N_OUTPUTS
from rlstir_core.investigator.network.heads import Investigating
from rlstir_core.investigator.reading.batches import collate, packed
from rlstir_core.investigator.techniques.decide import NOTHING, choose_threshold
from rlstir_core.learning.presets import Investigator

NUMBERS = Investigator(width=16, heads=2, row_tokens=12)
EPISODES = [
    packed([[2, 30, 31], [2, 40], [2, 30, 31, 32, 33]]),
    packed([[2, 50, 51, 52]]),
    packed([[2, 40], [2, 60, 61]]),
]


def network(*, taught: bool = True) -> Investigating:
    torch.manual_seed(0)
    made = Investigating(NUMBERS, 100, torch.linspace(-3, 0, N_OUTPUTS)).eval()
    if taught:
        torch.nn.init.normal_(made.head.residual.weight)
        torch.nn.init.normal_(made.head.direct.weight)
    return made


def said(made: Investigating, episodes: list[list[bytes]], prior: float = 0.0) -> torch.Tensor:
    with torch.no_grad():
        return made(collate(episodes, np.full((len(episodes), N_OUTPUTS), prior)))


def test_what_is_said_of_an_episode_does_not_depend_on_what_else_is_in_the_batch() -> None:
    made = network()
    together = said(made, EPISODES)
    for e, episode in enumerate(EPISODES):
        assert torch.allclose(said(made, [episode])[0], together[e], atol=1e-5)
    assert not torch.allclose(together[0], together[2], atol=1e-2)


def test_an_untrained_network_says_base_rates_and_knowledge_and_no_more() -> None:
    made = network(taught=False)
    assert torch.allclose(said(made, EPISODES), torch.linspace(-3, 0, N_OUTPUTS).expand(3, -1), atol=1e-6)
    assert torch.allclose(said(made, EPISODES, 2.0), torch.linspace(-1, 2, N_OUTPUTS).expand(3, -1), atol=1e-6)


def test_rows_are_read_in_the_context_of_their_episode() -> None:
    made = network()
    with torch.no_grad():
        alone = made.encoder(collate([packed([[2, 40]])], np.zeros((1, N_OUTPUTS))))
        among = made.encoder(collate([EPISODES[0]], np.zeros((1, N_OUTPUTS))))
    assert not torch.allclose(alone[0, 0], among[0, 1], atol=1e-3)


def test_an_episode_without_rows_says_what_is_known_without_any() -> None:
    assert torch.isfinite(said(network(), [[], EPISODES[0]])).all()


def test_every_distinct_row_of_a_batch_stands_in_it_once() -> None:
    batch = collate(EPISODES, np.zeros((3, N_OUTPUTS)))
    assert len(batch.rows) == 5  # [2, 40] stands in two episodes
    assert batch.mask_EM.sum(dim=1).tolist() == [3, 1, 2]


def test_the_threshold_is_that_of_the_best_micro_f1_and_nothing_is_named_without_truth() -> None:
    score = np.array([[0.9, 0.2], [0.6, 0.6], [0.1, 0.3]])
    truth = np.array([[True, False], [True, False], [False, False]])
    assert choose_threshold(score, truth) == 0.6  # 2 of 3 named are right, none is missed
    assert choose_threshold(score, np.zeros((3, 2), np.bool_)) == NOTHING
    assert choose_threshold(np.full((1, 2), 0.5), np.array([[True, False]])) == pytest.approx(0.5)
