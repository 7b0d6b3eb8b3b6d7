"""`rlstir materialize`, end to end on a small store: one full run, and what later runs do and leave alone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rlstir_core.contract.registry import MODES
from rlstir_core.detectors.models import MODELS
from rlstir_core.episodes.validation.verdicts import read_validation
from rlstir_core.evaluation.drift.digest import DigestReader
from rlstir_core.evaluation.report.markdown import may_link
from rlstir_core.telemetry.schema import read_schema

pytestmark = pytest.mark.slow
TEST_HOST, TRAIN_HOST = "k-gamingcom", "elliott-thinkpad"
NAMES = [f"{model}_{mode}" for mode in MODES for model in (*MODELS, "ensemble")]
HOST_ASSETS = ("validation", "window_tensors", "window_features", "log_events", "provenance_graphs")


def report(driven: Any) -> str:
    return str(driven.layout.report("host").read_text())


def partitions_made(instance: dg.DagsterInstance, name: str) -> list[str]:
    """The partition of every materialization of the asset, sorted."""
    records = instance.fetch_materializations(dg.AssetKey.from_user_string(name), limit=1000).records
    return sorted(record.asset_materialization.partition or "" for record in records)


# The first run


def test_a_full_run_says_what_it_does_and_ends_with_a_summary_of_one_screen(driven: Any) -> None:
    lines = driven.stdout.splitlines()
    assert lines[0].startswith("materializing ")
    assert lines[1].endswith("16 episodes of 2 hosts")
    assert "two records in one line, both kept" in lines[2]
    for title in ("index: making", "hosts elliott-thinkpad, k-gamingcom: making", "recipe host: making 12 checkpoints"):
        assert any(line.startswith(title) for line in lines), title
    closing = lines[max(i for i, line in enumerate(lines) if line.startswith("  comparison_v2 ")) + 1 :]
    assert 5 <= len(closing) <= 25
    assert closing[-1].startswith("next: ")
    assert any(line.startswith("report: ") and line.endswith("comparison_v2.md") for line in closing)
    assert driven.stderr == ""


def test_outputs_and_dagsters_records_lie_where_they_were_asked_for_and_nowhere_else(driven: Any) -> None:
    assert sorted(path.name for path in driven.root.iterdir()) == ["data", "elsewhere", "home", "store"]
    assert list((driven.root / "elsewhere").iterdir()) == []
    found = sorted(path.name for path in driven.data.iterdir())
    assert found == [".locks", "artifacts", "champions", "processed", "reports", "store.json"]
    assert (driven.home / ".rlstir" / "dagster" / "storage").is_dir()


def test_the_report_has_a_row_of_every_model_and_ensemble_and_the_baselines(driven: Any) -> None:
    rows = re.findall(r"(?m)^\| (\S+) (realistic|oracle) +\|", report(driven))
    assert {f"{model}_{mode}" for model, mode in rows} == set(NAMES)
    costs = re.findall(r"(?m)^\| (\S+) (realistic|oracle) +\| cpu", report(driven).partition("\n## Cost\n")[2])
    assert sorted(f"{model}_{mode}" for model, mode in costs) == sorted(NAMES)
    for baseline in ("majority", "clock", "metadata-only"):
        assert f"`{baseline}`" in report(driven)


def test_the_report_lists_what_was_not_tested_and_names_the_torn_line(driven: Any) -> None:
    text = report(driven)
    assert "scan-and-dial" in text.split("## Untested")[1].split("\n## ")[0]
    assert "two records in one line, both kept" in text.split("## Data quality")[1]


def test_the_report_compares_the_last_day_of_each_host_with_its_past(driven: Any) -> None:
    text = report(driven).split("\n## Drift\n")[1].split("\n## ")[0]
    assert "No alarm." in text and "Not judged, with fewer than 10 episodes before that day" in text
    assert "No host of the train side recorded anything after the last train episode" in text


def test_a_digest_holds_how_an_episode_was_recorded_its_channels_its_logs_and_its_score(driven: Any) -> None:
    rows = read_validation(driven.layout.validation(TRAIN_HOST))
    scored = next(row for row in rows if row.usable)
    schema = read_schema(driven.layout.feature_schema)
    reader = DigestReader(driven.layout, driven.registry, schema, {(TRAIN_HOST, scored.episode_id): 0.4})
    found = reader.read(TRAIN_HOST, rows)
    assert found.episodes == tuple(row.episode_id for row in rows)  # nothing was left out
    (at,) = found.select([scored.episode_id])
    number = dict(zip(found.columns, found.x_EC[at], strict=True))
    assert number["score", "mean attack probability"] == 0.4
    assert number["recording", "rejected"] == 0 and number["recording", "duration, s"] > 30
    assert number["level", "proc.rss_bytes"] > 0 and 0 <= number["missing", "proc.rss_bytes"] < 0.2
    assert any(kind == "log" and rate > 0 for (kind, _), rate in number.items())
    assert sum(found.templates[at].values()) == pytest.approx(1) == pytest.approx(sum(found.words[at].values()))


def test_the_html_is_one_offline_file_under_a_megabyte(driven: Any) -> None:
    html = driven.layout.report("host").with_suffix(".html").read_text()
    assert len(html.encode()) < 1_000_000
    assert not re.search(r"(?i)<(link|iframe)\b", html) and html.count("<script") == 1
    loaded = re.findall(r"""(?i)\bsrc\s*=\s*["']([^"']*)""", html) + re.findall(r"url\(([^)]*)", html)
    assert all(target.startswith("data:") for target in loaded), loaded
    referred = re.findall(r"""(?i)\bhref\s*=\s*["']([^"']*)""", html)
    assert all(target.startswith("#") or may_link(target) for target in referred), referred
    for name in NAMES:
        model, mode = name.split("_")
        assert model in html and mode in html


def test_every_detector_has_an_eval_file_with_the_designs_keys(driven: Any) -> None:
    wanted = {
        *("model", "mode", "recipe", "seeds", "n_train_episodes", "n_test_episodes", "n_test_windows", "metrics"),
        *("per_profile", "per_host", "untested", "selected_on", "schema_sha256", "checkpoint_sha256"),
    }
    for name in NAMES:
        found = json.loads((driven.layout.evaluation("host") / f"{name}_eval.json").read_text())
        assert wanted <= set(found), name
        assert (found["model"], found["mode"], found["recipe"]) == (*name.split("_"), "host")
        assert {"macro_f1", "accuracy", "per_phase"} == set(found["metrics"])
        assert {"value", "lo", "hi"} <= set(found["metrics"]["macro_f1"])
        for score in found["metrics"]["per_phase"].values():
            assert {"value", "lo", "hi"} <= set(score["f1"]) and score["n_test"] >= 5
        assert found["selected_on"] == "validation"
        assert found["per_host"].keys() == {TEST_HOST}
        assert found["n_train_episodes"] == found["n_test_episodes"] == 8


def test_predictions_pictures_cards_and_the_manifest_lie_beside_the_report(driven: Any) -> None:
    layout, folder = driven.layout, driven.layout.evaluation("host")
    for name in NAMES:
        model, mode = name.split("_")
        assert layout.predictions("host", model, mode).is_file()
        card = (layout.artifacts("host") / f"{name}.card.md").read_text()
        assert name in card or (model in card and mode in card)
        assert layout.checkpoint("host", model, mode).is_file()
    assert {path.suffix for path in layout.artifacts("host").iterdir()} <= {".json", ".safetensors", ".md", ".model"}
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", report(driven))
    assert pictures and all((folder / picture).is_file() for picture in pictures)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {"versions", "config", "hashes", "counts"} == set(manifest)
    assert manifest["counts"]["episodes_read"] == 16
    assert {"evaluation_inputs", "registry", "feature_schema", "split"} <= set(manifest["hashes"])


def test_no_output_names_this_machine(driven: Any) -> None:
    for path in (driven.layout.report("host"), *driven.layout.evaluation("host").glob("*.json")):
        assert str(driven.root) not in path.read_text(), path.name


def test_the_ui_shows_all_models_inline_and_every_asset_was_made_once(driven: Any, instance_of: Any) -> None:
    with instance_of(driven.home) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("comparison_v2"))
        shown = event.asset_materialization.metadata["models"].value
        assert len(shown) < 1000
        assert all(model in shown for model in MODELS)
        assert set(instance.get_dynamic_partitions("host")) == {TEST_HOST, TRAIN_HOST}
        for name in HOST_ASSETS:
            assert partitions_made(instance, name) == [TRAIN_HOST, TEST_HOST]
        for mode in MODES:
            for model in MODELS:
                assert partitions_made(instance, f"checkpoint/{model}_{mode}") == ["host"]
        runs = instance.get_runs()
        assert len(runs) == 4  # index, hosts, lab, recipe
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}


