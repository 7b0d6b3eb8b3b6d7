"""Features and tensors on disk: work follows what is new, and bytes follow the episodes alone."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlstir_core.errors import SchemaMismatch, UpstreamMissing
from rlstir_core.telemetry import store as store_module
from rlstir_core.telemetry.feature_reader import FeatureReader
from rlstir_core.telemetry.features import episode_features
from rlstir_core.telemetry.schema import make_schema, read_schema, write_schema
from rlstir_core.telemetry.store import (
    build_features,
    build_tensors,
    feature_changes,
    read_tensor,
    tensor_changes,
)
from rlstir_core.telemetry.window_table import TABLE, read_window_table
from rlstir_core.telemetry.windows import window_grid

HOST = "host-a"
NAMES = ["ep-1", "ep-2", "ep-3", "ep-4", "ep-5"]


def fill(tiny, names=NAMES):
    for name in names:
        tiny.add(name, seed=int(name[-1]))
    return tiny


def stored(tiny) -> pa.Table:
    """The features of the host, a row per window, by episode and window."""
    tables = [pq.ParquetFile(path).read() for path in tiny.layout.features(HOST).glob("*.parquet")]
    return pa.concat_tables(tables).sort_by([("episode_id", "ascending"), ("window", "ascending")])


def episodes_in(tiny) -> set[str]:
    return set(stored(tiny).column("episode_id").to_pylist())


def test_building_twice_makes_nothing_new_and_touches_no_file(tiny) -> None:
    fill(tiny)
    assert tiny.build() == ({"made": 5, "dropped": 0, "unchanged": 0},) * 2
    before, times = tiny.files(), [p.stat().st_mtime_ns for p in tiny.layout.features(HOST).iterdir()]
    assert not feature_changes(tiny.layout, HOST) and not tensor_changes(tiny.layout, HOST)
    assert tiny.build() == ({"made": 0, "dropped": 0, "unchanged": 5},) * 2
    assert tiny.files() == before and [p.stat().st_mtime_ns for p in tiny.layout.features(HOST).iterdir()] == times


def test_one_new_episode_makes_one(tiny) -> None:
    fill(tiny, NAMES[:4]).build()
    tiny.add("ep-5", seed=5)
    assert tiny.build() == ({"made": 1, "dropped": 0, "unchanged": 4},) * 2
    assert episodes_in(tiny) == set(NAMES)


def test_the_bytes_do_not_depend_on_the_order_in_which_episodes_came(tiny, other) -> None:
    fill(tiny).build()
    for name in reversed(NAMES):
        fill(other, [name]).build()
    assert tiny.files() == other.files()


def test_a_deleted_episode_takes_its_rows_and_tensor_along(tiny, other) -> None:
    fill(tiny).build()
    tiny.remove("ep-2")
    assert tiny.build() == ({"made": 0, "dropped": 1, "unchanged": 4},) * 2
    assert episodes_in(tiny) == set(NAMES) - {"ep-2"}
    assert not (tiny.layout.tensors(HOST) / "ep-2.safetensors").exists()
    fill(other, ["ep-1", "ep-3", "ep-4", "ep-5"]).build()
    assert tiny.files() == other.files()


def test_a_changed_episode_replaces_its_rows_and_tensor(tiny, other) -> None:
    fill(tiny).build()
    tiny.add("ep-3", seed=99, seconds=30.0)
    assert tiny.build() == ({"made": 1, "dropped": 0, "unchanged": 4},) * 2
    fill(other, ["ep-1", "ep-2", "ep-4", "ep-5"]).add("ep-3", seed=99, seconds=30.0)
    other.build()
    assert tiny.files() == other.files()


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", None])
def test_a_lost_or_damaged_ledger_is_rebuilt_to_the_same_bytes(tiny, damage: bytes | None) -> None:
    fill(tiny).build()
    before = tiny.files()
    for folder in (tiny.layout.tensors(HOST), tiny.layout.features(HOST)):
        path = folder / "_ledger.json"
        path.unlink() if damage is None else path.write_bytes(damage)
    assert tiny.build()[0]["made"] == 5
    assert tiny.files() == before


def test_an_episode_deleted_while_the_ledger_was_lost_leaves_nothing(tiny, other) -> None:
    fill(tiny).build()
    for folder in (tiny.layout.tensors(HOST), tiny.layout.features(HOST)):
        (folder / "_ledger.json").unlink()
    tiny.remove("ep-2")
    tiny.build()
    fill(other, ["ep-1", "ep-3", "ep-4", "ep-5"]).build()
    assert tiny.files() == other.files()


@pytest.mark.parametrize("killed_in", ["build_tensors", "build_features"])
def test_a_run_that_was_cut_off_leaves_nothing_that_a_later_run_does_not_clear(
    tiny, other, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    fill(tiny).build()
    tiny.add("ep-6", seed=6)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        real = store_module.finish
        finished = {"build_tensors": 0, "build_features": 1}[killed_in]
        calls = iter([real] * finished)

        def finish(*given: object) -> None:
            next(calls, killed)(*given)

        patch.setattr(store_module, "finish", finish)
        with pytest.raises(KeyboardInterrupt):
            tiny.build()
    (tiny.layout.tensors(HOST) / ".tmp-x.safetensors").write_bytes(b"half")
    tiny.remove("ep-6")
    tiny.build()
    fill(other).build()
    assert tiny.files() == other.files()


@pytest.mark.parametrize("gone", ["tensors", "features"])
def test_a_result_that_was_deleted_is_made_again(tiny, gone: str) -> None:
    fill(tiny).build()
    before = tiny.files()
    folder = getattr(tiny.layout, gone)(HOST)
    next(path for path in sorted(folder.iterdir()) if not path.name.startswith("_")).unlink()
    assert sum(summary["made"] for summary in tiny.build()) >= 1
    assert tiny.files() == before


def test_another_schema_makes_everything_again(tiny) -> None:
    fill(tiny).build()
    assert tiny.build("none") == ({"made": 5, "dropped": 0, "unchanged": 0},) * 2
    assert not any("~" in name for name in read_schema(tiny.layout.feature_schema).columns)


def test_an_episode_too_short_for_a_window_is_not_made_again_and_again(tiny) -> None:
    tiny.add("short", seed=1, seconds=3.0)
    tiny.build()
    assert tiny.build() == ({"made": 0, "dropped": 0, "unchanged": 1},) * 2
    assert stored(tiny).num_rows == 0


def test_features_refuse_tensors_of_another_time_and_name_the_command(tiny) -> None:
    fill(tiny)
    tiny.validate()
    write_schema(tiny.layout.feature_schema, make_schema(tiny.registry))
    with pytest.raises(UpstreamMissing, match="--select key:window_tensors"):
        build_features(tiny.layout, HOST, tiny.registry)
    tiny.build()
    tiny.add("ep-3", seed=99)
    tiny.validate()
    with pytest.raises(UpstreamMissing, match="out of date for 1 of 5 episodes"):
        build_features(tiny.layout, HOST, tiny.registry)


def test_what_is_missing_upstream_is_named_with_its_command(tiny) -> None:
    fill(tiny, ["ep-1"])
    with pytest.raises(UpstreamMissing, match="key:feature_schema"):
        build_tensors(tiny.layout, HOST, tiny.registry)
    write_schema(tiny.layout.feature_schema, make_schema(tiny.registry))
    with pytest.raises(UpstreamMissing, match="--select key:validation"):
        build_tensors(tiny.layout, HOST, tiny.registry)
    with pytest.raises(UpstreamMissing, match="key:window_features"):
        FeatureReader(tiny.layout, ()).read(HOST, "ep-1", "")
    with pytest.raises(UpstreamMissing, match="key:window_tensors"):
        read_tensor(tiny.layout, HOST, "ep-1")


@pytest.mark.parametrize("raw", [b"", b"{}", b"not json", b"[]"])
def test_a_damaged_schema_file_is_a_sentence(tiny, raw: bytes) -> None:
    tiny.layout.feature_schema.parent.mkdir(parents=True)
    tiny.layout.feature_schema.write_bytes(raw)
    with pytest.raises(UpstreamMissing, match="is not a feature schema"):
        read_schema(tiny.layout.feature_schema)


def test_a_registry_that_changed_since_the_schema_is_refused(tiny) -> None:
    fill(tiny, ["ep-1"]).build()
    changed = msgspec.structs.replace(tiny.registry, name="newer")
    for build in (build_tensors, build_features):
        with pytest.raises(UpstreamMissing, match="made for another registry"):
            build(tiny.layout, HOST, changed)


@pytest.mark.parametrize("raw", [b"", b"junk", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_damaged_tensor_is_named_with_its_command(tiny, raw: bytes) -> None:
    fill(tiny, ["ep-1"]).build()
    (tiny.layout.tensors(HOST) / "ep-1.safetensors").write_bytes(raw)
    with pytest.raises(UpstreamMissing, match="key:window_tensors"):
        read_tensor(tiny.layout, HOST, "ep-1")


def test_stored_features_are_the_features_of_the_stored_tensor(tiny) -> None:
    fill(tiny).add("bare", seed=7, drop="flow")
    tiny.build()
    schema = read_schema(tiny.layout.feature_schema)
    table = stored(tiny)
    for name in (*NAMES, "bare"):
        x_CT = read_tensor(tiny.layout, HOST, name).x_CT
        expected = episode_features(x_CT, schema, window_grid(x_CT.shape[1], schema.windowing))
        rows = table.filter(np.array(table["episode_id"].to_pylist()) == name)
        found = np.stack([rows[column].to_numpy() for column in schema.columns], axis=1)
        np.testing.assert_array_equal(found, expected)
        assert np.isnan(x_CT[schema.channel_names.index("flow.bytes")]).all() == (name == "bare")


def test_rows_carry_their_times_their_phase_its_purity_and_the_time_since_onset(tiny) -> None:
    fill(tiny, ["ep-1"]).build()
    table = stored(tiny)
    seconds = (np.array(table["t_start_wall_ns"].to_pylist()) - 1_750_000_000 * 10**9) / 1e9
    np.testing.assert_allclose(seconds, np.arange(0, 17, 2))
    assert set(np.subtract(table["t_end_wall_ns"].to_pylist(), table["t_start_wall_ns"].to_pylist())) == {4 * 10**9}
    assert table["phase"].to_pylist() == ["calm"] * 3 + ["armed"] * 2 + ["attack"] * 4
    np.testing.assert_allclose(table["purity"].to_numpy(), [1, 1, 0.5, 1, 0.5, 1, 1, 1, 1])
    np.testing.assert_allclose(table["since_onset_s"].to_numpy(), [np.nan] * 3 + [0, 2, 4, 6, 8, 10])


def test_progress_is_told_for_every_episode(tiny) -> None:
    fill(tiny)
    tiny.validate()
    write_schema(tiny.layout.feature_schema, make_schema(tiny.registry))
    told: list[tuple[int, int, str]] = []
    build_tensors(tiny.layout, HOST, tiny.registry, lambda *t: told.append(t))
    build_features(tiny.layout, HOST, tiny.registry, lambda *t: told.append(t))
    assert told == [(k, 5, f"{what} {HOST}") for what in ("tensors", "features") for k in range(1, 6)]


# What lies beside the tensors, and what features are read with


def key_of(tiny, episode: str) -> str:
    return read_window_table(tiny.layout.tensors(HOST) / TABLE)[episode].input_sha256


def test_the_window_table_tells_of_every_episode_what_its_features_and_tensor_say(tiny) -> None:
    fill(tiny).add("bare", seed=7, drop="flow")
    tiny.build()
    schema = read_schema(tiny.layout.feature_schema)
    table, rows = read_window_table(tiny.layout.tensors(HOST) / TABLE), stored(tiny)
    assert set(table) == {*NAMES, "bare"}
    for name, windows in table.items():
        mine = rows.filter(np.array(rows["episode_id"].to_pylist()) == name)
        assert [schema.phases[k] for k in windows.label_W] == mine["phase"].to_pylist()
        np.testing.assert_array_equal(windows.purity_W, mine["purity"].to_numpy())
        np.testing.assert_array_equal(windows.since_onset_W, mine["since_onset_s"].to_numpy())
        tensor = read_tensor(tiny.layout, HOST, name)
        assert (windows.n_bins, windows.signature) == (tensor.x_CT.shape[1], tensor.signature)
        np.testing.assert_array_equal(windows.known_C, np.isfinite(tensor.x_CT).any(axis=1))


@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_a_lost_or_damaged_window_table_is_made_again_from_the_tensors(tiny, damage: bytes | None) -> None:
    fill(tiny).build()
    before, path = tiny.files(), tiny.layout.tensors(HOST) / TABLE
    path.unlink() if damage is None else path.write_bytes(damage)
    if damage is None:
        assert tensor_changes(tiny.layout, HOST)
    assert tiny.build()[0] == {"made": 0, "dropped": 0, "unchanged": 5}
    assert tiny.files() == before


def test_the_reader_gives_the_columns_of_one_episode_and_refuses_what_is_out_of_date(tiny) -> None:
    fill(tiny).build()
    columns = read_schema(tiny.layout.feature_schema).columns[3:5]
    reader, rows = FeatureReader(tiny.layout, columns), stored(tiny)
    for name in sorted(NAMES, key=lambda each: reader.place(HOST, each)):
        mine = rows.filter(np.array(rows["episode_id"].to_pylist()) == name)
        expected = np.stack([mine[column].to_numpy() for column in columns], axis=1)
        np.testing.assert_array_equal(reader.read(HOST, name, key_of(tiny, name)), expected)
    with pytest.raises(UpstreamMissing, match=r"out of date for episode ep-1; make them with: .*key:window_features"):
        FeatureReader(tiny.layout, columns).read(HOST, "ep-1", "another tensor")
    with pytest.raises(SchemaMismatch, match="made under another schema"):
        FeatureReader(tiny.layout, ("no such column",)).read(HOST, "ep-1", key_of(tiny, "ep-1"))
