"""Hosts never seen: each host of a prepared store left out in turn (`loho`), the ensemble beside its parts.

The store was brought up to features before: `rlstir materialize --select '+key:window_features or key:window_tensors'`.
Trains what is missing with the product's own code, and prints macro F1 over the hosts left out, with intervals over
episodes and over hosts, and the differences of the ensemble to every part and of each wider mode to the realistic one.
Usage: python -m benchmarks unseen --data D [--modes realistic,oracle] [--folds N] [--set train.epochs=8]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from rlstir_core.contract.registry import MODES
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.store import build_split
from rlstir_core.detectors.checkpoint import load_detector
from rlstir_core.detectors.ensemble.making import make_ensemble
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.models.spec import ENSEMBLE
from rlstir_core.detectors.scenes import TEST, VALIDATION, Scored, write_predictions
from rlstir_core.detectors.study import open_study
from rlstir_core.detectors.training import train_checkpoint
from rlstir_core.episodes.store.index import load_index
from rlstir_core.evaluation.detectors.pairs import ScoreReader
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.metrics import macro_f1, new_host
from rlstir_core.evaluation.stats.paired import contender, default_family, paired_differences
from rlstir_core.learning.options import StudyOptions
from rlstir_core.results.layout import Layout

RECIPE = "loho"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks unseen", description=__doc__)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args(argv)
    layout = Layout(options.data)
    if not layout.feature_schema.exists():
        print(f"{layout.feature_schema} is missing; bring a store up to features first", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    began = time.process_time()
    settings = StudyOptions(recipe=RECIPE, overrides=tuple(options.set), split=SplitSettings(folds=options.folds))
    found = measured(layout, settings, options.modes.split(","))
    print(json.dumps(found | {"cpu_s": round(time.process_time() - began)}, indent=1))
    return 0


def measured(layout: Layout, options: StudyOptions, modes: Sequence[str]) -> dict[str, object]:
    """Macro F1 by detector, and differences with intervals over episodes and over hosts."""
    build_split(layout, RECIPE, load_index(layout.index).hosts, options.split)
    trained = {(model, mode): train_checkpoint(layout, options, model, mode, _tell)[0]
               for mode in modes for model in MODELS}  # fmt: skip
    study = open_study(layout, options)
    episodes = study.load(study.split.episodes)
    scored = []
    for model, mode in trained:
        inputs = study.input_schema(MODELS[model].kind, mode)
        _, members = load_detector(layout.checkpoint(RECIPE, model, mode), inputs)
        scored.append(Scored(path=layout.predictions(RECIPE, model, mode), inputs=inputs, predictor=members))
    write_predictions(study, episodes, scored, _tell)
    test, train = (episodes.select(i.episode_id for i in s) for s in (study.split.tested, study.split.trained_on))
    reader = ScoreReader(test, train, study.schema)
    figures, contenders = {}, []
    for mode in modes:
        make_ensemble(study, episodes, {m: each for (m, of), each in trained.items() if of == mode}, mode)
        for model in (*MODELS, ENSEMBLE):
            pairs = reader.read(layout.predictions(RECIPE, model, mode), f"{model}_{mode}", model, mode)
            truth, scores = pairs[TEST]
            contenders.append(contender(truth, scores))
            figures[f"{model}_{mode}"] = {
                "validation": _shown(macro_f1(*pairs[VALIDATION])),
                "test": _shown(macro_f1(truth, scores)),
                "new host": _shown(new_host(truth, scores)),
            }
    gaps = {
        f"{row.model} - {row.reference}": {"episodes": _shown(row.difference), "hosts": _shown(row.new_host)}
        for row in paired_differences(truth, default_family(contenders, []))
    }
    return {"episodes": len(test), "macro F1": figures, "differences": gaps}


def _shown(found: Estimate | None) -> list[float | None] | None:
    return None if found is None else [None if x is None else round(x, 4) for x in (found.value, found.lo, found.hi)]


def _tell(text: str) -> None:
    if "member" not in text:
        print(text, file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
