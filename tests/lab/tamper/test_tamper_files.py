"""`rlstir lab tamper`: logs and episodes on disk, from any place that holds logs, and refusals in one sentence."""

from __future__ import annotations

import json
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from click.testing import CliRunner, Result
from tamper_logs import SMALL, T0, assert_exact, parsed

from rlstir_assets.cli import cli
from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import tar_bytes, write_episode, write_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.hostlogs.attack.truth import TamperSpan
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.lab.tamper.apply import OPERATORS
from rlstir_core.lab.tamper.files import tamper_source
from rlstir_core.results.layout import Layout

AUDIT, AUTH = SMALL["audit"]["logs/audit.log"], SMALL["auth-iso"]["logs/auth.log"]
META = {
    "episode_id": "tampered-maybe",
    "host_id": "web1",
    "profile": "io-walk",
    "sample_name": "s",
    "benign": False,
    "t_start_wall_ns": T0 * 10**9,
    "t_end_wall_ns": (T0 + 7200) * 10**9,
    "free": {"extra": [1, 2.5]},
}
LABELS = b'{"t_wall_ns": %d,  "phase": "clean"}\n' % (T0 * 10**9)


def episode(tmp_path: Path, **more: bytes) -> Path:
    extra = {"logs/audit.log": AUDIT, **SMALL["journal"], "labels.jsonl": LABELS, "gt_ttp_sequence.json": b"[]\n"}
    record = write_episode(tmp_path / "store", META, (), {}, {**extra, **more})
    write_index(tmp_path / "store", [record])
    return tmp_path / "store" / str(record["path"])


def members(path: Path) -> dict[str, bytes]:
    raw = zstandard.ZstdDecompressor().decompress(path.read_bytes())
    path = path.with_suffix(".tar")
    path.write_bytes(raw)
    with tarfile.open(path) as archive:
        found = {info.name: archive.extractfile(info) for info in archive}
        return {name: member.read() for name, member in found.items() if member is not None}


def spans_in(raw: bytes) -> list[TamperSpan]:
    return msgspec.json.decode(raw, type=list[TamperSpan])


def test_a_log_gets_its_truth_beside_it(tmp_path: Path) -> None:
    (tmp_path / "messages").write_bytes(AUDIT)
    made = tamper_source(tmp_path / "messages", "drop_renumber", tmp_path / "out", seed=1)
    data = (tmp_path / "out" / "messages").read_bytes()
    spans = spans_in((tmp_path / "out" / "messages.gt_tamper_spans.json").read_bytes())
    n_before, n_after = len(parsed("x", AUDIT)), len(parsed("x", data))
    assert n_before - n_after == made.n_removed == sum(span.n_removed for span in spans) > 0
    assert (made.n_logs, made.n_rows, made.n_forged) == (1, n_before, 0)
    assert made.n_changed == sum(len(span.seqs) for span in spans) > 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"messages", "messages.gt_tamper_spans.json"}


def test_folders_zips_and_tars_are_read_and_names_inside_cannot_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "in" / "z.zip", "w") as archive:
        archive.writestr("../../up.log", AUDIT)
        archive.writestr("..", AUDIT)
    (tmp_path / "in" / "a" / "up.log").write_bytes(AUTH)
    (tmp_path / "in" / "notes.txt").write_text("nothing\n")
    made = tamper_source(tmp_path / "in", "jitter", tmp_path / "out")
    assert made.n_logs == 3 and made.left_out == ["notes.txt: no log"]
    names = {path.name for path in (tmp_path / "out").iterdir() if not path.name.endswith(".json")}
    assert names == {"up.log", "up-2.log", "log"}
    assert {path.parent for path in made.files} == {tmp_path / "out"}


def test_an_episode_becomes_another_whose_name_tells_nothing_and_whose_other_members_stay(tmp_path: Path) -> None:
    path = episode(tmp_path)
    made = tamper_source(path, "clear_log_event", tmp_path / "new", seed=2)
    (entry,) = read_index(tmp_path / "new").entries
    assert entry.episode_id == made.episode and made.episode.startswith("log-") and len(made.episode) == 20
    before, after = members(path), members(tmp_path / "new" / entry.path)
    spans = spans_in(after.pop("gt_tamper_spans.json"))
    (member,) = {span.member for span in spans}
    assert before[member] != after[member]
    for name in before.keys() - {"meta.json", member}:
        assert after[name] == before[name]
    assert {**json.loads(after["meta.json"]), "episode_id": "tampered-maybe"} == json.loads(before["meta.json"])
    again = tamper_source(path, "clear_log_event", tmp_path / "again", seed=2)
    assert again.files[0].read_bytes() == made.files[0].read_bytes()


