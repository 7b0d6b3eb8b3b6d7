"""Old runs go with all that belongs to them, but none that the state of an asset rests on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from rlstir_assets.automation.tidying import tidy
from rlstir_assets.home import RECORDS
from rlstir_assets.instance import open_instance
from rlstir_assets.partitions import recipes

LONG_AGO = "2026-01-01 00:00:00.000000"


@dg.asset(partitions_def=recipes)
def made() -> None:
    """Something that is made of a recipe."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = Path(__file__).parents[3]
    (tmp_path / "dagster.yaml").write_text((root / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def test_old_runs_go_but_those_that_made_something_last_stay(home: Path) -> None:
    records = home / RECORDS
    with open_instance() as instance:
        runs = [
            dg.materialize([made], partition_key=recipe, instance=instance).run_id
            for recipe in ("host", "host", "time", "host")
        ]
        with closing(sqlite3.connect(next(records.rglob("runs.db")))) as table, table:
            table.executemany(
                "UPDATE runs SET create_timestamp = ? WHERE run_id = ?", [(LONG_AGO, r) for r in runs[:3]]
            )
        for run in runs:
            (records / "compute_logs" / run).mkdir(parents=True, exist_ok=True)
        (records / "driver.log").write_bytes(b"old" * (2 << 20) + b"new")
        done = tidy(instance, records, days=60)
        assert (done.runs, done.needed) == (2, 1) and done.freed_bytes > 0
        assert [instance.has_run(run) for run in runs] == [False, False, True, True]
        assert sorted(path.name for path in (records / "compute_logs").iterdir()) == sorted(runs[2:])
        assert {path.stem for path in records.rglob("runs/*.db")} == {*runs[2:], "index"}
        events = instance.fetch_materializations(made.key, limit=10).records
        assert {event.partition_key for event in events} == {"host", "time"}
        log = (records / "driver.log").read_bytes()
        assert len(log) == 2 << 20 and log.endswith(b"new")
        assert tidy(instance, records, days=60).runs == 0
