"""The one-command driver: what is stale is made, one Dagster run for each partition dimension.

No run can span two partition definitions, so there is one for the index, one for the hosts, one for each
recipe. What does not belong here: running (`runs.py`) and what a person sees (`cli/`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlstir_assets.console import Console
from rlstir_core.errors import ConfigError, SplitRefused

_SELECT_EXAMPLE = "write for example --select '+key:comparison_v2'"
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
    folds: int = 3
    seed: int = 0
    overrides: tuple[str, ...] = ()
    preset: str = "smoke"
    select: str = ""
    prune: bool = False  # the results of more than half of the hosts or episodes may be taken away


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was done."""

    made: tuple[str, ...]  # one phrase per run
    reports: dict[str, Path]


def materialize(request: Request, console: Console) -> Outcome:
    """Brings every asset of the request up to date; raises RlstirError with one sentence where it cannot."""
    from rlstir_core.contract.registry import load_registry
    from rlstir_core.episodes.store.binding import check_store
    from rlstir_core.episodes.store.index import read_index
    from rlstir_core.learning.presets import preset
    from rlstir_core.results.layout import Layout
    from rlstir_core.results.lock import holding

    preset(request.preset, request.overrides)
    console.state("reading the index")
    index = read_index(request.store)
    load_registry(request.store)
    check_store(request.store, Layout(request.data))
    if not request.select and request.recipes == ("host",) and len(index.hosts) < 2:
        only = index.hosts[0] if index.hosts else "none"
        raise SplitRefused(
            f"recipe 'host' holds out whole hosts, but the store has one host only ({only}); record on a second host, "
            "or use --recipe sample or --recipe time"
        )
    unknown = sorted(set(request.train_hosts) - set(index.hosts))
    if unknown:
        raise SplitRefused(
            f"train host {unknown[0]!r} is not in the store; its hosts are {', '.join(index.hosts) or '(none)'}"
        )
    console.say(f"store {request.store}: {len(index.entries)} episodes of {len(index.hosts)} hosts")
    for fault in index.faults:
        console.say(f"  index {fault.detail}")
    os.environ["RLSTIR_STORE"], os.environ["RLSTIR_DATA"] = str(request.store), str(request.data)
    console.state("loading Dagster")
    from rlstir_assets.runs import storage_refusals

    with storage_refusals(), holding(Layout(request.data).lock("materialization"), waiting=console.state):
        return _Driver(request, console).run()


