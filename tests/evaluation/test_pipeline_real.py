"""Real recordings through import, features, split and detectors. Skipped where the shared data are absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlstir_core.contract.registry import load_registry
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.store import build_split
from rlstir_core.detectors.checkpoint import load_detector
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.scenes import TEST, Scored, scenes, write_predictions
from rlstir_core.detectors.study import Study, open_study
from rlstir_core.detectors.training import train_checkpoint
from rlstir_core.episodes.store.index import read_index, save_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.errors import SplitRefused
from rlstir_core.evaluation.detectors.pairs import ScoreReader
from rlstir_core.importers.tables import import_table
from rlstir_core.learning.options import StudyOptions
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import build_features, build_tensors

REAL = Path(__file__).parents[3] / "shared" / "real"
HIPER = REAL / "hpc_hiper" / "runs.csv.gz"
MOTIONS = REAL / "ts_uea" / "BasicMotions"
SEQUENCE_MODELS = ("cnn", "gru", "lstm", "transformer")

pytestmark = pytest.mark.slow
needs_hiper = pytest.mark.skipif(not HIPER.exists(), reason="../shared/real/hpc_hiper is not there")
needs_motions = pytest.mark.skipif(not MOTIONS.exists(), reason="../shared/real/ts_uea is not there")


def silent(_: str) -> None:
    pass


def prepared(file: Path, mapping: str, root: Path) -> Layout:
    """Imports a table and brings every host up to features."""
    store, layout = root / "store", Layout(root / "data")
    import_table(file, mapping, store)
    registry, index = load_registry(store), read_index(store)
    save_index(layout.index, index)
    write_schema(layout.feature_schema, make_schema(registry))
    for host in index.hosts:
        found = validate_host(store, layout, host, registry=registry, index=index)
        assert found.count("ok") == len(found.rows) > 0
        build_tensors(layout, host, registry)
        build_features(layout, host, registry)
    return layout


def scored(layout: Layout, study: Study, model: str, mode: str) -> dict[str, Any]:
    """Truth and scores of each scene, as detector_eval makes them."""
    recipe = study.options.recipe
    inputs = study.input_schema(MODELS[model].kind, mode)
    _, members = load_detector(layout.checkpoint(recipe, model, mode), inputs)
    episodes, path = study.load(study.split.episodes), layout.predictions(recipe, model, mode)
    write_predictions(study, episodes, [Scored(path=path, inputs=inputs, predictor=members)], silent)
    test, train = (
        episodes.select(info.episode_id for info in side) for side in (study.split.tested, study.split.trained_on)
    )
    return ScoreReader(test, train, study.schema).read(path, f"{model}_{mode}", model, mode)


@pytest.fixture(scope="module")
def hiper(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return prepared(HIPER, "hiper", tmp_path_factory.mktemp("hiper"))


@needs_hiper
def test_hardware_counter_runs_go_from_the_table_to_held_out_predictions(hiper: Layout) -> None:
    options = StudyOptions(recipe="sample")
    split, _ = build_split(hiper, "sample", _hosts(hiper), options.split)
    checkpoint, checks, is_new = train_checkpoint(hiper, options, "gbt", "realistic", silent)
    assert is_new and all(check.holds for check in (*split.checks, *checks))
    assert len(split.trained_on) + len(split.tested) + sum(x.n_episodes for x in split.excluded) == 254
    assert {info.sample for info in split.trained_on}.isdisjoint({info.sample for info in split.tested})
    study = open_study(hiper, options)
    assert len(study.schema.channels) == 9 and checkpoint.n_train_episodes == len(split.trained_on)
    assert study.schema.windowing.whole and study.schema.normalise == "none"
    pairs = scored(hiper, study, "gbt", "realistic")
    shown = [scene for scene in scenes(study.schema) if scene.prefix_bins]
    lengths = sorted(scene.prefix_bins for scene in shown if scene.side == "test")
    assert lengths == [5, 10, 20, 30]  # and the whole run of 50 steps
    truth, scores = pairs[TEST]
    assert len(truth) == len(split.tested)  # a run is one window
    assert scores.proba_NK.shape == (len(truth), 2)
    right = (scores.proba_NK.argmax(axis=1) == truth.y_N).mean()
    assert right > np.bincount(truth.y_N).max() / len(truth)


@needs_hiper
def test_one_host_has_no_host_to_hold_out(hiper: Layout) -> None:
    with pytest.raises(SplitRefused, match=r"--recipe sample"):
        build_split(hiper, "host", _hosts(hiper), SplitSettings())


def _hosts(layout: Layout) -> tuple[str, ...]:
    folder = layout.processed / "validation_v1.parquet"
    return tuple(sorted(path.name.removeprefix("host=") for path in folder.iterdir()))


@needs_motions
def test_sequence_models_learn_basic_motions_from_its_train_side(tmp_path: Path) -> None:
    layout = prepared(MOTIONS, "uea", tmp_path)
    assert _hosts(layout) == ("test", "train")
    options = StudyOptions(recipe="host", split=SplitSettings(train_hosts=("train",), folds=2))
    split, _ = build_split(layout, "host", ("test", "train"), options.split)
    for model in SEQUENCE_MODELS:
        train_checkpoint(layout, options, model, "realistic", silent)
    study = open_study(layout, options)
    assert (len(split.trained_on), len(split.tested)) == (40, 40)
    accuracy = {}
    for model in SEQUENCE_MODELS:
        truth, scores = scored(layout, study, model, "realistic")[TEST]
        accuracy[model] = float((scores.proba_NK.argmax(axis=1) == truth.y_N).mean())
    assert min(accuracy.values()) >= 0.80, accuracy
    assert sum(value >= 0.95 for value in accuracy.values()) >= 2, accuracy
