"""400 nights in Dagster's records, tidied once a week: how large they are in the end, and against no tidying.

Runs are made of small assets with the events of real ones and dated back; nothing is trained. What does not belong
here: what may be thrown away (`tests/assets/automation/test_tidying.py`).
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

NIGHTS, KEPT_DAYS = 400, 60
_STEPS = 12  # assets of a night, about as many as one that trains nothing


def main(arguments: list[str]) -> dict[str, Any]:
    nights = NIGHTS // 10 if "--quick" in arguments else NIGHTS
    kept = {name: _records(nights, tidied=name == "tidied") for name in ("tidied", "untidied")}
    return {"nights": nights, "kept_days": KEPT_DAYS, **kept}


def _records(nights: int, *, tidied: bool) -> dict[str, float]:
    """Size of the records and how many runs are left after so many nights, the last of which is today."""
    import dagster as dg

    from rlstir_assets.automation.tidying import tidy
    from rlstir_assets.home import RECORDS
    from rlstir_assets.instance import open_instance

    night = _night(dg)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        shutil.copy(Path(__file__).parents[2] / "dagster.yaml", home)
        os.environ["DAGSTER_HOME"] = folder
        records = home / RECORDS
        with open_instance() as instance:
            for k in range(nights):
                run = dg.materialize(night, instance=instance).run_id
                when = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=nights - k)
                with closing(sqlite3.connect(next(records.rglob("runs.db")))) as table, table:
                    row = (when.strftime("%Y-%m-%d %H:%M:%S.000000"), run)
                    table.execute("UPDATE runs SET create_timestamp = ? WHERE run_id = ?", row)
                if tidied and k % 7 == 6:
                    tidy(instance, records, days=KEPT_DAYS + nights - k)
            return {"mib": round(_size(records) / 2**20, 1), "runs": instance.get_runs_count()}


def _night(dg: Any) -> list[Any]:
    def made(k: int) -> Any:
        @dg.asset(name=f"made_{k}")
        def body(context) -> None:  # type: ignore[no-untyped-def]  # Dagster takes its own class there or nothing
            context.log.info("looking for what is new")

        return body

    return [made(k) for k in range(_STEPS)]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    json.dump(main(sys.argv[1:]), sys.stdout, indent=1)
