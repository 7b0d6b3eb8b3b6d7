"""Clones of the projects that publish technique texts are read by what their files hold; hostile ones cost nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rlstir_core.errors import StoreError
from rlstir_core.importers.knowledge import import_knowledge

SPLUNK = """
name: Shadow copies deleted
id: 1-2
description: Someone deletes shadow copies.
search: '| tstats `summariesonly` where Processes.process_name=vssadmin.exe Processes.process="*delete shadows*"
  by Processes.user'
data_source: [Sysmon EventID 1, Windows Event Log Security 4688]
tags: {mitre_attack_id: [T1490], asset_type: Endpoint}
"""
CAR = """
title: Autorun differences
id: CAR-2013-01-002
description: Compare autoruns.
platforms: [Windows]
coverage: [{technique: T1547, subtechniques: [T1547.001], tactics: [TA0003]}, {technique: T1112}]
implementations: [{name: Pseudocode, code: "search Registry:Run"}]
"""
STOCKPILE = """
- id: 0-1
  name: Find users
  description: Lists accounts.
  tactic: discovery
  technique: {attack_id: T1087.001, name: Local}
  platforms: {windows: {psh: {command: net user}}, linux: {sh: {command: cat /etc/passwd}}}
"""
SYSMON = """<Sysmon schemaversion="4.30"><EventFiltering><RuleGroup groupRelation="or">
<ProcessAccess onmatch="include"><Rule name="technique_id=T1003.001,technique_name=LSASS" groupRelation="and">
<TargetImage condition="is">C:\\Windows\\lsass.exe</TargetImage></Rule>
<TargetImage name="technique_id=T1055" condition="image">winlogon.exe</TargetImage>
<SourceImage condition="is">no.exe</SourceImage></ProcessAccess></RuleGroup></EventFiltering></Sysmon>"""


def pattern(key: str, own: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "attack-pattern",
        "id": key,
        "name": "Dumping",
        "description": "Adversaries dump ([tool](https://x.y/z)).(Citation: A)",
        "external_references": [{"source_name": "mitre-attack", "external_id": own}],
        "kill_chain_phases": [{"kill_chain_name": "mitre-attack", "phase_name": "credential-access"}],
        "x_mitre_platforms": ["Windows"],
        "x_mitre_domains": ["enterprise-attack"],
    } | more


PATTERNS = [
    pattern("a", "T1003"),
    pattern("b", "T1402", x_mitre_domains=["mobile-attack"]),
    pattern("c", "T9999", revoked=True),
]
RELATIONS = [
    {"type": "relationship", "id": "r", "relationship_type": "uses", "target_ref": "a", "description": "X dumped."},
    {"type": "relationship", "id": "d", "relationship_type": "detects", "source_ref": "s", "target_ref": "a"},
    {"type": "x-mitre-detection-strategy", "id": "s", "x_mitre_analytic_refs": ["n", "gone", 7]},
    {
        "type": "x-mitre-analytic",
        "id": "n",
        "description": "Reads lsass.",
        "x_mitre_platforms": ["Windows"],
        "x_mitre_log_source_references": [{"name": "WinEventLog:Sysmon", "channel": "EventCode=10, 7"}, "x"],
    },
    {"type": "relationship", "id": 7},
    "no object",
]


PARTS = [RELATIONS, PATTERNS]


def made(folder: Path, files: dict[str, str | bytes]) -> tuple[Any, dict[tuple[str, str], dict[str, Any]]]:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = import_knowledge([folder], folder / "out.parquet")
    rows = pq.read_table(folder / "out.parquet").to_pylist()
    return found, {(row["source"], f"{row['id']} {row['kind']}"): row for row in rows}


def test_every_project_is_told_by_what_its_files_hold(tmp_path: Path) -> None:
    found, rows = made(
        tmp_path,
        {
            "detections/a.yml": SPLUNK,
            "analytics/b.yaml": CAR,
            "abilities/c.yml": STOCKPILE,
            "modules/include.xml": SYSMON,
            "pages/other.xml": "<html><p>x</p></html>",
            "docs/config.yml": "a: 1\n",
            "package.json": '{"name": "x"}',
        },
    )
    assert found.faults == () and found.per_source == {"car": 1, "splunk": 2, "stockpile": 3, "sysmon_modular": 2}
    rule = rows["splunk", "1-2 detection"]
    assert rule["text"] == "vssadmin.exe *delete shadows*" and rule["events"] == ["security|4688", "sysmon|1"]
    assert rows["car", "CAR-2013-01-002 detection"]["techniques"] == ["T1112", "T1547.001"]
    assert rows["stockpile", "0-1windows command"]["text"] == "net user"
    assert rows["stockpile", "0-1linux command"]["platform"] == "linux"
    sysmon = [row for row in rows.values() if row["source"] == "sysmon_modular"]
    assert {row["techniques"][0] for row in sysmon} <= {"T1003.001", "T1055"} and sysmon[0]["events"] == ["sysmon|10"]


def test_attack_is_read_from_bundles_whose_objects_stand_in_several_files(tmp_path: Path) -> None:
    bundles = {f"{n}.json": json.dumps({"type": "bundle", "objects": each}) for n, each in enumerate(PARTS)}
    found, rows = made(tmp_path, {**bundles, "half.json": '{"type": "bundle", "objects": ['})
    assert found.faults == () and found.per_source == {"attack": 1, "attack_analytics": 1, "attack_uses": 1}
    own = rows["attack", "T1003 prose"]
    assert own["text"] == "Dumping. Adversaries dump (tool)." and own["tactics"] == ["credential-access"]
    analytic = next(row for row in rows.values() if row["source"] == "attack_analytics")
    assert analytic["events"] == ["sysmon|10", "sysmon|7"] and analytic["platform"] == "windows"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("T1.yaml", "attack_technique: T1003\natomic_tests: &a [x]\nb: *a\n"),
        ("T2.yaml", "attack_technique: T1003\natomic_tests: " + "[" * 3_000),
        ("T3.yaml", "attack_technique: T1003\natomic_tests: 7\n"),
        ("T4.yml", STOCKPILE.replace("T1087.001", "nonsense").replace("{psh", "{0: 1, psh")),
        ("x.xml", '<!DOCTYPE a [<!ENTITY b "c">]>' + SYSMON),
        ("y.xml", "<a>" * 50),
        ("z.json", "[" * 100_000),
        ("s.json", json.dumps({"type": "bundle", "objects": [pattern("a", "nonsense")]})),
    ],
)
def test_what_is_hostile_or_broken_is_named_or_passed_over(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(StoreError, match=r"no technique text in .*clones of Atomic Red Team"):
        made(tmp_path, {name: content})
