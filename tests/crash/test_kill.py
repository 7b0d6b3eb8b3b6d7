"""kill -9 at any moment: the next run blocks on nothing, loses nothing and gives what an undisturbed one gives."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import killing
import pytest

from rlstir_core.contract.registry import MODES
from rlstir_core.detectors.models import MODELS
from rlstir_core.importers.logs import import_logs

pytestmark = pytest.mark.slow

# Assets in the data's order, and a file of each that is about to appear when its run is killed.
TELEMETRY = {
    "episode_index": "*/episode_index_v1.json",
    "feature_schema": "*/feature_schema_v1.json",
    "validation": "*/host=k-*/episodes.parquet",
    "window_tensors": "*/tensor_window_v1/host=k-*/_ledger.json",
    "window_features": "*/features_window_v1.parquet/host=k-*/part-*.parquet",
    "log_events": "*/log_events_v1.parquet/host=k-*/_ledger.json",
    "provenance_graphs": "*/graphs/host=k-*/_ledger.json",
    "lab_checks": "*/lab_checks_v1.json",
    "split": "*/splits/host.json",
    **{
        f"checkpoint/{model}_{mode}": f"*/{model}_{mode}.{'ckpt.json' if mode == 'oracle' else '1.*'}"
        for mode in MODES
        for model in MODELS
    },
    "baselines": "*/baselines.json",
    "detector_eval": "*/gru_oracle_eval.json",
    "tokenizer": "*/tokenizer.json",
    "encoder": "*/encoder.ckpt.json",
    "encoder_eval": "*/risk.parquet",
}
LOGS = {
    "validation": ("*/host=web1/episodes.parquet",),
    "log_events": ("*/log_events_v1.parquet/host=web1/*.parquet",),
    "provenance_graphs": ("*/graphs/host=web1/*/edges.parquet", "*/graphs/host=web1/log-*"),
}
ALIKE = {f"checkpoint/{model}_{mode}" for mode in MODES for model in MODELS} - {
    *("checkpoint/gbt_realistic", "checkpoint/gbt_oracle"),  # XGBoost's files
    *("checkpoint/cnn_realistic", "checkpoint/transformer_oracle"),  # and those of every network
}  # made without a kill, since what writes them was killed already
UP_TO_LOGS = "+key:provenance_graphs"


def test_killed_once_inside_every_kind_of_asset_the_results_are_the_same(
    victim: Any, driven: Any, contents: Any
) -> None:
    for asset, pattern in TELEMETRY.items():
        if asset not in ALIKE:
            assert killing.run(asset, victim.store, victim.data, killed_at=pattern), f"{asset} never wrote {pattern}"
        assert not killing.run(asset, victim.store, victim.data)
    victim.killed_at("*/comparison_v2.md")  # inside Dagster's step
    done = victim.finish()
    assert "was cut off before its end" in done
    assert "checkpoint" not in done  # what the core had made was whole
    assert contents(victim.data) == contents(driven.data)
    assert "nothing was new" in victim.finish()


def test_killed_inside_the_assets_of_logs_the_results_are_the_same(victim: Any, contents: Any, tmp_path: Path) -> None:
    shutil.rmtree(victim.store)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(
            f"May  1 12:00:01 web1 sshd[7]: Failed password for {name} from 192.0.2.1 port 4 ssh2\n"
        )
    import_logs([tmp_path / name for name in ("a", "b", "c")], victim.store)
    undisturbed = tmp_path / "undisturbed"
    for asset in ("episode_index", *LOGS):
        killing.run(asset, victim.store, undisturbed)
    wanted = contents(undisturbed)
    assert sum(path.endswith(".parquet") for path in wanted) >= 16
    killing.run("episode_index", victim.store, victim.data)
    for asset, patterns in LOGS.items():
        for pattern in patterns:
            assert killing.run(asset, victim.store, victim.data, killed_at=pattern), f"{asset} never wrote {pattern}"
        if asset != "provenance_graphs":  # which Dagster finishes
            killing.run(asset, victim.store, victim.data)
    victim.finish("--select", UP_TO_LOGS)
    assert contents(victim.data) == wanted


def test_killed_at_random_moments_and_finished_under_another_hash_seed_the_results_are_the_same(
    victim: Any, driven: Any, contents: Any, kills: int
) -> None:
    rng = random.Random(20261122)
    for number in range(kills):
        victim.forget()
        killed = victim.killed_after(rng.uniform(0, driven.seconds))
        victim.finish(PYTHONHASHSEED=str(number + 2))  # the shared run has 1
        assert contents(victim.data) == contents(driven.data), f"kill {number} (was killed: {killed})"
