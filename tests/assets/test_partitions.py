"""What Dagster is told of each host: metadata and a data version of its own, also where one run makes a range."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from rlstir_assets.assets.ingest import episode_index, validation
from rlstir_assets.assets.logs import lab_checks, log_events, provenance_graphs
from rlstir_assets.assets.telemetry import feature_schema, window_features, window_tensors
from rlstir_assets.definitions import defs
from rlstir_assets.resources import Settings
from rlstir_core.errors import RlstirError
from rlstir_core.lab.leakage import gates as leakage
from rlstir_core.results import versions
from rlstir_core.results.layout import Layout
from rlstir_core.staleness import stale_host_stages

pytestmark = pytest.mark.slow
HOST_ASSETS = [validation, window_tensors, window_features, log_events, provenance_graphs]
HOSTS = ["elliott-thinkpad", "k-gamingcom"]
STAGES = {
    "episode_index": "index",
    "validation": "rows",
    "feature_schema": "schema",
    "window_tensors": "tensors",
    "window_features": "features",
    "log_events": "log_rows",
    "provenance_graphs": "graph",
    "lab_checks": "lab_checks",
}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


@pytest.fixture
def settings(tmp_path: Path, small_store: Callable[..., Path]) -> Settings:
    small_store(tmp_path / "store", episodes=4)
    return Settings(store=str(tmp_path / "store"), data=str(tmp_path / "data"), train_hosts=[])


def make(
    assets: list[Any], settings: Settings, instance: dg.DagsterInstance, hosts: list[str] | None = None
) -> dg.ExecuteInProcessResult:
    tags = {}
    if hosts:
        tags = {"dagster/asset_partition_range_start": hosts[0], "dagster/asset_partition_range_end": hosts[-1]}
    return dg.materialize(
        assets,
        resources={"settings": settings},
        partition_key=hosts[0] if hosts and len(hosts) == 1 else None,
        tags=tags if hosts and len(hosts) > 1 else None,
        instance=instance,
        raise_on_error=False,
    )


def told(instance: dg.DagsterInstance, asset: Any, host: str | None = None) -> list[dg.AssetMaterialization]:
    """Every materialization of the asset (and host), the last one first."""
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset.key, asset_partitions=[host] if host else None), limit=50
    )
    return [record.asset_materialization for record in found.records if record.asset_materialization]


def data_version(instance: dg.DagsterInstance, asset: Any, host: str | None = None) -> str:
    return (told(instance, asset, host)[0].tags or {})["dagster/data_version"]


def test_a_range_tells_of_each_host_what_is_its_own(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert make([episode_index, feature_schema], settings, instance).success
    index = Path(settings.data) / "processed" / "validation_v1.parquet"
    result = make(HOST_ASSETS, settings, instance, HOSTS)
    assert result.success
    assert sorted(path.name for path in index.iterdir()) == [f"host={host}" for host in HOSTS]
    for asset in HOST_ASSETS:
        events = {host: told(instance, asset, host) for host in HOSTS}
        assert all(len(found) == 1 for found in events.values()), asset.key  # and no common one beside them
        first, second = (events[host][0] for host in HOSTS)
        assert first.metadata.keys() == second.metadata.keys() or asset is provenance_graphs
        assert not any(name.startswith("__") for name in first.metadata)
        assert data_version(instance, asset, HOSTS[0]) != data_version(instance, asset, HOSTS[1])
        assert (first.tags or {})["dagster/code_version"] == str(versions.VERSIONS[STAGES[asset.key.path[-1]]])
    rows = [told(instance, log_events, host)[0].metadata["dagster/row_count"].value for host in HOSTS]
    assert rows[0] != rows[1]
    assert told(instance, validation, HOSTS[0])[0].metadata["decoded"].value == 2
    for host in HOSTS:
        files = Layout(Path(settings.data)).features(host).glob("*.parquet")
        n = sum(pq.ParquetFile(path).metadata.num_rows for path in files)
        for asset in (window_tensors, window_features):
            assert told(instance, asset, host)[0].metadata["dagster/row_count"].value == n > 0
    upstream = (told(instance, window_features, HOSTS[1])[0].tags or {})["dagster/input_data_version/window_tensors"]
    assert upstream == data_version(instance, window_tensors, HOSTS[1])
    for asset, name in ((validation, "verdict_rates"), (log_events, "parse_failures"), (log_events, "log_times")):
        found = {each.partition: each for each in result.get_asset_check_evaluations() if each.check_name == name}
        assert found.keys() == {*HOSTS, None}
        assert [found[host].metadata["host"].value for host in HOSTS] == HOSTS
        assert [row.data["host"] for row in found[None].metadata["hosts"].value.records] == HOSTS  # type: ignore[union-attr]
        check_key = dg.AssetCheckKey(asset.key, name)
        for info in instance.event_log_storage.get_asset_check_partition_info([check_key], partition_keys=HOSTS):
            assert info.is_current, info  # it speaks of what was made last


def test_a_data_version_says_what_is_there_and_not_how_it_was_made(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path, small_store: Callable[..., Path]
) -> None:
    everything = [episode_index, feature_schema], HOST_ASSETS, [lab_checks]
    assert make(everything[0], settings, instance).success
    assert make(everything[1], settings, instance, HOSTS).success
    assert make(everything[2], settings, instance).success
    keys = [(asset, host) for asset in HOST_ASSETS for host in HOSTS]
    keys += [(asset, None) for asset in (episode_index, feature_schema, lab_checks)]
    before = {(asset.key, host): data_version(instance, asset, host) for asset, host in keys}
    other = Settings(store=settings.store, data=str(tmp_path / "again"), train_hosts=[])
    assert make(everything[0], other, instance).success
    for host in reversed(HOSTS):  # one by one, in another order, into another folder
        assert make(everything[1], other, instance, [host]).success
    assert make(everything[2], other, instance).success
    assert {(asset.key, host): data_version(instance, asset, host) for asset, host in keys} == before


def test_automation_sees_a_change_of_the_one_host_that_changed(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path, small_store: Callable[..., Path]
) -> None:
    assert make([episode_index, feature_schema], settings, instance).success
    assert make(HOST_ASSETS, settings, instance, HOSTS).success
    cursor = max(
        record.storage_id
        for asset in HOST_ASSETS
        for record in instance.fetch_materializations(asset.key, limit=10).records
    )
    (Path(settings.data) / "processed" / "validation_v1.parquet" / f"host={HOSTS[0]}" / "episodes.parquet").unlink()
    for tarball in sorted((Path(settings.store) / "episodes" / HOSTS[1]).iterdir())[:1]:
        tarball.write_bytes(b"spoiled")  # half of the host, which may be
    assert make(HOST_ASSETS, settings, instance, HOSTS).success
    for asset in HOST_ASSETS:
        changed = instance.event_log_storage.get_updated_data_version_partitions(asset.key, HOSTS, cursor)
        assert changed == {HOSTS[1]}, asset.key


def test_a_host_that_is_refused_does_not_keep_the_others_of_the_range(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert make([episode_index, feature_schema], settings, instance).success
    assert make([validation], settings, instance, HOSTS).success
    for tarball in (Path(settings.store) / "episodes" / HOSTS[0]).iterdir():
        tarball.write_bytes(b"spoiled")
    result = make([validation], settings, instance, HOSTS)
    assert not result.success
    assert [len(told(instance, validation, host)) for host in HOSTS] == [1, 2]
    found = {each.partition: each for each in result.get_asset_check_evaluations()}
    assert {host: each.passed for host, each in found.items()} == {HOSTS[0]: False, HOSTS[1]: True, None: False}
    assert found[HOSTS[1]].metadata["rejected"].value == 0
    assert "index.bytes 2" in str(found[HOSTS[0]].metadata["detail"].value)


def test_every_code_version_is_the_one_of_the_table() -> None:
    found = {spec.key.to_user_string(): spec.code_version for spec in defs.resolve_all_asset_specs()}
    assert {name: found[name] for name in STAGES} == {
        name: str(versions.VERSIONS[stage]) for name, stage in STAGES.items()
    }
    with pytest.raises(TypeError):
        versions.VERSIONS["rows"] = 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("stage", "remade"),
    [
        ("rows", ("validation", "window_tensors", "window_features", "log_events", "provenance_graphs")),
        ("tensors", ("window_tensors", "window_features")),
        ("features", ("window_features",)),
        ("log_rows", ("log_events", "provenance_graphs")),
        ("graph", ("provenance_graphs",)),
    ],
)
def test_raising_a_version_makes_its_stage_and_what_follows_again(
    driven: Any, monkeypatch: pytest.MonkeyPatch, stage: str, remade: tuple[str, ...]
) -> None:
    assert stale_host_stages(driven.store, driven.layout, HOSTS[0]) == ()
    monkeypatch.setattr(versions, "VERSIONS", {**versions.VERSIONS, stage: 99})
    assert stale_host_stages(driven.store, driven.layout, HOSTS[0]) == remade


def test_generated_episodes_that_leak_are_not_trained_on_and_ingest_goes_on(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make([episode_index, feature_schema], settings, instance).success
    really = leakage.judge

    def judge(facts: Any) -> list[leakage.Gate]:
        return [dataclasses.replace(gate, passed=gate.name != "look_alikes") for gate in really(facts)]

    monkeypatch.setattr(leakage, "judge", judge)
    assert make(HOST_ASSETS, settings, instance, HOSTS).success
    result = make([lab_checks], settings, instance)
    assert not result.success
    assert make([log_events], settings, instance, HOSTS).success
    with pytest.raises(RlstirError, match=r"look_alikes is .* where at least .20 was wanted"):
        settings.options("host")
