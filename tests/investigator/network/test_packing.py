"""Packed sequences: what a token takes is what it takes in a padded batch, by every way and on the way back."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from rlstir_core.investigator.network.encoder import Layer
from rlstir_core.investigator.network.norm import Norm
from rlstir_core.investigator.network.packing import attend_groups, attend_jagged, means, places, sequences

LENGTHS = (1, 3, 3, 7, 2, 2, 5)
H, D = 2, 8


def padded(x_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    parts = x_ND.split(LENGTHS)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True), mask


def attend_padded(qkv_N3Hd: torch.Tensor) -> torch.Tensor:
    x, mask = padded(qkv_N3Hd)
    q, k, v = x.permute(2, 0, 3, 1, 4)
    said = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
    return said.transpose(1, 2).flatten(2)[mask]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_groups_jagged_and_padded_sequences_give_the_same_numbers_there_and_back() -> None:
    torch.manual_seed(0)
    of = sequences(LENGTHS)
    start, weight = torch.randn(of.n_tokens, 3, H, D // H), torch.randn(of.n_tokens, D)
    found = []
    for way in (attend_padded, lambda x: attend_groups(x, of), lambda x: attend_jagged(x, of)):
        x = start.clone().requires_grad_()
        said = way(x)
        (said * weight).sum().backward()
        assert x.grad is not None
        found.append((said.detach(), x.grad))
    for said, grad in found[1:]:
        assert torch.allclose(said, found[0][0], atol=1e-4) and torch.allclose(grad, found[0][1], atol=1e-4)


def test_means_and_places_are_those_of_each_sequence() -> None:
    x_ND = torch.randn(sum(LENGTHS), D)
    parts = x_ND.split(LENGTHS)
    assert torch.allclose(means(x_ND, sequences(LENGTHS)), torch.stack([part.mean(dim=0) for part in parts]), atol=1e-6)
    assert places(sequences(LENGTHS)).tolist() == [t for length in LENGTHS for t in range(length)]


def test_no_token_is_computed_that_is_of_no_use() -> None:
    of, seen = sequences(LENGTHS), []
    layer = Layer(D, H, 4 * D, 0.0)
    for module in layer.modules():
        if isinstance(module, (torch.nn.Linear, Norm)):
            module.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[0]))
    layer(torch.randn(of.n_tokens, D), of)
    assert len(seen) == 6 and set(seen) == {sum(LENGTHS)}


def test_a_sequence_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="none of them empty"):
        sequences([3, 0])


def test_a_norm_of_some_channels_says_what_it_said_before_the_others_came() -> None:
    torch.manual_seed(0)
    small, wide = Norm(4), Norm(6)
    wide.count(torch.tensor([True, True, False, True, True, False]))
    x = torch.randn(3, 6)
    old = [0, 1, 3, 4]
    assert torch.allclose(wide(x)[:, old], small(x[:, old]), atol=1e-6)
    again = Norm(6)
    again.load_state_dict(wide.state_dict())
    assert torch.equal(again(x), wide(x)) and not torch.allclose(again(x), Norm(6)(x))
