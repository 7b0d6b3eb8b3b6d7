"""`rlstir audit`: exit codes, files, and what it may not import."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np

LIGHT = """
import sys
from rlstir_assets.cli import cli
try:
    cli(sys.argv[1:])
except SystemExit as end:
    heavy = {"torch", "dagster", "pandas", "sklearn", "matplotlib", "xgboost", "pydantic"} & set(sys.modules)
    print(end.code, sorted(heavy))
"""


def test_it_imports_nothing_heavy_and_ends_with_0_where_nothing_failed(tables: Any) -> None:
    predictions, split, episodes = tables.paths()
    command = [sys.executable, "-c", LIGHT, "audit", str(predictions), str(split), "--episodes", str(episodes)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "0 []", done
    assert "ok: episode-overlap." in done.stdout and "warn: row-interval." in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_it_ends_with_1_where_a_check_failed_and_with_2_where_a_table_cannot_be_read(tables: Any, invoke: Any) -> None:
    predictions, split, _ = tables.paths()
    assert invoke("audit", predictions, split, "--held-out", "host").exit_code == 0
    bad = invoke("audit", predictions, split, "--held-out", "rack")
    assert bad.exit_code == 2 and bad.stderr.startswith("rlstir: --held-out rack") and bad.stderr.count("\n") == 1
    assert invoke("audit", predictions, "nowhere.csv").exit_code == 2
    assert invoke("audit", predictions, split, "--out", tables.folder / "audit.pdf").exit_code == 2
    tables.predictions["score"] = tables.rng.random(1920)
    tables.decide(0.5)
    tables.paths()
    failed = invoke("audit", predictions, split, "--json")
    assert failed.exit_code == 1
    found = json.loads(failed.stdout)
    verdicts = {each["check"]: each["verdict"] for each in found["checks"]}
    assert verdicts["permuted-labels"] == "fail" and verdicts["near-duplicates"] == "not checked"
    assert {"value", "lo", "hi", "unit", "method", "note"} == set(found["macro_f1"])


def test_files_are_written_by_their_ending_and_sarif_has_what_its_schema_requires(tables: Any, invoke: Any) -> None:
    for column, value in (("episode", "run-000"), ("side", "train"), ("host", "host-0")):
        tables.split[column] = np.append(tables.split[column], value)
    predictions, split, _ = tables.paths()
    out = {form: tables.folder / f"audit.{form}" for form in ("md", "json", "sarif")}
    done = invoke("audit", predictions, split, *(word for path in out.values() for word in ("--out", path)))
    assert done.exit_code == 1
    page = out["md"].read_text()
    assert page.startswith("# Audit of predictions.parquet\n") and "| episode-overlap | fail | 1 of 120" in page
    assert "## Not checked" in page and "First episodes: run-000" in page
    assert json.loads(out["json"].read_text())["n_test_episodes"] == 120
    check_sarif(json.loads(out["sarif"].read_text()))


def check_sarif(log: dict[str, Any]) -> None:
    """What SARIF 2.1.0 requires of a log: sections 3.13, 3.14, 3.18, 3.19, 3.27, 3.11, 3.29 and 3.20."""
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] and len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]
    kinds = {"pass": "none", "open": "none"}
    for result in run["results"]:
        rule = driver["rules"][result["ruleIndex"]]["id"]
        assert result["ruleId"] == rule or result["ruleId"].startswith(f"{rule}/")
        assert result["level"] in ("error", "warning") if result["kind"] == "fail" else kinds[result["kind"]] == "none"
        assert (result["level"] == "none") == (result["kind"] in kinds)
        assert result["message"]["text"] and not set("[]{}") & set(result["message"]["text"])
        physical = result["locations"][0]["physicalLocation"]
        assert physical["artifactLocation"]["uri"] == "predictions.parquet"
        assert physical["region"]["startLine"] >= 1
        json.dumps(result["properties"])
    (failed,) = [each for each in run["results"] if each["level"] == "error"]
    assert failed["ruleId"] == "episode-overlap"
    assert failed["locations"][0]["logicalLocations"] == [{"name": "run-000"}]
