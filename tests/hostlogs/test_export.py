"""Exports open elsewhere: names of the standards, golden files, nothing of ours renamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.errors import UpstreamMissing
from rlstir_core.hostlogs.attack.techniques import techniques
from rlstir_core.hostlogs.exports.layer import export_layer
from rlstir_core.hostlogs.exports.rows import ECS_NAMES, OWN_NAMES, export_rows, iso
from rlstir_core.hostlogs.table import SCHEMA

GOLDEN = Path(__file__).parents[1] / "golden"

# Fields of the Elastic Common Schema 8.17 and what it says of each: its type.
ECS_FIELDS = {
    "host.name": "keyword",
    "host.hostname": "keyword",
    "event.dataset": "keyword",
    "event.provider": "keyword",
    "event.code": "keyword",
    "event.sequence": "long",
    "event.original": "keyword",
    "process.pid": "long",
    "process.parent.pid": "long",
    "process.thread.id": "long",
    "process.executable": "keyword",
    "process.command_line": "wildcard",
    "user.name": "keyword",
    "user.id": "keyword",
    "log.file.path": "keyword",
    "message": "match_only_text",
    "threat.technique.id": "keyword",
}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("target", ["ecs", "timesketch"])
def test_rows_are_written_as_the_golden_file_has_them(logs: Any, tmp_path: Path, target: Any) -> None:
    logs.build()
    out = tmp_path / "out.jsonl"
    assert export_rows(logs.layout, target, out) == 6
    assert out.read_text() == (GOLDEN / f"log_rows.{target}.jsonl").read_text()


def test_a_layer_is_written_as_the_golden_file_has_it(logs: Any, tmp_path: Path) -> None:
    logs.build()
    assert export_layer(logs.layout, tmp_path / "layer.json") == {"T1105": 1, "T1685": 1}
    assert (tmp_path / "layer.json").read_text() == (GOLDEN / "labels.layer.json").read_text()


def test_every_name_is_one_of_the_standard_and_every_column_has_a_place() -> None:
    assert set(ECS_NAMES.values()) == set(ECS_FIELDS)
    assert all(name.startswith("labels.") for name in OWN_NAMES.values())
    elsewhere = {"ts_ns", "clock_mismatch", "duplicate", "parsed", "timed", "assumed"}
    assert set(ECS_NAMES) | set(OWN_NAMES) | elsewhere == set(SCHEMA.names)


def test_ecs_values_have_the_types_of_the_standard(logs: Any, tmp_path: Path) -> None:
    logs.build()
    export_rows(logs.layout, "ecs", tmp_path / "out.jsonl")

    def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        found = {}
        for key, value in tree.items():
            found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
        return found

    for document in lines(tmp_path / "out.jsonl"):
        for name, value in flat(document).items():
            if name in ECS_FIELDS:
                values = value if isinstance(value, list) else [value]
                assert all(isinstance(v, int if ECS_FIELDS[name] == "long" else str) for v in values), name
        assert document["ecs"]["version"].startswith("8.") and document["@timestamp"].endswith("Z")


def test_timesketch_gets_the_three_fields_that_it_asks_for(logs: Any, tmp_path: Path) -> None:
    logs.build()
    export_rows(logs.layout, "timesketch", tmp_path / "out.jsonl")
    for event in lines(tmp_path / "out.jsonl"):
        assert event["message"] and event["datetime"] and event["timestamp_desc"]
        assert isinstance(event["timestamp"], int)


def test_the_layer_has_the_form_4_5_and_greys_what_is_not_labelled(logs: Any, tmp_path: Path) -> None:
    logs.build()
    export_layer(logs.layout, tmp_path / "layer.json")
    layer = json.loads((tmp_path / "layer.json").read_text())
    assert layer["versions"]["layer"] == "4.5" and layer["domain"] == "enterprise-attack"
    assert {"name", "versions", "domain", "techniques", "gradient", "legendItems"} <= set(layer)
    assert {cell["techniqueID"] for cell in layer["techniques"]} == set(techniques())
    grey = [cell for cell in layer["techniques"] if not cell["enabled"]]
    assert len(grey) == 78 and all("color" in cell and "score" not in cell for cell in grey)


def test_only_the_named_host_is_written_and_one_without_rows_is_refused(logs: Any, tmp_path: Path) -> None:
    logs.build()
    assert export_rows(logs.layout, "ecs", tmp_path / "a", hosts=["web1"]) == 6
    with pytest.raises(UpstreamMissing, match="key:log_events"):
        export_rows(logs.layout, "ecs", tmp_path / "b", hosts=["other"])
    assert not (tmp_path / "b").exists()


def test_times_have_nanoseconds_and_end_where_int64_ends() -> None:
    assert iso(1) == "1970-01-01T00:00:00.000000001Z"
    assert iso(-(2**63)).startswith("1677-09-21T") and iso(2**63 - 1).startswith("2262-04-11T")
