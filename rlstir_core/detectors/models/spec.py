"""How a model is announced: what the graph, the report and the splits ask of it without loading its libraries.

What does not belong here: any particular model, and the interface that each implements (`base.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rlstir_core.detectors.models.base import Detector

ENSEMBLE = "ensemble"  # a row beside the models, made of them


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model: its name, what it sees, where it computes, and where it lies."""

    name: str
    words: str  # what it is, for a person
    kind: Literal["summary", "sequence"]  # of inputs
    device: Literal["cpu", "gpu"]
    priority: int  # slow ones first, so that the last step to end is a short one
    module: str = ""  # that has its `build()`; empty is the file beside this one that bears the model's name

    def build(self) -> Detector:
        """One that is not trained; only now its libraries are loaded."""
        made: Detector = import_module(self.module or f"{__package__}.{self.name}").build()
        return made
