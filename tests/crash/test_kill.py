"""kill -9 at any moment: the next run blocks on nothing, loses nothing and gives what an undisturbed one gives."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from killing import killed_in_training

from rlstir_core.contract.registry import MODES
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.study import StudyOptions
from rlstir_core.importers.logs import import_logs

pytestmark = pytest.mark.slow

UP_TO_FEATURES = {
    "episode_index": "*/episode_index_v1.json",
    "feature_schema": "*/feature_schema_v1.json",
    "validation": "*/host=k-*/episodes.parquet",
    "window_tensors": "*/tensor_window_v1/host=k-*/_ledger.json",
    "window_features": "*/features_window_v1.parquet/host=k-*/part-*.parquet",
}
LOGS = {
    "validation": "*/host=web1/episodes.parquet",
    "log_events": "*/log_events_v1.parquet/host=web1/*.parquet",
    "provenance_graphs": "*/graphs/host=web1/*/edges.parquet",
    "provenance_graphs, its folder": "*/graphs/host=web1/log-*",
}
UP_TO_LOGS = "+key:provenance_graphs"
EVALUATION = {
    "baselines": "*/baselines.json",
    "detector_eval": "*/gru_oracle_eval.json",
    "comparison_v2": "*/comparison_v2.md",
}


def test_killed_once_inside_every_asset_the_results_are_the_same(
    victim: Any, driven: Any, contents: Any, few_passes: tuple[str, ...]
) -> None:
    for pattern in UP_TO_FEATURES.values():
        victim.killed_at(pattern, "--select", "+key:window_features")
    victim.finish("--select", "+key:window_features")
    victim.killed_at("*/splits/host.json", "--select", "key:split")
    victim.finish("--select", "key:split")
    for model, mode, last in (("gbt", "oracle", "ckpt.json"), ("cnn", "realistic", "1.*")):  # inside Dagster's step
        victim.killed_at(f"*/{model}_{mode}.{last}", "--select", f"key:checkpoint/{model}_{mode}")
    options = StudyOptions(recipe="host", overrides=few_passes)
    for mode in MODES:
        for model in MODELS:  # inside the core, which is all that a step calls
            last = "ckpt.json" if mode == "oracle" else "1.*"
            assert killed_in_training(victim.data, options, model, mode, f"*/{model}_{mode}.{last}")
    for pattern in EVALUATION.values():
        victim.killed_at(pattern)
    assert "was cut off before its end" in victim.finish()
    assert contents(victim.data) == contents(driven.data)
    assert "nothing was new" in victim.finish()


def test_killed_inside_the_assets_of_logs_the_results_are_the_same(victim: Any, contents: Any, tmp_path: Path) -> None:
    store = victim.root / "store"
    shutil.rmtree(store)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(
            f"May  1 12:00:01 web1 sshd[7]: Failed password for {name} from 192.0.2.1 port 4 ssh2\n"
        )
    import_logs([tmp_path / name for name in ("a", "b", "c")], store)
    victim.finish("--select", UP_TO_LOGS)
    undisturbed = contents(victim.data)
    assert sum(path.endswith(".parquet") for path in undisturbed) >= 16
    victim.forget()
    for pattern in LOGS.values():
        victim.killed_at(pattern, "--select", UP_TO_LOGS)
    victim.finish("--select", UP_TO_LOGS)
    assert contents(victim.data) == undisturbed


def test_killed_at_random_moments_the_results_are_the_same(victim: Any, driven: Any, contents: Any, kills: int) -> None:
    rng = random.Random(20261122)
    for number in range(kills):
        victim.forget()
        killed = victim.killed_after(rng.uniform(0, driven.seconds))
        victim.finish()
        assert contents(victim.data) == contents(driven.data), f"kill {number} (was killed: {killed})"


def test_two_full_runs_with_different_hash_seeds_are_equal(victim: Any, driven: Any, contents: Any) -> None:
    victim.finish(PYTHONHASHSEED="2")  # the shared run has 1
    assert contents(victim.data) == contents(driven.data)
