"""What a year of nights leaves in Dagster's records, and how it stays small: the job `tidy` and its weekly schedule.

A run that an asset's state rests on, the last to make some partition of it, is never thrown away, however old. What
does not belong here: results; checkpoints and reports replace those before them.
"""

import datetime
import shutil
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from pydantic import Field

from rlstir_assets.home import RECORDS, home_folder

_BATCH = 200
_DRIVER_LOG_BYTES = 4 << 20  # what steps wrote to standard error, of which the end tells most
_WEEKLY = "30 4 * * 0"


class Keep(dg.Config):
    """What is kept."""

    days: int = Field(default=60, ge=1, description="Runs that began in the last so many days stay.")


@dataclass(frozen=True, kw_only=True)
class Tidied:
    """What was thrown away, and what was old but is needed."""

    runs: int
    needed: int
    freed_bytes: int


@dg.op(description="Throws away old runs with their events, logs and intermediate files.")
def throw_away_old_runs(context: dg.OpExecutionContext, config: Keep) -> None:
    done = tidy(context.instance, home_folder() / RECORDS, days=config.days)
    context.log.info(
        f"{done.runs} runs thrown away, {done.needed} old ones are needed, {done.freed_bytes:,} bytes freed"
    )
    context.add_output_metadata({"runs": done.runs, "needed": done.needed, "freed bytes": done.freed_bytes})


@dg.job(
    name="tidy",
    executor_def=dg.in_process_executor,
    description="Throws away Dagster's runs of more than 60 days ago with their events and logs, but none that the "
    "state of an asset rests on. Results are not touched.",
)
def tidy_job() -> None:
    throw_away_old_runs()


weekly_tidying = dg.ScheduleDefinition(
    name="weekly_tidying",
    job=tidy_job,
    cron_schedule=_WEEKLY,
    description="Every Sunday at half past four: keeps Dagster's records small.",
)


def tidy(instance: dg.DagsterInstance, records: Path, *, days: int) -> Tidied:
    """Throws away what ended more than `days` days ago; `records` is the folder of Dagster's records."""
    before = _bytes_of(records)
    needed, runs, old_needed = _runs_that_states_rest_on(instance), 0, 0
    for run in _ended_before(instance, datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)):
        if run in needed:
            old_needed += 1
            continue
        instance.delete_run(run)
        for folder in (records / "storage" / run, records / "compute_logs" / run):
            shutil.rmtree(folder, ignore_errors=True)
        for events in (records / "storage/history/runs").glob(f"{run}.db*"):
            events.unlink(missing_ok=True)  # SQLite keeps a file of each run's events, which Dagster empties only
        runs += 1
    _shorten(records / "driver.log")
    return Tidied(runs=runs, needed=old_needed, freed_bytes=max(0, before - _bytes_of(records)))


def _ended_before(instance: dg.DagsterInstance, when: datetime.datetime) -> list[str]:
    """The ids of runs that had ended by then, or had begun at least."""
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    chosen = dg.RunsFilter(statuses=ended, created_before=when)
    found: list[str] = []
    while batch := instance.get_runs(chosen, cursor=found[-1] if found else None, limit=_BATCH):
        found += [run.run_id for run in batch]
    return found


def _runs_that_states_rest_on(instance: dg.DagsterInstance) -> set[str]:
    """Of every asset and partition, the run that made it last; the same of checks."""
    found = set()
    for record in instance.get_asset_records():
        key, last = record.asset_entry.asset_key, record.asset_entry.last_run_id
        found |= {last} if last else set()
        by_partition = instance.event_log_storage.get_latest_storage_id_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        ids = list(by_partition.values())
        for start in range(0, len(ids), _BATCH):
            events = instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=key, storage_ids=ids[start : start + _BATCH]), limit=_BATCH
            )
            found |= {event.run_id for event in events.records}
    return found


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _shorten(log: Path) -> None:
    """Keeps the end of a log that grew over what is read."""
    if not log.exists() or log.stat().st_size <= _DRIVER_LOG_BYTES:
        return
    with log.open("r+b") as handle:
        handle.seek(-_DRIVER_LOG_BYTES // 2, 2)
        end = handle.read()
        handle.seek(0)
        handle.write(end)
        handle.truncate()
