"""Early detection on hardware-counter runs (HiPeR), held out by run: what the product chooses, beside XGBoost.

Five folds, dealt twice: each run is tested once a deal by models that never saw it. Scores are accuracies from the
first 5, 10, 20, 30 and 50 steps and their mean. Beside the product's rows: XGBoost on summaries of the raw counters,
and on those of log counters with pairwise log-ratios, both trained on the same prefixes. Differences are paired and
resample runs. The runs lie in ../shared/real/hpc_hiper; where they do not, nothing is measured, exit code 2. Usage:
python -m benchmarks hiper [--deals N] [--folds N] [--models a,b] [--set train.epochs=8]
"""

# E runs, P prefixes, D deals, T steps, C counters
from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import xgboost as xgb
from numpy.typing import NDArray

from benchmarks.public.run import brought
from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.datasets.recipes.base import Division, RecipeSpec, Sides, SplitSettings, apart, rank, unless_trained
from rlstir_core.datasets.store import build_split
from rlstir_core.detectors.checkpoint import load_detector
from rlstir_core.detectors.ensemble.making import make_ensemble
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.models.spec import ENSEMBLE
from rlstir_core.detectors.scenes import TEST, VALIDATION, Scored, scenes, write_predictions
from rlstir_core.detectors.study import Study, open_study
from rlstir_core.detectors.training import train_checkpoint
from rlstir_core.episodes.store.index import read_index
from rlstir_core.evaluation.detectors.pairs import ScoreReader
from rlstir_core.evaluation.stats.intervals import Statistic, estimate
from rlstir_core.learning.options import StudyOptions
from rlstir_core.learning.scores import ratio, window_macro_f1
from rlstir_core.results.layout import Layout

