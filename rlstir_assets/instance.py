"""Dagster's own records: one instance, that of DAGSTER_HOME, from whatever folder a command is given.

Dagster takes the folders of `dagster.yaml` from the current directory, so that the same DAGSTER_HOME would silently
mean another instance elsewhere; these classes take them from DAGSTER_HOME. Runs, events and schedules are in SQLite
files there, or in the Postgres that RLSTIR_POSTGRES names, which more than one machine need. What does not belong here:
runs.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Self

import dagster as dg
import sqlalchemy as db
import yaml

# What dagster.yaml may name, and a reference to an instance, have no public module in Dagster 1.13.
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from rlstir_assets.home import home_folder
from rlstir_core.errors import ConfigError

POSTGRES = "RLSTIR_POSTGRES"


class StorageOfHome(DagsterSqliteStorage):
    """Runs, events and schedules: in the Postgres that the environment names, else in files below DAGSTER_HOME."""

    @classmethod
    def from_config_value(  # type: ignore[override] # Dagster asks for a storage, whichever
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> DagsterStorage:
        if url := os.environ.get(POSTGRES):
            return _postgres(url, inst_data)
        folder = _at_home(config_value["base_dir"])
        Path(folder).mkdir(parents=True, exist_ok=True)
        return cls(folder, inst_data)


def _postgres(text: str, inst_data: ConfigurableClassData | None) -> DagsterStorage:
    """ConfigError, which repeats no password, where it cannot be used."""
    try:
        url = db.make_url(text)
    except db.exc.ArgumentError:
        url = None
    if url is None or url.get_backend_name() != "postgresql" or not url.database:
        raise ConfigError(
            f"environment variable {POSTGRES} is no address of a Postgres database; write "
            "postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        )
    if url.drivername == "postgresql":  # dagster-postgres brings psycopg2, and SQLAlchemy 2.1 would look for psycopg
        url = url.set(drivername="postgresql+psycopg2")
    address = url.render_as_string(hide_password=False)
    try:
        from dagster_postgres import DagsterPostgresStorage
        from dagster_postgres.utils import DagsterPostgresException
    except ImportError:
        raise ConfigError(
            f"environment variable {POSTGRES} is set, and what speaks to Postgres is not installed; install the extra "
            "with: pip install 'rlstir[postgres]'"
        ) from None
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # of every attempt, of which there are six; the last one is told below
    try:
        return DagsterPostgresStorage(address, inst_data=inst_data)
    except (db.exc.SQLAlchemyError, DagsterPostgresException) as error:
        raise ConfigError(
            f"environment variable {POSTGRES}: {url.render_as_string(hide_password=True)} cannot be used "
            f"({storage_fault(error) or error}); start that server, or create the database and its user"
        ) from None
    finally:
        logging.disable(before)


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


def storage_fault(error: Exception) -> str:
    """What the database said, in its first line; empty where the error is none of a storage."""
    for each in (error, error.__cause__):
        if isinstance(each, db.exc.SQLAlchemyError):
            return str(getattr(each, "orig", None) or each).strip().splitlines()[0]
    return ""


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
