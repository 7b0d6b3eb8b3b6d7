"""Foreign tables become stores that the reader calls ok."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.validation.validate import validate_store
from rlstir_core.errors import ConfigError, RegistryError, StoreError
from rlstir_core.importers.tables import import_table

SHARED = Path(__file__).parents[3] / "shared" / "real"

MAPPING = """
name = "fleet"
[keys]
episode = "run"
host = "machine"
profile = { column = "job", default = "idle" }
sample = "payload"
[time]
column = "when"
unit = "iso"
[labels]
column = "state"
phases = ["clean", "bad"]
benign = ["clean"]
onset = "bad"
[windowing]
whole = false
bin_hz = 1.0
length_s = 2.0
stride_s = 1.0
[sources.net]
vantage = "network"
[[channels]]
columns = ["tx bytes"]
source = "net"
kind = "counter"
scale = "log"
unit = "bytes"
[[channels]]
columns = ["*"]
exclude = ["note"]
"""
CSV = """run,machine,job,payload,when,state,tx bytes,temp,fan,note
r1,m1,,p1,2024-05-01T10:00:02Z,bad,30,,2,hot
r1,m1,,p1,2024-05-01T10:00:00Z,clean,10,-1.5,1,cold
r1,m1,,p1,2024-05-01T10:00:01Z,,20,2.5,,
r2,m2,backup,p2,2024-05-01T11:00:00Z,clean,,7,,
r2,m2,backup,p2,2024-05-01T11:00:01Z,clean,,8,,
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "m.toml").write_text(MAPPING)
    (tmp_path / "t.csv").write_text(CSV)
    return tmp_path


def _import(files, table="t.csv", mapping=None, store="store", **options):
    if mapping is not None:
        (files / "m.toml").write_text(mapping)
    return import_table(files / table, files / "m.toml", files / store, **options)


def _episodes(store):
    registry = load_registry(store)
    records = [json.loads(line) for line in (store / "index.jsonl").read_text().splitlines()]
    read = [read_episode(store / record["path"], registry=registry) for record in records]
    return {reading.episode.meta.origin: reading for reading in read}


def test_a_table_becomes_a_store_that_is_ok(files):
    summary = _import(files)
    assert (summary.n_rows, summary.n_episodes, summary.hosts) == (5, 2, ("m1", "m2"))
    assert summary.skipped_columns == ("note",)
    episodes = _episodes(files / "store")
    assert {reading.verdict.verdict for reading in episodes.values()} == {"ok"}
    one = episodes["r1"].episode
    assert [label.phase for label in one.labels] == ["clean", "bad"]
    assert one.sources["net"].columns["tx-bytes"].tolist() == [10, 20, 30]
    assert one.sources["table"].columns["fan"].tolist() == [1, -1, 2]
    assert one.sources["table"].columns["temp"][:2].tolist() == [-1.5, 2.5]
    assert one.meta.profile == "idle"
    assert not one.meta.benign
    assert episodes["r2"].episode.meta.benign


def test_a_source_that_a_host_lacks_is_absent_there(files):
    _import(files)
    episode = _episodes(files / "store")["r2"].episode
    assert list(episode.sources) == ["table"]


def test_the_registry_says_what_the_mapping_said(files):
    _import(files)
    registry = load_registry(files / "store")
    assert (registry.phases, registry.attack_phases, registry.onset_phase) == (("clean", "bad"), ("bad",), "bad")
    assert registry.sources["net"].vantage == "network"
    assert registry.sources["net"].fields["tx-bytes"].kind == "counter"
    assert registry.sources["table"].fields["temp"].type == "float"


def test_ids_do_not_tell_the_label(files):
    _import(files)
    names = [path.name for path in (files / "store" / "episodes").rglob("*.zst")]
    assert not any("r1" in name or "r2" in name for name in names)


def test_importing_twice_changes_nothing(files):
    _import(files)
    before = {p: p.read_bytes() for p in (files / "store").rglob("*") if p.is_file()}
    again = _import(files)
    assert (again.n_unchanged, again.n_replaced) == (2, 0)
    assert {p: p.read_bytes() for p in (files / "store").rglob("*") if p.is_file()} == before


def test_a_second_file_extends_the_store(files):
    _import(files)
    (files / "u.csv").write_text(CSV.replace("r1", "r3").replace("r2", "r4").replace("m2", "m3"))
    _import(files, "u.csv")
    assert sorted(_episodes(files / "store")) == ["r1", "r2", "r3", "r4"]
    assert {v.verdict for _, v in validate_store(files / "store", registry=load_registry(files / "store"))} == {"ok"}


def test_a_mapping_that_contradicts_the_store_is_refused(files):
    _import(files)
    with pytest.raises(RegistryError, match="another kind"):
        _import(files, mapping=MAPPING.replace('"counter"', '"gauge"'))
    with pytest.raises(RegistryError, match="store was made with mapping"):
        _import(files, mapping=MAPPING.replace('"fleet"', '"other"'))


