"""In which order what is stale is made: the driver makes it, the sensor asks for it, and both ask here.

Each stage is planned when the one before it was made, since what that made decides it. What does not belong here:
what is stale and why (`plan.py`), and making it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rlstir_assets.driver import plan
from rlstir_core.errors import SplitRefused

if TYPE_CHECKING:
    import dagster as dg

    from rlstir_assets.driver.plan import Todo, Wanted
    from rlstir_assets.resources import Settings
    from rlstir_core.episodes.store.index import StoreIndex
    from rlstir_core.progress import Tell


def stages(
    settings: Settings,
    recipes: Sequence[str],
    instance: dg.DagsterInstance,
    *,
    say: Tell,
    state: Tell,
    wanted: Wanted = None,
    index: StoreIndex | None = None,
) -> Iterator[list[Todo]]:
    """The runs that can be made now, then, once they were made, those after them; a stage may be empty.

    `say` is told what is left out, `state` what is looked at; `index` is what the store's index says, where it was
    read already: then no source is asked for more.
    """
    from rlstir_core.episodes.store.index import read_index
    from rlstir_core.episodes.validation.kinds import has_telemetry

    layout = settings.layout
    if index is None:
        yield _some(plan.plan_sync(settings, wanted))
        index = read_index(settings.store_path)
    seems = wanted is None and is_of_logs_alone(settings, index)
    yield _some(plan.plan_index(settings, index, wanted, known=_partitions(instance)))
    if asks_for_hosts(wanted):
        yield _of_hosts(settings, instance, wanted, state, logs_alone=seems)
    if wanted is None or wanted.intersection(plan.LAB_ASSETS):
        yield _some(plan.plan_lab(settings, settings.index(), wanted))
    logs_alone = wanted is None and not has_telemetry(layout, settings.index().hosts)
    if seems and not logs_alone:  # the first episodes were of logs alone, and others are not
        yield _of_hosts(settings, instance, wanted, state)
    if asks_for_recipes(wanted, logs_alone):
        for recipe in recipes:
            state(f"looking for what is new for recipe {recipe}")
            yield _some(of_recipe(settings, recipe, wanted, say if len(recipes) > 1 else None))
        yield plan.plan_pages(settings) if wanted is None else []
    if logs_alone and labelled(settings, settings.index().hosts, say):
        for recipe in recipes:
            yield _some(of_logs(settings, recipe, say))


def is_of_logs_alone(settings: Settings, index: StoreIndex) -> bool:
    """Whether the store holds no telemetry, as far as can be told without validating it."""
    from rlstir_core.episodes.validation.kinds import has_telemetry, seems_logs_alone

    layout = settings.layout
    if all(layout.validation(host).exists() for host in index.hosts):
        return not has_telemetry(layout, index.hosts)
    return seems_logs_alone(settings.store_path, index, settings.registry())


def asks_for_hosts(wanted: Wanted) -> bool:
    """Whether an asset of hosts is wanted."""
    from rlstir_core.staleness import HOST_STAGES

    return wanted is None or bool(wanted.intersection(HOST_STAGES))


def asks_for_recipes(wanted: Wanted, logs_alone: bool) -> bool:
    """Whether an asset of recipes is wanted; a store of logs alone has those of `of_logs`."""
    from rlstir_core.staleness import HOST_STAGES

    if wanted is None:
        return not logs_alone
    return not wanted.issubset({*plan.SYNC_ASSETS, *plan.INDEX_ASSETS, *HOST_STAGES, *plan.LAB_ASSETS})


def of_recipe(settings: Settings, recipe: str, wanted: Wanted, say: Tell | None) -> Todo | None:
    """What is to be made of a recipe; one that cannot be applied is left out and named where somebody listens."""
    try:
        return plan.plan_recipe(settings, recipe, wanted)
    except SplitRefused as error:
        if say is None:
            raise
        say(f"recipe {recipe} left out: {error}")
        return None


def labelled(settings: Settings, hosts: Sequence[str], say: Tell) -> bool:
    """Whether logs alone teach anything at all; where they do not, that is said once and is no fault."""
    from rlstir_core.investigator.study import nothing_labelled

    if why := nothing_labelled(settings.layout, hosts):
        say(f"no encoder: {why}")
    return not why


def of_logs(settings: Settings, recipe: str, say: Tell) -> Todo | None:
    """What is to be made of a recipe of logs alone; where there is nothing to learn, that is said and no fault."""
    try:
        return plan.plan_logs(settings, recipe)
    except SplitRefused as error:
        say(f"recipe {recipe}: no encoder: {error}")
        return None


def _of_hosts(
    settings: Settings, instance: dg.DagsterInstance, wanted: Wanted, state: Tell, *, logs_alone: bool = False
) -> list[Todo]:
    from rlstir_assets.partitions import register_hosts

    state("looking for what is new")
    index = settings.index()
    stale = plan.stale_hosts(settings, index, logs_alone=logs_alone)
    register_hosts(instance, index.hosts, ())  # another instance, or another store's, may not know them
    # Registered hosts in their order: a run takes a range, and a host that is up to date is not in it.
    return plan.plan_hosts(stale, _partitions(instance), wanted)


def _partitions(instance: dg.DagsterInstance) -> list[str]:
    from rlstir_assets.partitions import HOST_PARTITION

    return list(instance.get_dynamic_partitions(HOST_PARTITION))


def _some(todo: Todo | None) -> list[Todo]:
    return [] if todo is None else [todo]
