"""400 nights in Dagster's records, tidied once a week: how large they are along the way.

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


def main(arguments: list[str]) -> int:
    nights = NIGHTS // 10 if "--quick" in arguments else NIGHTS
    json.dump({"nights": nights, "kept_days": KEPT_DAYS, "after": _records(nights)}, sys.stdout, indent=1)
    return 0


def _records(nights: int) -> list[dict[str, float]]:
    """Size of the records and how many runs are left, at every tenth part of so many nights, the last of them today."""
    import dagster as dg

    from rlstir_assets.automation.tidying import tidy
    from rlstir_assets.home import RECORDS
    from rlstir_assets.instance import open_instance

    night, found = _night(dg), []
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
                if k % 7 == 6:
                    tidy(instance, records, days=KEPT_DAYS + nights - k)
                if (k + 1) % max(1, nights // 10) == 0:
                    mib = round(_size(records) / 2**20, 1)
                    found.append({"night": k + 1, "mib": mib, "runs": instance.get_runs_count()})
    return found


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
    raise SystemExit(main(sys.argv[1:]))
