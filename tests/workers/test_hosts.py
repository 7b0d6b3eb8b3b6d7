"""Whoever works on the episodes of a host, its files are the same byte for byte."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.store.binding import refresh_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.lab.generate import generate_store
from rlstir_core.lab.plan import LabOptions
from rlstir_core.provenance.store import build_graphs
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import build_features, build_tensors
from rlstir_core.workers import local
from rlstir_core.workers.local import LocalProcesses
from rlstir_core.workers.spread import ALONE, Workers, workers_of

pytestmark = pytest.mark.slow
EPISODES = 8
_LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("one-host")
    generate_store(path, hosts=("solo:windows",), episodes=EPISODES, options=LabOptions(seed=4, duration_s=40.0))
    return path


def made(store: Path, data: Path, workers: Workers) -> dict[str, str]:
    """Every file that the stages of a host write, by its path, but for the ledger of the tarballs' own times."""
    layout = Layout(data)
    index, registry = refresh_index(store, layout).index, load_registry(store)
    write_schema(layout.feature_schema, make_schema(registry))
    found = validate_host(store, layout, "solo", registry=registry, index=index, workers=workers)
    assert found.n_decoded == EPISODES
    assert build_tensors(layout, "solo", registry, workers=workers)["made"] == EPISODES
    assert build_features(layout, "solo", registry, workers=workers)["made"] == EPISODES
    build_log_events(store, layout, "solo", workers=workers)
    build_graphs(layout, "solo", workers=workers)
    files = [path for path in data.rglob("*") if path.is_file() and ".locks" not in path.parts]
    return {str(p.relative_to(data)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def alone(store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return made(store, tmp_path_factory.mktemp("alone"), ALONE)


def test_four_processes_change_nothing(
    store: Path, alone: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_WORTH", 1)  # so that these few start them
    pool = LocalProcesses(4)
    try:
        assert made(store, tmp_path, pool) == alone
        assert pool._pool is not None
    finally:
        pool.close()


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two workers, which know nothing of this process; its address, and the workers."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'rlstir[dask]'")
    log = (tmp_path / "dask.log").open("wb")

    def start(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
        return subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)

    known = tmp_path / "scheduler.json"
    head = start("dask_scheduler", "--host", _LOOPBACK, "--port", "0", "--no-dashboard", "--scheduler-file", str(known))
    workers = [
        start("dask_worker", "--scheduler-file", str(known), "--host", _LOOPBACK, "--nthreads", "1", "--no-dashboard",
              "--no-nanny", "--local-directory", str(tmp_path / f"w{k}"))
        for k in range(2)
    ]  # fmt: skip
    try:
        for _ in range(600):
            time.sleep(0.1)
            if known.exists() and (address := json.loads(known.read_text() or "{}").get("address")):
                break
        else:
            raise RuntimeError((tmp_path / "dask.log").read_text()[-2000:])
        yield address, workers
    finally:
        for process in (*workers, head):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait()
        log.close()


def test_two_workers_of_dask_change_nothing_and_one_that_is_killed_loses_nothing(
    store: Path, alone: dict[str, str], tmp_path: Path, scheduler: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = scheduler
    cluster = workers_of(address)
    cluster.client.wait_for_workers(2, timeout=60)  # type: ignore[attr-defined]
    cluster.must_see([store / "index.jsonl"])
    assert made(store, tmp_path / "both", cluster) == alone
    with pytest.raises(ConfigError, match="do not see"):
        cluster.must_see([tmp_path / "nowhere"])
    results = cluster.each(time.sleep, [0.05] * 30)
    assert next(results) is None
    os.killpg(workers[0].pid, signal.SIGKILL)
    assert list(results) == [None] * 29
    assert made(store, tmp_path / "one", cluster) == alone
    cluster.client.close()  # type: ignore[attr-defined]


def test_a_scheduler_that_is_not_there_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'rlstir[dask]'")
    monkeypatch.setattr("rlstir_core.workers.cluster._PATIENCE_S", 1)
    with pytest.raises(ConfigError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        workers_of("tcp://127.0.0.1:9")
