"""The two partition dimensions: hosts (dynamic, registered by `episode_index`) and split recipes (static)."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from rlstir_core.datasets.recipes import RECIPES

HOST_PARTITION = "host"

hosts = dg.DynamicPartitionsDefinition(name=HOST_PARTITION)
recipes = dg.StaticPartitionsDefinition(list(RECIPES))


def register_hosts(instance: dg.DagsterInstance, present: Iterable[str], departed: Iterable[str]) -> None:
    """Makes the hosts of an index partitions, and those that left it none; of other stores' hosts it knows nothing."""
    instance.add_dynamic_partitions(HOST_PARTITION, list(present))
    for host in departed:
        instance.delete_dynamic_partition(HOST_PARTITION, host)
