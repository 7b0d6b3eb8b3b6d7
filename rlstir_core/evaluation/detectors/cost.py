"""What scoring took on this machine, in a file of its own: a time is no function of the inputs, so no result holds it.

What does not belong here: measuring (`detectors/scenes.py`) and how it is shown (`report/sections/cost.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from rlstir_core.atomic import write_json
from rlstir_core.detectors.checkpoint import Checkpoint
from rlstir_core.detectors.ensemble.combination import Ensemble
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.scenes import Spent
from rlstir_core.detectors.study import Study
from rlstir_core.evaluation.stats.details import ModelCost
from rlstir_core.learning.devices import device
from rlstir_core.results.layout import Layout


def write_costs(
    layout: Layout, study: Study, trained: Iterable[Checkpoint | Ensemble], spent: Mapping[str, Spent]
) -> None:
    """Writes the cost of every detector that scored any window; an ensemble comes after its parts."""
    costs: dict[str, ModelCost] = {}
    inputs: dict[str, str] = {}  # the hash of what a checkpoint sees, by name
    for each in trained:
        took = spent.get(name := f"{each.model}_{each.mode}")
        if took is None or not took.n_windows:
            continue
        if isinstance(each, Checkpoint):
            costs[name] = _cost(layout, study, each, took)
            inputs[name] = each.input_schema.sha256
        elif (parts := [f"{part.model}_{each.mode}" for part in each.parts]) and costs.keys() >= set(parts):
            own = layout.checkpoint(each.recipe, each.model, each.mode).stat().st_size
            costs[name] = together(name, own, took, [(inputs[part], spent[part], costs[part]) for part in parts])
    write_json(layout.costs(study.options.recipe), list(costs.values()))


def together(name: str, own_bytes: int, combining: Spent, parts: Sequence[tuple[str, Spent, ModelCost]]) -> ModelCost:
    """An ensemble's cost: that of all its parts, where equal inputs (by their hash) are made once, and of combining."""
    made = {sha256: took for sha256, took, _ in parts}.values()
    wall_s = combining.predict_wall_s + sum(took.inputs_wall_s for took in made)
    wall_s += sum(took.predict_wall_s for _, took, _ in parts)
    n = combining.n_windows
    return ModelCost(
        name=name,
        device=", ".join(sorted({cost.device for *_, cost in parts})),
        members=sum(cost.members for *_, cost in parts),
        parameters=sum(cost.parameters for *_, cost in parts),
        checkpoint_bytes=own_bytes + sum(cost.checkpoint_bytes for *_, cost in parts),
        n_windows=n,
        inputs_cpu_ms=1000 * sum(took.inputs_cpu_s for took in made) / n,
        predict_cpu_ms=1000 * (combining.predict_cpu_s + sum(took.predict_cpu_s for _, took, _ in parts)) / n,
        windows_per_s=n / wall_s if wall_s > 0 else 0.0,
    )


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
