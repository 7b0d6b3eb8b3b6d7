"""Killing `rlstir materialize` as a power cut would, and what must be the same afterwards."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

MADE = rb'<ul class="made">.*?</ul>'
HOOK = Path(__file__).parent / "hook"


def contents(data: Path) -> dict[str, str]:
    """{path: hash} of every result.

    Ledgers, locks and the store's stamp are none: they hold inodes of this machine. Nor is what scoring took: it has a
    file of its own, and the last section of the report. A page counts without the list that says when it was made.
    """
    return {
        str(path.relative_to(data)): hashlib.sha256(_without_cost(path)).hexdigest()
        for path in sorted(data.rglob("*"))
        if path.is_file()
        and not path.name.startswith("_")
        and path.name not in ("store.json", "cost.json")
        and ".locks" not in path.parts
    }


def _without_cost(path: Path) -> bytes:
    """What a file holds; of a report what comes before the section that tells what scoring took."""
    held = re.sub(MADE, b"", path.read_bytes())
    if not path.name.startswith("comparison_v2."):
        return held
    before, section, after = held.rpartition(b"\n## Cost\n" if path.suffix == ".md" else b"<h2>Cost</h2>")
    assert section and after.count(b"\n## ") == after.count(b"<h2") == 0, f"{path.name} does not end with its cost"
    return before


@dataclass(frozen=True)
class Victim:
    """A store of its own, with outputs and an instance that may be killed."""

    root: Path
    command: list[str]
    env: dict[str, str]

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def data(self) -> Path:
        return self.root / "data"

    def start(self, *more: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, *more],
            cwd=self.root,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def forget(self) -> None:
        """Back to a store of which nothing was made."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.root / "home" / ".rlstir", ignore_errors=True)

    def finish(self, *more: str, **env: str) -> str:
        """Runs to the end and gives what was printed."""
        process = self.start(*more, **env)
        output = process.communicate(timeout=600)[0]
        assert process.returncode == 0, output
        return output

    def killed_at(self, pattern: str, *more: str) -> None:
        """A run that is killed just before a file whose path matches `pattern` appears."""
        process = self.start(
            *more,
            KILL_AT=pattern,
            PYTHONPATH=os.pathsep.join((str(HOOK), self.env.get("PYTHONPATH", ""))).rstrip(os.pathsep),
        )
        output = process.communicate(timeout=600)[0]
        assert process.returncode == -signal.SIGKILL, f"{pattern} was never written: {output}"

    def killed_after(self, seconds: float, *more: str) -> bool:
        """A run that is killed after some seconds; False where it had ended by itself."""
        process = self.start(*more)
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        return process.returncode == -signal.SIGKILL


@pytest.fixture
def victim(driven: Any, tmp_path: Path, make_home: Callable[[Path], Path], environment: Any, tool: Any) -> Victim:
    """The store of the shared full run, and nothing made of it yet."""
    root = tmp_path / "victim"
    shutil.copytree(driven.store, root / "store")
    home = make_home(root / "home")
    command = [tool("rlstir"), "materialize", "--store", "store", "--data", "data"]
    return Victim(root, command, environment(home))


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills"))


@pytest.fixture(name="contents")
def _contents() -> Callable[[Path], dict[str, str]]:
    return contents
