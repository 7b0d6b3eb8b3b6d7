"""The sensor `new_episodes`: what a look at the store asks for, as Dagster's daemon asks for it.

What does not belong here: what is to be run (`tick.py`).
"""

import dagster as dg

from rlstir_assets.automation.jobs import STAGE_JOBS
from rlstir_assets.automation.standing import standing, tracked_recipes
from rlstir_assets.environment import seconds_between_looks
from rlstir_assets.resources import Settings
from rlstir_core.errors import RlstirError

_EVERY_S = seconds_between_looks()


@dg.sensor(
    jobs=STAGE_JOBS,
    minimum_interval_seconds=_EVERY_S,
    description=f"Looks at the store's index every {_EVERY_S} seconds and has made what is stale, as `rlstir "
    "materialize` would: index, hosts with new episodes, then every recipe that was made before (host, where none "
    "was). What fails three times in a day waits for somebody.",
)
def new_episodes(context: dg.SensorEvaluationContext, settings: Settings) -> dg.SensorResult:
    from rlstir_assets.automation.tick import tick

    try:
        chosen = standing(settings)
        found = tick(context.instance, chosen, tracked_recipes(chosen.layout), context.cursor)
    except RlstirError as error:
        raise dg.Failure(description=str(error)) from None
    if found.requests:
        context.log.info(found.why)
        return dg.SensorResult(run_requests=found.requests, cursor=found.cursor)
    return dg.SensorResult(skip_reason=found.why, cursor=found.cursor)
