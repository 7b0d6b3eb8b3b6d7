"""The one-command driver: what is stale is made, one Dagster run for each partition dimension.

What does not belong here: what is stale and why (`plan.py`), running (`runs.py`), what a person sees (`cli/`).
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rlstir_assets.console import Console
from rlstir_assets.environment import blaming, check_choices, check_room_for_sockets
from rlstir_core.errors import ConfigError, SplitRefused, UpstreamMissing

if TYPE_CHECKING:
    from rlstir_assets.driver.plan import Todo, Wanted
    from rlstir_assets.resources import Settings
    from rlstir_core.episodes.store.index import StoreIndex

_SELECT_EXAMPLE = "write for example --select '+key:comparison_v2'"
_TRAINED = ("checkpoint/", "encoder", "ppo_policy")
_ONE_LAYER = re.compile(r"(^|[\s,(])\++\w[\w/]*(?=$|[\s,)])")  # `+name`, but not `+key:name`


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks of `rlstir materialize`; the folders are absolute."""

    store: Path
    data: Path
    recipes: tuple[str, ...] = ("host",)
    train_hosts: tuple[str, ...] = ()
    test_hosts: tuple[str, ...] = ()
    train_corpora: tuple[str, ...] = ()
    min_shared_channels: int | None = None
    folds: int = 3
    seed: int = 0
    overrides: tuple[str, ...] = ()
    preset: str = "smoke"
    retrain: str = "always"
    select: str = ""
    dry_run: bool = False  # say what would be made, and make nothing
    prune: bool = False  # the results of more than half of the hosts or episodes may be taken away


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was done, or would be."""

    made: tuple[str, ...]  # one phrase per run
    reports: dict[str, Path]
    logs_alone: bool = False  # the store has no telemetry
    recipes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


def materialize(request: Request, console: Console) -> Outcome:
    """Brings every asset of the request up to date; raises RlstirError with one sentence where it cannot."""
    from rlstir_core.contract.registry import load_registry
    from rlstir_core.episodes.store.binding import check_departures, check_store
    from rlstir_core.episodes.store.index import read_index
    from rlstir_core.episodes.validation.kinds import seems_logs_alone
    from rlstir_core.remedies import work_at
    from rlstir_core.results.layout import Layout
    from rlstir_core.results.lock import holding

    work_at(request.store, request.data)
    check_room_for_sockets()
    check_choices(
        preset=request.preset,
        overrides=request.overrides,
        train_hosts=request.train_hosts,
        retrain=request.retrain,
    )
    console.state("reading the index")
    index = read_index(request.store)
    registry = load_registry(request.store)
    check_store(request.store, Layout(request.data))
    if not request.prune:
        check_departures(request.store, Layout(request.data), index)
    if not request.select and request.recipes == ("host",) and len(index.hosts) < 2:
        _need_two_hosts(index, seems_logs_alone(request.store, index, registry))
    unknown = sorted(set(request.train_hosts) - set(index.hosts))
    if unknown:
        with blaming("RLSTIR_TRAIN_HOSTS", request.train_hosts):
            raise SplitRefused(
                f"train host {unknown[0]!r} is not in the store; its hosts are {', '.join(index.hosts) or '(none)'}"
            )
    console.say(f"store {request.store}: {len(index.entries)} episodes of {len(index.hosts)} hosts")
    for fault in index.faults:
        console.say(f"  index {fault.detail}")
    os.environ["RLSTIR_STORE"], os.environ["RLSTIR_DATA"] = str(request.store), str(request.data)
    console.state("loading Dagster")
    if request.dry_run:
        return foresee(request, index, console)
    from rlstir_assets.driver.runs import storage_refusals

    with storage_refusals(), holding(Layout(request.data).lock("materialization"), waiting=console.state):
        return _Driver(request, console).run()


def foresee(request: Request, index: StoreIndex, console: Console) -> Outcome:
    """Says what `materialize` would make, and why; writes nothing and asks no instance."""
    from rlstir_assets.driver import plan
    from rlstir_assets.driver.stages import asks_for_recipes, is_of_logs_alone, labelled, of_logs, of_recipe

    settings, wanted = settings_of(request), selected(request.select)
    say = console.say if len(request.recipes) > 1 else None
    console.state("looking for what is new")
    logs_alone = is_of_logs_alone(settings, index)
    hosts = plan.stale_hosts(settings, index, logs_alone=logs_alone and wanted is None)
    of_index = plan.plan_index(settings, index, wanted, known=None)
    todos = [plan.plan_sync(settings, wanted), of_index, *plan.plan_hosts(hosts, index.hosts, wanted)]
    if wanted is None or wanted.intersection(plan.LAB_ASSETS):
        todos.append(plan.plan_lab(settings, index, wanted, touched=hosts.has_new_rows))
    for recipe in request.recipes if asks_for_recipes(wanted, logs_alone) else ():
        try:
            if hosts.changed and wanted is None:
                todos.append(plan.foresee_recipe(settings, recipe, hosts))
            else:
                todos.append(of_recipe(settings, recipe, wanted, say))
        except UpstreamMissing:  # what is made before it decides
            if not any(todos):
                raise
            todos.append(plan.foresee_recipe(settings, recipe, hosts, wanted))
    if logs_alone and wanted is None:
        new = hosts.changed or hosts.has_new_rows
        for recipe in request.recipes if new or labelled(settings, index.hosts, console.say) else ():
            todos.append(plan.foresee_logs(recipe) if new else of_logs(settings, recipe, console.say))
    said = [todo for todo in todos if todo is not None]
    if wanted is None:
        named = {todo.title for todo in said}
        said += [todo for todo in plan.plan_pages(settings) if todo.title not in named]
    for todo in said:
        _tell(console, todo)
    return Outcome(made=tuple(todo.sentence for todo in said), reports={}, hosts=index.hosts)


def settings_of(request: Request) -> Settings:
    """What every asset is given."""
    from rlstir_assets.resources import Settings

    return Settings(
        store=str(request.store),
        data=str(request.data),
        preset=request.preset,
        train_hosts=list(request.train_hosts),
        test_hosts=list(request.test_hosts),
        train_corpora=list(request.train_corpora),
        min_shared_channels=request.min_shared_channels,
        folds=request.folds,
        seed=request.seed,
        overrides=list(request.overrides),
        retrain=request.retrain,
        prune=request.prune,
    )


def selected(text: str) -> Wanted:
    """The assets that the user named, or None for all that are stale."""
    if not text:
        return None
    import dagster as dg

    from rlstir_assets.definitions import defs

    try:
        graph = defs.resolve_asset_graph()
        keys = dg.AssetSelection.from_string(text).resolve(graph)
    except (dg.DagsterError, ValueError) as error:
        raise ConfigError(
            f"--select {text!r} cannot be used ({str(error).splitlines()[0][:200]}); {_SELECT_EXAMPLE}"
        ) from None
    if not keys:
        raise ConfigError(f"--select {text!r} names no asset; {_SELECT_EXAMPLE}")
    if _ONE_LAYER.search(text):
        raise ConfigError(
            f"--select {text!r} would mean one layer only: Dagster reads '+name' as its old syntax; {_SELECT_EXAMPLE}"
        )
    return {key.to_user_string() for key in keys}


class _Driver:
    def __init__(self, request: Request, console: Console) -> None:
        from rlstir_assets import places
        from rlstir_assets.driver.runs import clear_dead_runs
        from rlstir_assets.executor import size_gpu_pool
        from rlstir_assets.instance import open_instance

        self.request, self.console = request, console
        self.wanted = selected(request.select)
        self.settings = settings_of(request)
        self.instance = open_instance()
        with contextlib.suppress(OSError):  # a convenience, and no reason to stop
            places.remember(request.store, request.data, self.settings.choices())
        size_gpu_pool(self.instance)
        for run in clear_dead_runs(self.instance):
            console.say(f"run {run} was cut off before its end; what it had not finished is made now")
        self.made: list[str] = []

    def run(self) -> Outcome:
        from rlstir_assets.driver.stages import stages
        from rlstir_core.episodes.validation.kinds import has_telemetry

        settings, layout, recipes = self.settings, self.settings.layout, self.request.recipes
        order = stages(
            settings, recipes, self.instance, wanted=self.wanted, say=self.console.say, state=self.console.state
        )
        for todos in order:
            for todo in todos:
                self._make(todo)
        reports = {recipe: layout.report(recipe) for recipe in recipes}
        hosts = settings.index().hosts if layout.index.exists() else ()
        return Outcome(
            made=tuple(self.made),
            reports={recipe: path for recipe, path in reports.items() if path.exists()},
            logs_alone=self.wanted is None and not has_telemetry(layout, hosts),
            recipes=recipes,
            hosts=hosts,
        )

    def _make(self, todo: Todo) -> None:
        import dagster as dg

        from rlstir_assets.driver.runs import run_assets

        _tell(self.console, todo)
        run_assets(
            self.instance,
            [dg.AssetKey.from_user_string(name) for name in todo.assets],
            partitions=todo.partitions,
            config=self.settings.as_config(),
            console=self.console,
            title=todo.title,
            train=self._trains(),
        )
        self.made.append(todo.sentence)

    def _trains(self) -> bool:
        """Whether models are asked for and some recipe has none yet: to be known before the first step runs."""
        wanted, layout = self.wanted, self.settings.layout
        asked = wanted is None or any(name.startswith(_TRAINED) for name in wanted)
        return asked and not all(any(layout.artifacts(each).glob("*.ckpt.json")) for each in self.request.recipes)


def _need_two_hosts(index: StoreIndex, logs_alone: bool) -> None:
    """Recipe `host` needs a second host where there is telemetry to learn from."""
    if not logs_alone:
        only = index.hosts[0] if index.hosts else "none"
        raise SplitRefused(
            f"recipe 'host' holds out whole hosts, but the store has one host only ({only}); record on a second host, "
            "or use --recipe sample or --recipe time"
        )


def _tell(console: Console, todo: Todo) -> None:
    console.say(todo.sentence)
    for reason in todo.why:
        console.say(f"  {reason}")
