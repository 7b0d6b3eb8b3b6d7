"""What a step of training takes on its device, calculated: weights, gradients, the optimiser's moments, activations.

What does not belong here: devices themselves (`devices.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# B examples of a batch
_COPIES = 5  # of a weight in float32: itself, its gradient, AdamW's two moments, and the best so far


def training_bytes(network: nn.Module, one_B: Tensor, batch: int) -> int:
    """Bytes of a step of `batch` examples.

    Activations are counted on `one_B`, some examples, as what autograd keeps for the way back, and grow with the batch.
    """
    weights = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    own = {parameter.data_ptr() for parameter in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    mode = network.training
    network.train()
    # held, so that no storage is freed and its place counted for another's
    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(one_B)
    network.train(mode)
    activations = sum(kept.values()) * batch // max(1, len(one_B))
    del logits
    return _COPIES * weights + activations
