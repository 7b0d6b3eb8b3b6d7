"""One name for one idea: a public type of the core has one definition, and is imported from there."""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "rlstir_core").rglob("*.py"))


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def defined(module: ast.Module) -> Iterator[tuple[str, int]]:
    """(name, line) of every public class and type alias of a module; an alias is a capitalised name, not a constant."""
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        else:
            continue
        if name[0].isupper() and not name.isupper():
            yield name, node.lineno


def test_a_public_type_name_stands_for_one_thing() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for name, line in defined(tree(path)):
            places[name].append(f"{path.relative_to(ROOT)}:{line}")
    assert len(places) > 300
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_a_type_is_not_imported_under_another_types_name() -> None:
    names = {name for path in MODULES for name, _ in defined(tree(path))}
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rlstir_core"):
                for each in node.names:
                    assert each.asname not in names or each.asname == each.name, f"{path}:{node.lineno}"
