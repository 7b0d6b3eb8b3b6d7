"""The glue of evaluation on a real run: scenes, predictions, refusals, freshness, probes, the files of the report."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from rlstir_core.atomic import write_bytes
from rlstir_core.contract.registry import MODES
from rlstir_core.datasets.recipes import SplitSettings
from rlstir_core.detectors.checkpoint import load_detector, read_checkpoint
from rlstir_core.detectors.experiment import (
    Experiment,
    Plan,
    check_checkpoint,
    model_input_schema,
    open_experiment,
    train_checkpoint,
)
from rlstir_core.episodes.index import save_index
from rlstir_core.episodes.validate import validate_host
from rlstir_core.episodes.verdicts import read_validation
from rlstir_core.errors import RlstirError, SplitRefused, UpstreamMissing, how_to_make
from rlstir_core.evaluation.detectors import detector_eval
from rlstir_core.evaluation.detectors.context import describe_quality
from rlstir_core.evaluation.detectors.detector_eval import evaluate_recipe, inputs_path, read_inputs
from rlstir_core.evaluation.detectors.probes import best_stump, feature_aurocs
from rlstir_core.evaluation.detectors.scenes import AS_RECORDED, TEST, VALIDATION, Stage, read_predictions
from rlstir_core.evaluation.freshness import stale_recipe_assets
from rlstir_core.evaluation.report.comparison import write_comparison
from rlstir_core.evaluation.report.summary import closing_summary
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.learning.presets import MODELS
from rlstir_core.provenance.store import build_graphs
from rlstir_core.results.layout import Layout
from rlstir_core.staleness import index_is_current, schema_is_current, stale_host_stages
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import build_features, build_tensors, read_features

pytestmark = pytest.mark.slow
TEST_HOST, TRAIN_HOST = "k-gamingcom", "elliott-thinkpad"
NAMES = [f"{model}_{mode}" for mode in MODES for model in MODELS]


def plan_of(driven: Any, **changes: Any) -> Plan:
    return msgspec.structs.replace(Plan(recipe="host", hosts=driven.index.hosts), **changes)


def silent(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def experiment(driven: Any) -> Experiment:
    return open_experiment(driven.layout, plan_of(driven))


def predictions(driven: Any, name: str) -> Any:
    model, mode = name.split("_")
    return pq.ParquetFile(driven.layout.predictions("host", model, mode)).read()


# Scenes and predictions


def test_predictions_hold_probabilities_of_every_scene_and_no_label(driven: Any) -> None:
    for name in NAMES:
        table = predictions(driven, name)
        phases = driven.registry.phases
        assert table.column_names == ["scene", "episode_id", "window", "seconds_seen", *(f"p_{p}" for p in phases)]
        assert set(table["scene"].to_pylist()) == {VALIDATION, TEST, AS_RECORDED}
        proba = np.stack([table[f"p_{p}"].to_numpy() for p in phases], axis=1)
        assert np.allclose(proba.sum(axis=1), 1, atol=1e-5)


def test_predictions_are_all_written_before_the_first_label_is_joined(
    own_driven: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own_driven.layout.predictions("host", "gbt", "realistic").parent
    shutil.rmtree(folder)
    inputs_path(own_driven.layout, "host").unlink()

    class FirstLabel(Exception):
        pass

    def first(*_: object) -> None:
        raise FirstLabel

    monkeypatch.setattr(detector_eval, "read_predictions", first)
    with pytest.raises(FirstLabel):
        evaluate_recipe(own_driven.layout, plan_of(own_driven), own_driven.registry, silent)
    written = {path.stem for path in folder.iterdir()}
    assert written.issuperset({*NAMES, "majority_baseline", "clock_baseline", "metadata-only_baseline"})


def test_a_prediction_does_not_change_with_the_labels_of_the_test_side(driven: Any, experiment: Experiment) -> None:
    def wrong(recording: Any) -> Any:
        return dataclasses.replace(recording, label_W=np.where(recording.label_W >= 0, 0, -1))

    turned = {name: wrong(r) if r.info.host == TEST_HOST else r for name, r in experiment.corpus.recordings.items()}
    other = dataclasses.replace(experiment, corpus=dataclasses.replace(experiment.corpus, recordings=turned))
    for model in ("gbt", "gru"):
        schema = model_input_schema(experiment, model, "realistic")
        _, detector = load_detector(driven.layout.checkpoint("host", model, "realistic"), schema)
        seen = []
        for e in (experiment, other):
            stage = Stage(e)
            scene = next(s for s in stage.scenes if s.name == TEST)
            seen.append(detector.predict_proba(stage.inputs(scene, schema)))
        assert np.array_equal(*seen)


def test_test_scenes_show_test_episodes_and_validation_shows_train_episodes(
    driven: Any, experiment: Experiment
) -> None:
    table = predictions(driven, "gbt_realistic")
    shown: dict[str, set[str]] = {}
    for scene, episode in zip(table["scene"].to_pylist(), table["episode_id"].to_pylist(), strict=True):
        shown.setdefault(scene, set()).add(episode)
    assert shown[TEST] <= set(experiment.split.test)
    assert shown[AS_RECORDED] == set(experiment.split.test)
    assert shown[VALIDATION] <= set(experiment.split.train)


def test_joining_gives_each_window_the_label_that_the_features_hold(driven: Any, experiment: Experiment) -> None:
    path = driven.layout.predictions("host", "gbt", "realistic")
    pairs = read_predictions(path, "gbt_realistic", "gbt", "realistic", experiment)
    truth, scores = pairs[AS_RECORDED]
    assert len(truth) == len(scores.proba_NK)
    for place, episode in enumerate(truth.episodes.episode_id.tolist()):
        recording = experiment.corpus.recordings[episode]
        assert set(truth.y_N[truth.episode_N == place]) <= set(recording.label_W.tolist())


# Refusals


def test_a_checkpoint_of_another_split_is_refused_with_the_command_that_trains_it(own_driven: Any) -> None:
    other = plan_of(own_driven, split=SplitSettings(folds=2))
    with pytest.raises(UpstreamMissing, match=r"another split") as refusal:
        evaluate_recipe(own_driven.layout, other, own_driven.registry, silent)
    assert how_to_make("checkpoint/realistic/gbt", "host") in str(refusal.value)


def test_a_missing_checkpoint_is_named_with_the_command_that_makes_it(own_driven: Any) -> None:
    own_driven.layout.checkpoint("host", "lstm", "oracle").unlink()
    with pytest.raises(UpstreamMissing, match=r"lstm_oracle\.ckpt\.json is missing; make it with: .*checkpoint/oracle"):
        evaluate_recipe(own_driven.layout, plan_of(own_driven), own_driven.registry, silent)


def test_a_checkpoint_of_another_schema_is_refused_by_both_hashes(driven: Any, experiment: Experiment) -> None:
    path = driven.layout.checkpoint("host", "gbt", "realistic")
    mine = model_input_schema(experiment, "gbt", "realistic")
    other = msgspec.structs.replace(mine, feature_schema_sha256="0" * 64)
    with pytest.raises(ValueError) as refusal:
        load_detector(path, other)
    assert mine.sha256[:12] in str(refusal.value) and other.sha256[:12] in str(refusal.value)
    checkpoint = msgspec.structs.replace(read_checkpoint(path), input_schema=other)
    proofs = {proof.name: proof.holds for proof in check_checkpoint(experiment, checkpoint)}
    assert proofs == {"split_overlap": True, "class_coverage": True, "schema_hash": False, "leaked_fits": True}


def test_a_checkpoint_of_another_split_fails_the_proof_of_clean_fits(driven: Any) -> None:
    other = open_experiment(driven.layout, plan_of(driven, split=SplitSettings(folds=2)))
    proofs = {
        proof.name: proof.holds
        for proof in check_checkpoint(other, read_checkpoint(driven.layout.checkpoint("host", "mlp", "oracle")))
    }
    assert not proofs["leaked_fits"]


def test_a_report_without_an_evaluation_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UpstreamMissing, match=re.escape(how_to_make("detector_eval", "host"))):
        write_comparison(Layout(tmp_path), "host")


def test_a_damaged_evaluation_is_made_again_and_not_believed(own_driven: Any) -> None:
    write_bytes(inputs_path(own_driven.layout, "host"), b'{"recipe": 3}')
    assert read_inputs(own_driven.layout, "host") is None
    stale = stale_recipe_assets(own_driven.layout, plan_of(own_driven), own_driven.registry)
    assert {name for name, is_stale in stale.items() if is_stale} == {"detector_eval", "comparison_v2"}


# Freshness


def test_nothing_is_stale_after_a_run(driven: Any) -> None:
    layout = driven.layout
    assert index_is_current(layout, driven.index)
    assert schema_is_current(driven.store, layout, "ewma")
    assert all(stale_host_stages(driven.store, layout, host) == () for host in driven.index.hosts)
    assert not any(stale_recipe_assets(layout, plan_of(driven), driven.registry).values())


def test_another_preset_makes_every_detector_stale(driven: Any) -> None:
    assert all(stale_recipe_assets(driven.layout, plan_of(driven, preset="rtx4060"), driven.registry).values())


def test_other_train_hosts_make_every_detector_stale(driven: Any) -> None:
    plan = plan_of(driven, split=SplitSettings(train_hosts=(TEST_HOST,)))
    assert all(stale_recipe_assets(driven.layout, plan, driven.registry).values())


def test_another_normaliser_makes_the_schema_stale(driven: Any) -> None:
    assert not schema_is_current(driven.store, driven.layout, "none")


def test_a_report_that_a_cut_off_run_left_behind_is_made_again(own_driven: Any) -> None:
    layout, plan = own_driven.layout, plan_of(own_driven)
    result = read_inputs(layout, "host")
    assert result is not None
    hashes = {**result.manifest.hashes, "evaluation_inputs": "0" * 64}
    earlier = msgspec.structs.replace(result.manifest, hashes=hashes)
    write_bytes(layout.evaluation("host") / "manifest.json", msgspec.json.encode(earlier))
    stale = stale_recipe_assets(layout, plan, own_driven.registry)
    assert [name for name, is_stale in stale.items() if is_stale] == ["comparison_v2"]
    write_comparison(layout, "host")
    assert not any(stale_recipe_assets(layout, plan, own_driven.registry).values())


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
    assert gone.episode_id not in set(read_features(layout, TEST_HOST, ())["episode_id"].to_pylist())
    assert not list(own_driven.data.rglob(f"{gone.episode_id}*"))
    stale = stale_recipe_assets(layout, plan_of(own_driven), registry)
    assert stale["detector_eval"] and stale["comparison_v2"]


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
    made = sorted(path.relative_to(fresh.processed) for path in fresh.processed.rglob("*") if path.is_file())
    assert made == sorted(p.relative_to(before.processed) for p in before.processed.rglob("*") if p.is_file())
    for path in made:
        if path.parts[0] != "validation_v1.parquet" or path.name != "_ledger.json":  # it holds inodes and times
            assert (fresh.processed / path).read_bytes() == (before.processed / path).read_bytes(), path
    shutil.copytree(before.artifacts("host"), fresh.artifacts("host"))
    for path in fresh.artifacts("host").glob("gbt_*"):
        path.unlink()
    plan = plan_of(own_driven)
    for mode in MODES:
        assert train_checkpoint(fresh, plan, "gbt", mode, silent)[2]
    _, is_new = evaluate_recipe(fresh, plan, registry, silent)
    assert is_new
    for name in NAMES:
        ours, theirs = (x.evaluation("host") / f"{name}_eval.json" for x in (fresh, before))
        assert ours.read_bytes() == theirs.read_bytes(), name
    assert evaluate_recipe(fresh, plan, registry, silent)[1] is False
    write_comparison(fresh, "host")
    assert fresh.report("host").read_bytes() == before.report("host").read_bytes()


# What stands around the scores


def test_untested_phases_and_profiles_are_listed_by_name(driven: Any) -> None:
    inputs = read_inputs(driven.layout, "host")
    assert inputs is not None
    assert "scan-and-dial" in {row.name for row in inputs.untested if row.kind == "profile"}
    assert all(row.reason for row in inputs.untested)
    tested = set(inputs.models[0].metrics.per_phase)
    assert not tested & {row.name for row in inputs.untested if row.kind == "phase"}


def test_the_quality_section_names_the_torn_line_and_the_degraded_host(driven: Any) -> None:
    quality = describe_quality(driven.layout, driven.index.hosts, driven.registry)
    fault = driven.index.faults[0]
    assert [f"line {found.line}: {found.detail}" for found in quality.index_faults] == [fault.detail]
    assert "two records in one line, both kept" in quality.index_faults[0].detail
    hosts = {row.host: row for row in quality.hosts}
    assert hosts[TEST_HOST].degraded > hosts[TRAIN_HOST].degraded == 0
    assert quality.index_records == len(driven.index.entries) == quality.index_lines + 1
    assert {row.profile for row in quality.low_diversity} >= {"cpu-saturate", "low-and-slow"}


def test_a_synthetic_store_has_its_leakage_checks_printed(driven: Any) -> None:
    inputs = read_inputs(driven.layout, "host")
    assert inputs is not None and inputs.synthetic
    names = " ".join(probe.name for probe in inputs.probes)
    for words in ("clock", "metadata-only", "stump", "random split", "held out"):
        assert words in names
    assert {probe.verdict for probe in inputs.probes} <= {"ok", "leak", "outside", "not measured"}


def test_the_stump_finds_a_column_that_gives_the_label_away(experiment: Experiment) -> None:
    attack = np.array([p in experiment.corpus.schema.attack_phases for p in experiment.corpus.schema.phases])

    def marked(recording: Any) -> Any:
        features = recording.features_WF.copy()
        features[:, 3] = -attack[recording.label_W].astype(np.float32)  # either way round
        return dataclasses.replace(recording, features_WF=features)

    told = {name: marked(recording) for name, recording in experiment.corpus.recordings.items()}
    corpus = dataclasses.replace(experiment.corpus, recordings=told)
    assert best_stump(dataclasses.replace(experiment, corpus=corpus)) == (1.0, experiment.corpus.columns[3])


def test_column_aurocs_agree_with_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(3)
    x_NF = rng.normal(size=(200, 7)).round(1).astype(np.float32)
    positive_N = rng.random(200) < 0.3
    expected = [roc_auc_score(positive_N, x_NF[:, f]) for f in range(7)]
    assert np.allclose(feature_aurocs(x_NF, positive_N), expected)


def test_the_closing_summary_fits_on_a_screen_and_says_what_comes_next(driven: Any) -> None:
    lines = closing_summary(driven.data, {"host": driven.layout.report("host")})
    assert len(lines) <= 25
    text = "\n".join(lines)
    for words in ("16 synthetic episodes", "best by validation", "untested", "comparison_v2.md", "next: "):
        assert words in text


def test_the_summary_of_many_recipes_still_fits(driven: Any) -> None:
    path = driven.layout.report("host")
    lines = closing_summary(driven.data, {"host": path, "sample": path, "time": path})
    assert len(lines) <= 25


@pytest.mark.parametrize("recipe", ["sample", "time"])
def test_other_recipes_split_the_same_store_or_say_why_not(driven: Any, recipe: str) -> None:
    try:
        experiment = open_experiment(driven.layout, plan_of(driven, recipe=recipe))
    except SplitRefused as refusal:
        assert len(str(refusal).splitlines()) == 1
        return
    assert all(proof.holds for proof in experiment.proofs)


def test_every_refusal_of_the_glue_is_one_sentence_of_the_projects_own_kind(driven: Any) -> None:
    with pytest.raises(RlstirError) as refusal:
        open_experiment(Layout(driven.root / "nothing"), plan_of(driven))
    assert "\n" not in str(refusal.value) and "make it with" in str(refusal.value)
