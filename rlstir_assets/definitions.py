"""The code location: every asset, the jobs, the sensor, the schedule, the resource and the executor."""

from __future__ import annotations

import dagster as dg

from rlstir_assets.assets import datasets, detectors, evaluation, ingest, investigator, logs, telemetry
from rlstir_assets.automation.commands import COMMAND_JOBS, nightly_reevaluation
from rlstir_assets.automation.jobs import STAGE_JOBS
from rlstir_assets.automation.sensor import new_episodes
from rlstir_assets.automation.tidying import tidy_job, weekly_tidying
from rlstir_assets.executor import executor
from rlstir_assets.resources import Settings
from rlstir_assets.shell import tell_refusals_plainly


def build_defs(settings: Settings | None = None) -> dg.Definitions:
    """The definitions, with other settings where a test needs them."""
    return dg.Definitions(
        assets=dg.load_assets_from_modules([ingest, telemetry, logs, datasets, detectors, investigator, evaluation]),
        resources={"settings": settings or Settings()},
        executor=executor,
        jobs=[*COMMAND_JOBS, tidy_job, *STAGE_JOBS],
        sensors=[new_episodes],
        schedules=[nightly_reevaluation, weekly_tidying],
    )


defs = build_defs()
tell_refusals_plainly()
