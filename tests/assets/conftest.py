"""Running the command line and the driver inside the test's own process, with an instance of the test's own."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_home: Callable[[Path], Path]) -> Iterator[Invoke]:
    """`rlstir ARGUMENTS` with everything it changes in the process put back afterwards."""
    for name in list(os.environ):
        if name.startswith("RLSTIR_"):
            monkeypatch.delenv(name)
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
