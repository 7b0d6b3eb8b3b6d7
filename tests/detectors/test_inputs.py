"""What a detector sees: allowed channels, levels and normalised levels under a view, and never the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tiny_store import Tiny

from rlstir_core.contract.registry import MODES, default_registry
from rlstir_core.datasets.episodes import episode_table
from rlstir_core.detectors.episode_set import EpisodeSet, load_episodes
from rlstir_core.detectors.inputs import (
    input_schema,
    require_same_schema,
    sequence_inputs,
    sequence_rows,
    shared_channels,
    summary_inputs,
)
from rlstir_core.detectors.views import RECORDED, SCORING, View, prefix_views
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import write_episode, write_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.errors import SchemaMismatch, SplitRefused, UpstreamMissing
from rlstir_core.lab.generate import make_episode
from rlstir_core.lab.plan import LabOptions, plan_store
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import build_features, build_tensors, read_tensor
from rlstir_core.telemetry.summary import STATISTICS

HIDDEN = ("qmp", "guest")


def all_of(episodes: EpisodeSet) -> list:
    return list(episodes.recordings.values())


def without(episodes: EpisodeSet, host: str, *channels: str, share: float = 1.0) -> list:
    """The recordings, with channels missing from a share of the host's episodes."""
    place = [episodes.schema.channel_names.index(name) for name in channels]
    out, mine = [], [r for r in all_of(episodes) if r.info.host == host]
    gone = {r.info.episode_id for r in mine[: round(share * len(mine))]}
    for recording in all_of(episodes):
        x_CT = recording.x_CT.copy()
        if recording.info.episode_id in gone:
            x_CT[place] = np.nan
        out.append(replace(recording, open=x_CT.copy, known_C=np.isfinite(x_CT).any(axis=1)))
    return out


# ---- channels


def test_a_channel_that_one_train_host_lacks_is_left_out(episodes: EpisodeSet) -> None:
    channels = shared_channels(episodes.schema, "realistic", without(episodes, "host-1", "netflow.bytes", "proc.rchar"))
    assert {"netflow.bytes", "proc.rchar"}.isdisjoint(channels) and "netflow.pkts" in channels and len(channels) == 19


def test_a_channel_that_a_host_lacks_in_few_episodes_stays(episodes: EpisodeSet) -> None:
    assert "proc.rchar" in shared_channels(
        episodes.schema, "realistic", without(episodes, "host-1", "proc.rchar", share=0.3)
    )


def test_realistic_mode_never_holds_a_hypervisor_or_guest_channel(episodes: EpisodeSet) -> None:
    channels = shared_channels(episodes.schema, "realistic", all_of(episodes))
    vantage = {channel.name: channel.vantage for channel in episodes.schema.channels}
    assert len(channels) == 21 and {vantage[name] for name in channels} == set(MODES["realistic"])
    for kind in ("summary", "sequence"):
        columns = input_schema(episodes.schema, "realistic", kind, channels).columns
        assert not [column for column in columns if any(f"{source}." in column for source in HIDDEN)]
    assert len(shared_channels(episodes.schema, "oracle", all_of(episodes))) == 33


@pytest.mark.parametrize("make", [summary_inputs, sequence_inputs])
@pytest.mark.parametrize("view", [RECORDED, SCORING, View(kind="random", salt="t", gain=0.5, drop=0.5)])
def test_what_a_hidden_channel_says_changes_no_input(
    episodes: EpisodeSet, make_recording: Callable, make, view: View
) -> None:
    channels = shared_channels(episodes.schema, "realistic", all_of(episodes))
    hidden = [c.source in HIDDEN for c in episodes.schema.channels]
    changed = []
    for recording in all_of(episodes):
        x_CT = recording.x_CT.copy()
        x_CT[hidden] *= -3
        changed.append(make_recording(episodes.schema, recording.info.episode_id, recording.info.host, x_CT))
    one, two = (make(episodes, recordings, channels, view) for recordings in (all_of(episodes), changed))
    values = ("x_NF",) if make is summary_inputs else ("series_TD", "start_N")
    for name in values:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_hosts_without_a_common_channel_are_refused(episodes: EpisodeSet) -> None:
    with pytest.raises(
        SplitRefused, match=r"no channel of mode 'realistic' is recorded on every train host \(host-0, host-1\)"
    ):
        shared_channels(episodes.schema, "realistic", without(episodes, "host-1", *episodes.schema.channel_names))


