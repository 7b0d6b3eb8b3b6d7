"""Sigma rules of the user's as one file of JSON lines, each with what matching needs of it.

No rule comes with this project, and importing needs no pySigma: that parses them where they are used. What does not
belong here: matching (`hostlogs/sigma/`).
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from rlstir_core.atomic import write_bytes
from rlstir_core.errors import RlstirError, StoreError
from rlstir_core.importers.technique_texts.safe_yaml import documents
from rlstir_core.importers.technique_texts.text import read_bytes

_MAX_BYTES = 1 << 20
_RULES_AT_MOST = 50_000
_NEEDED = ("title", "id", "status", "level", "tags", "logsource", "detection", "author", "license", "correlation")


class ImportedRules(msgspec.Struct, frozen=True, kw_only=True):
    """What an import read and wrote."""

    n_rules: int
    n_with_technique: int
    n_twice: int
    faults: tuple[str, ...]


def import_sigma(paths: list[Path], out: Path) -> ImportedRules:
    """Writes every rule under `paths` (YAML files or folders) to `out`, in a fixed order and each once.

    StoreError where there is none; files that hold something else are passed over, those that cannot be read named.
    """
    lines: set[bytes] = set()
    faults: list[str] = []
    n, named = 0, 0
    for path in _files(paths):
        for rule in _rules(path, faults):
            n += 1
            line = msgspec.json.encode(rule, order="sorted")
            named += line not in lines and _names_technique(rule)
            lines.add(line)
            if len(lines) > _RULES_AT_MOST:
                raise StoreError(f"{path}: over {_RULES_AT_MOST} rules; name fewer files")
    if not lines:
        first = f" ({faults[0]})" if faults else ""
        raise StoreError(
            f"no Sigma rule in {', '.join(map(str, paths))}{first}; name YAML files, or folders of them, as in "
            "a clone of SigmaHQ"
        )
    write_bytes(out, b"\n".join(sorted(lines)) + b"\n")
    return ImportedRules(n_rules=len(lines), n_with_technique=named, n_twice=n - len(lines), faults=tuple(faults))


def _rules(path: Path, faults: list[str]) -> list[dict[str, Any]]:
    """The rules of a file, without what only people read."""
    found = []
    try:
        for tree in documents(read_bytes(path, _MAX_BYTES)):
            if isinstance(tree, dict) and _is_rule(tree):
                rule = {name: tree[name] for name in _NEEDED if name in tree}
                found.append(msgspec.json.decode(msgspec.json.encode(rule, enc_hook=_plain)))
    except (RlstirError, yaml.YAMLError, msgspec.MsgspecError, RecursionError, ValueError, TypeError) as error:
        first = str(error).splitlines()[0] if str(error) else ""
        faults.append(f"{path.name}: {type(error).__name__} {first}"[:200])
    return found


def _is_rule(tree: dict[str, Any]) -> bool:
    return (isinstance(tree.get("detection"), dict) and "logsource" in tree) or isinstance(
        tree.get("correlation"), dict
    )


def _names_technique(rule: dict[str, Any]) -> bool:
    tags = rule.get("tags")
    return isinstance(tags, list) and any(str(tag).lower().startswith("attack.t") for tag in tags)


def _plain(value: object) -> str:
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    raise TypeError(f"a value of kind {type(value).__name__}")


def _files(paths: list[Path]) -> list[Path]:
    found = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.suffix in (".yml", ".yaml") and p.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise StoreError(f"{path} is not there; name a file or a folder")
    return found