class _Driver:
    def __init__(self, request: Request, console: Console) -> None:
        from rlstir_assets.executor import size_gpu_pool
        from rlstir_assets.instance import open_instance
        from rlstir_assets.resources import Settings
        from rlstir_assets.runs import clear_dead_runs

        self.request, self.console = request, console
        self.settings = Settings(
            store=str(request.store),
            data=str(request.data),
            preset=request.preset,
            train_hosts=list(request.train_hosts),
            test_hosts=list(request.test_hosts),
            train_corpora=list(request.train_corpora),
            folds=request.folds,
            seed=request.seed,
            overrides=list(request.overrides),
            prune=request.prune,
        )
        self.instance = open_instance()
        size_gpu_pool(self.instance)
        for run in clear_dead_runs(self.instance):
            console.say(f"run {run} was cut off before its end; what it had not finished is made now")
        self.made: list[str] = []

    def run(self) -> Outcome:
        wanted = self._selected()
        self._index(wanted)
        self._hosts(wanted)
        self._lab(wanted)
        for recipe in self.request.recipes:
            self._recipe(recipe, wanted)
        reports = {recipe: self.settings.layout.report(recipe) for recipe in self.request.recipes}
        return Outcome(made=tuple(self.made), reports={r: path for r, path in reports.items() if path.exists()})

    def _selected(self) -> set[str] | None:
        """The assets that the user named, or None for all that are stale."""
        if not self.request.select:
            return None
        import dagster as dg

        from rlstir_assets.definitions import defs

        text = self.request.select
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
                f"--select {text!r} would mean one layer only: Dagster reads '+name' as its old syntax; "
                f"{_SELECT_EXAMPLE}"
            )
        return {key.to_user_string() for key in keys}

    def _index(self, wanted: set[str] | None) -> None:
        from rlstir_core.episodes.store.index import read_index
        from rlstir_core.staleness import index_is_current, schema_is_current

        store, layout = self.request.store, self.settings.layout
        index = read_index(store)
        stale = {
            "episode_index": not index_is_current(layout, index) or not self._are_registered(index.hosts),
            "feature_schema": not schema_is_current(store, layout, self.settings.normalise),
        }
        self._make(stale, wanted, (), "index")

    def _are_registered(self, hosts: Sequence[str]) -> bool:
        from rlstir_assets.partitions import HOST_PARTITION

        return set(self.instance.get_dynamic_partitions(HOST_PARTITION)).issuperset(hosts)

    def _hosts(self, wanted: set[str] | None) -> None:
        from rlstir_assets.partitions import HOST_PARTITION, register_hosts
        from rlstir_core.staleness import HOST_STAGES, stale_host_stages

        if wanted is not None and not wanted.intersection(HOST_STAGES):
            return
        hosts = set(self.settings.index().hosts)
        stages: dict[str, tuple[str, ...]] = {}
        for host in sorted(hosts):
            self.console.state(f"looking for what is new on {host}")
            stages[host] = stale_host_stages(self.request.store, self.settings.layout, host)
        register_hosts(self.instance, hosts, ())  # another instance, or another store's, may not know them
        # Registered hosts in their order: a run takes a range, and a host that is up to date is not in it.
        order = list(self.instance.get_dynamic_partitions(HOST_PARTITION))
        for run in _ranges(order, [host for host, stage in stages.items() if stage or wanted]):
            stale = {name: any(name in stages[host] for host in run) for name in HOST_STAGES}
            title = f"host {run[0]}" if len(run) == 1 else f"hosts {', '.join(run[:3])}"
            title += f" and {len(run) - 3} more" if len(run) > 3 else ""
            self._make(stale, wanted, run if len(run) == 1 else (run[0], run[-1]), title)

    def _lab(self, wanted: set[str] | None) -> None:
        from rlstir_core.staleness import lab_checks_are_current

        if wanted is None or "lab_checks" in wanted:
            current = lab_checks_are_current(self.settings.layout, self.settings.index().hosts)
            self._make({"lab_checks": not current}, wanted, (), "lab")

    def _recipe(self, recipe: str, wanted: set[str] | None) -> None:
        from rlstir_core.datasets.store import try_split
        from rlstir_core.staleness import HOST_STAGES, stale_recipe_assets

        if wanted is not None and wanted.issubset({*_INDEX_ASSETS, *HOST_STAGES, "lab_checks"}):
            return
        self.console.state(f"looking for what is new for recipe {recipe}")
        try:
            stale = stale_recipe_assets(
                self.settings.layout,
                self.settings.options(recipe),
                self.settings.validated_hosts(),
                self.settings.registry(),
            )
            if stale["split"] if wanted is None else "split" in wanted:
                try_split(self.settings.layout, recipe, self.settings.validated_hosts(), self.settings.split_settings())
        except SplitRefused as error:
            if len(self.request.recipes) == 1:
                raise
            self.console.say(f"recipe {recipe} left out: {error}")
            return
        self._make(stale, wanted, (recipe,), f"recipe {recipe}")

    def _make(self, stale: dict[str, bool], wanted: set[str] | None, partitions: Sequence[str], title: str) -> None:
        import dagster as dg

        from rlstir_assets.runs import run_assets

        names = [name for name, is_stale in stale.items() if (is_stale if wanted is None else name in wanted)]
        if not names:
            return
        self.console.say(f"{title}: making {', '.join(_short(names))}")
        run_assets(
            self.instance,
            [dg.AssetKey.from_user_string(name) for name in names],
            partitions=partitions,
            config=self._config(),
            console=self.console,
            title=title,
        )
        self.made.append(f"{title}: {', '.join(_short(names))}")

    def _config(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "store": settings.store,
            "data": settings.data,
            "preset": settings.preset,
            "overrides": settings.overrides,
            "train_hosts": settings.train_hosts,
            "test_hosts": settings.test_hosts,
            "train_corpora": settings.train_corpora,
            "folds": settings.folds,
            "seed": settings.seed,
            "normalise": settings.normalise,
            "prune": settings.prune,
        }


_INDEX_ASSETS = ("episode_index", "feature_schema")


def _ranges(order: Sequence[str], wanted: Sequence[str]) -> list[tuple[str, ...]]:
    """Neighbours in `order` that are all wanted, as runs."""
    runs: list[list[str]] = []
    last = None
    for place, name in enumerate(order):
        if name not in wanted:
            continue
        if last == place - 1 and runs:
            runs[-1].append(name)
        else:
            runs.append([name])
        last = place
    return [tuple(run) for run in runs]


def _short(names: Sequence[str]) -> list[str]:
    checkpoints = [name for name in names if name.startswith("checkpoint/")]
    rest = [name for name in names if name not in checkpoints]
    return ([f"{len(checkpoints)} checkpoints"] if len(checkpoints) > 2 else list(checkpoints)) + rest
