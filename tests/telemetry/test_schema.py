"""The feature schema: its hash, its columns, and what a threat model may see of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rlstir_core.contract.registry import MODES, Registry, default_registry
from rlstir_core.errors import ConfigError
from rlstir_core.results import versions
from rlstir_core.results.layout import Layout
from rlstir_core.staleness import schema_is_current
from rlstir_core.telemetry.features import episode_features
from rlstir_core.telemetry.normalise import NORMALISERS
from rlstir_core.telemetry.schema import make_schema, read_schema, write_schema
from rlstir_core.telemetry.summary import OF_PARTS, STATISTICS
from rlstir_core.telemetry.windows import window_grid


def changed(registry: Registry, **windowing: Any) -> Registry:
    return msgspec.structs.replace(registry, windowing=msgspec.structs.replace(registry.windowing, **windowing))


def test_the_hash_changes_with_registry_windowing_and_normaliser() -> None:
    registry = default_registry()
    hashes = [make_schema(registry, normaliser).sha256 for normaliser in NORMALISERS]
    hashes += [make_schema(changed(registry, **change)).sha256 for change in ({"length_s": 9.0}, {"bin_hz": 5.0})]
    hashes += [make_schema(changed(registry, stride_s=2.0)).sha256, make_schema(changed(registry, whole=True)).sha256]
    hashes.append(make_schema(msgspec.structs.replace(registry, name="other")).sha256)
    hashes.append(make_schema(msgspec.structs.replace(registry, profiles=("io-walk",))).sha256)
    assert len(set(hashes)) == len(hashes)
    assert make_schema(registry).sha256 == make_schema(registry).sha256 == hashes[NORMALISERS.index("ewma")]


def test_raising_the_version_of_the_schema_makes_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout, before = Layout(tmp_path / "data"), make_schema(default_registry())
    write_schema(layout.feature_schema, before)
    assert schema_is_current(tmp_path, layout, before.normalise)
    monkeypatch.setattr(versions, "VERSIONS", {**versions.VERSIONS, "schema": 99})
    assert not schema_is_current(tmp_path, layout, before.normalise)
    assert make_schema(default_registry()).sha256 != before.sha256


def test_an_unknown_normaliser_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match="choose one of none, ewma, runq, self, dyn"):
        make_schema(default_registry(), "zscore")


def test_a_schema_survives_its_file(tmp_path: Path) -> None:
    schema = make_schema(default_registry())
    write_schema(tmp_path / "schema.json", schema)
    assert read_schema(tmp_path / "schema.json") == schema
    stored = msgspec.json.decode((tmp_path / "schema.json").read_bytes())
    assert stored["sha256"] == schema.sha256 and tuple(stored["columns"]) == schema.columns


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_columns_are_unique_and_as_many_as_the_numbers(normaliser: str, registry: Registry) -> None:
    schema = make_schema(registry, normaliser)
    assert len(set(schema.columns)) == len(schema.columns)
    x_CT = np.random.default_rng(0).normal(5, 1, (len(schema.channels), 100)).astype(np.float32)
    assert episode_features(x_CT, schema, window_grid(100, schema.windowing)).shape[1] == len(schema.columns)
    assert len(STATISTICS) >= 12


@pytest.mark.parametrize(
    ("whole", "prefixes_s", "parts"), [(True, (), True), (True, (1.0,), False), (False, (), False)]
)
def test_parts_of_a_run_have_statistics_where_no_run_is_judged_by_its_first_part(
    whole: bool, prefixes_s: tuple[float, ...], parts: bool, registry: Registry
) -> None:
    windowing = msgspec.structs.replace(registry.windowing, whole=whole, prefixes_s=prefixes_s)
    schema = make_schema(msgspec.structs.replace(registry, windowing=windowing))
    assert schema.statistics == (STATISTICS + OF_PARTS if parts else STATISTICS)
    x_CT = np.random.default_rng(0).normal(5, 1, (len(schema.channels), 100)).astype(np.float32)
    found = episode_features(x_CT, schema, window_grid(100, windowing))
    assert found.shape[1] == len(schema.columns) == len(set(schema.columns))


def test_columns_stand_in_the_order_in_which_the_numbers_come(registry: Registry) -> None:
    schema = make_schema(registry, "none")
    level_C = np.arange(1, len(schema.channels) + 1, dtype=np.float32) * 10
    x_CT = np.repeat(level_C[:, None], 40, axis=1)
    x_CT[2, :10] = np.nan
    row = dict(zip(schema.columns, episode_features(x_CT, schema, window_grid(40, schema.windowing))[0], strict=True))
    names = schema.channel_names
    for name, level in zip(names, level_C, strict=True):
        assert {row[f"{name}|{statistic}"] for statistic in ("mean", "min", "median", "max")} == {level}
        assert row[f"{name}|missing"] == (0.25 if name == names[2] else 0)
    for above, below in schema.ratios:
        assert row[f"{above}/{below}|mean"] == level_C[names.index(above)] - level_C[names.index(below)]


def test_a_column_says_which_series_it_is_made_from(registry: Registry) -> None:
    """Changing one channel changes the columns that name it, and no other."""
    schema = make_schema(registry, "dyn")
    x_CT = np.random.default_rng(0).normal(5, 1, (len(schema.channels), 120)).astype(np.float32)
    grid = window_grid(120, schema.windowing)
    before_WF = episode_features(x_CT, schema, grid)
    for place, name in enumerate(schema.channel_names):
        other_CT = x_CT.copy()
        other_CT[place] = np.random.default_rng(1).normal(9, 3, 120)
        other_CT[place, ::7] = np.nan
        differs = (episode_features(other_CT, schema, grid) != before_WF).any(axis=0)
        touched = {column for column, changed in zip(schema.columns, differs, strict=True) if changed}
        others = tuple(channel for channel in schema.channel_names if channel != name)
        assert touched.isdisjoint(schema.columns_of(others))
        assert len(touched) > 0.9 * (len(schema.columns) - len(schema.columns_of(others)))


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_the_columns_of_a_mode_hold_no_channel_that_it_may_not_see(normaliser: str) -> None:
    registry = default_registry()
    schema = make_schema(registry, normaliser)
    seen = {channel.name for channel in registry.channels if channel.vantage in MODES["realistic"]}
    hidden = {channel.name for channel in registry.channels} - seen
    columns = schema.columns_of(tuple(sorted(seen)))
    assert columns and not [column for column in columns if any(name in column for name in hidden)]
    assert not [column for column in columns if column.startswith(("qmp", "guest")) or "/guest" in column]
    assert schema.columns_of(schema.channel_names) == schema.columns
    assert [column for column in schema.columns if column in set(columns)] == list(columns)
    assert set(MODES["realistic"]) == {"network", "host"}


def test_ratios_are_between_counters_of_one_source(registry: Registry) -> None:
    for schema in (make_schema(registry), make_schema(default_registry())):
        assert schema.ratios
        for above, below in schema.ratios:
            assert above.split(".")[0] == below.split(".")[0] and above != below
