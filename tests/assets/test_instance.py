"""Dagster's own records and the UI: one instance, wherever a command is given, and what it was last used for."""

from __future__ import annotations

import os
import socket
import sys
import tomllib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rlstir_assets import places
from rlstir_assets.instance import open_instance
from rlstir_core.remedies import command, how_to_make, program, work_at

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, make_home: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DAGSTER_HOME, and another current directory."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    made: Path = make_home(tmp_path / "home")
    monkeypatch.setenv("DAGSTER_HOME", str(made))
    return made


def test_another_current_directory_is_no_other_instance(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with dg.DagsterInstance.get() as instance:  # as `dagster asset materialize` opens it
        instance.add_dynamic_partitions("host", ["web1"])
    monkeypatch.chdir(home)
    with open_instance() as instance:
        assert list(instance.get_dynamic_partitions("host")) == ["web1"]
        assert Path(instance.storage_directory()).is_relative_to(home)
    assert sorted(path.name for path in home.iterdir()) == [".rlstir", "dagster.yaml"]
    assert not list((home.parent / "elsewhere").iterdir())


def test_steps_are_told_whole_paths_whatever_their_own_environment_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_instance() as instance:
        reference = instance.get_ref()
        instance.add_dynamic_partitions("host", ["web1"])
    monkeypatch.setenv("DAGSTER_HOME", str(home.parent))
    with dg.DagsterInstance.from_ref(reference) as instance:
        assert list(instance.get_dynamic_partitions("host")) == ["web1"]


def test_dg_finds_the_code_location_in_the_projects_file() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dg"]
    assert told["directory_type"] == "project"
    module = told["project"]["code_location_target_module"]
    assert (ROOT / Path(*module.split(".")).with_suffix(".py")).is_file()
    assert module.startswith(f"{told['project']['root_module']}.")


# What was worked on


def test_what_was_worked_on_last_is_remembered_and_the_oldest_forgotten(home: Path) -> None:
    assert places.last() is None and places.store_of(Path("/data")) is None
    for n in range(60):
        places.remember(Path(f"/store-{n}"), Path(f"/data-{n}"), {"seed": n})
    places.remember(Path("/store-20"), Path("/data-20"), {"preset": "rtx4060"})
    assert places.last() == (Path("/store-20"), Path("/data-20"))
    assert places.store_of(Path("/data-59")) == Path("/store-59")
    assert places.data_of(Path("/store-59")) == Path("/data-59")
    assert places.store_of(Path("/data-0")) is None and places.choices_of(Path("/data-0")) == {}
    assert places.choices_of(Path("/data-20")) == {"preset": "rtx4060"}
    (home / ".rlstir" / "dagster" / "places.json").write_text("{")
    assert places.last() is None


# Commands that refusals name


def test_a_command_says_what_is_not_the_default_and_nothing_else(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    work_at(tmp_path / ".rlstir" / "store", tmp_path / ".rlstir" / "data")
    assert how_to_make("split", "host") == f"{program()} materialize --recipe host --select key:split"
    work_at(tmp_path / "a store", tmp_path / "data")
    place = f"--store '{tmp_path}/a store' --data {tmp_path}/data"
    assert how_to_make("validation") == f"{program()} materialize {place} --select key:validation"
    assert command("list", "hosts") == f"{program()} list hosts"


def test_the_program_is_named_by_its_path_where_the_environment_is_not_active(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(program()).name == "rlstir" and program() != "rlstir"
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert program() == "rlstir"


# The UI


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What `rlstir ui` becomes, instead of becoming it."""
    found: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, words: found.append(words))
    return found


def test_the_ui_opens_what_it_is_given_on_loopback(
    invoke: Any, tmp_path: Path, small_store: Any, opened: list[list[str]]
) -> None:
    store, data = small_store(tmp_path / "store", episodes=2), tmp_path / "data"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        busy = invoke("ui", "--store", store, "--data", data, "--port", port)
        assert busy.exit_code == 2 and f"port {port}" in busy.stderr and f"--port {port + 1}" in busy.stderr
    done = invoke("ui", "--store", store, "--data", data, "--port", port)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"opening the UI for {store} and {data}")
    assert opened[-1][-4:] == ["-h", "127.0.0.1", "-p", str(port)]
    assert (os.environ["RLSTIR_STORE"], os.environ["RLSTIR_DATA"]) == (str(store), str(data))


def test_the_ui_without_a_word_opens_what_was_worked_on_last(
    invoke: Any, tmp_path: Path, small_store: Any, opened: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = small_store(tmp_path / "store", episodes=2)
    places.remember(store, tmp_path / "own", {})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert f"for {store} and {tmp_path / 'own'}" in invoke("ui", "--port", port).stdout
    monkeypatch.setenv("RLSTIR_STORE", "")
    assert f"for {store} and {tmp_path / 'own'}" in invoke("ui", "--port", port, "--data", tmp_path / "own").stdout
    refused = invoke("ui", "--port", port, "--store", tmp_path / "none")
    assert refused.exit_code == 2 and "is not a folder" in refused.stderr
    assert len(opened) == 2
