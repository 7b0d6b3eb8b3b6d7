"""What was finished before a stage was cut off stays finished, and the files are those of a run that was not."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rlstir_assets.resources import Settings
from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.store.binding import refresh_index
from rlstir_core.episodes.validation.validate import validate_host, validated
from rlstir_core.errors import StoreError, UpstreamMissing
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.lab.generate import generate_store
from rlstir_core.lab.plan import LabOptions
from rlstir_core.provenance.store import build_graphs
from rlstir_core.results import ledger
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry import parts
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import build_features, build_tensors
from rlstir_core.telemetry.window_table import TABLE, read_window_table, write_window_table
from rlstir_core.workers.spread import ALONE, Workers

EPISODES, CUT_AT = 7, 4
CUTS = {"features": 6}  # whose files hold 5 and 2 episodes here: the first is whole then
LEFT = {"features": 2}
STAGES = ("validation", "tensors", "features", "logs", "graphs")


class CutOff:
    """This process, which stops at the item of a number."""

    def __init__(self, at: int, stop: Callable[[], Any]) -> None:
        self.left, self.stop = at, stop

    def must_see(self, files: Sequence[Path], folder: Path) -> None:
        """It does."""

    def each(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        for item in items:
            if self.left == 0:
                self.stop()
            self.left -= 1
            yield work(item)
        if self.left == 0:
            self.stop()


def refuse() -> None:
    raise StoreError("cut off")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("one-host")
    generate_store(path, hosts=("solo:linux",), episodes=EPISODES, options=LabOptions(seed=5, duration_s=30.0))
    return path


def make(store: Path, data: Path, stage: str, workers: Workers = ALONE) -> int:
    """How many episodes the stage worked on."""
    layout, registry = Layout(data), load_registry(store)
    if stage == "validation":
        index = refresh_index(store, layout).index
        write_schema(layout.feature_schema, make_schema(registry))
        return validate_host(store, layout, "solo", registry=registry, index=index, workers=workers).n_decoded
    if stage in ("tensors", "features"):
        build = build_tensors if stage == "tensors" else build_features
        return build(layout, "solo", registry, workers=workers)["made"]
    if stage == "logs":
        return build_log_events(store, layout, "solo", workers=workers).made
    return build_graphs(layout, "solo", workers=workers).made


def hashes(data: Path) -> dict[str, str]:
    files = [path for path in data.rglob("*") if path.is_file() and ".locks" not in path.parts]
    return {str(p.relative_to(data)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def steps(store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The data folder as it is before each stage, and after all of them under `done`."""
    root, found = tmp_path_factory.mktemp("steps"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "EPISODES_A_PART", 2)
        for stage in STAGES:
            found[stage] = Path(shutil.copytree(root / "now", root / stage)) if found else root / "empty"
            assert make(store, root / "now", stage) == EPISODES
    found["done"] = root / "now"
    return found


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "EPISODES_A_PART", 2)


def resumed(store: Path, data: Path, steps: dict[str, Path], stage: str) -> int:
    """How many episodes the stage works on now; it and all later ones then give what an uncut run gives."""
    n = make(store, data, stage)
    for later in STAGES[STAGES.index(stage) + 1 :]:
        make(store, data, later)
    assert hashes(data) == hashes(steps["done"])
    return n


def begun(steps: dict[str, Path], stage: str, data: Path) -> Path:
    if steps[stage].exists():
        shutil.copytree(steps[stage], data)
    return data


@pytest.mark.parametrize("stage", STAGES)
def test_what_was_finished_before_a_refusal_is_not_done_again(
    store: Path, steps: dict[str, Path], tmp_path: Path, stage: str
) -> None:
    data = begun(steps, stage, tmp_path / "data")
    with pytest.raises(StoreError, match="cut off"):
        make(store, data, stage, CutOff(CUTS.get(stage, CUT_AT), refuse))
    assert resumed(store, data, steps, stage) == LEFT.get(stage, EPISODES - CUT_AT)


