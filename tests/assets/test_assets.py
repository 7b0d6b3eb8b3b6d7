"""Asset bodies, one at a time: what they attach, what their checks say, and that they fail closed."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rlstir_assets.assets.datasets import split
from rlstir_assets.assets.detectors import baselines, checkpoints
from rlstir_assets.assets.evaluation import comparison_v2, detector_eval, encoder_eval
from rlstir_assets.assets.ingest import episode_index, validation
from rlstir_assets.assets.investigator import encoder, tokenizer
from rlstir_assets.assets.logs import lab_checks, log_events
from rlstir_assets.assets.telemetry import feature_schema, window_features, window_tensors
from rlstir_assets.reporting import opening, refusals, table
from rlstir_assets.resources import Settings
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.errors import ConfigError, StoreError, UpstreamMissing
from rlstir_core.evaluation.report import comparison
from rlstir_core.results.layout import Layout

pytestmark = pytest.mark.slow
HOST_ASSETS = [validation, window_tensors, window_features]


@pytest.fixture
def instance() -> Any:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


@pytest.fixture
def settings(tmp_path: Path, small_store: Callable[..., Path]) -> Settings:
    small_store(tmp_path / "store", episodes=4)
    return Settings(store=str(tmp_path / "store"), data=str(tmp_path / "data"), train_hosts=[])


def make(
    assets: list[Any], settings: Settings, instance: dg.DagsterInstance, partition: str | None = None
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        assets,
        resources={"settings": settings},
        partition_key=partition,
        instance=instance,
        raise_on_error=False,
        selection=[key for asset in assets for key in asset.keys],
    )


def step_failure(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step said, as the UI shows it."""
    assert not result.success
    data = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert data and data[0].user_failure_data is not None
    return str(data[0].user_failure_data.description)


def failure(result: dg.ExecuteInProcessResult) -> Any:
    """All that Dagster keeps of the failed step."""
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data


def metadata(result: dg.ExecuteInProcessResult, asset: Any) -> dict[str, Any]:
    *_, event = result.asset_materializations_for_node(asset.op.name)  # what it was asked for comes last
    return {name: value.value for name, value in event.metadata.items()}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}


def test_the_index_registers_every_host_and_keeps_the_torn_line(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    result = make([episode_index], settings, instance)
    assert result.success
    assert set(instance.get_dynamic_partitions("host")) == {"elliott-thinkpad", "k-gamingcom"}
    shown = metadata(result, episode_index)
    assert shown["dagster/row_count"] == 4
    assert "two records in one line, both kept" in str(shown["faults"])
    assert checks(result) == {"index_readable": True}


def test_a_lost_index_line_fails_its_check_and_stops_nothing(settings: Settings, instance: dg.DagsterInstance) -> None:
    index = Path(settings.store) / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-40])
    result = make([episode_index], settings, instance)
    assert result.success
    assert checks(result) == {"index_readable": False}


