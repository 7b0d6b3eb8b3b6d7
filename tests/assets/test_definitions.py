"""The code location: the asset graph of the design, and nothing that only its author can run."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rlstir_assets.definitions import build_defs, defs
from rlstir_assets.resources import Settings
from rlstir_core.contract import columns
from rlstir_core.contract.registry import MODES
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.detectors.models import MODELS
from rlstir_core.lab.leakage.gate import GATES

# `AssetSelection.from_string` uses parameters that Dagster calls beta.
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")

ROOT = Path(__file__).parents[2]
CHECKPOINTS = {f"checkpoint/{model}_{mode}" for mode in MODES for model in MODELS}
GROUPS = {
    "ingest": {"synced_episodes", "episode_index", "validation"},
    "telemetry": {"feature_schema", "window_features", "window_tensors"},
    "logs": {"log_events", "provenance_graphs", "lab_checks"},
    "datasets": {"split"},
    "detectors": CHECKPOINTS | {"baselines"},
    "investigator": {"tokenizer", "encoder", "ppo_policy"},
    "evaluation": {"detector_eval", "encoder_eval", "investigation_eval", "comparison_v2"},
}
LISTED = {  # how many columns at least
    "synced_episodes": 8,
    "episode_index": 8,
    "validation": 20,
    "window_features": 20,
    "log_events": 20,
    "provenance_graphs": 20,
}
HOST_ASSETS = {"validation", "window_tensors", "window_features", "log_events", "provenance_graphs"}
EARLY = {*GROUPS["ingest"], *GROUPS["telemetry"], "log_events", "lab_checks"}
RECIPE_ASSETS = GROUPS["datasets"] | GROUPS["detectors"] | GROUPS["investigator"] | GROUPS["evaluation"]
BLOCKING = {
    "lab_checks": set(GATES),
    "validation": {"verdict_rates"},
    "split": {"split_overlap", "class_coverage"},
    "tokenizer": {"train_side_alone"},
    **{key: {"schema_hash", "leaked_fits"} for key in CHECKPOINTS},
}


def name_of(key: dg.AssetKey) -> str:
    return key.to_user_string()


@pytest.fixture(scope="module")
def specs() -> dict[str, dg.AssetSpec]:
    return {name_of(spec.key): spec for spec in defs.resolve_all_asset_specs()}


@pytest.fixture(scope="module")
def nodes() -> dict[str, object]:
    graph = defs.resolve_asset_graph()
    return {name_of(key): graph.get(key) for key in graph.get_all_asset_keys()}


def test_the_definitions_load_and_can_be_run() -> None:
    dg.Definitions.validate_loadable(build_defs())


def test_every_group_has_exactly_the_keys_of_the_design(specs: dict[str, dg.AssetSpec]) -> None:
    found: dict[str | None, set[str]] = {}
    for name, spec in specs.items():
        found.setdefault(spec.group_name, set()).add(name)
    assert found == GROUPS
    assert len(CHECKPOINTS) == 12


def test_every_asset_says_what_it_is_who_owns_it_and_what_it_is_made_of(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        assert spec.description and len(spec.description) > 30, name
        assert spec.owners == ["team:rlstir"], name
        assert spec.kinds and spec.group_name and spec.code_version, name
        assert spec.description.rstrip().endswith("."), name


def test_kinds_tell_trees_from_networks(specs: dict[str, dg.AssetSpec]) -> None:
    for name in CHECKPOINTS:
        assert specs[name].kinds == ({"xgboost"} if name.startswith("checkpoint/gbt_") else {"torch"})
    assert specs["comparison_v2"].kinds == {"markdown"}


def test_hosts_are_a_dynamic_dimension_and_recipes_a_static_one(nodes: dict[str, object]) -> None:
    for name, node in nodes.items():
        partitions = node.partitions_def
        if name in HOST_ASSETS:
            assert isinstance(partitions, dg.DynamicPartitionsDefinition) and partitions.name == "host"
        elif name in RECIPE_ASSETS:
            assert isinstance(partitions, dg.StaticPartitionsDefinition)
            assert partitions.get_partition_keys() == list(RECIPES)
        else:
            assert partitions is None, name


def test_no_two_nodes_of_the_graph_read_the_same(nodes: dict[str, object]) -> None:
    shown = [name.split("/")[-1] for name in nodes]  # the graph shows the last part of a key
    assert len(set(shown)) == len(shown) and "gru_realistic" in shown


def test_tables_list_their_columns_with_descriptions(specs: dict[str, dg.AssetSpec]) -> None:
    for name, least in LISTED.items():
        shown = specs[name].metadata["dagster/column_schema"].columns
        assert len(shown) >= least
        assert all(column.type and column.description for column in shown), name


@pytest.mark.slow
def test_what_makes_a_table_tells_its_columns_and_how_many_rows_it_has(
    specs: dict[str, dg.AssetSpec], driven: Any, instance_of: Any
) -> None:
    asked = {name for name, spec in specs.items() if spec.kinds & {"parquet"}} | {"episode_index", "encoder_eval"}
    asked |= {"detector_eval"}
    told = {}
    with instance_of(driven.home) as instance:
        for name in asked:
            event = instance.get_latest_materialization_event(specs[name].key)
            told[name] = {**specs[name].metadata, **event.asset_materialization.metadata}
    schemas = {name: each["dagster/column_schema"] for name, each in told.items()}
    listed = {name: getattr(each, "schema", each).columns for name, each in schemas.items()}
    for name in asked:
        assert told[name]["dagster/row_count"].value > 0, name
        assert all(column.type and column.description for column in listed[name]), name
    named = [f"{table}.{column}" for table, words in columns.NAMINGS.items() for column in words]
    assert [column.name for column in listed["encoder_eval"]] == named
    predicted = list(columns.predictions(driven.registry.phases))
    assert [[column.name for column in listed[name]] for name in ("baselines", "detector_eval")] == [predicted] * 2


def test_every_setting_of_the_launchpad_is_described() -> None:
    fields = Settings.model_fields
    assert {name for name, field in fields.items() if not field.description} == set()
    for variable in ("STORE", "DATA", "PRESET", "SET", "TRAIN_HOSTS", "NORMALISE", "SYNC"):
        assert any(f"RLSTIR_{variable}" in str(field.description) for field in fields.values()), variable


def test_a_range_of_hosts_is_one_run(nodes: dict[str, object]) -> None:
    for name in HOST_ASSETS:
        assert nodes[name].backfill_policy == dg.BackfillPolicy.single_run()


def test_what_runs_networks_queues_for_the_pool_gpu_and_is_tagged(nodes: dict[str, object]) -> None:
    for name, node in nodes.items():
        trains = name == "encoder" or (name in CHECKPOINTS and not name.startswith("checkpoint/gbt_"))
        wants_gpu = trains or name in ("detector_eval", "encoder_eval")  # which run on a device what was trained there
        assert set(node.pools) == ({"gpu"} if wants_gpu else set()), name
    for definition in defs.get_repository_def().assets_defs_by_key.values():
        name = name_of(definition.key)
        assert (definition.op.tags.get("rlstir/device") == "gpu") == ("gpu" in nodes[name].pools)


def test_blocking_checks_stop_a_run_that_would_lie_and_the_others_report() -> None:
    blocking: dict[str, set[str]] = {}
    reporting: dict[str, set[str]] = {}
    for definition in defs.get_repository_def().assets_defs_by_key.values():
        for check in definition.check_specs:
            assert check.description, check.name
            assert check.partitions_def == definition.partitions_def, check.name
            kind = blocking if check.blocking else reporting
            kind.setdefault(name_of(check.asset_key), set()).add(check.name)
    assert blocking == BLOCKING
    assert reporting == {
        "synced_episodes": {"source_is_here"},
        "episode_index": {"index_readable"},
        "log_events": {"parse_failures", "log_times"},
        "detector_eval": {"leak_probes", "untested", "drift"},
        "ppo_policy": {"alert_alone"},
        "investigation_eval": {"headroom"},
    }


def test_dependencies_follow_the_order_of_the_groups(nodes: dict[str, object]) -> None:
    def parents(name: str) -> set[str]:
        return {name_of(key) for key in nodes[name].parent_keys}

    assert parents("synced_episodes") == set()
    assert parents("episode_index") == {"synced_episodes"}
    assert parents("validation") == {"episode_index"}
    assert parents("window_tensors") == {"feature_schema", "validation"}
    assert parents("window_features") == {"window_tensors"}
    assert parents("log_events") == {"validation"}
    assert parents("provenance_graphs") == {"log_events"}
    assert parents("lab_checks") == {"log_events"}
    assert parents("split") == {"validation", "window_tensors"}
    assert all(parents(name) == {"split", "window_features", "lab_checks"} for name in (*CHECKPOINTS, "baselines"))
    assert parents("detector_eval") == {"split", *CHECKPOINTS, "baselines", "log_events"}
    assert parents("tokenizer") == {"split", "log_events", "lab_checks"}
    assert parents("encoder") == {"tokenizer", "provenance_graphs"}
    assert parents("encoder_eval") == {"encoder"}
    assert parents("ppo_policy") == {"split", "log_events", "provenance_graphs", "lab_checks"}
    assert parents("investigation_eval") == {"ppo_policy"}
    assert parents("comparison_v2") == {"detector_eval", "encoder_eval", "investigation_eval"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+key:comparison_v2", set().union(*GROUPS.values())),
        ("+key:checkpoint/gbt_realistic", {"checkpoint/gbt_realistic", "split", *EARLY}),
        ("group:detectors", GROUPS["detectors"]),
        ("kind:xgboost", {"checkpoint/gbt_realistic", "checkpoint/gbt_oracle"}),
        ("group:evaluation or key:validation", {*GROUPS["evaluation"], "validation"}),
        (
            "+comparison_v2",
            {"comparison_v2", "detector_eval", "encoder_eval", "investigation_eval"},
        ),  # the trap: one layer, and no word about it
    ],
)
def test_a_selection_resolves_all_layers_only_with_the_word_key(text: str, expected: set[str]) -> None:
    keys = dg.AssetSelection.from_string(text).resolve(defs.resolve_asset_graph())
    assert {name_of(key) for key in keys} == expected


def test_workspace_and_pyproject_name_the_same_module_which_holds_the_definitions() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dagster"]
    assert f"module_name: {settings['module_name']}" in (ROOT / "workspace.yaml").read_text()
    assert isinstance(import_module(settings["module_name"]).defs, dg.Definitions)


def test_a_recipe_depends_on_every_host(nodes: dict[str, object]) -> None:
    graph = defs.resolve_asset_graph()
    mapping = graph.get_partition_mapping(dg.AssetKey(["checkpoint", "cnn_oracle"]), dg.AssetKey("window_features"))
    assert isinstance(mapping, dg.AllPartitionMapping)


def test_steps_run_in_processes_from_one_fork_server() -> None:
    assert defs.executor is not None
    assert defs.executor.name == "multiprocess"
