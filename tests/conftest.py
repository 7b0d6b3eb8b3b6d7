"""A small store and one full run of the driver over it, made once and shared by everything that looks at results.

The store brings a registry of its own with coarse bins, so that twelve detectors are trained in well under a minute.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from rlstir_core.contract.registry import Registry, load_registry
from rlstir_core.episodes.store.index import StoreIndex, read_index
from rlstir_core.lab.generate import generate_store
from rlstir_core.lab.plan import LabOptions
from rlstir_core.remedies import forget_place
from rlstir_core.results.layout import Layout

if TYPE_CHECKING:
    import dagster as dg

ROOT = Path(__file__).parents[1]
TEST_HOST = "k-gamingcom"  # never ran scan-and-dial, so the split holds this one out
TRAIN_HOST = "elliott-thinkpad"
# Every model is trained whole, for fewer passes: what tests look at does not need the last point of macro F1.
FEW_PASSES = (
    *("train.epochs=4", "train.views=2", "trees.rounds=30", "bootstrap_draws=500", "seeds=2"),
    *("investigator.epochs=2", "investigator.min_epoch_steps=8", "investigator.rows=48"),
    *("investigator.vocabulary=600", "investigator.width=16"),
)
os.environ["RLSTIR_SET"] = " ".join(FEW_PASSES)


def pytest_configure() -> None:
    """Waits for no disk: no test pulls the plug, and what a killed process wrote the kernel keeps."""
    setattr(os, "fsync", lambda handle: None)  # noqa: B010 - the type checker refuses a plain assignment


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutations", type=int, default=1_000, help="how many damaged tarballs are read")
    parser.addoption("--write-golden", action="store_true", help="write what stages give now as their golden file")
    parser.addoption("--kills", type=int, default=1, help="how often a full run is killed at a random moment")


def coarse_registry(store: Path) -> None:
    """Gives `store` the lab's registry with bins of a second and windows that do not overlap."""
    text = (resources.files("rlstir_core.contract") / "registry.toml").read_text()
    for name, value in (("bin_hz", 1.0), ("length_s", 10.0), ("stride_s", 10.0)):
        text, n = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        assert n == 1
    (store / "registry.toml").write_text(text)


def small_store(store: Path, episodes: int = 16, seed: int = 7) -> Path:
    """Two hosts, a minute per episode: large enough for every phase to be trained on."""
    generate_store(store, episodes=episodes, options=LabOptions(duration_s=60.0, seed=seed))
    coarse_registry(store)
    return store


def make_home(folder: Path) -> Path:
    """A DAGSTER_HOME of its own: the checkout's dagster.yaml, whose folders are relative."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "dagster.yaml", folder)
    return folder


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a shell has in which only DAGSTER_HOME (and `more`) is set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RLSTIR_", "DAGSTER_", "PYTEST_"))}
    few = {"RLSTIR_SET": " ".join(FEW_PASSES)}
    return {**kept, "DAGSTER_HOME": str(home), "OMP_NUM_THREADS": "1", **few, **more}


@pytest.fixture(autouse=True)
def nowhere() -> None:
    """No test's remedies name the store that another worked at."""
    forget_place()


@pytest.fixture(scope="session")
def few_passes() -> tuple[str, ...]:
    """Overrides of the preset that shared runs are made with."""
    return FEW_PASSES


def tool(name: str) -> str:
    """The path of a command of this environment."""
    return str(Path(sys.executable).with_name(name))


@dataclass(frozen=True, kw_only=True)
class Driven:
    """A store, and what `rlstir materialize` made of it."""

    root: Path
    stdout: str = ""
    stderr: str = ""
    code: int = 0
    seconds: float = 0.0

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def layout(self) -> Layout:
        return Layout(self.data)

    @property
    def registry(self) -> Registry:
        return load_registry(self.store)

    @property
    def index(self) -> StoreIndex:
        return read_index(self.store)


@pytest.fixture(scope="session")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Driven:
    """One full run for recipe `host`, as a user makes it from another folder. Look, do not touch: see `own_driven`."""
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent  # workers share one
    root, outcome = base / "driven", base / "driven.json"
    with (base / "driven.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not outcome.exists():
            small_store(root / "store")
            make_home(root / "home")
            elsewhere = root / "elsewhere"
            elsewhere.mkdir()
            start = time.monotonic()
            done = subprocess.run(
                [tool("rlstir"), "materialize", "--store", "../store", "--data", "../data"],
                cwd=elsewhere,
                env=environment(root / "home", PYTHONHASHSEED="1"),
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            outcome.write_text(json.dumps([done.stdout, done.stderr, done.returncode, time.monotonic() - start]))
    stdout, stderr, code, seconds = json.loads(outcome.read_text())
    assert code == 0, stderr + stdout
    return Driven(root=root, stdout=stdout, stderr=stderr, code=code, seconds=seconds)


@pytest.fixture
def own_driven(driven: Driven, tmp_path: Path) -> Driven:
    """A copy of the driven store, outputs and instance that a test may change."""
    root = tmp_path / "own"
    shutil.copytree(driven.root, root, ignore=shutil.ignore_patterns("compute_logs", "elsewhere"))
    return Driven(root=root)


@pytest.fixture(name="small_store", scope="session")
def _small_store() -> Callable[..., Path]:
    return small_store


@pytest.fixture(name="make_home", scope="session")
def _make_home() -> Callable[[Path], Path]:
    return make_home


@pytest.fixture(name="tool", scope="session")
def _tool() -> Callable[[str], str]:
    return tool


@pytest.fixture(name="environment", scope="session")
def _environment() -> Callable[..., dict[str, str]]:
    return environment


@pytest.fixture(scope="session")
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command of this environment the way a bare shell does."""

    def run(
        *arguments: str | Path, home: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        return subprocess.run(
            [tool(words[0]), *words[1:]],
            cwd=cwd or home,
            env=environment(home, **(env or {})),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def instance_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], AbstractContextManager[dg.DagsterInstance]]:
    """The instance of a DAGSTER_HOME, closed when done with."""
    import dagster as dg

    @contextmanager
    def opened(home: Path) -> Iterator[dg.DagsterInstance]:
        with monkeypatch.context() as within:
            within.setenv("DAGSTER_HOME", str(home))
            with dg.DagsterInstance.from_config(str(home)) as instance:
                yield instance

    return opened


@pytest.fixture
def invoke(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, few_passes: tuple[str, ...]
) -> Iterator[Callable[..., Result]]:
    """`rlstir ARGUMENTS` with everything it changes in the process put back afterwards."""
    for name in list(os.environ):
        if name.startswith("RLSTIR_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RLSTIR_SET", " ".join(few_passes))
    for name in ("RLSTIR_STORE", "RLSTIR_DATA"):  # the driver sets them
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("DAGSTER_HOME", str(make_home(tmp_path / "home")))
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("dagster")
    level = logger.level

    def run(*arguments: str | Path, home: Path | None = None) -> Result:
        from rlstir_assets.cli import cli

        if home is not None:
            monkeypatch.setenv("DAGSTER_HOME", str(home))
        return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="rlstir")

    yield run
    logger.setLevel(level)