def test_a_range_of_hosts_goes_from_tarballs_to_features(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert make([episode_index, feature_schema], settings, instance).success
    for host in instance.get_dynamic_partitions("host"):
        result = make(HOST_ASSETS, settings, instance, host)
        assert result.success
        assert checks(result) == {"verdict_rates": True}
        assert metadata(result, validation)["decoded"] == 2
        assert metadata(result, window_features)["made"] == 2
    again = make(HOST_ASSETS, settings, instance, "k-gamingcom")
    assert [
        metadata(again, asset)[name] for asset, name in zip(HOST_ASSETS, ("decoded", "made", "made"), strict=True)
    ] == [
        0,
        0,
        0,
    ]


def test_a_host_of_which_most_is_rejected_stops_the_run(settings: Settings, instance: dg.DagsterInstance) -> None:
    for tarball in (Path(settings.store) / "episodes" / "k-gamingcom").iterdir():
        tarball.write_bytes(b"garbage")
    assert make([episode_index, feature_schema], settings, instance).success
    result = make(HOST_ASSETS, settings, instance, "k-gamingcom")
    sentence = step_failure(result)
    assert sentence.startswith(
        "verdict_rates: 2 of 2 episodes of host 'k-gamingcom' are rejected (index.bytes 2), more than half"
    )
    assert checks(result) == {"verdict_rates": False}
    assert not result.asset_materializations_for_node("window_tensors")
    assert make(HOST_ASSETS, settings, instance, "elliott-thinkpad").success
    later = make([window_tensors], settings, instance, "k-gamingcom")  # a run that knows nothing of the check
    assert "2 of 2 episodes of host 'k-gamingcom' are rejected" in step_failure(later)


MISSING = [
    (validation, "k-gamingcom", "key:episode_index"),
    (feature_schema, None, "key:episode_index"),
    (window_tensors, "k-gamingcom", "key:episode_index"),
    (window_features, "k-gamingcom", "key:episode_index"),
    (log_events, "k-gamingcom", "key:episode_index"),
    (lab_checks, None, "key:episode_index"),
    (split, "host", "key:episode_index"),
    (checkpoints[0], "host", "key:episode_index"),
    (baselines, "host", "key:episode_index"),
    (detector_eval, "host", "key:episode_index"),
    (tokenizer, "host", "key:episode_index"),
    (encoder, "host", "key:episode_index"),
    (encoder_eval, "host", "key:episode_index"),
    (comparison_v2, "host", "key:episode_index"),
]


@pytest.mark.parametrize(("asset", "partition", "command"), MISSING)
def test_an_asset_without_its_upstream_fails_with_the_command_that_makes_it(
    settings: Settings, instance: dg.DagsterInstance, asset: Any, partition: str | None, command: str
) -> None:
    instance.add_dynamic_partitions("host", ["k-gamingcom"])
    sentence = step_failure(make([asset], settings, instance, partition))
    place = f"--store {settings.store} --data {settings.data}"
    assert re.search(rf"make it with: \S*rlstir materialize {re.escape(place)} --select {command}", sentence)
    assert "\n" not in sentence


def test_a_refusal_shows_no_stack_trace_and_links_to_what_is_to_be_made_first(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert make([episode_index], settings, instance).success
    kept = failure(make([comparison_v2], settings, instance, "host"))
    assert kept.error is not None and kept.error.stack == [] and kept.error.cause is None
    assert kept.error.message.strip() == kept.user_failure_data.description
    shown = kept.user_failure_data.metadata
    assert shown["click Materialize on"].asset_key == detector_eval.key
    assert shown["for partition"].value == "host"
    wrong = Settings(store=settings.store, data=settings.data, preset="huge")
    shown = failure(make([feature_schema], wrong, instance)).user_failure_data.metadata
    assert "opens the launchpad" in shown["to change settings"].value


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("RLSTIR_PRESET", "huge", "preset 'huge' is unknown; choose one of smoke"),
        ("RLSTIR_NORMALISE", "loud", "normaliser 'loud' is unknown; choose one of none"),
        ("RLSTIR_SET", "train.batch=many", "'train.batch=many' needs a value like 64"),
        ("RLSTIR_TRAIN_HOSTS", "../x", "'../x' is not a safe identifier"),
    ],
)
def test_a_variable_of_the_environment_with_a_bad_value_is_refused_by_its_name_in_every_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    field = {"RLSTIR_PRESET": "preset", "RLSTIR_NORMALISE": "normalise"}.get(variable)
    given = {field: value} if field else {}  # those two are read when the code location loads
    with pytest.raises(ConfigError, match=f"^environment variable {variable}: .*{re.escape(says)}"):
        Settings(store=settings.store, data=settings.data, **given).opened()
    monkeypatch.delenv(variable)
    if field:  # the launchpad's own value is not the environment's
        with pytest.raises(ConfigError, match=f"^{re.escape(says)}"):
            Settings(store=settings.store, data=settings.data, **given).opened()


