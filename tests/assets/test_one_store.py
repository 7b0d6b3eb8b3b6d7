"""A data folder belongs to one store, whoever asks: the command line, a bare shell, a click in the UI."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.episodes.store.binding import refresh_index

pytestmark = pytest.mark.slow
HOSTS = ("elliott-thinkpad", "k-gamingcom")
MATERIALIZE = ("dagster", "asset", "materialize", "-m", "rlstir_assets.definitions", "--select")
UP_TO_VERDICTS = "key:episode_index or key:validation"


def outputs(data: Path) -> dict[Path, bytes]:
    """Every file under a data folder; locks say nothing."""
    return {p: p.read_bytes() for p in data.rglob("*") if p.is_file() and p.suffix != ".lock"}


@pytest.fixture
def other(tmp_path: Path, small_store: Callable[..., Path]) -> Path:
    """A second store, with the same hosts."""
    return small_store(tmp_path / "other", episodes=4, seed=99)


@pytest.fixture
def made(invoke: Any, tmp_path: Path, small_store: Callable[..., Path]) -> Path:
    """The data folder of a store whose hosts were validated."""
    store, data = small_store(tmp_path / "store", episodes=4), tmp_path / "data"
    done = invoke("materialize", "--store", store, "--data", data, "--select", UP_TO_VERDICTS)
    assert done.exit_code == 0, done.output
    return data


# The command line


def test_the_step_that_a_command_names_next_goes_to_a_folder_of_its_own(invoke: Any, tmp_path: Path) -> None:
    store = tmp_path / "a store"
    said = invoke("lab", "generate", "--store", store, "--episodes", 2).stdout.splitlines()[-1]
    assert said == f"next: rlstir materialize --store '{store}' --data '{store}-data'"
    assert invoke("lab", "generate", "--episodes", 2).stdout.splitlines()[-1] == "next: rlstir materialize"
    (tmp_path / "secure").write_text(
        "May  1 12:00:00 web1 sshd[1]: Failed password for root from 203.0.113.1 port 1 ssh2\n"
    )
    logs = invoke("import", "logs", tmp_path / "secure", "--store", tmp_path / "logs").stdout.splitlines()[-1]
    assert logs == (
        f"next: rlstir materialize --store {tmp_path}/logs --data {tmp_path}/logs-data --select +key:provenance_graphs"
    )


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
    for store, says in ((tmp_path / "no such", "is not a folder"), (other, "belongs to another store")):
        env = {"RLSTIR_STORE": str(store), "RLSTIR_DATA": str(made)}
        for select in ("key:validation", "key:log_events"):
            done = shell(*MATERIALIZE, select, "--partition", HOSTS[0], home=home, env=env)
            assert done.returncode != 0
            assert says in done.stdout + done.stderr
    assert outputs(made) == before


def test_a_folder_of_episodes_that_is_not_mounted_costs_nothing(shell: Any, made: Path, tmp_path: Path) -> None:
    home, store, before = tmp_path / "home", tmp_path / "store", outputs(made)
    (store / "episodes").rename(store / "unmounted")
    env = {"RLSTIR_STORE": str(store), "RLSTIR_DATA": str(made)}
    verdicts = shell(*MATERIALIZE, "key:validation", "--partition", HOSTS[0], home=home, env=env)
    index = shell(*MATERIALIZE, "key:episode_index", home=home, env=env)
    assert verdicts.returncode != 0 and "mount or restore that folder" in verdicts.stdout + verdicts.stderr
    assert index.returncode != 0 and "their tarballs are not there for 4" in index.stdout + index.stderr
    assert outputs(made) == before


# A click in the UI


def test_a_click_in_the_ui_is_refused_alike(
    web: Any, made: Path, other: Path, tmp_path: Path, instance_of: Any
) -> None:
    home, before = tmp_path / "home", outputs(made)
    with web(home, other, made) as ui:
        for key, partition in (("episode_index", None), ("validation", HOSTS[0])):
            status, said = ui.materialize(key, partition)
            assert status == "FAILURE"
            assert len(said) == 1 and "belongs to another store" in said[0] and f"--data {other}-data" in said[0]
    assert outputs(made) == before
    with instance_of(home) as instance:
        instance.add_dynamic_partitions("host", ["typed-by-hand"])
    with web(home, tmp_path / "store", made) as ui:
        status, said = ui.materialize("validation", "typed-by-hand")
        assert status == "FAILURE"
        assert "host 'typed-by-hand' is not in the episode index" in said[0] and ", ".join(HOSTS) in said[0]
        assert ui.materialize("validation", HOSTS[0]) == ("SUCCESS", [])
        shutil.rmtree(tmp_path / "store")
        status, said = ui.materialize("validation", HOSTS[0])
        assert status == "FAILURE" and "is not a folder" in said[0]
    assert outputs(made) == before


def test_a_folder_that_was_made_before_this_was_watched_is_bound_by_its_index(
    invoke: Any, made: Path, other: Path, tmp_path: Path
) -> None:
    (made / "store.json").unlink()
    assert "belongs to another store" in invoke("materialize", "--store", other, "--data", made).stderr
    from rlstir_core.results.layout import Layout

    refresh_index(tmp_path / "store", Layout(made))
    assert (made / "store.json").exists()
