"""The models, a file each: a model is added by its file and its line here."""

from __future__ import annotations

from rlstir_core.detectors.models import cnn, gbt, gru, lstm, mlp, transformer
from rlstir_core.detectors.models.base import ModelSpec

MODELS: dict[str, ModelSpec] = {
    spec.name: spec for spec in (gbt.MODEL, mlp.MODEL, cnn.MODEL, gru.MODEL, lstm.MODEL, transformer.MODEL)
}
