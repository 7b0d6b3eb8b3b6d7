"""Two materializations of one data folder at once: the second waits and says so, and nothing is made twice."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.provenance.store import build_graphs
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import build_features, build_tensors

pytestmark = pytest.mark.slow
UP_TO_FEATURES = ("--select", "+key:window_features")
OF_RECIPES = "processed/splits/"
OF_LOGS = ("processed/log_events_v1.parquet/", "processed/graphs/", "processed/lab_checks")


@pytest.fixture
def stopping(victim: Any) -> Iterator[Callable[..., Any]]:
    """Starts drivers that do not outlive the test."""
    started = []

    def start(*more: str) -> Any:
        started.append(victim.start(*more))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_two_drivers_at_once_give_what_one_gives(
    victim: Any, driven: Any, contents: Any, stopping: Callable[..., Any]
) -> None:
    first, second = stopping(*UP_TO_FEATURES), stopping(*UP_TO_FEATURES)
    outputs = [process.communicate(timeout=300)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    waited = [text for text in outputs if "waiting for process" in text]
    assert (
        len(waited) == 1
        and f"waiting for process {(second, first)[outputs.index(waited[0]) == 0].pid}" not in waited[0]
    )
    wanted = {
        name: key
        for name, key in contents(driven.data).items()
        if name.startswith("processed/") and not name.startswith((*OF_LOGS, OF_RECIPES))
    }
    assert contents(victim.data) == wanted


def test_builders_of_one_host_in_threads_give_what_one_gives(driven: Any, contents: Any, tmp_path: Path) -> None:
    layout = type(driven.layout)(tmp_path / "data")
    registry, index = load_registry(driven.store), read_index(driven.store)
    write_schema(layout.feature_schema, make_schema(registry))
    failures: list[BaseException] = []

    def build() -> None:
        try:
            for host in index.hosts:
                validate_host(driven.store, layout, host, registry=registry, index=index)
                build_tensors(layout, host, registry)
                build_features(layout, host, registry)
                build_log_events(driven.store, layout, host)
                build_graphs(layout, host)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    wanted = {
        name: key
        for name, key in contents(driven.data).items()
        if name.startswith("processed/") and not name.startswith(OF_RECIPES)
    }
    del wanted["processed/episode_index_v1.json"], wanted["processed/lab_checks_v1.json"]
    assert contents(layout.data) == wanted


def test_a_pool_slot_of_a_killed_run_does_not_block_the_next(
    victim: Any, driven: Any, contents: Any, instance_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(driven.data, victim.data)
    (victim.data / "artifacts" / "host" / "mlp_oracle.ckpt.json").unlink()
    with instance_of(victim.root / "home") as instance:
        instance.event_log_storage.set_concurrency_slots("gpu", 1)
    victim.killed_at("*/mlp_oracle.1.safetensors")
    with instance_of(victim.root / "home") as instance:
        assert len(instance.event_log_storage.get_concurrency_info("gpu").active_run_ids) == 1
    victim.finish()
    with instance_of(victim.root / "home") as instance:
        assert not instance.event_log_storage.get_concurrency_info("gpu").active_run_ids
    assert contents(victim.data) == contents(driven.data)
