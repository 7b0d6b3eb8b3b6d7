"""The same member trained again from other seeds: how much of a score is luck; predictions only, labels unread.

One member a round, the one that leaves the first fold out, on the windows that the checkpoint's own member learnt
from: that one has the first seed and costs nothing. What does not belong here: the figures made of it (`evaluation/`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.detectors.beside.learning_curve import FOLD
from rlstir_core.detectors.checkpoint import Members
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.models.base import Detector
from rlstir_core.detectors.scenes import BASELINE, TEST, Scored
from rlstir_core.detectors.study import Study
from rlstir_core.detectors.training import member_sides, training_blocks, validation_blocks
from rlstir_core.learning.presets import Preset
from rlstir_core.progress import Tell
from rlstir_core.results.layout import Layout

# Trees and the cheapest network: beside gbt's 6 s a fit, mlp's is 0.5 s on inputs that were made once, gru's 3.5 s.
RESEEDED = ("gbt", "mlp")


class Reseeded(msgspec.Struct, frozen=True, kw_only=True):
    """One model from one further seed, and its predictions."""

    model: str
    nth: int  # of the further seeds, from 1
    seed: int
    sha256: str = ""

    @property
    def name(self) -> str:
        """The name that its predictions go by."""
        return f"{self.model}-reseeded-{self.nth}"


def further_seeds(numbers: Preset) -> list[int]:
    """The seeds beside the checkpoint's own."""
    return [numbers.seed + nth for nth in range(1, numbers.seeds)]


def fit_reseeded(study: Study, layout: Layout, tell: Tell) -> Iterator[tuple[Reseeded, Scored]]:
    """A predictor for each model and further seed, shown the test scene alone."""
    seeds = further_seeds(study.numbers)
    for model in RESEEDED:
        inputs = study.input_schema(MODELS[model].kind, PRIMARY_MODE)
        views = study.training_views(model)
        members: dict[int, list[tuple[int, int, Detector]]] = defaultdict(list)
        for place in range(len(study.split.rounds)):
            train, held = member_sides(study, place, FOLD)
            # one for all seeds: what they keep of their inputs is not made again
            blocks = training_blocks(study, train, inputs, views)
            stopped_on = validation_blocks(study, held, inputs)
            for seed in seeds:
                tell(f"fitting {model} with seed {seed}")
                detector = MODELS[model].build()
                numbers = replace(study.numbers, seed=seed)
                detector.fit(blocks, stopped_on, len(inputs.phases), numbers, lambda _: None)
                members[seed].append((place, FOLD, detector))
        for nth, seed in enumerate(seeds, 1):
            made = Reseeded(model=model, nth=nth, seed=seed)
            path = layout.predictions(study.options.recipe, made.name, BASELINE)
            yield made, Scored(path=path, inputs=inputs, predictor=Members(members[seed]), shown=(TEST,))