def test_parquet_and_gzip_are_recognised_by_content(files):
    (files / "t.bin").write_bytes(gzip.compress(CSV.encode()))
    assert _import(files, "t.bin", store="one").n_episodes == 2
    pq.write_table(pa.table({"run": ["a", "a"], "x": [1, 2], "y": ["p", "q"]}), files / "t.data")
    mapping = """
name = "mini"
keys = { episode = "run", profile = { constant = "p" }, sample = "run" }
time = { step_s = 0.5 }
labels = { column = "y", names = { p = "one", q = "two" } }
[[channels]]
columns = ["x"]
"""
    summary = _import(files, "t.data", mapping, "two", host="h9")
    assert (summary.hosts, summary.phases) == (("h9",), {"one": 1, "two": 1})


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ('episode = "run"', 'episode = "nope"', ConfigError, "wants column 'nope'"),
        ('column = "when"\nunit = "iso"', 'column = "payload"', StoreError, "set unit = 'iso'"),
        ('columns = ["tx bytes"]', 'columns = ["note"]', StoreError, "holds text"),
        ('columns = ["tx bytes"]', 'columns = ["absent"]', ConfigError, "wants column 'absent'"),
        ('phases = ["clean", "bad"]', 'phases = ["clean"]', ConfigError, "phase 'bad'"),
        ('onset = "bad"', 'onset = "bad"\nattack = false', ConfigError, "attack = false leaves no attack"),
        ('onset = "bad"', 'onset = "worse"', ConfigError, "no phase of the table"),
        ('sample = "payload"', 'sample = "temp"', StoreError, "temp"),
        ("[time]", "[time]\nstep_s = 1.0", ConfigError, "either step_s"),
        ('scale = "log"', 'scale = "cubic"', ConfigError, "docs/mapping.md"),
        ('name = "fleet"', 'name = "a b"', ConfigError, "not a safe identifier"),
        ("[[channels]]", "[[channels]", ConfigError, "docs/mapping.md"),
    ],
)
def test_a_wrong_mapping_says_what_is_wrong(files, old, new, error, words):
    with pytest.raises(error, match=words):
        _import(files, mapping=MAPPING.replace(old, new))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("run,machine\n", "no rows"),
        (CSV.replace("temp", "tx_bytes").replace("fan", "tx.bytes").replace("tx.bytes", "TX_bytes"), "both become"),
        (CSV.replace("r2,m2", "r2,"), "is empty in line"),
        (CSV.replace(",temp,", ",fan,"), "more than once"),
        (CSV.replace("temp", "t_wall_ns"), "uses itself"),
        (CSV.replace("2024-05-01T11:00:01Z", "tomorrow"), "no ISO date"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(files, text, words):
    (files / "t.csv").write_text(text)
    with pytest.raises((StoreError, ConfigError), match=words):
        _import(files)


def test_an_unknown_mapping_names_those_that_ship():
    with pytest.raises(ConfigError, match="hiper, uea"):
        import_table(Path("x.csv"), "nope", Path("s"))


def test_a_folder_of_ts_files_becomes_the_hosts_train_and_test(tmp_path):
    text = "@problemName Toy\n@timeStamps false\n@classLabel true a b\n@data\n1,2,3:4,5,6:a\n1,?,3:4,5:b\n"
    for side in ("TRAIN", "TEST"):
        (tmp_path / f"Toy_{side}.ts").write_text(text)
    summary = import_table(tmp_path, "uea", tmp_path / "s")
    assert (summary.hosts, summary.phases, summary.n_episodes) == (("test", "train"), {"a": 2, "b": 2}, 4)
    assert load_registry(tmp_path / "s").attack_phases == ()
    assert {v.verdict for _, v in validate_store(tmp_path / "s", registry=load_registry(tmp_path / "s"))} == {"ok"}
    alone = import_table(tmp_path / "Toy_TEST.ts", "uea", tmp_path / "alone", host="lab")
    assert alone.hosts == ("lab",)


@pytest.mark.parametrize(
    ("place", "mapping", "n_episodes"),
    [("hpc_hiper/runs.csv.gz", "hiper", 254), ("ts_uea/BasicMotions", "uea", 80), ("ts_uea/GunPoint", "uea", 200)],
)
def test_the_shipped_mappings_import_real_data(tmp_path, place, mapping, n_episodes):
    if not (SHARED / place).exists():
        pytest.skip(f"the outside data set {place} is not beside this checkout")
    summary = import_table(SHARED / place, mapping, tmp_path)
    assert summary.n_episodes == n_episodes
    registry = load_registry(tmp_path)
    assert {verdict.verdict for _, verdict in validate_store(tmp_path, registry=registry)} == {"ok"}