def test_tags_land_on_exactly_the_rows_that_the_spans_name(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    for operator in OPERATORS:
        path = episode(tmp_path)
        made = tamper_source(path, operator, tmp_path / operator, seed=5)
        store, layout = tmp_path / operator, Layout(tmp_path / operator / "data")
        found = validate_host(store, layout, "web1", registry=load_registry(store), index=read_index(store))
        assert all(row.usable for row in found.rows), [(row.reason, row.detail) for row in found.rows]
        build_log_events(store, layout, "web1")
        table = pq.read_table(layout.log_events("web1") / f"{made.episode}.parquet")
        tagged = {
            (row["member"], row["seq"])
            for row in table.select(["member", "seq", "tamper_tag"]).to_pylist()
            if row["tamper_tag"] == operator
        }
        assert tagged == {(span.member, seq) for span in made.spans for seq in span.places or ()}
        assert set(table["tamper_tag"].to_pylist()) <= {None, operator}


def test_spans_that_an_episode_had_move_with_their_rows(tmp_path: Path) -> None:
    old = [
        TamperSpan(
            t_start_wall_ns=1, t_end_wall_ns=2, channel="auditd", kind="jitter", member="logs/audit.log", seqs=(20,)
        ),
        TamperSpan(t_start_wall_ns=1, t_end_wall_ns=2, channel="auth", kind="drop-channel"),
    ]
    path = episode(tmp_path, **{"gt_tamper_spans.json": msgspec.json.encode(old)})
    for seed in range(20):
        made = tamper_source(path, "drop_rows", tmp_path / str(seed), seed=seed)
        spans = spans_in(members(made.files[0])["gt_tamper_spans.json"])
        (gap,) = made.spans
        assert spans[-1] == gap and old[1] in spans
        moved = [span for span in spans if span.kind == "jitter"]
        if gap.member == "logs/audit.log" and gap.after_seq is not None and gap.after_seq < 19:
            shown = 20 - gap.n_removed
            assert [span.seqs for span in moved] in ([(shown,)], [])
            return
    raise AssertionError("no seed cut before the row")


def test_evtx_lines_and_the_truth_about_them_agree(tmp_path: Path) -> None:
    data = SMALL["evtx"]["logs/sysmon.jsonl"]
    (tmp_path / "sysmon.jsonl").write_bytes(data)
    made = tamper_source(tmp_path / "sysmon.jsonl", "drop_rows", tmp_path / "out", seed=4)
    rows = parsed("x", (tmp_path / "out" / "sysmon.jsonl").read_bytes())
    assert len(rows) == made.n_rows - made.n_removed


# Refusals


@pytest.fixture
def invoke(tmp_path: Path) -> Callable[..., Result]:
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(cli, ["lab", "tamper", *map(str, arguments)])

    return run


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("rlstir: ") and all(word in line for word in words), line


def test_bad_input_is_one_sentence(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(AUTH)
    (tmp_path / "n.txt").write_text("nothing\n")
    out = ("--out", tmp_path / "out")
    refused(invoke(tmp_path / "none", "--operator", "jitter", *out), "is not there")
    refused(invoke(tmp_path / "n.txt", "--operator", "jitter", *out), "can apply to no log", "no log")
    refused(invoke(tmp_path / "a.log", "--operator", "nobody", *out), "'nobody' is unknown", "drop_channel")
    refused(invoke(tmp_path / "a.log", "--operator", "jitter", "--strength", "2", *out), "outside [0, 1]")
    refused(invoke(tmp_path / "a.log", "--operator", "drop_renumber", *out), "numbered records")
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(AUTH)
    for source, words in ((tmp_path / "a.log", "jitter"), (episode(tmp_path), "jitter")):
        first = invoke(source, "--operator", words, "--out", tmp_path / "out")
        assert first.exit_code == 0, first.output
        before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
        refused(invoke(source, "--operator", words, "--out", tmp_path / "out"), "is there already")
        assert before == {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}


def test_a_damaged_episode_is_refused(tmp_path: Path) -> None:
    bad = tar_bytes({"meta.json": b"{}", "logs/audit.log": AUDIT})
    (tmp_path / "e.tar.zst").write_bytes(zstandard.ZstdCompressor().compress(bad[:-600]))
    with pytest.raises(StoreError, match="is an episode that is rejected"):
        tamper_source(tmp_path / "e.tar.zst", "jitter", tmp_path / "out")
    bare = {key: value for key, value in META.items() if key != "free"}
    record = write_episode(tmp_path / "s", bare, (), {}, {})
    with pytest.raises(ConfigError, match="has no logs"):
        tamper_source(tmp_path / "s" / str(record["path"]), "jitter", tmp_path / "out")


def test_the_summary_says_what_was_done_in_words_and_in_json(invoke: Any, tmp_path: Path) -> None:
    path = episode(tmp_path)
    result = invoke(path, "--operator", "drop_rows", "--out", tmp_path / "one")
    assert "removed: " in result.stdout and re.search(r"next: \S*rlstir materialize", result.stdout)
    assert len(result.stdout.splitlines()) <= 25
    answer = json.loads(invoke(path, "--operator", "drop_rows", "--out", tmp_path / "two", "--json").stdout)
    assert answer["n_removed"] == sum(span.get("n_removed", 0) for span in answer["spans"]) > 0
    assert answer["episode"].startswith("log-")


def test_the_check_of_these_tests_notices_a_span_that_lies() -> None:
    import numpy as np

    from rlstir_core.lab.tamper.apply import tampered

    made = tampered(SMALL["audit"], "jitter", np.random.default_rng(0))
    (span,) = made.spans
    for lie in (span.seqs[1:], (*span.seqs, max(span.seqs) + 1)):
        with pytest.raises(AssertionError):
            assert_exact(SMALL["audit"], made.logs, made.origin, [msgspec.structs.replace(span, seqs=lie)], "jitter")