def test_a_report_without_its_evaluation_names_the_command_that_makes_it(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert make([episode_index], settings, instance).success
    assert "--recipe host --select key:detector_eval" in step_failure(make([comparison_v2], settings, instance, "host"))


def test_telemetry_without_a_schema_or_a_host_that_was_not_validated_says_so(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert make([episode_index], settings, instance).success
    assert "--select key:feature_schema" in step_failure(make([window_tensors], settings, instance, "k-gamingcom"))
    assert make([feature_schema], settings, instance).success
    sentence = step_failure(make([window_tensors], settings, instance, "k-gamingcom"))
    assert "--select key:validation" in sentence


def test_nothing_is_split_while_one_host_was_not_validated(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert make([episode_index, feature_schema], settings, instance).success
    assert make(HOST_ASSETS, settings, instance, "elliott-thinkpad").success
    sentence = step_failure(make([split], settings, instance, "host"))
    assert "'k-gamingcom' was not validated, 1 of 2 hosts" in sentence
    assert "--select key:validation" in sentence
    with pytest.raises(UpstreamMissing):
        settings.validated_hosts()


def test_a_finished_checkpoint_is_kept_and_its_checks_are_made_again(
    own_driven: Any, instance: dg.DagsterInstance
) -> None:
    settings = Settings(store=str(own_driven.store), data=str(own_driven.data), train_hosts=[])
    result = make([checkpoints[0]], settings, instance, "host")
    assert result.success
    assert metadata(result, checkpoints[0])["trained now"] is False
    assert checks(result) == dict.fromkeys(("schema_hash", "leaked_fits"), True)
    assert {each.partition for each in result.get_asset_check_evaluations()} == {"host"}
    members = [(row.data["round"], row.data["fold"]) for row in metadata(result, checkpoints[0])["members"].records]
    assert members == [(1, 1), (1, 2), (1, 3)]


def test_a_split_that_is_current_is_shown_again_with_its_checks(own_driven: Any, instance: dg.DagsterInstance) -> None:
    settings = Settings(store=str(own_driven.store), data=str(own_driven.data), train_hosts=[])
    result = make([split], settings, instance, "host")
    assert result.success and metadata(result, split)["split now"] is False
    assert checks(result) == dict.fromkeys(("split_overlap", "class_coverage"), True)
    assert {each.partition for each in result.get_asset_check_evaluations()} == {"host"}
    assert [row.data["round"] for row in metadata(result, split)["rounds"].records] == [1]
    recipes = {row.data["recipe"]: row.data for row in metadata(result, split)["recipes"].records}
    assert list(recipes) == list(RECIPES) and recipes["host"]["possible"] is True
    assert recipes["corpus"]["possible"] is False and "every usable episode is of" in str(recipes["corpus"]["why not"])


def test_an_evaluation_that_is_current_is_shown_again_with_its_warnings(
    own_driven: Any, instance: dg.DagsterInstance
) -> None:
    settings = Settings(store=str(own_driven.store), data=str(own_driven.data), train_hosts=[])
    result = make([detector_eval], settings, instance, "host")
    assert result.success  # the checks warn and do not block
    assert metadata(result, detector_eval)["scored now"] is False
    assert checks(result)["untested"] is False and checks(result)["drift"] is True
    for each in result.get_asset_check_evaluations():  # so that no recipe's result replaces another's
        assert each.partition == each.metadata["recipe"].value == "host"
    scores = str(metadata(result, detector_eval)["scores"])
    assert all(name in scores for name in ("gbt_realistic", "lstm_oracle", "majority", "clock", "metadata-only"))


def test_the_report_shows_its_answer_its_picture_and_its_figures_on_its_page(
    own_driven: Any, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a report of another recipe that shows this one as well is brought up to date, and told of, beside it."""
    settings = Settings(store=str(own_driven.store), data=str(own_driven.data), train_hosts=[])
    written: list[str] = []
    write = comparison.write_comparison

    def once(layout: Any, recipe: str, tell: Any) -> comparison.Written:
        written.append(recipe)
        return write(layout, "host", tell)

    monkeypatch.setattr(comparison, "write_comparison", once)
    monkeypatch.setattr(comparison, "outdated_pages", lambda _: ["random", "host"])
    shown = metadata(make([comparison_v2], settings, instance, "host"), comparison_v2)
    assert written == ["host", "random"]
    assert instance.get_materialized_partitions(comparison_v2.key) == {"host", "random"}
    assert "realistic model" in shown["answer"] and len(shown["answer"]) < 1_000
    assert shown["models"].startswith("![macro F1](data:image/svg+xml,") and len(shown["models"]) < 1_000
    assert len(shown["scores"].records) == 17 and Path(shown["html"]).is_file()


def test_the_opening_of_a_report_is_its_first_paragraphs() -> None:
    text = "# Title\n\n- a list\n\n## Answer\n\nOne.\n\n![p](x.png)\n\nTwo.\n\n## More\n\nThree."
    assert opening(text) == "One.\n\nTwo."
    assert opening("# T\n\n" + "word " * 20) == " ".join(["word"] * 10) + "\\\n" + " ".join(["word"] * 10)
    assert opening(f"# T\n\nOne.\n\n{'long ' * 300}") == "One."


def test_train_hosts_of_the_settings_reach_recipe_host_alone(driven: Any) -> None:
    settings = Settings(store=str(driven.store), data=str(driven.data), train_hosts=["k-gamingcom"])
    assert settings.options("host").split.train_hosts == ("k-gamingcom",)
    assert settings.options("sample").split.train_hosts == ()


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (StoreError("the store is shut; open it"), "the store is shut; open it"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/x"),
            "No space left on device (/data/x): free space",
        ),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "No space left on device while writing"),
    ],
)
def test_a_refusal_or_a_full_disk_fails_the_step_with_one_sentence(raised: Exception, expected: str) -> None:
    with pytest.raises(dg.Failure) as failure, refusals():
        raise raised
    assert failure.value.allow_retries is False
    assert expected in str(failure.value.description)


def test_a_defect_keeps_its_own_name() -> None:
    with pytest.raises(ZeroDivisionError), refusals():
        _ = 1 / 0


def test_tables_are_rounded_and_may_be_empty() -> None:
    shown = table([{"model": "gbt", "macro F1": 0.123456}])
    assert shown.records[0].data == {"model": "gbt", "macro F1": 0.1235}
    assert table([]).records == []


def test_settings_take_empty_variables_for_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(store="", data="x").layout == Layout(Path("x"))
    monkeypatch.setenv("RLSTIR_TRAIN_HOSTS", "a,,b")
    assert Settings().train_hosts == ["a", "b"]
