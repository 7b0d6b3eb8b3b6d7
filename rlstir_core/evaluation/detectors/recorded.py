"""What one detector said of one episode when it was evaluated, from the predictions on disk.

What does not belong here: scoring an episode anew (`scoring.py`), and drawing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.datasets.store import read_split
from rlstir_core.detectors.scenes import AS_RECORDED, TEST, VALIDATION
from rlstir_core.errors import UpstreamMissing
from rlstir_core.evaluation.detectors.detector_eval import read_inputs
from rlstir_core.evaluation.detectors.saying.records import PhaseRun, attack_probability, phase_runs
from rlstir_core.evaluation.report.sections.verdict import chosen_model
from rlstir_core.evaluation.stats.rules import ALARM_FPR
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.schema import FeatureSchema

# N windows, K phases
_WORDS = {  # of the scene; the first that the episode has is taken
    AS_RECORDED: "test side, as recorded",
    TEST: "test side",
    VALIDATION: "train side, by the member that left it out, from a random start",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Said:
    """The windows of one episode in the order of the recording."""

    title: str  # which detector, of which recipe, on which side
    seconds_N: NDArray[np.float64]  # of the recording, at each window's end
    attack_N: NDArray[np.float64]
    runs: tuple[PhaseRun, ...]
    threshold: float | None


def chosen_said(layout: Layout, schema: FeatureSchema, host: str, episode: str, duration_s: float) -> Said | None:
    """What the realistic detector that validation chose said, in the first recipe whose evaluation has this episode."""
    for recipe in RECIPES:
        found = _of_recipe(layout, recipe, schema, (host, episode), duration_s)
        if found is not None:
            return found
    return None


def _of_recipe(
    layout: Layout, recipe: str, schema: FeatureSchema, who: tuple[str, str], duration_s: float
) -> Said | None:
    inputs = read_inputs(layout, recipe)
    chosen = None if inputs is None else chosen_model(inputs)
    if chosen is None or chosen[1] != "validation":
        return None
    model = chosen[0]
    try:
        infos = read_split(layout, recipe).episodes
        name = next((info.episode_id for info in infos if (info.host, info.own_id) == who), None)
        path = layout.predictions(recipe, model.model, model.mode)
        table = pq.read_table(path, filters=[("episode_id", "==", name or "")], use_threads=False)
        scenes = table["scene"].cast(pa.string()).to_numpy(zero_copy_only=False)
        scene = next((each for each in _WORDS if (scenes == each).any()), None)
        if name is None or scene is None:
            return None
        table = table.filter(pa.array(scenes == scene)).sort_by("window")
        proba_NK = np.stack([table[f"p_{phase}"].to_numpy() for phase in schema.phases], axis=1)
    except (UpstreamMissing, OSError, pa.ArrowException, KeyError):
        return None
    windowing = schema.windowing
    start_N = table["window"].to_numpy() * (0.0 if windowing.whole else windowing.stride_s)
    seconds_N = np.minimum(start_N + windowing.length_s, duration_s)
    thresholds = next((r.of_rounds for r in model.recall_at_fpr if r.fpr == ALARM_FPR), {})
    return Said(
        title=f"{model.model} {model.mode}, chosen on validation; recipe {recipe}, {_WORDS[scene]}",
        seconds_N=seconds_N,
        attack_N=attack_probability(proba_NK, schema.phases, schema.attack_phases),
        runs=phase_runs(proba_NK, seconds_N, schema.phases),
        threshold=thresholds.get(str(int(table["round"][0].as_py()) + 1)),
    )
