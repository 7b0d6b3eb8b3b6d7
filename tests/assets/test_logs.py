"""Logs on the command line and in Dagster: from somebody's files to rows and to other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

pytestmark = pytest.mark.slow
AUTH = "".join(
    f"May  1 12:00:{k:02} web1 sshd[{k}]: Failed password for root from 203.0.113.{k} port 4{k} ssh2\n"
    for k in range(40)
)


def test_from_files_to_rows_to_a_timeline(invoke: Any, tmp_path: Path, instance_of: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "secure").write_text(AUTH + "\x01what is this\n")
    (tmp_path / "in" / "readme").write_text("a note\n")
    store, data = tmp_path / "store", tmp_path / "data"
    done = invoke("import", "logs", tmp_path / "in", "--store", store)
    assert done.exit_code == 0, done.output
    assert "41 rows of 1 logs, 1 episodes of 1 hosts" in done.stdout
    table = [line.split() for line in done.stdout.splitlines() if line.startswith(("  format", "  syslog"))]
    assert table[1][:5] == ["syslog", "1", "41", "40", "0"]
    assert "new: web1 1" in done.stdout and "no logs: readme" in done.stdout
    assert "warning: syslog: 1 of 41 rows could not be parsed" in done.stdout
    made = invoke(
        "materialize", "--store", store, "--data", data, "--select", "+key:log_events", home=tmp_path / "home"
    )
    assert made.exit_code == 0, made.output
    with instance_of(tmp_path / "home") as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("log_events"))
        metadata = event.asset_materialization.metadata
        assert metadata["dagster/row_count"].value == 41
        channel = metadata["channels"].value.records[0].data
        assert (channel["channel"], channel["rows"], channel["not parsed"]) == ("auth", 41, 1)
        top = metadata["top_templates"].value.records[0].data
        assert top["template"] == "Failed password for root from <*> port <*> ssh2" and top["rows"] == 40
        (check,) = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey("log_events"), "parse_failures"), limit=1
        )
        assert check.status.value == "FAILED"  # one in 41 is more than one in a hundred, and is said
    out = tmp_path / "timeline.jsonl"
    exported = invoke("export", "timesketch", "--data", data, "--out", out)
    assert exported.exit_code == 0 and "41 rows" in exported.stdout
    events = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(events) == 41 and sum("not_parsed" in event["tag"] for event in events) == 1


def test_templates_of_a_file_are_written_as_a_table(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text(AUTH)
    done = invoke("templates", tmp_path / "x.log", "--out", tmp_path / "t.csv")
    assert done.exit_code == 0 and "40 lines, 1 templates" in done.stdout
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == "LineId,EventId,EventTemplate" and len(lines) == 41
    assert lines[1].endswith("Failed password for root from <*> port <*> ssh2")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("import", "logs", "none"), "is not there"),
        (("import", "logs", "."), "no log in"),
        (("import", "knowledge", "none"), "is not there"),
        (("templates", "none", "--out", "t.csv"), "none"),
        (("export", "ecs", "--data", "none", "--out", "x"), "is not there; name one"),
        (("export", "navigator", "--data", "none", "--out", "x", "--host", "a/b"), "not a safe identifier"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(invoke: Any, arguments: tuple[str, ...], says: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1 and says in result.stderr