# ---- columns


def test_no_column_is_a_time_an_index_a_count_of_rows_or_an_identifier(episodes: EpisodeSet) -> None:
    schema = episodes.schema
    series = {s.name for s in schema.series}
    for kind in ("summary", "sequence"):
        columns = input_schema(schema, "oracle", kind, schema.channel_names).columns
        for column in columns:
            name, _, statistic = column.partition("|")
            assert name in series and (statistic in (*STATISTICS, "missing") if kind == "summary" else not statistic)
    quantities = {channel.quantity for channel in schema.channels}
    assert quantities.isdisjoint({"time", "clock", "uptime"}) and not any(
        "t_wall" in s or "t_mono" in s for s in series
    )


def test_inputs_have_as_many_columns_as_their_schema_says(episodes: EpisodeSet) -> None:
    channels = shared_channels(episodes.schema, "realistic", all_of(episodes))
    summary = summary_inputs(episodes, all_of(episodes), channels, SCORING)
    assert summary.x_NF.shape[1] == len(input_schema(episodes.schema, "realistic", "summary", channels).columns)
    sequence = sequence_inputs(episodes, all_of(episodes), channels, SCORING)
    assert sequence.series_TD.shape[1] == len(sequence_rows(episodes.schema, channels)) and sequence.n_levels == 21


# ---- views


def test_the_recorded_view_gives_the_stored_features(episodes: EpisodeSet) -> None:
    inputs = summary_inputs(episodes, all_of(episodes), episodes.schema.channel_names, RECORDED)
    stored = episodes.features(episodes.schema.columns)
    np.testing.assert_array_equal(inputs.x_NF, np.concatenate([stored(r) for r in all_of(episodes)]))


def test_under_a_random_view_levels_are_as_stored_and_normalised_levels_are_not(episodes: EpisodeSet) -> None:
    channels = episodes.schema.channel_names
    random = summary_inputs(episodes, all_of(episodes), channels, SCORING)
    recorded = summary_inputs(episodes, all_of(episodes), channels, RECORDED)
    place = {
        (e, w): n for n, (e, w) in enumerate(zip(recorded.windows.episode_N, recorded.windows.window_N, strict=True))
    }
    same_N = [place[key] for key in zip(random.windows.episode_N, random.windows.window_N, strict=True)]
    levels = np.array(["~" not in column for column in episodes.schema.columns])
    np.testing.assert_array_equal(random.x_NF[:, levels], recorded.x_NF[same_N][:, levels])
    assert (random.x_NF[:, ~levels] != recorded.x_NF[same_N][:, ~levels]).mean() > 0.5


def test_windows_across_the_seam_are_left_out_of_both_kinds_of_input(episodes: EpisodeSet) -> None:
    channels = episodes.schema.channel_names
    one = summary_inputs(episodes, all_of(episodes), channels, SCORING).windows
    two = sequence_inputs(episodes, all_of(episodes), channels, SCORING).windows
    for field in ("episode_N", "window_N", "label_N", "seconds_seen_N"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
    every = summary_inputs(episodes, all_of(episodes), channels, RECORDED).windows
    assert 0 < len(every.label_N) - len(one.label_N) <= 2 * len(episodes.recordings)


def test_a_sequence_is_the_window_of_its_episode(episodes: EpisodeSet) -> None:
    channels = ("proc.rchar", "perf.cycles")
    inputs = sequence_inputs(episodes, all_of(episodes), channels, SCORING)
    rows = [episodes.schema.channel_names.index(name) for name in channels]
    for n in (0, 7, len(inputs.start_N) - 1):
        recording = all_of(episodes)[inputs.windows.episode_N[n]]
        start = recording.grid.start_W[inputs.windows.window_N[n]]
        mine = inputs.series_TD[inputs.start_N[n] : inputs.start_N[n] + inputs.length, :2]
        np.testing.assert_array_equal(mine, recording.x_CT[rows, start : start + inputs.length].T)


def test_windows_without_a_label_are_left_out(episodes: EpisodeSet) -> None:
    first = all_of(episodes)[0]
    unlabelled = replace(first, label_W=np.where(np.arange(len(first.label_W)) == 2, -1, first.label_W))
    inputs = summary_inputs(episodes, [unlabelled], episodes.schema.channel_names, RECORDED)
    assert 2 not in inputs.windows.window_N and len(inputs.x_NF) == len(first.label_W) - 1


@pytest.mark.parametrize("make", [summary_inputs, sequence_inputs])
def test_a_prefix_hides_every_later_bin(make_recording: Callable, episodes_of: Callable, make) -> None:
    base = default_registry()
    windowing = msgspec.structs.replace(base.windowing, whole=True, length_s=40.0, prefixes_s=(5.0, 10.0))
    schema = make_schema(msgspec.structs.replace(base, windowing=windowing))
    view = prefix_views(schema)[1]
    one_CT = np.random.default_rng(0).normal(5, 1, (len(schema.channels), 400)).astype(np.float32)
    two_CT, three_CT = one_CT.copy(), one_CT.copy()
    two_CT[:, view.bins :] = 77
    three_CT[:, view.bins - 1] = 77
    made = []
    for x_CT in (one_CT, two_CT, three_CT):
        recording = make_recording(schema, "ep-1", "host-0", x_CT)
        inputs = make(episodes_of(schema, [recording]), [recording], schema.channel_names, view)
        made.append(inputs.x_NF if make is summary_inputs else inputs.series_TD)
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2], equal_nan=True)


