"""What is out of date of one recipe: checkpoints, their evaluation, the report.

What does not belong here: making any of them.
"""

from __future__ import annotations

from rlstir_core.contract.registry import MODES, Registry
from rlstir_core.detectors.experiment import Plan, is_current, open_experiment
from rlstir_core.evaluation.detectors.detector_eval import evaluation_is_current
from rlstir_core.evaluation.report.comparison import report_is_current
from rlstir_core.learning.presets import MODELS
from rlstir_core.results.layout import Layout


def stale_recipe_assets(layout: Layout, plan: Plan, registry: Registry) -> dict[str, bool]:
    """Every asset of the recipe by key, and whether it must be made; SplitRefused where the recipe cannot be."""
    experiment = open_experiment(layout, plan, ())
    stale = {
        f"checkpoint/{mode}/{model}": not is_current(layout, experiment, model, mode)
        for mode in MODES
        for model in MODELS
    }
    evaluated = not any(stale.values()) and evaluation_is_current(layout, experiment, registry)
    stale["detector_eval"] = not evaluated
    stale["comparison_v2"] = not evaluated or not report_is_current(layout, plan.recipe)
    return stale