def test_the_host_run_was_one_range(driven: Any, instance_of: Any) -> None:
    with instance_of(driven.home) as instance:
        tags = [run.tags for run in instance.get_runs()]
    ranges = [
        (t["dagster/asset_partition_range_start"], t["dagster/asset_partition_range_end"])
        for t in tags
        if "dagster/asset_partition_range_start" in t
    ]
    assert [set(ends) for ends in ranges] == [{TEST_HOST, TRAIN_HOST}]


# Later runs


def test_a_second_run_makes_nothing_and_says_so(own_driven: Any, invoke: Any, instance_of: Any) -> None:

    def times() -> dict[Path, int]:
        files = (path for path in own_driven.data.rglob("*") if path.is_file() and path.suffix != ".lock")
        return {path: path.stat().st_mtime_ns for path in files}

    before = times()
    result = invoke("materialize", "--store", own_driven.store, "--data", own_driven.data, home=own_driven.home)
    assert result.exit_code == 0, result.output
    assert "nothing was new: every asset is up to date" in result.stdout
    assert "making" not in result.stdout
    assert "comparison_v2.md" in result.stdout
    assert times() == before
    with instance_of(own_driven.home) as instance:
        assert len(instance.get_runs()) == 4


def test_a_new_episode_reruns_its_host_and_the_recipe_and_leaves_the_other_host_alone(
    own_driven: Any,
    invoke: Any,
    instance_of: Any,
    tmp_path: Path,
    small_store: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rlstir_assets.driver import runs

    other = small_store(tmp_path / "other", episodes=2, seed=99)
    new = next((other / "episodes" / TEST_HOST).iterdir())
    line = next(
        record
        for text in (other / "index.jsonl").read_text().replace("}{", "}\n{").splitlines()
        if (record := json.loads(text))["host_id"] == TEST_HOST
    )
    shutil.copy(new, own_driven.store / "episodes" / TEST_HOST)
    with (own_driven.store / "index.jsonl").open("a") as index:
        index.write(json.dumps(line) + "\n")
    layout = own_driven.layout
    untouched = [layout.validation(TRAIN_HOST).parent, layout.tensors(TRAIN_HOST), layout.features(TRAIN_HOST)]
    before = {p: p.stat().st_mtime_ns for folder in untouched for p in folder.iterdir()}
    asked: list[tuple[set[str], tuple[str, ...]]] = []
    really = runs.run_assets

    def run_assets(instance: Any, keys: Any, *, partitions: Any, **rest: Any) -> None:
        names = {key.to_user_string() for key in keys}
        asked.append((names, tuple(partitions)))
        if "comparison_v2" not in names:  # training all again is what the first run has shown
            really(instance, keys, partitions=partitions, **rest)

    monkeypatch.setattr(runs, "run_assets", run_assets)
    result = invoke("materialize", "--store", own_driven.store, "--data", own_driven.data, home=own_driven.home)
    assert result.exit_code == 0, result.output
    assert asked[0] == ({"episode_index"}, ())
    assert asked[1] == (set(HOST_ASSETS), (TEST_HOST,))
    assert asked[2] == ({"lab_checks"}, ())
    assert asked[3][1] == ("host",) and {"detector_eval", "comparison_v2"} <= asked[3][0]
    assert len(asked) == 4
    with instance_of(own_driven.home) as instance:
        for name in HOST_ASSETS:
            assert partitions_made(instance, name) == [TRAIN_HOST, TEST_HOST, TEST_HOST]
        decoded = instance.get_latest_materialization_event(dg.AssetKey("validation")).asset_materialization
        assert decoded.metadata["decoded"].value == 1
    assert {p: p.stat().st_mtime_ns for folder in untouched for p in folder.iterdir()} == before
    assert (layout.tensors(TEST_HOST) / f"{line['episode_id']}.safetensors").exists()


def test_a_selection_of_early_assets_asks_nothing_of_later_ones(
    invoke: Any, tmp_path: Path, small_store: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlstir_assets.driver import runs

    store = small_store(tmp_path / "store", episodes=2)
    asked: list[set[str]] = []
    monkeypatch.setattr(runs, "run_assets", lambda _, keys, **__: asked.append({key.to_user_string() for key in keys}))
    options = ("materialize", "--store", store, "--data", tmp_path / "data", "--select")
    for text, expected in (("key:episode_index", {"episode_index"}), ("key:feature_schema", {"feature_schema"})):
        asked.clear()
        result = invoke(*options, text)
        assert result.exit_code == 0, result.output
        assert asked == [expected]
    result = invoke(*options, "key:detector_eval")
    assert result.exit_code == 2
    assert "key:episode_index" in result.stderr


def test_hosts_that_an_instance_does_not_know_are_made_all_the_same(
    own_driven: Any, invoke: Any, instance_of: Any
) -> None:
    with instance_of(own_driven.home) as instance:
        instance.delete_dynamic_partition("host", TEST_HOST)
    folder = own_driven.layout.features(TEST_HOST)
    shutil.rmtree(folder)
    given = ("--store", own_driven.store, "--data", own_driven.data, "--select", "key:window_features")
    done = invoke("materialize", *given, home=own_driven.home)
    assert done.exit_code == 0, done.output
    assert list(folder.glob("part-*.parquet"))


def test_hosts_that_are_neighbours_are_one_range_and_others_are_not() -> None:
    from rlstir_assets.driver.plan import ranges

    assert ranges(["a", "b", "c", "d"], ["a", "b", "d"]) == [("a", "b"), ("d",)]
    assert ranges(["c", "a"], ["a", "c"]) == [("c", "a")]
    assert ranges(["a"], []) == []


def test_a_run_that_fails_gives_the_sentence_of_the_step(own_driven: Any, invoke: Any) -> None:
    for tarball in (own_driven.store / "episodes" / TEST_HOST).iterdir():
        tarball.write_bytes(b"garbage")
    result = invoke("materialize", "--store", own_driven.store, "--data", own_driven.data, home=own_driven.home)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "verdict_rates: 8 of 8 episodes of host 'k-gamingcom' are rejected (index.bytes 8), more than half" in line
    assert "by which 8 of 8 were usable, stay as they are" in line
    assert "Traceback" not in result.output
