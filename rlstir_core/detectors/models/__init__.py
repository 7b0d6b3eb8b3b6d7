"""The models, a file each: a model is added by its file and its entry here.

A code location lists them in every process, so what is here loads no torch.
"""

from __future__ import annotations

from rlstir_core.detectors.models.spec import ModelSpec

_MODELS = (
    ModelSpec(name="gbt", words="Boosted trees on summary features", kind="summary", device="cpu", priority=4),
    ModelSpec(name="mlp", words="Hidden layers on summary features", kind="summary", device="gpu", priority=0),
    ModelSpec(name="cnn", words="Dilated convolutions on sequences", kind="sequence", device="gpu", priority=1),
    ModelSpec(name="gru", words="A GRU on sequences", kind="sequence", device="gpu", priority=2),
    ModelSpec(name="lstm", words="An LSTM on sequences", kind="sequence", device="gpu", priority=3),
    ModelSpec(name="transformer", words="A transformer on sequences", kind="sequence", device="gpu", priority=5),
)
MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in _MODELS}