# ---- the clock


def shifted_store(folder: Path, shift_ns: int) -> Layout:
    """A store of three generated episodes in which every wall time is moved by `shift_ns`."""
    store, layout, registry = folder / "store", Layout(folder / "data"), default_registry()
    options = LabOptions(seed=3, duration_s=40.0)
    plans = plan_store(hosts=("h-1",), episodes=8, options=options)[:3]
    records = []
    for plan in plans:
        made = make_episode(plan, options)
        meta, labels = made.meta, made.labels
        moved = {}
        for name, raw in made.sources.items():
            rows = msgspec.json.Decoder().decode_lines(raw)
            for row in rows:
                row["t_wall_ns"] += shift_ns
            moved[name] = msgspec.json.Encoder().encode_lines(rows)
        meta = {**meta, **{key: meta[key] + shift_ns for key in ("t_start_wall_ns", "t_end_wall_ns")}}
        records.append(write_episode(store, meta, [(t + shift_ns, phase) for t, phase in labels], moved))
    write_index(store, records)
    write_schema(layout.feature_schema, make_schema(registry))
    validate_host(store, layout, "h-1", registry=registry, index=read_index(store))
    build_tensors(layout, "h-1", registry)
    build_features(layout, "h-1", registry)
    return layout


def test_moving_all_wall_times_of_an_episode_changes_no_input(tmp_path: Path) -> None:
    one, two = (
        loaded(shifted_store(tmp_path / str(k), shift), ["h-1"])
        for k, shift in enumerate((0, 86_400 * 10**9 * 3 + 12_345_678_901))
    )
    assert all_of(one)[0].info.t_start_wall_ns != all_of(two)[0].info.t_start_wall_ns
    channels = shared_channels(one.schema, "oracle", all_of(one))
    for view in (RECORDED, SCORING):
        first, second = (summary_inputs(each, all_of(each), channels, view) for each in (one, two))
        np.testing.assert_array_equal(first.x_NF, second.x_NF)
        np.testing.assert_array_equal(first.windows.label_N, second.windows.label_N)
        first, second = (sequence_inputs(each, all_of(each), channels, view) for each in (one, two))
        np.testing.assert_array_equal(first.series_TD, second.series_TD)


# ---- from disk


def loaded(layout: Layout, hosts: list[str]) -> EpisodeSet:
    return load_episodes(layout, episode_table(layout, hosts))


def named(tiny: Tiny) -> list[str]:
    return [info.episode_id for info in episode_table(tiny.layout, tiny.hosts)]


