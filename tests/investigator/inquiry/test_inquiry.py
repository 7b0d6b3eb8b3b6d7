"""What happened in logs that nobody knows: techniques with their rows, stretches, and what could not be judged."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from logs_world import TELLS, sysmon_event

from rlstir_core.contract.registry import default_registry
from rlstir_core.episodes.store.writer import write_episode
from rlstir_core.errors import StoreError, UpstreamMissing
from rlstir_core.hostlogs.exports.found_layer import export_found
from rlstir_core.importers.knowledge import import_knowledge
from rlstir_core.investigator.inquiry.inquire import investigate
from rlstir_core.investigator.inquiry.records import Inquiry
from rlstir_core.results.layout import Layout

START_NS = 1_777_600_000_000_000_000
LSASS, CRON, _ = TELLS


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A data folder that holds texts and nothing else."""
    lines = [
        {
            "source": "s",
            "id": own,
            "platform": "linux",
            "kind": "command",
            "techniques": [own],
            "text": f"Some name. {said}",
        }
        for own, said in {**TELLS, "T1021.004": "lateral ssh session opened"}.items()
    ]
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = Layout(tmp_path / "data")
    import_knowledge([texts], found.knowledge)
    return found


def log_of(technique: str) -> bytes:
    """Twenty commands of no meaning, and two of the technique's."""
    said = [f"make part{k}" for k in range(20)] + [TELLS[technique]] * 2
    line = "May  1 01:{:02}:07 north sudo[{}]: maria : TTY=pts/0 ; USER=root ; COMMAND=/usr/bin/{} {}"
    return "".join(line.format(k, 900 + k, words, k) + "\n" for k, words in enumerate(said)).encode()


def asked(layout: Layout, *paths: Path, **more: Any) -> Inquiry:
    return investigate(paths, layout, registry=default_registry(), **more)


def episode(folder: Path, **extra: bytes) -> Path:
    meta = {
        "episode_id": "ep-1",
        "host_id": "north",
        "profile": "io-walk",
        "sample_name": "s",
        "benign": False,
        "t_start_wall_ns": START_NS,
        "t_end_wall_ns": START_NS + 3600 * 10**9,
    }
    members = {
        "logs/auth.log": log_of(LSASS),
        "logs/sysmon.jsonl": sysmon_event("north"),
    }
    record = write_episode(
        folder, meta, (), {}, {**members, **{name.replace("__", "."): b for name, b in extra.items()}}
    )
    return folder / record["path"]


