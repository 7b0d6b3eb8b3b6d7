"""The generated store: seeded, complete, with the lab's faults, and with no label but in labels and meta."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zstandard

from rlstir_core.contract.registry import default_registry
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.hostlogs.parsers import spec_of
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.ids import is_safe
from rlstir_core.lab.generate import generate_store, make_episode
from rlstir_core.lab.hosts import DEFAULT_HOSTS, host, resolve
from rlstir_core.lab.plan import EpisodePlan, LabOptions, plan_store
from rlstir_core.lab.sensors.profiles import PROFILES, STAGES, samples


def _plans(episodes: int = 100, seed: int = 7, hosts: tuple[str, ...] = DEFAULT_HOSTS) -> list[EpisodePlan]:
    return plan_store(hosts=hosts, episodes=episodes, options=LabOptions(seed=seed))


def _files(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


def _members(path: Path) -> dict[str, bytes]:
    raw = zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=1 << 24)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]


def _rows(member: bytes) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in member.splitlines()]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generated")
    generate_store(path, episodes=12, options=LabOptions(seed=3))
    return path


def test_the_same_seed_gives_the_same_bytes(store: Path, tmp_path: Path) -> None:
    generate_store(tmp_path, episodes=12, options=LabOptions(seed=3))
    assert _files(tmp_path) == _files(store)


def test_the_bytes_are_those_of_every_other_machine() -> None:
    """A digest of what was generated elsewhere; it changes only when the generator is changed on purpose."""
    digest = hashlib.sha256()
    options = LabOptions(seed=11, duration_s=20.0, tampered=0.5)
    for plan in plan_store(hosts=DEFAULT_HOSTS, episodes=8, options=options):
        made = make_episode(plan, options)
        members = made.sources | made.extra
        for name in sorted(members):
            digest.update(members[name])
        digest.update(repr((sorted(made.meta.items()), made.labels)).encode())
    assert digest.hexdigest() == "866e4e37cf9655ac93ab813a6192c698c7eb93a3e748a1818eed78c13aa17224"


def test_another_seed_gives_other_bytes(store: Path, tmp_path: Path) -> None:
    generate_store(tmp_path, episodes=2, options=LabOptions(seed=4))
    assert not set(_files(tmp_path).values()) & set(_files(store).values())


def test_a_store_that_holds_an_index_is_refused(store: Path) -> None:
    with pytest.raises(StoreError, match="choose another --store"):
        generate_store(store)


@pytest.mark.parametrize(
    "bad", [{"episodes": 1}, {"hosts": ("a", "A")}, {"hosts": ()}, {"hosts": ("a b",)}, {"hosts": ("a:dos", "b")}]
)
def test_a_store_that_cannot_be_made_is_refused(tmp_path: Path, bad: dict[str, object]) -> None:
    with pytest.raises((ConfigError, StoreError, ValueError)):
        generate_store(tmp_path, **bad)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "bad", [{"duration_s": 1.0}, {"hardness": 1.5}, {"benign": 2.0}, {"tampered": -0.1}, {"days": 0}]
)
def test_options_out_of_range_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="keep it between"):
        LabOptions(**bad)  # type: ignore[arg-type]


def test_exactly_one_index_line_is_torn_and_both_its_records_are_whole(store: Path) -> None:
    records, torn = [], 0
    for line in (store / "index.jsonl").read_text().splitlines():
        parts = line.replace("}{", "}\n{").splitlines()
        torn += len(parts) > 1
        records += [msgspec.json.decode(part.encode()) for part in parts]
    assert torn == 1
    assert len(records) == 12
    assert {record["path"] for record in records} == {name for name in _files(store) if name != "index.jsonl"}


def test_progress_is_told_for_every_episode(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    summary = generate_store(tmp_path, episodes=3, progress=lambda done, total, _: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert summary.episodes == 3
    assert summary.infected + summary.benign == 3


def test_every_member_has_the_fields_of_the_registry(store: Path) -> None:
    registry = default_registry()
    for path in store.rglob("*.tar.zst"):
        members = _members(path)
        for name, source in registry.sources.items():
            if f"{name}.jsonl" not in members:
                assert name == "netflow"
                continue
            expected = {"t_wall_ns", "t_mono_ns", *source.fields, *source.ignored}
            assert all(set(row) == expected for row in _rows(members[f"{name}.jsonl"]))
        assert {row["phase"] for row in _rows(members["labels.jsonl"])} <= set(registry.phases)


def test_every_episode_has_the_logs_of_its_system_and_both_truths_whatever_its_label(store: Path) -> None:
    systems = {
        "elliott-thinkpad": {"logs/audit.log", "logs/auth.log", "logs/journal.jsonl"},
        "k-gamingcom": {"logs/sysmon.jsonl"},
    }
    for path in store.rglob("*.tar.zst"):
        members = _members(path)
        assert {name for name in members if name.startswith("logs/")} == systems[path.parent.name]
        assert {"gt_ttp_sequence.json", "gt_tamper_spans.json"} <= set(members)
        meta = msgspec.json.decode(members["meta.json"])
        assert meta["hardness"] == 0.5
        assert bool(msgspec.json.decode(members["gt_ttp_sequence.json"])) <= (not meta["benign"])


@pytest.mark.parametrize("benign", [False, True])
def test_connections_of_the_logs_are_flows_of_the_telemetry(benign: bool) -> None:
    options = LabOptions(seed=6, tampered=0.0)
    name = next(f"lab-{at}" for at in range(20) if host(f"lab-{at}").os == "windows")
    plans = plan_store(hosts=(name,), episodes=12, options=options)
    made = make_episode(next(p for p in plans if p.benign == benign and p.netflow and not p.logs.artifact), options)
    flows = {(row["dst"], row["dport"], row["sport"]) for row in _rows(made.sources["netflow"])}
    rows = spec_of("windows_json").rows([made.extra["logs/sysmon.jsonl"]], LogContext())
    logged = set()
    for row in rows:
        if (row.channel, row.event_id) == ("sysmon", "3"):
            record = msgspec.json.decode(row.fields_json)
            data = record["Event"]["EventData"] if "Event" in record else record["winlog"]["event_data"]
            logged.add((data["DestinationIp"], int(data["DestinationPort"]), int(data["SourcePort"])))
    assert len(logged) > 10
    assert logged <= flows


def test_meta_and_labels_agree_with_the_episode(store: Path) -> None:
    for path in store.rglob("*.tar.zst"):
        members = _members(path)
        meta, labels = msgspec.json.decode(members["meta.json"]), _rows(members["labels.jsonl"])
        assert path.name == f"{meta['episode_id']}.tar.zst"
        assert labels[0]["t_wall_ns"] == meta["t_start_wall_ns"]
        assert all(row["t_wall_ns"] < meta["t_end_wall_ns"] for row in labels)
        if meta["benign"]:
            assert [row["phase"] for row in labels] == ["clean"]
        else:
            assert len(labels) >= 4


def test_k_gamingcom_mostly_lacks_netflow_and_never_ran_scan_and_dial() -> None:
    for seed in range(5):
        plans = [plan for plan in _plans(seed=seed) if plan.host.name == "k-gamingcom"]
        assert 0.7 <= np.mean([not plan.netflow for plan in plans]) < 1.0
        assert {plan.profile for plan in plans} == {p.name for p in PROFILES} - {"scan-and-dial"}


def test_sample_counts_are_1_1_4_2_2_2() -> None:
    plans = _plans()
    for benign in (False, True):
        ran = {p.name: {q.sample.name for q in plans if (q.profile, q.benign) == (p.name, benign)} for p in PROFILES}
        assert [len(names) for names in ran.values()] == [1, 1, 4, 2, 2, 2]
    every = [sample.name for p in PROFILES for benign in (False, True) for sample in samples(p, benign=benign)]
    assert len(set(every)) == 24


def test_profiles_and_phases_are_those_of_the_registry() -> None:
    registry = default_registry()
    assert tuple(profile.name for profile in PROFILES) == registry.profiles
    assert registry.phases == STAGES


def test_benign_twins_are_a_like_share_of_every_host_and_profile() -> None:
    for seed in range(5):
        plans = _plans(seed=seed)
        assert 0.33 <= np.mean([plan.benign for plan in plans]) <= 0.5
        for name in DEFAULT_HOSTS:
            assert 0.3 <= np.mean([plan.benign for plan in plans if plan.host.name == name]) <= 0.45


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_the_share_of_benign_twins_is_the_one_asked_for(share: float) -> None:
    plans = plan_store(hosts=DEFAULT_HOSTS, episodes=100, options=LabOptions(benign=share))
    assert np.mean([plan.benign for plan in plans]) == pytest.approx(share, abs=0.03)


def test_names_are_hashes_and_carry_no_label() -> None:
    telling = {word for profile in PROFILES for word in profile.name.split("-")} | set(STAGES) | {"benign", "twin"}
    for plan in _plans():
        for name in (plan.episode_id, plan.sample.name):
            assert is_safe(name)
            assert len(name) == len(name.encode()) and name[:2] in ("ep", "s-")
            assert not any(word in name for word in telling)


def test_the_order_and_the_times_of_recording_are_blind_to_the_label() -> None:
    def lead(plans: list[EpisodePlan]) -> float:
        """Mean rank of benign episodes, in [0, 1]."""
        return float(np.mean([rank / len(plans) for rank, plan in enumerate(plans) if plan.benign]))

    assert abs(np.mean([lead(_plans(seed=seed)) for seed in range(20)]) - 0.5) < 0.03


def test_a_store_is_recorded_over_as_many_days_as_are_asked_for_and_is_the_same_otherwise() -> None:
    usual, long = _plans(), plan_store(hosts=DEFAULT_HOSTS, episodes=100, options=LabOptions(days=42))
    times = [[plan.start_wall_ns for plan in plans] for plans in (usual, long)]
    spread = [(max(each) - min(each)) / 86_400e9 for each in times]
    assert 19 <= spread[0] <= 21 and 40 <= spread[1] <= 42
    named = [{plan.episode_id: (plan.profile, plan.sample) for plan in plans} for plans in (usual, long)]
    assert named[0] == named[1]


def test_counts_of_flows_do_not_tell_a_twin_from_an_attack() -> None:
    plans = [plan for seed in range(20) for plan in _plans(seed=seed)]
    for profile in PROFILES:
        flows = [
            np.mean([np.log(q.n_flows) for q in plans if (q.profile, q.benign) == (profile.name, benign)])
            for benign in (False, True)
        ]
        assert abs(flows[0] - flows[1]) < 0.12


def test_offsets_are_uniform_over_the_story() -> None:
    plans = [plan for seed in range(5) for plan in _plans(seed=seed)]
    places = np.sort([plan.story.offset_s / plan.story.circle_s for plan in plans])
    distance = np.abs(places - (np.arange(len(places)) + 0.5) / len(places)).max()
    assert distance < 1.63 / np.sqrt(len(places))  # Kolmogorov-Smirnov at 1 %


def test_the_clock_knows_no_phase() -> None:
    stages = np.array([p.story.stage_at(1100) for seed in range(10) for p in _plans(seed=seed)], dtype=object)
    firsts = [plan.story.visits()[0][1] for seed in range(10) for plan in _plans(seed=seed)]
    lasts = [plan.story.visits()[-1][1] for seed in range(10) for plan in _plans(seed=seed)]
    assert len(stages) == 1000
    at_start, at_end = (np.bincount(s, minlength=5) / len(s) for s in (firsts, lasts))
    assert np.abs(at_start - at_end).max() < 0.06


def test_every_phase_appears_in_most_infected_episodes() -> None:
    infected = [plan for plan in _plans() if not plan.benign]
    for stage in range(len(STAGES)):
        assert np.mean([stage in {s for _, s in plan.story.visits()} for plan in infected]) >= 0.6


def test_an_unknown_host_has_a_personality_of_its_own_name() -> None:
    assert host("lab-07") == host("lab-07")
    assert host("lab-07") != host("lab-08")
    assert not np.array_equal(host("lab-07").gains(), host("lab-08").gains())


def test_a_host_plays_the_system_that_is_asked_for_and_is_the_same_otherwise() -> None:
    linux, windows = resolve(("lab-07:linux", "lab-08:windows"))
    assert (linux.name, linux.os, windows.name, windows.os) == ("lab-07", "linux", "lab-08", "windows")
    assert replace(linux, os=host("lab-07").os) == host("lab-07")


def test_an_episode_does_not_depend_on_the_others() -> None:
    plan = _plans(seed=5)[0]
    assert make_episode(plan, LabOptions(seed=5)) == make_episode(plan, LabOptions(seed=5))
