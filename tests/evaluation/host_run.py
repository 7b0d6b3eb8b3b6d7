"""The shared run for recipe `host` as tests ask for it: its options, its evaluation, what of it is stale.

What does not belong here: any expectation.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec

from rlstir_core.contract.registry import MODES
from rlstir_core.detectors.models import MODELS
from rlstir_core.evaluation.detectors.detector_eval import evaluate_recipe
from rlstir_core.learning.options import StudyOptions
from rlstir_core.staleness import ACTORS, INVESTIGATOR, READERS, stale_recipe_assets

TEST_HOST, TRAIN_HOST = "k-gamingcom", "elliott-thinkpad"
NAMES = [f"{model}_{mode}" for mode in MODES for model in MODELS]
ROWS = [*NAMES, *(f"ensemble_{mode}" for mode in MODES)]  # of the report
CHECKPOINTS = {f"checkpoint/{name}" for name in NAMES}
HOST = StudyOptions(recipe="host", overrides=tuple(os.environ["RLSTIR_SET"].split()))  # as the shared run


def options_of(**changes: Any) -> StudyOptions:
    return msgspec.structs.replace(HOST, **changes)


def silent(_: str) -> None:
    pass


def evaluated(driven: Any, options: StudyOptions = HOST) -> Any:
    return evaluate_recipe(driven.layout, options, driven.index.hosts, driven.registry, silent)


def stale(driven: Any, options: StudyOptions = HOST) -> set[str]:
    found = stale_recipe_assets(driven.layout, options, driven.index.hosts, driven.registry)
    assert list(found) == [
        "split",
        *(f"checkpoint/{name}" for name in NAMES),
        "baselines",
        "detector_eval",
        *READERS,
        *(name for name in ACTORS if name in found),  # nobody acts where no recording of a fold is benign
        "comparison_v2",
    ]
    return {name for name, is_stale in found.items() if is_stale}


EVERY = {"split", *CHECKPOINTS, "baselines", "detector_eval", *INVESTIGATOR, "comparison_v2"}
TRAINED = EVERY - {"split", *ACTORS}  # what other numbers make anew