def test_each_log_has_techniques_with_the_rows_that_speak_for_them_and_nothing_is_kept(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    logs = tmp_path / "logs"
    logs.mkdir()
    for name, technique in (("one.log", LSASS), ("two.log", CRON)):
        (logs / name).write_bytes(log_of(technique))
    (logs / "picture.bin").write_bytes(bytes(300))
    found = asked(layout, logs)
    first = {log.name: log.techniques[0] for log in found.logs}
    assert {name: (each.technique, each.named) for name, each in first.items()} == {
        "one.log": (LSASS, True),
        "two.log": (CRON, True),
    }
    (said,) = (each for each in found.techniques if each.technique == LSASS)
    assert said.row is not None and (said.logs, said.log, said.name) == (1, "one.log", "LSASS Memory")
    line = (logs / "one.log").read_text().splitlines()[said.row.seq]
    assert "dump lsass memory" in line and said.row.time[11:19] in line and {"lsass", "dump"} <= set(said.row.words)
    assert found.risk.p is None and "no encoder is under" in found.risk.why
    assert any("44 rows (auth) have no number of their own" in each for each in found.lacks)
    assert any("picture.bin" in each for each in found.read)
    assert not list(private.iterdir())


def test_a_recorded_episode_says_the_same_with_and_without_its_labels(layout: Layout, tmp_path: Path) -> None:
    truth = json.dumps([{"technique": CRON, "t_start_wall_ns": 0, "t_end_wall_ns": 2**62}]).encode()
    told = asked(layout, episode(tmp_path / "a", gt_ttp_sequence__json=truth))
    blind = asked(layout, episode(tmp_path / "b"))
    assert msgspec.structs.replace(told, paths=()) == msgspec.structs.replace(blind, paths=())
    (log,) = told.logs
    assert log.recording and log.n_files == 2 and log.rows == {"auth": 22, "sysmon": 1}
    assert log.techniques[0].technique == LSASS and log.techniques[0].rows[0].log == "ep-1: logs/auth.log"


def test_without_texts_the_report_says_what_it_lacks(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    log.write_bytes(log_of(LSASS))
    found = asked(Layout(tmp_path / "none"), log)
    assert not found.sayable and not found.techniques and found.n_rows == 22
    assert any("rlstir import knowledge" in each for each in found.lacks)
    with pytest.raises(UpstreamMissing, match="make it with"):  # an encoder that is asked for by name must be there
        asked(Layout(tmp_path / "none"), log, recipe="host")


def test_an_episode_that_cannot_be_trusted_is_refused(layout: Layout, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("logs/auth.log", "meta.json"):
            archive.addfile(tarfile.TarInfo(name))
    bad = tmp_path / "bad.tar.zst"
    bad.write_bytes(zstandard.compress(out.getvalue()))
    with pytest.raises(
        StoreError, match=r"bad.tar.zst is an episode that cannot be trusted: its verdict is reject \(meta"
    ):
        asked(layout, bad)
    silent = episode(tmp_path / "b", **{"logs/auth__log": b"", "logs/sysmon__jsonl": b""})
    with pytest.raises(StoreError, match="no log row in"):
        asked(layout, silent)


def test_a_layer_paints_what_was_found_and_greys_what_could_not_be_named(layout: Layout, tmp_path: Path) -> None:
    said = tmp_path / "found.json"
    found = asked(layout, episode(tmp_path / "a"))
    said.write_bytes(msgspec.json.encode(found))
    assert export_found(said, tmp_path / "layer.json") == len(found.techniques) >= 1
    cells = {cell["techniqueID"]: cell for cell in json.loads((tmp_path / "layer.json").read_text())["techniques"]}
    assert (
        0 < cells[LSASS]["score"] <= 1 and "named in 1 log, likeliest in ep-1, by knowledge" in cells[LSASS]["comment"]
    )
    assert CRON in found.sayable and CRON not in cells  # looked for, not named
    assert cells["T1486"] == {
        "techniqueID": "T1486",
        "enabled": False,
        "color": "#d9d9d9",
        "comment": "could not be named: nothing that was asked speaks of it",
        "metadata": [],
    }
    for raw in (b"{}", b"PAR1", b"\xff", said.read_bytes().replace(b"rlstir-inquiry-1", b"rlstir-inquiry-9")):
        (tmp_path / "bad.json").write_bytes(raw)
        with pytest.raises(StoreError, match="does not say what was found"):
            export_found(tmp_path / "bad.json", tmp_path / "layer.json")


def test_a_layer_of_predictions_is_the_encoder_s_and_greys_what_it_never_ranks(tmp_path: Path) -> None:
    said = [  # model, episode, technique, score, named
        ("knowledge", "a", "T1486", 0.9, True),
        ("encoder", "a", LSASS, 0.4, True),
        ("encoder", "b", LSASS, 0.6, True),
        ("encoder", "b", CRON, 0.1, False),
    ]
    names = ("model", "episode_id", "technique", "score", "named")
    pq.write_table(pa.table(dict(zip(names, zip(*said, strict=True), strict=True))), tmp_path / "techniques.parquet")
    assert export_found(tmp_path / "techniques.parquet", tmp_path / "layer.json") == 1
    layer = json.loads((tmp_path / "layer.json").read_text())
    cells = {cell["techniqueID"]: cell for cell in layer["techniques"]}
    assert (cells[LSASS]["score"], cells[LSASS]["metadata"]) == (0.6, [{"name": "logs", "value": "2"}])
    assert CRON not in cells and not cells["T1486"]["enabled"]
    assert "by encoder in 2 logs of a test side" in layer["description"]
