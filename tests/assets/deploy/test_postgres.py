"""Dagster's records in a Postgres: a real server, started here on loopback where Debian's package is installed."""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rlstir_assets.driver.runs import storage_refusals
from rlstir_assets.instance import POSTGRES, open_instance
from rlstir_core.errors import ConfigError, StoreError

PASSWORD = "s3cret"


@pytest.fixture
def home(tmp_path: Path, make_home: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make_home(tmp_path / "home")
    monkeypatch.setenv("DAGSTER_HOME", str(made))
    return made


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"sqlite:///{PASSWORD}", "is no address of a Postgres database; write postgresql://"),
        (f"postgresql://me:{PASSWORD}@127.0.0.1", "is no address of a Postgres database"),
        (f"{PASSWORD} and more", "is no address of a Postgres database"),
        (
            f"postgresql://me:{PASSWORD}@127.0.0.1:1/records",
            r"://me:\*\*\*@127.0.0.1:1/records cannot be used \(.*refused",
        ),
    ],
)
def test_what_cannot_be_used_is_one_sentence_without_the_password(
    home: Path, monkeypatch: pytest.MonkeyPatch, address: str, words: str
) -> None:
    pytest.importorskip("dagster_postgres", reason="dagster-postgres is not installed")
    monkeypatch.setattr("dagster_postgres.utils.time.sleep", lambda _: None)  # between two attempts
    monkeypatch.setenv(POSTGRES, address)
    with pytest.raises(ConfigError, match=words) as found:
        open_instance()
    assert str(found.value).startswith(f"environment variable {POSTGRES}") and PASSWORD not in str(found.value)


def test_without_the_extra_its_name_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dagster_postgres", None)
    monkeypatch.setenv(POSTGRES, "postgresql://me@127.0.0.1/records")
    with pytest.raises(ConfigError, match=r"pip install 'rlstir\[postgres\]'"):
        open_instance()


@pytest.fixture
def postgres() -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a database, and what ends its server."""
    pytest.importorskip("dagster_postgres", reason="dagster-postgres is not installed")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which("initdb") or (versions and str(versions[-1] / "initdb"))
    if not found:
        pytest.skip("no Postgres server is installed")
    programs, user = Path(found).parent, "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="rlstir-"))
    folder.chmod(0o777)
    (folder / "password").write_text(PASSWORD)

    def asked(program: str, *words: str) -> None:
        command = [str(programs / program), *words]
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=60)

    asked("initdb", "-D", "data", "-U", "me", "-A", "scram-sha-256", "--pwfile", "password", "-N")
    asked("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", f"-h 127.0.0.1 -p {port} -k {folder} -F", "start")
    end = functools.cache(lambda: asked("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop"))
    try:
        yield f"postgresql://me:{PASSWORD}@127.0.0.1:{port}/postgres", end
    finally:
        end()
        shutil.rmtree(folder)


@pytest.mark.slow
def test_runs_of_all_ways_are_recorded_there_and_nowhere_else(
    home: Path,
    tmp_path: Path,
    postgres: tuple[str, Callable[[], None]],
    small_store: Any,
    shell: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, end = postgres
    store, data = small_store(tmp_path / "store", episodes=2), tmp_path / "data"
    env = {POSTGRES: address, "RLSTIR_STORE": str(store), "RLSTIR_DATA": str(data)}
    made = shell("rlstir", "materialize", "--select", "key:episode_index", home=home, env=env)
    assert made.returncode == 0, made.stderr
    command = ["asset", "materialize", "--select", "episode_index", "-m", "rlstir_assets.definitions"]
    ours = shell("dagster", *command, home=home, env=env)
    assert ours.returncode == 0, ours.stderr
    monkeypatch.setenv(POSTGRES, address)
    with open_instance() as instance:
        runs = instance.get_runs()
        assert len(runs) >= 2 and {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
        assert instance.get_latest_materialization_event(dg.AssetKey("episode_index")) is not None
        monkeypatch.setattr("dagster_postgres.utils.time.sleep", lambda _: None)
        monkeypatch.setenv(POSTGRES, address.replace(PASSWORD, "wrong"))
        with pytest.raises(ConfigError, match="password authentication failed"):
            open_instance()
        end()
        with pytest.raises(StoreError, match=f"look at the server that {POSTGRES} names"), storage_refusals():
            instance.get_runs()
    assert not list((home / ".rlstir").rglob("*.db"))
