"""The two partition dimensions: hosts (dynamic, registered by `episode_index`) and split recipes (static)."""

from __future__ import annotations

import dagster as dg

from rlstir_core.datasets.recipes import RECIPES

HOST_PARTITION = "host"

hosts = dg.DynamicPartitionsDefinition(name=HOST_PARTITION)
recipes = dg.StaticPartitionsDefinition(list(RECIPES))
