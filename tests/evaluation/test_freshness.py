"""What is stale after what has changed, on a real run; and a run into a fresh folder gives the same bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from host_run import EVERY, HOST, ROWS, TEST_HOST, TRAIN_HOST, TRAINED, options_of, silent, stale

from rlstir_core.atomic import write_bytes
from rlstir_core.contract.registry import MODES
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.store import build_split
from rlstir_core.detectors.beside.fitted import fit_baselines
from rlstir_core.detectors.training import train_checkpoint
from rlstir_core.episodes.store.index import save_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.episodes.validation.verdicts import read_validation
from rlstir_core.evaluation.detectors import detector_eval
from rlstir_core.evaluation.detectors.detector_eval import evaluate_recipe, read_inputs
from rlstir_core.evaluation.investigation.encoder_eval import evaluate_encoder
from rlstir_core.evaluation.report.comparison import write_comparison
from rlstir_core.evaluation.report.history import history_path
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.investigator.pretraining.training import train_encoder
from rlstir_core.investigator.study import open_investigator
from rlstir_core.lab.leakage.gates import gates
from rlstir_core.learning.options import StudyOptions
from rlstir_core.provenance.store import build_graphs
from rlstir_core.results.layout import Layout
from rlstir_core.staleness import index_is_current, schema_is_current, stale_host_stages
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import build_features, build_tensors

pytestmark = pytest.mark.slow


def test_nothing_is_stale_after_a_run(driven: Any) -> None:
    layout = driven.layout
    assert index_is_current(layout, driven.index)
    assert schema_is_current(driven.store, layout, "ewma")
    assert all(stale_host_stages(driven.store, layout, host) == () for host in driven.index.hosts)
    assert stale(driven) == set()


def test_another_file_of_the_same_weights_asks_for_another_evaluation_since_the_ensemble_speaks_from_that_file(
    driven: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = read_inputs(driven.layout, "host")
    assert kept is not None
    models = [msgspec.structs.replace(each, checkpoint_sha256="another") if each.name == "gru_oracle" else each
              for each in kept.models]  # fmt: skip
    other = msgspec.structs.replace(kept, models=tuple(models))
    monkeypatch.setattr(detector_eval, "read_inputs", lambda *_: other)
    assert stale(driven) >= {"detector_eval"} and "checkpoint/gru_oracle" not in stale(driven)


def test_another_preset_or_number_makes_everything_but_the_split_stale(driven: Any) -> None:
    assert stale(driven, options_of(preset="rtx4060")) == TRAINED
    assert stale(driven, options_of(overrides=("train.batch=65",))) == TRAINED


def test_other_train_hosts_make_everything_stale(driven: Any) -> None:
    assert stale(driven, options_of(split=SplitSettings(train_hosts=(TEST_HOST,)))) == EVERY


def test_another_normaliser_makes_the_schema_stale(driven: Any) -> None:
    assert not schema_is_current(driven.store, driven.layout, "none")


def test_a_report_that_a_cut_off_run_left_behind_is_made_again(own_driven: Any) -> None:
    layout = own_driven.layout
    result = read_inputs(layout, "host")
    assert result is not None
    hashes = {**result.manifest.hashes, "evaluation_inputs": "0" * 64}
    earlier = msgspec.structs.replace(result.manifest, hashes=hashes)
    write_bytes(layout.evaluation("host") / "manifest.json", msgspec.json.encode(earlier))
    assert stale(own_driven) == {"comparison_v2"}
    page = layout.report("host").with_suffix(".html").read_bytes()
    assert b"First report of this recipe here." in page
    write_comparison(layout, "host")
    assert stale(own_driven) == set()
    assert layout.report("host").with_suffix(".html").read_bytes() == page  # its own time, and not its own last report


def test_the_next_report_says_what_changed_since_the_last_one(own_driven: Any) -> None:
    layout = own_driven.layout
    result = read_inputs(layout, "host")
    assert result is not None
    text = layout.report("host").read_text()
    grown = tuple(msgspec.structs.replace(host, ok=host.ok + 5) for host in result.quality.hosts[:1])
    manifest = msgspec.structs.replace(result.manifest, hashes={"evaluation_inputs": "0" * 64})
    later = msgspec.structs.replace(
        result, manifest=manifest, quality=msgspec.structs.replace(result.quality, hosts=grown)
    )
    write_bytes(layout.report_inputs("host"), msgspec.json.encode(later))
    history_path(layout.report("host")).unlink()
    assert stale(own_driven) >= {"comparison_v2"}  # a report without its record is not whole
    write_comparison(layout, "host")
    write_bytes(layout.report_inputs("host"), msgspec.json.encode(result))
    write_comparison(layout, "host")
    assert layout.report("host").read_text() == text  # the same evaluation gives the same text
    page = layout.report("host").with_suffix(".html").read_text()
    host = result.quality.hosts[0].host
    assert f"5 episodes fewer ({host} -5)" in page and "before, " in page


def test_a_deleted_episode_leaves_every_table_and_makes_the_recipe_stale(own_driven: Any) -> None:
    layout, registry = own_driven.layout, own_driven.registry
    gone = own_driven.index.of_host(TEST_HOST)[0]
    lines = (own_driven.store / "index.jsonl").read_text().splitlines()
    records = [json.loads(part) for line in lines for part in line.replace("}{", "}\n{").splitlines()]
    kept = [json.dumps(record) for record in records if record["episode_id"] != gone.episode_id]
    (own_driven.store / "index.jsonl").write_text("".join(f"{line}\n" for line in kept))
    (own_driven.store / gone.path).unlink()
    assert not index_is_current(layout, own_driven.index)
    save_index(layout.index, own_driven.index)
    assert stale_host_stages(own_driven.store, layout, TEST_HOST) == (
        "validation",
        "window_tensors",
        "window_features",
        "log_events",
        "provenance_graphs",
    )
    assert stale_host_stages(own_driven.store, layout, TRAIN_HOST) == ()
    done = validate_host(own_driven.store, layout, TEST_HOST, registry=registry, index=own_driven.index)
    assert (done.n_decoded, done.n_removed) == (0, 1)
    assert build_tensors(layout, TEST_HOST, registry) == {"made": 0, "dropped": 1, "unchanged": len(done.rows)}
    assert build_features(layout, TEST_HOST, registry) == {"made": 0, "dropped": 1, "unchanged": len(done.rows)}
    log_rows = build_log_events(own_driven.store, layout, TEST_HOST)
    assert (log_rows.made, log_rows.dropped, log_rows.unchanged) == (0, 1, len(done.rows))
    graphs = build_graphs(layout, TEST_HOST)
    assert (graphs.made, graphs.dropped, graphs.unchanged) == (0, 1, len(done.rows))
    assert gone.episode_id not in {row.episode_id for row in read_validation(layout.validation(TEST_HOST))}
    assert gone.episode_id not in {
        name
        for path in layout.features(TEST_HOST).glob("*.parquet")
        for name in pq.ParquetFile(path).read(columns=["episode_id"])["episode_id"].to_pylist()
    }
    assert not list(own_driven.data.rglob(f"{gone.episode_id}*"))
    assert stale(own_driven) == EVERY
    split, is_new = build_split(layout, "host", own_driven.index.hosts, HOST.split)
    assert is_new and gone.episode_id not in split.by_name
    # nobody trained on it: what was trained stays, what was scored does not
    assert stale(own_driven) == {"baselines", "detector_eval", "encoder_eval", "comparison_v2"}


# One result


def test_a_rerun_into_a_fresh_folder_gives_the_same_bytes(own_driven: Any, tmp_path: Path) -> None:
    fresh, before = Layout(tmp_path / "fresh"), own_driven.layout
    registry, index = own_driven.registry, own_driven.index
    save_index(fresh.index, index)
    write_schema(fresh.feature_schema, make_schema(registry))
    for host in reversed(index.hosts):
        validate_host(own_driven.store, fresh, host, registry=registry, index=index)
        build_tensors(fresh, host, registry)
        build_features(fresh, host, registry)
        build_log_events(own_driven.store, fresh, host)
        build_graphs(fresh, host)
    gates(own_driven.store, fresh, index.hosts)
    build_split(fresh, "host", index.hosts, HOST.split)
    made = sorted(path.relative_to(fresh.processed) for path in fresh.processed.rglob("*") if path.is_file())
    assert made == sorted(p.relative_to(before.processed) for p in before.processed.rglob("*") if p.is_file())
    for path in made:
        if path.parts[0] != "validation_v1.parquet" or path.name != "_ledger.json":  # it holds inodes and times
            assert (fresh.processed / path).read_bytes() == (before.processed / path).read_bytes(), path
    shutil.copytree(before.artifacts("host"), fresh.artifacts("host"))
    for path in (*fresh.artifacts("host").glob("gbt_*"), fresh.baselines("host")):
        path.unlink()
    for mode in MODES:
        assert train_checkpoint(fresh, HOST, "gbt", mode, silent)[2]
    made_beside, is_new = fit_baselines(fresh, HOST, silent)
    assert is_new and fit_baselines(fresh, HOST, silent) == (made_beside, False)
    assert fresh.baselines("host").read_bytes() == before.baselines("host").read_bytes()
    _, is_new = evaluate_recipe(fresh, HOST, index.hosts, registry, silent)
    assert is_new
    for name in ROWS:
        ours, theirs = (x.evaluation("host") / f"{name}_eval.json" for x in (fresh, before))
        assert ours.read_bytes() == theirs.read_bytes(), name
    assert evaluate_recipe(fresh, HOST, index.hosts, registry, silent)[1] is False
    study = open_investigator(fresh, StudyOptions(recipe="host", overrides=HOST.overrides, split=HOST.split))
    for path in fresh.artifacts("host").glob("encoder*"):
        path.unlink()
    assert train_encoder(study, silent)[1] and evaluate_encoder(study, silent)[1]
    ours, theirs = (x.encoder_evaluation("host") for x in (fresh, before))
    assert ours.read_bytes() == theirs.read_bytes()
    write_comparison(fresh, "host")
    ours, theirs = (x.report("host").read_text().split("\n## Cost\n") for x in (fresh, before))
    assert ours[0] == theirs[0] and len(ours) == len(theirs) == 2  # what scoring took is measured, and comes last