def test_hosts_that_share_episode_ids_keep_them_all_and_logs_alone_open_nothing(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    for host, names in {"h-1": ("run-0", "run-1"), "h-2": ("run-1", "run-2")}.items():
        for k, name in enumerate(names):
            tiny.add(name, seed=k, host=host)
    tiny.add_logs("quiet", "May  1 12:00:01 h-1 sshd[7]: x", host="h-1")
    layout = tiny.build_all()
    assert named(tiny) == ["h-1/run-1", "h-2/run-1", "quiet", "run-0", "run-2"]
    episodes = loaded(layout, ["h-1", "h-2"])
    assert list(episodes.recordings) == ["h-1/run-1", "h-2/run-1", "run-0", "run-2"]
    assert all(name == recording.info.episode_id for name, recording in episodes.recordings.items())
    assert [each.info.host for each in episodes.select(["run-2", "quiet", "h-1/run-1"])] == ["h-2", "h-1"]
    for name, host in (("h-1/run-1", "h-1"), ("h-2/run-1", "h-2")):
        np.testing.assert_array_equal(episodes.recordings[name].x_CT, read_tensor(layout, host, "run-1").x_CT)


def test_a_table_tells_of_each_episode_what_a_split_may_know(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    tiny.add("ep-1", seed=1, corpus="theirs", synthetic=True)
    tiny.add_logs("ep-2", "May  1 12:00:01 h-1 sshd[7]: x")
    tiny.add_logs("ep-3", "", benign=True)
    layout = tiny.build_all()
    first, second, *_ = episode_table(layout, tiny.hosts)
    assert (first.corpus, first.synthetic, second.corpus, second.synthetic) == ("theirs", True, "lab", False)
    assert first.windows == {"calm": 3, "armed": 2, "attack": 4} and len(first.signature) == 64 and not first.logs
    assert second.windows == {} and second.signature == () and second.logs == ("logs/auth.log",)
    assert second.content_sha256 not in ("", first.content_sha256) and second.phases == ()


def test_tensors_that_are_out_of_date_are_refused_with_the_command(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    tiny.add("ep-1", seed=1)
    tiny.add("ep-2", seed=2)
    layout = tiny.build_all()
    infos = episode_table(layout, tiny.hosts)
    tiny.add("ep-2", seed=3)
    tiny.validate()
    says = r"out of date for 1 episodes \(ep-2\); make them with: .*--select key:window_tensors"
    with pytest.raises(UpstreamMissing, match=says):
        episode_table(layout, tiny.hosts)
    (layout.tensors("host-a") / "ep-1.safetensors").unlink()
    with pytest.raises(UpstreamMissing, match=says.replace("ep-2", "ep-1")):
        load_episodes(layout, infos)
    assert set(load_episodes(layout, infos[1:]).recordings) == {"ep-2"}  # of the split before
    write_schema(layout.feature_schema, make_schema(tiny.registry, "none"))
    with pytest.raises(UpstreamMissing, match="out of date for 2 episodes"):
        episode_table(layout, tiny.hosts)
    with pytest.raises(UpstreamMissing, match="out of date for 1 episodes"):
        load_episodes(layout, infos[1:])


def test_episodes_of_logs_alone_are_refused_with_what_to_do(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    tiny.add_logs("ep-1", "May  1 12:00:01 h-1 sshd[7]: x")
    layout = tiny.build_all()
    with pytest.raises(UpstreamMissing, match="make what logs alone give: --select"):
        loaded(layout, ["host-a"])


def test_a_tensor_that_changes_under_its_reader_is_refused(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    tiny.add("ep-1", seed=1)
    recording = loaded(tiny.build_all(), ["host-a"]).recordings["ep-1"]
    assert recording.x_CT.shape[1] == recording.n_bins
    tiny.add("ep-1", seed=2)
    tiny.build_all()
    with pytest.raises(UpstreamMissing, match="ep-1 was made anew while it was being read; run the command again"):
        _ = recording.x_CT


# ---- schemas


def test_data_of_another_schema_are_refused_with_both_hashes_and_the_columns(episodes: EpisodeSet) -> None:
    trained = input_schema(episodes.schema, "realistic", "summary", ("proc.rchar", "proc.wchar"))
    given = input_schema(episodes.schema, "realistic", "summary", ("proc.rchar", "perf.cycles"))
    require_same_schema(trained, trained)
    with pytest.raises(ValueError, match="was trained under schema") as caught:
        require_same_schema(trained, given)
    text = str(caught.value)
    assert isinstance(caught.value, SchemaMismatch) and trained.sha256 in text and given.sha256 in text
    assert "proc.wchar|" in text and "perf.cycles|" in text and "more" in text and len(text) < 1000


def test_equal_columns_of_another_feature_schema_are_refused_too(episodes: EpisodeSet) -> None:
    trained = input_schema(episodes.schema, "realistic", "summary", ("proc.rchar",))
    given = msgspec.structs.replace(trained, feature_schema_sha256="0" * 64)
    with pytest.raises(SchemaMismatch, match="equal columns, but another feature_schema_sha256"):
        require_same_schema(trained, given)
