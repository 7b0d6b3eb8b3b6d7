"""Whoever works on the episodes of a host, its files are the same byte for byte."""

from __future__ import annotations

import contextlib
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
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.lab.generate import generate_store
from rlstir_core.lab.plan import LabOptions
from rlstir_core.provenance.store import build_graphs
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import build_features, build_tensors
from rlstir_core.workers import local
from rlstir_core.workers.cluster import Cluster
from rlstir_core.workers.local import LocalProcesses
from rlstir_core.workers.spread import ALONE, Workers, workers_of

pytestmark = pytest.mark.slow
EPISODES = 8
_LOOPBACK = "127.0.0.1"


def kill_if_bad(item: str) -> str:
    if item == "slow":
        time.sleep(2)
    if item == "bad":
        time.sleep(0.5)  # until those beside it are in work
        os.kill(os.getpid(), signal.SIGKILL)
    return item


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


class Dask:
    """A Dask scheduler and its workers, which know nothing of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.known = folder, folder / "scheduler.json"
        self._log = (folder / "dask.log").open("wb")
        place = ["--host", _LOOPBACK, "--port", "0", "--no-dashboard", "--scheduler-file", str(self.known)]
        self.head = self._start("dask_scheduler", *place)
        self.workers: list[subprocess.Popen[bytes]] = []
        self._all = [self.head]

    def _start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}  # to find this module, too
        return subprocess.Popen(
            command, cwd=self.folder, stdout=self._log, stderr=self._log, start_new_session=True, env=environment
        )

    def add(self, *options: str, threads: int = 1, **environment: str) -> None:
        """One more worker."""
        place = ["--scheduler-file", str(self.known), "--host", _LOOPBACK, "--no-dashboard"]
        local = ["--nthreads", str(threads), "--local-directory", str(self.folder / f"w{len(self.workers)}")]
        self.workers.append(self._start("dask_worker", *place, *local, *(options or ("--no-nanny",)), **environment))
        self._all.append(self.workers[-1])

    def connected(self) -> Cluster:
        """The cluster, when all its workers are there."""
        for _ in range(600):
            if self.known.exists() and (address := json.loads(self.known.read_text() or "{}").get("address")):
                break
            time.sleep(0.1)
        else:
            raise RuntimeError((self.folder / "dask.log").read_text()[-2000:])
        found = workers_of(address)
        assert isinstance(found, Cluster)
        found.client.wait_for_workers(len(self.workers), timeout=60)
        return found

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        for process in reversed(self._all):
            self.kill(process)
        self._log.close()


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Dask]:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'rlstir[dask]'")
    folder = tmp_path / "dask"
    folder.mkdir()
    made = Dask(folder)
    try:
        yield made
    finally:
        made.close()


def test_two_workers_of_dask_change_nothing(store: Path, alone: dict[str, str], tmp_path: Path, dask: Dask) -> None:
    dask.add()
    dask.add()
    cluster, data = dask.connected(), tmp_path / "data"
    data.mkdir()
    cluster.must_see([store / "index.jsonl"], data)
    assert not list(data.iterdir())
    assert made(store, data, cluster) == alone
    cluster.client.close()


def test_a_worker_that_is_killed_in_the_middle_loses_nothing(
    store: Path, alone: dict[str, str], tmp_path: Path, dask: Dask
) -> None:
    dask.add()
    dask.add()
    cluster, layout = dask.connected(), Layout(tmp_path / "data")
    index, registry = refresh_index(store, layout).index, load_registry(store)
    asked = []

    def kill_at_the_third(done: int, _of: int, _what: str) -> None:
        asked.append(done)
        if done == 3:
            dask.kill(dask.workers[0])

    validate_host(store, layout, "solo", registry=registry, index=index, workers=cluster, progress=kill_at_the_third)
    assert 3 in asked and len(cluster.client.nthreads()) == 1
    for part in ("validation_v1.parquet", "rows_v1"):
        wanted = {name: digest for name, digest in alone.items() if part in name}
        files = {str(p.relative_to(layout.data)): p for p in (layout.processed / part).rglob("*") if p.is_file()}
        assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()} == wanted
    cluster.client.close()


def test_without_a_worker_nobody_waits_for_ever(dask: Dask, monkeypatch: pytest.MonkeyPatch) -> None:
    dask.add()
    cluster = dask.connected()
    monkeypatch.setattr("rlstir_core.workers.cluster._PATIENCE_S", 1.0)
    results = cluster.each(time.sleep, [0.2] * 20)
    assert next(results) is None
    dask.kill(dask.workers[0])
    with pytest.raises(StoreError, match=r"no Dask worker is left at tcp://.* what was finished before is kept"):
        list(results)
    with pytest.raises(ConfigError, match="has no worker; start some with"):
        cluster.must_see([], dask.folder)
    cluster.client.close()


def test_a_scheduler_that_goes_away_is_told_in_a_sentence(
    dask: Dask, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlstir_core.workers.cluster._PATIENCE_S", 3.0)
    dask.add()
    cluster = dask.connected()
    results = cluster.each(time.sleep, [0.2] * 20)
    assert next(results) is None
    dask.kill(dask.head)
    with pytest.raises(StoreError, match=r"the Dask scheduler at tcp://.* went away"):
        list(results)
    cluster.client.close()
    assert "Traceback" not in capfd.readouterr().err


def test_an_item_that_kills_its_workers_is_named_and_one_that_shared_them_is_done(dask: Dask) -> None:
    dask.add("--nanny", threads=2)
    cluster = dask.connected()
    results, found = cluster.each(kill_if_bad, ["slow", "bad", "c"]), []
    with pytest.raises(StoreError, match="died whenever they worked on bad, perhaps for want of memory"):
        for each in results:
            found.append(each)
    assert found == ["slow"]
    cluster.client.close()


def test_every_thread_of_a_worker_is_used(dask: Dask) -> None:
    dask.add(threads=8)
    cluster = dask.connected()
    assert cluster._threads() == 8
    cluster.client.close()


def test_a_worker_that_cannot_load_rlstir_is_refused(dask: Dask, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow" / "rlstir_core"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise ImportError")
    dask.add(PYTHONPATH=str(shadow.parent))
    cluster = dask.connected()
    with pytest.raises(ConfigError, match="1 of 1 Dask workers cannot load rlstir as it is here"):
        cluster.must_see([], dask.folder)
    cluster.client.close()


def test_a_scheduler_that_is_not_there_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'rlstir[dask]'")
    monkeypatch.setattr("rlstir_core.workers.cluster._PATIENCE_S", 1)
    with pytest.raises(ConfigError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        workers_of("tcp://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"no certificates are known for it"):
        workers_of("tls://127.0.0.1:9")
