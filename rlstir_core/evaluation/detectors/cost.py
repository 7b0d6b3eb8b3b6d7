"""What scoring took on this machine, in a file of its own: a time is no function of the inputs, so no result holds it.

What does not belong here: measuring (`detectors/scenes.py`) and how it is shown (`report/sections/cost.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from rlstir_core.atomic import write_json
from rlstir_core.detectors.checkpoint import Checkpoint
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.scenes import Spent
from rlstir_core.detectors.study import Study
from rlstir_core.evaluation.stats.details import ModelCost
from rlstir_core.learning.devices import device
from rlstir_core.results.layout import Layout


def write_costs(layout: Layout, study: Study, spent: Iterable[tuple[Checkpoint, Spent]]) -> None:
    """Writes the cost of every checkpoint that scored any window."""
    recipe = study.options.recipe
    costs = [_cost(layout, study, checkpoint, each) for checkpoint, each in spent if each.n_windows]
    write_json(layout.costs(recipe), costs)


def read_costs(layout: Layout, recipe: str) -> tuple[ModelCost, ...]:
    """What `write_costs` wrote; nothing where it did not."""
    try:
        return msgspec.json.decode(layout.costs(recipe).read_bytes(), type=tuple[ModelCost, ...])
    except (FileNotFoundError, msgspec.DecodeError):
        return ()


def _cost(layout: Layout, study: Study, checkpoint: Checkpoint, spent: Spent) -> ModelCost:
    path = layout.checkpoint(checkpoint.recipe, checkpoint.model, checkpoint.mode)
    files = [path, *(path.with_name(member.sidecar) for member in checkpoint.members)]
    on_gpu = MODELS[checkpoint.model].device == "gpu"
    seconds = spent.inputs_wall_s + spent.predict_wall_s
    return ModelCost(
        name=f"{checkpoint.model}_{checkpoint.mode}",
        device=device(study.numbers.train.device).type if on_gpu else "cpu",
        members=len(checkpoint.members),
        parameters=sum(member.facts.n_parameters for member in checkpoint.members),
        checkpoint_bytes=sum(file.stat().st_size for file in files),
        n_windows=spent.n_windows,
        inputs_cpu_ms=1000 * spent.inputs_cpu_s / spent.n_windows,
        predict_cpu_ms=1000 * spent.predict_cpu_s / spent.n_windows,
        windows_per_s=spent.n_windows / seconds if seconds > 0 else 0.0,
    )
