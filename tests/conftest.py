"""A small store and one full run of the driver over it, made once and shared by everything that looks at results.

The store brings a registry of its own with coarse bins, so that twelve detectors are trained in well under a minute.
"""

from __future__ import annotations

import fcntl
import logging
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browsing import chromium, watched  # noqa: F401 - fixtures
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
    "investigator.members=1",
    *("investigator.vocabulary=600", "investigator.width=16"),
    *("acting.cases=12", "acting.glimpses=2", "acting.belief_steps=40", "acting.walk_steps=4", "acting.tries=1"),
    *("acting.order=2", "acting.seeds=1", "acting.lanes=8", "ppo.steps=512"),
)
os.environ["RLSTIR_SET"] = " ".join(FEW_PASSES)


def pytest_configure() -> None:
    """Waits for no disk: no test pulls the plug, and what a killed process wrote the kernel keeps."""
    setattr(os, "fsync", lambda handle: None)  # noqa: B010 - the type checker refuses a plain assignment
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell has what it starts in the background ignore it
        signal.signal(signal.SIGINT, signal.default_int_handler)  # and so would all that tests start


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutations", type=int, default=1_000, help="how many damaged tarballs are read")
    parser.addoption("--write-golden", action="store_true", help="write what stages give now as their golden file")
    parser.addoption("--kills", type=int, default=1, help="how often a full run is killed at a random moment")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Passes over files that hold none of the tests that are asked for: importing them takes as long as some tests."""
    if collection_path.suffix != ".py" or config.option.markexpr not in ("slow", "not slow"):
        return None
    text = collection_path.read_text()
    if config.option.markexpr == "slow":
        return True if "mark.slow" not in text else None
    return True if "\npytestmark = pytest.mark.slow\n" in text else None


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
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], Any]], tuple[Path, Any]]:
    """A folder that whoever asks first fills, and what that gave; the workers of a run share it. Look, do not touch."""
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent

    def filled(name: str, fill: Callable[[Path], Any]) -> tuple[Path, Any]:
        root, outcome = base / name, base / f"{name}.pickle"
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not outcome.exists():
                root.mkdir()
                outcome.write_bytes(pickle.dumps(fill(root)))
        return root, pickle.loads(outcome.read_bytes())

    return filled


@pytest.fixture(scope="session")
def driven(shared: Callable[..., Any]) -> Driven:
    """One full run for recipe `host`, as a user makes it from another folder. Look, do not touch: see `own_driven`."""

    def fill(root: Path) -> tuple[str, str, int, float]:
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
        return done.stdout, done.stderr, done.returncode, time.monotonic() - start

    root, (stdout, stderr, code, seconds) = shared("driven", fill)
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


@pytest.fixture
def untrained_actors() -> Callable[..., None]:
    """Writes a belief and policies of chance as what learning to act leaves behind, in no time."""

    def write(layout: Layout, recipe: str = "host", key: str = "", budget: float = 30.0, seed: int = 0) -> None:
        import numpy as np
        import torch

        from rlstir_core.atomic import file_sha256
        from rlstir_core.investigator.acting import checkpoint as kept
        from rlstir_core.investigator.acting.roster import TUNED, reads_of
        from rlstir_core.investigator.belief.detector import Belief, write_belief
        from rlstir_core.investigator.belief.head import N_ANSWERS, BeliefHead
        from rlstir_core.investigator.belief.row_model import NAMING_SLOTS, NAMING_WORDS, RowModel
        from rlstir_core.investigator.belief.words import SLOTS_ALONE
        from rlstir_core.investigator.policies.files import save_fitted
        from rlstir_core.investigator.policies.fixed_order import FixedOrder
        from rlstir_core.investigator.policies.greedy import Greedy
        from rlstir_core.investigator.policies.learned_greedy import GainNetwork, LearnedGreedy
        from rlstir_core.investigator.policies.stopping import StopRule
        from rlstir_core.investigator.ppo_policy import PolicySizes, PpoPolicy, Towers
        from rlstir_core.investigator.queries.catalogue import ACTIONS, PLACE, STOP
        from rlstir_core.investigator.reading.hashing import WORDS
        from rlstir_core.investigator.soc.observation import observation_width

        rng, folder = np.random.default_rng(seed), layout.acting(recipe).parent
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)
        head = BeliefHead(torch.arange(4), torch.full((N_ANSWERS - 2,), -2.0))
        with torch.no_grad():
            head.nothing.sub_(seed)
        rows = RowModel(
            weight_SW=rng.normal(0, 0.3, (SLOTS_ALONE, WORDS)).astype(np.float32),
            bias=0.0,
            naming_KV=rng.normal(0, 0.3, (4, NAMING_SLOTS * NAMING_WORDS)).astype(np.float32),
            naming_K=np.zeros(4, np.float32),
        )
        belief = Belief(rows=rows, head=head)
        belief = write_belief(folder / kept.BELIEF, belief)
        width, reads = observation_width(belief.n_answers, belief.width), reads_of(belief.n_answers, belief.width)
        ones, drawn = np.ones(width, np.float32), rng.normal(size=(STOP, width + 1)).astype(np.float32)
        order = [PLACE[name] for name in ("proc_tree_near", "signer", "autoruns", "proc_tree_far")]
        network = GainNetwork(width, STOP, 4)
        files = [kept.BELIEF]
        for policy in (FixedOrder(reads, order), Greedy(reads, 0 * ones, ones, drawn), LearnedGreedy(reads, network)):
            files.append(kept.fitted_file(policy.name))
            save_fitted(policy, folder / files[-1], key=key)
        towers = Towers(PolicySizes(seen=width, actions=len(ACTIONS), width=8, layers=2), torch.device("cpu"))
        towers.draw(0, -1.0)
        files.append(kept.ppo_file(0))
        PpoPolicy(towers).save(folder / files[-1], key=key)
        facts = kept.ActingFacts(
            n_cases=1, n_hosts=1, n_choosing=1, n_choosing_hosts=1, n_techniques=4, alert_auroc=None,
            mean_return={}, ppo_curve={},
        )  # fmt: skip
        found = kept.ActingCheckpoint(
            recipe=recipe, preset="smoke", seed=0, seeds=(0,), input_sha256=key, budget=budget, alert_low=-1.0,
            alert_high=3.0, rewards={}, stop_rules=dict.fromkeys(TUNED, StopRule()),
            files={name: file_sha256(folder / name) for name in files}, facts=facts,
        )  # fmt: skip
        kept.write_acting(layout, found)

    return write
