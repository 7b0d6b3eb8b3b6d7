"""How assets are declared: what those of one partition dimension have in common, so that each says what is its own.

`kind` is what the UI shows of the output, `stage` the asset's line in the table of versions; whatever else is named
goes to `dagster.asset`. A check has the partitions of its asset, so that the result of one host or recipe does not
replace another's. What does not belong here: the partitions themselves, and what an asset does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from rlstir_assets.executor import GPU_POOL
from rlstir_assets.partitions import hosts, recipes
from rlstir_assets.reporting import OWNERS, refusals
from rlstir_assets.resources import Settings, Workspace
from rlstir_core.results.versions import version
from rlstir_core.workers.spread import Workers

Decorator = Callable[[Callable[..., Any]], dg.AssetsDefinition]


def plain_asset(*, group: str, stage: str, kind: str, **own: Any) -> Decorator:
    """An asset without partitions."""
    code_version = str(version(stage))
    made: Decorator = dg.asset(group_name=group, code_version=code_version, kinds={kind}, owners=OWNERS, **own)
    return made


def host_asset(*, group: str, stage: str, kind: str, **own: Any) -> Decorator:
    """An asset of every host. One run makes a range of them; the body asks `opened_hosts` for what it reads."""
    single_run = dg.BackfillPolicy.single_run()
    return plain_asset(group=group, stage=stage, kind=kind, partitions_def=hosts, backfill_policy=single_run, **own)


def recipe_asset(
    *, group: str, stage: str, kind: str, on_gpu: bool = False, op_tags: Mapping[str, str] | None = None, **own: Any
) -> Decorator:
    """An asset of every split recipe; one run makes one. On a GPU it queues for the pool; the body asks for a lease."""
    tags, pool = {**(op_tags or {}), **({"rlstir/device": "gpu"} if on_gpu else {})}, GPU_POOL if on_gpu else None
    return plain_asset(group=group, stage=stage, kind=kind, partitions_def=recipes, op_tags=tags, pool=pool, **own)


def host_check(name: str, *, asset: str, description: str, blocking: bool = False) -> dg.AssetCheckSpec:
    """A check that every host has a result of."""
    return _partitioned(name, dg.AssetKey(asset), hosts, description, blocking)


def recipe_check(name: str, *, asset: str | dg.AssetKey, description: str, blocking: bool = False) -> dg.AssetCheckSpec:
    """A check that every split recipe has a result of."""
    key = dg.AssetKey(asset) if isinstance(asset, str) else asset
    return _partitioned(name, key, recipes, description, blocking)


def _partitioned(
    name: str, key: dg.AssetKey, partitions: dg.PartitionsDefinition, description: str, blocking: bool
) -> dg.AssetCheckSpec:
    with warnings.catch_warnings():  # partitions of checks are a preview in 1.13, which is no news to whoever runs this
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(name, asset=key, description=description, blocking=blocking, partitions_def=partitions)


def hosts_workers(settings: Settings) -> Workers:
    """Who works on the episodes of those hosts."""
    with refusals():
        return settings.at_work()


def opened_hosts(context: dg.AssetExecutionContext, settings: Settings) -> Workspace:
    """The store and the data folder of a run over hosts; refuses a host that the index does not name."""
    with refusals():
        opened = settings.opened()
        opened.hosts(context.partition_keys)
    return opened
