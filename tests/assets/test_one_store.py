"""A data folder belongs to one store, whoever asks: the command line, a bare shell, a click in the UI."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rlstir_assets.definitions import build_defs
from rlstir_assets.partitions import recipes
from rlstir_assets.resources import Settings
from rlstir_core.episodes.store.binding import refresh_index
from rlstir_core.remedies import program

pytestmark = pytest.mark.slow
HOSTS = ("elliott-thinkpad", "k-gamingcom")
MATERIALIZE = ("dagster", "asset", "materialize", "-m", "rlstir_assets.definitions", "--select")
ASSETS = {asset.key.to_user_string(): asset for asset in build_defs().assets if isinstance(asset, dg.AssetsDefinition)}
UNMOUNTED = {  # what the assets say that look at every tarball
    "episode_index": "their tarballs are not there for 4",
    "validation": "mount or restore that folder",
}
UP_TO_VERDICTS = "key:episode_index or key:validation"


def outputs(data: Path) -> dict[Path, bytes]:
    """Every result under a data folder; locks say nothing, and ledgers hold inodes, which a copy of a store changes."""
    return {
        path: path.read_bytes()
        for path in data.rglob("*")
        if path.is_file() and path.suffix != ".lock" and not path.name.startswith("_")
    }


@pytest.fixture
def other(tmp_path: Path, small_store: Callable[..., Path]) -> Path:
    """A second store, with the same hosts."""
    return small_store(tmp_path / "other", episodes=4, seed=99)


@pytest.fixture(scope="module")
def validated(
    tmp_path_factory: pytest.TempPathFactory, small_store: Callable[..., Path], make_home: Any, shell: Any
) -> Path:
    """A folder with a store, the data folder where its hosts were validated, and the instance that did it."""
    root = tmp_path_factory.mktemp("validated")
    store, home = small_store(root / "store", episodes=4), make_home(root / "home")
    given = ("--store", store, "--data", root / "data", "--select", UP_TO_VERDICTS)
    done = shell("rlstir", "materialize", *given, home=home)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def made(invoke: Any, validated: Path, tmp_path: Path) -> Path:
    """The data folder of a copy of that, which a test may change; its store lies beside it."""
    shutil.copytree(validated, tmp_path, dirs_exist_ok=True)
    return tmp_path / "data"


# The command line


def test_the_step_that_a_command_names_next_goes_to_a_folder_of_its_own(invoke: Any, tmp_path: Path) -> None:
    store = tmp_path / "a store"
    printed = invoke("lab", "generate", "--store", store, "--episodes", 2).stdout.splitlines()[-1]
    assert printed == f"next: {program()} materialize --store '{store}' --data '{store}-data'"
    assert invoke("lab", "generate", "--episodes", 2).stdout.splitlines()[-1] == f"next: {program()} materialize"
    (tmp_path / "secure").write_text(
        "May  1 12:00:00 web1 sshd[1]: Failed password for root from 203.0.113.1 port 1 ssh2\n"
    )
    logs = invoke("import", "logs", tmp_path / "secure", "--store", tmp_path / "logs").stdout.splitlines()[-1]
    assert logs == f"next: {program()} materialize --store {tmp_path}/logs --data {tmp_path}/logs-data"


def test_another_store_is_refused_on_the_command_line_and_nothing_is_taken_away(
    invoke: Any, made: Path, other: Path
) -> None:
    before = outputs(made)
    for more in ((), ("--prune",), ("--select", "key:episode_index"), ("--select", "key:comparison_v2")):
        result = invoke("materialize", "--store", other, "--data", made, *more)
        assert result.exit_code == 2
        (line,) = result.stderr.splitlines()
        assert "belongs to another store" in line
        assert line.endswith(f"rlstir materialize --store {other} --data {other}-data")
    assert outputs(made) == before


def test_half_of_a_store_goes_only_with_prune(invoke: Any, made: Path, tmp_path: Path, instance_of: Any) -> None:
    store = tmp_path / "store"
    lines = (store / "index.jsonl").read_text().replace("}{", "}\n{").splitlines()
    kept = [line for line in lines if json.loads(line)["host_id"] == HOSTS[0]][:1]
    (store / "index.jsonl").write_text("".join(f"{line}\n" for line in kept))
    before = outputs(made)
    given = ("materialize", "--store", store, "--data", made, "--select", UP_TO_VERDICTS)
    result = invoke(*given)
    assert result.exit_code == 2
    assert f"1 of 2 hosts ({HOSTS[1]}) and 3 of 4 episodes" in result.stderr and "--prune" in result.stderr
    assert outputs(made) == before
    assert invoke(*given, "--prune").exit_code == 0
    assert [path.name for path in (made / "processed" / "validation_v1.parquet").iterdir()] == [f"host={HOSTS[0]}"]
    with instance_of(tmp_path / "home") as instance:
        assert instance.get_dynamic_partitions("host") == [HOSTS[0]]


def test_spoiled_tarballs_fail_the_run_with_their_reasons_and_leave_the_verdicts(
    invoke: Any, made: Path, tmp_path: Path
) -> None:
    for tarball in (tmp_path / "store" / "episodes" / HOSTS[1]).iterdir():
        tarball.write_bytes(b"spoiled")
    before = outputs(made)
    result = invoke("materialize", "--store", tmp_path / "store", "--data", made, "--select", "key:validation")
    assert result.exit_code == 2
    assert f"2 of 2 episodes of host '{HOSTS[1]}' are rejected (index.bytes 2)" in result.stderr
    assert outputs(made) == before


# `dagster asset materialize`


def test_a_typo_in_the_stores_path_costs_nothing(shell: Any, made: Path, other: Path, tmp_path: Path) -> None:
    home, before = tmp_path / "home", outputs(made)
    for store, select, says in (
        (tmp_path / "no such", "key:validation", "is not a folder"),
        (other, "key:log_events", "belongs to another store"),
    ):
        env = {"RLSTIR_STORE": str(store), "RLSTIR_DATA": str(made)}
        done = shell(*MATERIALIZE, select, "--partition", HOSTS[0], home=home, env=env)
        assert done.returncode != 0
        assert says in done.stdout + done.stderr
    assert outputs(made) == before


def refusal(asset: dg.AssetsDefinition, settings: Settings, instance: dg.DagsterInstance) -> str:
    """What a step says that fails inside this process."""
    partition = None if asset.partitions_def is None else "host" if asset.partitions_def is recipes else HOSTS[0]
    made = dg.materialize(
        [asset],
        resources={"settings": settings},
        partition_key=partition,
        instance=instance,
        raise_on_error=False,
        selection=[*asset.keys],
    )
    (failure,) = [event.step_failure_data for event in made.all_events if event.is_step_failure]
    return str(failure.user_failure_data.description)


@pytest.mark.parametrize("name", sorted(ASSETS.keys() - {"synced_episodes"}))  # without a source it touches nothing
def test_no_asset_writes_where_the_store_is_gone_or_another(name: str, made: Path, other: Path, tmp_path: Path) -> None:
    store, before = tmp_path / "store", outputs(made)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("host", HOSTS)
        for wrong, says in ((tmp_path / "no such", "is not a folder"), (other, "belongs to another store")):
            assert says in refusal(ASSETS[name], Settings(store=str(wrong), data=str(made)), instance)
        if name in UNMOUNTED:
            (store / "episodes").rename(store / "unmounted")
            assert UNMOUNTED[name] in refusal(ASSETS[name], Settings(store=str(store), data=str(made)), instance)
    assert outputs(made) == before


# A click in the UI


def test_a_click_in_the_ui_is_refused_alike(
    web: Any, made: Path, other: Path, tmp_path: Path, instance_of: Any
) -> None:
    home, store, before = tmp_path / "home", tmp_path / "store", outputs(made)
    with instance_of(home) as instance:
        instance.add_dynamic_partitions("host", ["typed-by-hand"])
    with web(home, store, made) as ui:
        status, found = ui.materialize("episode_index", store=str(other))  # as the launchpad lets one choose
        assert status == "FAILURE"
        assert len(found) == 1 and "belongs to another store" in found[0] and f"--data {other}-data" in found[0]
        status, found = ui.materialize("validation", "typed-by-hand")
        assert status == "FAILURE"
        assert "host 'typed-by-hand' is not in the episode index" in found[0] and ", ".join(HOSTS) in found[0]
        assert ui.materialize("validation", HOSTS[0]) == ("SUCCESS", [])
        shutil.rmtree(store)
        status, found = ui.materialize("validation", HOSTS[0])
        assert status == "FAILURE" and "is not a folder" in found[0]
    assert outputs(made) == before


def test_a_folder_that_was_made_before_this_was_watched_is_bound_by_its_index(
    invoke: Any, made: Path, other: Path, tmp_path: Path
) -> None:
    (made / "store.json").unlink()
    assert "belongs to another store" in invoke("materialize", "--store", other, "--data", made).stderr
    from rlstir_core.results.layout import Layout

    refresh_index(tmp_path / "store", Layout(made))
    assert (made / "store.json").exists()