RUNS = Path(__file__).parents[3] / "shared" / "real" / "hpc_hiper" / "runs.csv.gz"
CHOSEN, RAW, RATIOS = "chosen on validation", "xgboost, raw summaries", "xgboost, log-ratios"
PREFIXES = (5, 10, 20, 30, 50)
Right = dict[str, NDArray[np.float64]]  # by row: share of correct calls, (E, P)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deals", type=int, default=2)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--keep", default="")
    options = parser.parse_args(argv)
    if not RUNS.exists():
        print(f"{RUNS} is not there, so nothing is measured; put the runs there", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(options.keep or scratch)
        layout = prepared(root)
        names, truth, raw = read_runs(layout)
        right: Right = {}
        chosen: list[str] = []
        for deal in range(options.deals):
            for fold in range(options.folds):
                tested = _split_off(layout, deal, fold, options.folds)
                found, best = product(layout, options.models.split(","), tuple(options.set), deal, fold)
                chosen.append(best)
                for name, called in (found | peers(raw, truth, names, tested, seed=deal)).items():
                    for run, right_P in called.items():
                        rows = right.setdefault(name, np.full((len(names), len(PREFIXES), options.deals), np.nan))
                        rows[names.index(run), :, deal] = right_P
                print(
                    f"deal {deal + 1} fold {fold + 1}: chose {best}, {time.process_time() - began:.0f} s; "
                    + ", ".join(f"{n} {np.nanmean(r[..., deal]):.3f}" for n, r in right.items()),
                    file=sys.stderr,
                )
    result = told(right, chosen, time.process_time() - began)
    print(json.dumps(result, indent=1))
    return 0


def prepared(root: Path) -> Layout:
    """The runs, imported and brought up to features."""
    layout = Layout(root / "data")
    if layout.feature_schema.exists():
        shutil.rmtree(layout.data / "artifacts", ignore_errors=True)
        return layout
    return brought(RUNS, "hiper", root).layout


def read_runs(layout: Layout) -> tuple[list[str], NDArray[np.int64], NDArray[np.float64]]:
    """Names, labels and log counters (E, C, T), in one order."""
    _split_off(layout, 0, 0, 5)
    study = open_study(layout, _options(0, 0, ()))
    recordings = study.load(study.split.episodes).recordings
    x_ECT = np.stack([each.x_CT for each in recordings.values()]).astype(np.float64)
    return list(recordings), np.array([each.label_W[0] for each in recordings.values()]), x_ECT


def product(
    layout: Layout, models: Sequence[str], overrides: tuple[str, ...], deal: int, fold: int
) -> tuple[dict[str, dict[str, NDArray[np.float64]]], str]:
    """Correct calls by run and prefix of every model, of the ensemble and of what validation chose; and that name."""
    options = _options(deal, fold, overrides)
    checkpoints = {m: train_checkpoint(layout, options, m, PRIMARY_MODE, lambda _: None)[0] for m in models}
    study = open_study(layout, options)
    episodes = study.load(study.split.episodes)
    scored = []
    for model in models:
        inputs = study.input_schema(MODELS[model].kind, PRIMARY_MODE)
        _, members = load_detector(layout.checkpoint(options.recipe, model, PRIMARY_MODE), inputs)
        path = layout.predictions(options.recipe, model, PRIMARY_MODE)
        scored.append(Scored(path=path, inputs=inputs, predictor=members))
    write_predictions(study, episodes, scored, lambda _: None)
    make_ensemble(study, episodes, checkpoints, PRIMARY_MODE)
    test, train = (episodes.select(i.episode_id for i in s) for s in (study.split.tested, study.split.trained_on))
    reader = ScoreReader(test, train, study.schema)
    right, validation = {}, {}
    for model in (*models, ENSEMBLE):
        pairs = reader.read(layout.predictions(options.recipe, model, PRIMARY_MODE), model, model, PRIMARY_MODE)
        held = [pairs[s.name] for s in scenes(study.schema) if s.side == "validation"]
        validation[model] = float(np.mean([window_macro_f1(t.y_N, s.proba_NK) for t, s in held]))
        right[model] = _right(pairs, study)
    best = max(validation, key=lambda name: validation[name])
    return right | {CHOSEN: right[best]}, best


def _right(pairs: dict, study: Study) -> dict[str, NDArray[np.float64]]:
    found: dict[str, list[float]] = {}
    by_length = {s.prefix_bins or max(PREFIXES): s.name for s in scenes(study.schema) if s.side == "test"}
    assert tuple(sorted(by_length)) == PREFIXES and by_length[max(PREFIXES)] == TEST and VALIDATION in pairs
    for length in PREFIXES:
        truth, scores = pairs[by_length[length]]
        for e, right in zip(truth.episode_N, scores.predicted_N == truth.y_N, strict=True):
            found.setdefault(str(truth.episodes.episode_id[e]), []).append(float(right))
    return {run: np.array(values) for run, values in found.items()}


def peers(
    log_ECT: NDArray[np.float64], y_E: NDArray[np.int64], names: Sequence[str], tested: Sequence[str], *, seed: int
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """XGBoost with its own defaults but for 300 trees of depth 4, trained on the prefixes of all train runs."""
    apart_E = np.isin(names, tested)
    a, b = np.triu_indices(log_ECT.shape[1], 1)
    series = {RAW: np.expm1(log_ECT), RATIOS: np.concatenate([log_ECT, log_ECT[:, a] - log_ECT[:, b]], axis=1)}
    out = {}
    for name, x_EST in series.items():
        train = np.concatenate([_summary(x_EST[~apart_E, :, :n]) for n in PREFIXES])
        settings = {"objective": "binary:logistic", "max_depth": 4, "eta": 0.1, "subsample": 0.8, "seed": seed}
        settings |= {"colsample_bytree": 0.5, "nthread": 1}
        trees = xgb.train(settings, xgb.DMatrix(train, label=np.tile(y_E[~apart_E], len(PREFIXES)), nthread=1), 300)
        called = [trees.predict(xgb.DMatrix(_summary(x_EST[apart_E, :, :n]), nthread=1)) > 0.5 for n in PREFIXES]
        right_EP = np.stack([c == y_E[apart_E] for c in called], axis=1).astype(np.float64)
        out[name] = dict(zip(np.array(names)[apart_E].tolist(), right_EP, strict=True))
    return out


def _summary(x_EST: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean, spread, extremes, quartiles and last value of every series, (E, S, T) -> (E, F)."""
    parts = [x_EST.mean(2), x_EST.std(2), x_EST.min(2), x_EST.max(2), x_EST[:, :, -1]]
    parts += list(np.quantile(x_EST, (0.25, 0.5, 0.75), axis=2))
    return np.nan_to_num(np.concatenate(parts, axis=1))


def told(right: Right, chosen: Sequence[str], cpu_s: float) -> dict[str, object]:
    """Accuracies with intervals by run, and what the chosen row gains, paired."""
    share = {name: np.nanmean(rows, axis=2) for name, rows in right.items()}  # (E, P), over deals
    rows = {
        name: {
            "mean": _figure(right_EP.mean(axis=1)),
            **{str(n): round(float(right_EP[:, p].mean()), 4) for p, n in enumerate(PREFIXES)},
        }
        for name, right_EP in share.items()
    }
    gains = {
        f"{name} - {other}": _figure(share[name].mean(axis=1) - share[other].mean(axis=1))
        for name in (CHOSEN, ENSEMBLE)
        for other in share
        if other != name
    }
    counted = {name: chosen.count(name) for name in sorted(set(chosen))}
    single = max(float(share[m].mean()) for m in share if m in MODELS)
    bars = {
        "chosen mean >= .80": float(share[CHOSEN].mean()) >= 0.80,
        "chosen above xgboost on raw summaries": (gains[f"{CHOSEN} - {RAW}"]["lo"] or -1) > 0,
        "ensemble >= each single model": float(share[ENSEMBLE].mean()) >= single,
    }
    return {"rows": rows, "gains": gains, "chosen": counted, "bars": bars, "cpu_s": round(cpu_s)}


def _figure(value_E: NDArray[np.float64]) -> dict[str, float | None]:
    sums = np.stack([value_E, np.ones(len(value_E))], axis=1)
    found = estimate(Statistic(sums_US=sums, of=lambda s: ratio(s[..., 0], s[..., 1]), bounded=False))
    return {key: None if (x := getattr(found, key)) is None else round(x, 4) for key in ("value", "lo", "hi")}


def _options(deal: int, fold: int, overrides: tuple[str, ...]) -> StudyOptions:
    split = SplitSettings(seed=deal)
    return StudyOptions(recipe=_name(deal, fold), overrides=overrides, split=split)


def _name(deal: int, fold: int) -> str:
    return f"deal{deal}-fold{fold}"


def _split_off(layout: Layout, deal: int, fold: int, folds: int) -> list[str]:
    """A split that tests one fold of a deal; the runs that it tests."""

    def divide(episodes: Sequence[EpisodeInfo], _: SplitSettings) -> Division:
        order = sorted(episodes, key=lambda e: (e.profile, rank(e.episode_id, 1000 + deal)))
        test = {e.episode_id for at, e in enumerate(order) if at % folds == fold}
        sides = [[e for e in episodes if (e.episode_id in test) is side] for side in (False, True)]
        return Division(rounds=[Sides(train=sides[0], test=sides[1], held_out=())])

    name = _name(deal, fold)
    RECIPES[name] = RecipeSpec(
        name=name, words="A fold of runs.", divide=divide, check=apart("sample"), joins=unless_trained("sample")
    )
    hosts = read_index(layout.data.parent / "store").hosts
    split, _ = build_split(layout, name, hosts, SplitSettings(seed=deal))
    return [info.episode_id for info in split.tested]


if __name__ == "__main__":
    raise SystemExit(main())
