"""Dagster's own records: one instance, that of DAGSTER_HOME, from whatever folder a command is given.

Dagster takes the folders of `dagster.yaml` from the current directory, so that the same DAGSTER_HOME would silently
mean another instance elsewhere; these classes take them from DAGSTER_HOME. What does not belong here: runs.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Self

import dagster as dg
import yaml

# What dagster.yaml may name, and a reference to an instance, have no public module in Dagster 1.13.
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from rlstir_assets.home import home_folder


class SqliteAtHome(DagsterSqliteStorage):
    """Runs, events and schedules in SQLite files below DAGSTER_HOME."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        folder = _at_home(config_value["base_dir"])
        Path(folder).mkdir(parents=True, exist_ok=True)
        return cls(folder, inst_data)


class ArtifactsAtHome(LocalArtifactStorage):
    """What steps hand to each other, below DAGSTER_HOME."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls(_at_home(config_value["base_dir"]), inst_data=inst_data)


class ComputeLogsAtHome(LocalComputeLogManager):
    """What steps print, below DAGSTER_HOME."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls(_at_home(config_value["base_dir"]), inst_data=inst_data)


def open_instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME, named to the processes that come after."""
    home = home_folder()
    os.environ["DAGSTER_HOME"] = str(home)
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=_absolute(home)))


def _absolute(home: Path) -> Any:
    """The sections of dagster.yaml that name classes of this module, with whole paths: steps are told these."""
    said = yaml.safe_load((home / "dagster.yaml").read_text()) or {}
    found = {}
    for section, content in said.items():
        own = content.get("custom", content) if isinstance(content, dict) else {}
        if own.get("module") == __name__:
            config = {"base_dir": str(home / own["config"]["base_dir"])}
            found[section] = {"custom": {**own, "config": config}} if "custom" in content else {**own, "config": config}
    return found


def _at_home(folder: str) -> str:
    return str(Path(os.environ.get("DAGSTER_HOME") or ".").absolute() / folder)
