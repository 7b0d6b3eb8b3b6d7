"""Real recordings through import, features, split and detectors. Skipped where the shared data are absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlstir_core.contract.registry import load_registry
from rlstir_core.datasets.recipes import SplitSettings
from rlstir_core.detectors.checkpoint import load_detector
from rlstir_core.detectors.experiment import (
    Experiment,
    Plan,
    check_checkpoint,
    model_input_schema,
    open_experiment,
    train_checkpoint,
)
from rlstir_core.episodes.index import read_index, save_index
from rlstir_core.episodes.validate import validate_host
from rlstir_core.errors import SplitRefused
from rlstir_core.evaluation.detectors.scenes import TEST, Stage, read_predictions, write_predictions
from rlstir_core.importers.tables import import_table
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


def scored(layout: Layout, experiment: Experiment, model: str, mode: str) -> dict[str, Any]:
    """Truth and scores of each scene, as detector_eval makes them."""
    schema = model_input_schema(experiment, model, mode)
    recipe = experiment.plan.recipe
    _, detector = load_detector(layout.checkpoint(recipe, model, mode), schema)
    stage = Stage(experiment)
    parts = []
    for scene in stage.scenes:
        inputs = stage.inputs(scene, schema)
        predict = detector.predict_held_out if scene.side == "validation" else detector.predict_proba
        parts.append((scene, inputs.windows, predict(inputs)))
    path = layout.predictions(recipe, model, mode)
    write_predictions(path, parts, experiment.corpus.schema.phases)
    return read_predictions(path, f"{model}_{mode}", model, mode, experiment)


@pytest.fixture(scope="module")
def hiper(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return prepared(HIPER, "hiper", tmp_path_factory.mktemp("hiper"))


@needs_hiper
def test_hardware_counter_runs_go_from_the_table_to_held_out_predictions(hiper: Layout) -> None:
    plan = Plan(recipe="sample", hosts=_hosts(hiper))
    checkpoint, experiment, is_new = train_checkpoint(hiper, plan, "gbt", "realistic", silent)
    assert is_new
    assert all(proof.holds for proof in check_checkpoint(experiment, checkpoint))
    split = experiment.split
    assert len(split.train) + len(split.test) + sum(x.n_episodes for x in split.excluded) == 254
    assert {r.info.sample for r in experiment.train}.isdisjoint({r.info.sample for r in experiment.test})
    assert len(experiment.corpus.schema.channels) == 9
    assert experiment.corpus.schema.windowing.whole and experiment.corpus.schema.normalise == "none"
    whole = open_experiment(hiper, plan)
    pairs = scored(hiper, whole, "gbt", "realistic")
    lengths = sorted(scene.prefix_bins for scene in Stage(whole).scenes if scene.prefix_bins)
    assert lengths == [5, 10, 20, 30]  # and the whole run of 50 steps
    truth, scores = pairs[TEST]
    assert len(truth) == len(split.test)  # a run is one window
    assert scores.proba_NK.shape == (len(truth), 2)
    right = (scores.proba_NK.argmax(axis=1) == truth.y_N).mean()
    assert right > np.bincount(truth.y_N).max() / len(truth)


@needs_hiper
def test_one_host_has_no_host_to_hold_out(hiper: Layout) -> None:
    with pytest.raises(SplitRefused, match=r"--recipe sample"):
        open_experiment(hiper, Plan(recipe="host", hosts=_hosts(hiper)))


def _hosts(layout: Layout) -> tuple[str, ...]:
    folder = layout.processed / "validation_v1.parquet"
    return tuple(sorted(path.name.removeprefix("host=") for path in folder.iterdir()))


@needs_motions
def test_sequence_models_learn_basic_motions_from_its_train_side(tmp_path: Path) -> None:
    layout = prepared(MOTIONS, "uea", tmp_path)
    assert _hosts(layout) == ("test", "train")
    plan = Plan(recipe="host", hosts=("test", "train"), split=SplitSettings(train_hosts=("train",), folds=2))
    for model in SEQUENCE_MODELS:
        train_checkpoint(layout, plan, model, "realistic", silent)
    experiment = open_experiment(layout, plan)
    assert (len(experiment.train), len(experiment.test)) == (40, 40)
    accuracy = {}
    for model in SEQUENCE_MODELS:
        truth, scores = scored(layout, experiment, model, "realistic")[TEST]
        accuracy[model] = float((scores.proba_NK.argmax(axis=1) == truth.y_N).mean())
    assert min(accuracy.values()) >= 0.80, accuracy
    assert sum(value >= 0.95 for value in accuracy.values()) >= 2, accuracy