class Killed(BaseException):
    """Stands for a process that is no more: nothing is written once it was raised."""


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_that_is_killed_loses_no_more_than_came_after_the_last_note(
    store: Path, steps: dict[str, Path], tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = begun(steps, stage, tmp_path / "data")

    def die() -> None:
        shutil.copytree(data, tmp_path / "as-it-was")
        raise Killed

    monkeypatch.setattr(ledger, "EVERY_S", 0.0)
    with pytest.raises(Killed):
        make(store, data, stage, CutOff(CUTS.get(stage, CUT_AT), die))
    assert resumed(store, tmp_path / "as-it-was", steps, stage) == LEFT.get(stage, EPISODES - CUT_AT)
    monkeypatch.setattr(ledger, "EVERY_S", 1e9)
    data = begun(steps, stage, tmp_path / "again")
    shutil.rmtree(tmp_path / "as-it-was")
    with pytest.raises(Killed):
        make(store, data, stage, CutOff(CUTS.get(stage, CUT_AT), die))
    assert resumed(store, tmp_path / "as-it-was", steps, stage) == EPISODES


def test_verdicts_of_a_run_that_was_cut_off_are_nobody_elses(store: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cut off"):
        make(store, tmp_path, "validation", CutOff(CUT_AT, refuse))
    with pytest.raises(UpstreamMissing, match="was not validated"):
        validated(Layout(tmp_path), "solo")


def test_a_note_does_not_outlive_the_rows_that_it_speaks_of(store: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(store, tmp_path / "store"))
    data = tmp_path / "data"
    with pytest.raises(StoreError, match="cut off"):
        make(mine, data, "validation", CutOff(CUT_AT, refuse))
    rows = sorted(Layout(data).rows("solo", "x").parent.glob("ep-*"))
    tarball = mine / "episodes" / "solo" / f"{rows[0].stem}.tar.zst"
    whole = tarball.read_bytes()
    tarball.write_bytes(b"another recording")

    def die() -> None:
        shutil.copytree(data, tmp_path / "as-it-was")
        raise Killed

    with pytest.raises(Killed):  # before anything is noted, when rows may have been replaced
        make(mine, data, "validation", CutOff(1, die))
    tarball.write_bytes(whole)
    assert make(mine, tmp_path / "as-it-was", "validation") == EPISODES - CUT_AT + 1


def test_counts_of_log_rows_are_those_of_the_files_though_a_run_was_cut_off(
    store: Path, steps: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(shutil.copytree(steps["done"], tmp_path / "data"))
    counts = next(Layout(data).log_events("solo").glob("_counts*"))
    counts.write_bytes(counts.read_bytes().replace(b'"duplicates":', b'"duplicates":7', 1))  # of an older file
    before = ledger.read_ledger(Layout(data).log_events("solo"))
    ledger.write_ledger(Layout(data).log_events("solo"), {name: {} for name in before})
    with pytest.raises(StoreError, match="cut off"):
        make(store, data, "logs", CutOff(EPISODES - 1, refuse))
    assert make(store, data, "logs") == 1
    assert counts.read_bytes() == next(Layout(steps["done"]).log_events("solo").glob("_counts*")).read_bytes()


def test_windows_are_those_of_the_tensors_though_a_run_was_killed_after_the_last_of_them(
    store: Path, steps: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(shutil.copytree(steps["done"], tmp_path / "data"))
    folder = Layout(data).tensors("solo")
    older = [
        dataclasses.replace(row, input_sha256="of before", n_bins=1)
        for row in read_window_table(folder / TABLE).values()
    ]
    write_window_table(folder / TABLE, older)
    ledger.write_ledger(folder, {name: {} for name in ledger.read_ledger(folder)})

    def die() -> None:
        shutil.copytree(data, tmp_path / "as-it-was")
        raise Killed

    monkeypatch.setattr(ledger, "EVERY_S", 0.0)
    with pytest.raises(Killed):
        make(store, data, "tensors", CutOff(EPISODES, die))
    make(store, tmp_path / "as-it-was", "tensors")
    assert hashes(tmp_path / "as-it-was") == hashes(steps["done"])


class InAnotherFolder(CutOff):
    """Workers whose working directory is another, as those of a scheduler have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def each(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        for item in items:
            with contextlib.chdir(self.folder):
                made = work(item)
            yield made


def test_a_tarball_that_a_worker_does_not_see_is_no_verdict_on_it(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.parent)
    with pytest.raises(StoreError, match=r"was there, and whoever was to read it did not see it"):
        make(Path(store.name), tmp_path / "data", "validation", InAnotherFolder(tmp_path))


def test_folders_are_absolute_where_others_work(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("store").symlink_to(store)
    refresh_index(Path("store"), Layout(Path("data")))
    there = Settings(store="store", data="data", workers="tcp://10.0.0.5:8786").opened()
    assert (there.store, there.layout.data) == (tmp_path / "store", tmp_path / "data")
    here = Settings(store="store", data="data", workers="2").opened()
    assert (here.store, here.layout.data) == (Path("store"), Path("data"))
