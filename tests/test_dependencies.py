"""What is declared is what is imported: no more, no less."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"rlstir_core", "rlstir_assets"}
COMMANDS = {"dagster-webserver"}  # run, not imported


def declared(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", text)[0].lower().replace("_", "-") for text in requirements}  # type: ignore[index]


def imported() -> set[str]:
    """Top-level names that the packages import, other than their own and the standard library's."""
    found: set[str] = set()
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.partition(".")[0])
    return found - OURS - set(sys.stdlib_module_names)


def test_declared_dependencies_are_the_imported_ones() -> None:
    of = packages_distributions()
    needed = {of[name][0].lower().replace("_", "-") if name in of else name for name in imported()}
    extras = set().union(*(declared(each) for name, each in PROJECT["optional-dependencies"].items() if name != "dev"))
    assert needed - extras == declared(PROJECT["dependencies"]) - COMMANDS


def test_every_declared_dependency_is_pinned_for_make() -> None:
    pinned = declared([line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1].isalnum()])
    assert declared(PROJECT["dependencies"]) <= pinned
