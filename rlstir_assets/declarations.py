"""How assets are declared: what those of one partition dimension have in common, so that each says what is its own.

`kind` is what the UI shows of the output, `stage` the asset's line in the table of versions; whatever else is named
goes to `dagster.asset`. What does not belong here: the partitions themselves, and what an asset does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg

from rlstir_assets.partitions import hosts, recipes
from rlstir_assets.reporting import OWNERS, refusals
from rlstir_assets.resources import Settings, Workspace
from rlstir_core.results.versions import version

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


def recipe_asset(*, group: str, stage: str, kind: str, **own: Any) -> Decorator:
    """An asset of every split recipe; one run makes one."""
    return plain_asset(group=group, stage=stage, kind=kind, partitions_def=recipes, **own)


def opened_hosts(context: dg.AssetExecutionContext, settings: Settings) -> Workspace:
    """The store and the data folder of a run over hosts; refuses a host that the index does not name."""
    with refusals():
        opened = settings.opened()
        opened.hosts(context.partition_keys)
    return opened
