"""Technique texts in YAML: Atomic Red Team, Splunk security_content, MITRE CAR and stockpile, told by their keys.

What does not belong here: YAML of anything else, which is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rlstir_core.errors import RlstirError
from rlstir_core.hostlogs.attack.techniques import current_id
from rlstir_core.importers.technique_texts.safe_yaml import documents
from rlstir_core.importers.technique_texts.text import Text, checked, read_bytes, said, short_id

_MAX_BYTES = 4 << 20
_ARGUMENT = re.compile(r"#\{([\w.-]{1,80})\}")
_VALUE = re.compile(r"\"([^\"]{2,400})\"|=\s*([^\s\"(),|]{2,200})")
_MACRO = re.compile(r"`[^`]{0,400}`")
_SOURCE_EVENT = re.compile(r"(sysmon|security|powershell|system)\D{1,40}?(\d{1,5})\b", re.IGNORECASE)


def yaml_texts(path: Path, faults: list[str]) -> Iterator[Text]:
    """The texts of a file of one of the four projects."""
    project = ""
    try:
        (tree,) = documents(read_bytes(path, _MAX_BYTES))
        project, texts = _of(tree)
        for text in texts:
            if text.text:
                yield checked(text)
    except (RlstirError, yaml.YAMLError, RecursionError, KeyError, TypeError, AttributeError, ValueError) as error:
        if project or path.name.startswith("T"):  # other YAML lies beside the techniques
            first = str(error).splitlines()[0] if str(error) else ""
            faults.append(f"{path.name}: {type(error).__name__} {first}"[:200])


def _of(tree: Any) -> tuple[str, Iterator[Text]]:
    """Whose file it is, and what it says."""
    if isinstance(tree, dict):
        if "attack_technique" in tree and "atomic_tests" in tree:
            return "atomic", _atomic(tree)
        if "search" in tree and isinstance(tree.get("tags"), dict) and "mitre_attack_id" in tree["tags"]:
            return "splunk", _splunk(tree)
        if "coverage" in tree and str(tree.get("id", "")).startswith("CAR-"):
            return "car", _car(tree)
    if isinstance(tree, list) and tree and all(isinstance(each, dict) and "technique" in each for each in tree):
        return "stockpile", _stockpile(tree)
    return "", iter(())


def _atomic(tree: dict[str, Any]) -> Iterator[Text]:
    """One command per test and executor, its arguments filled with their defaults, and the test's description."""
    technique = current_id(str(tree["attack_technique"]))
    for number, test in enumerate(tree["atomic_tests"]):
        given = test.get("input_arguments") or {}
        defaults = {str(name): str((argument or {}).get("default", "")) for name, argument in given.items()}
        platform = _platform(test.get("supported_platforms") or ())
        executor = test.get("executor") or {}
        told = f"{test.get('name') or ''}. {test.get('description') or ''}".strip(". \n")
        parts = [("c", "command"), ("x", "cleanup_command"), ("s", "steps")]
        for part, text in [(part, str(executor.get(key) or "").strip()) for part, key in parts] + [("d", told)]:
            filled = _ARGUMENT.sub(lambda match, known=defaults: known.get(match[1], match[0]), text)  # type: ignore[misc]
            yield Text(
                source="atomic",
                id=f"{technique}#{number}{part}"[:80],
                techniques=(technique,),
                kind="prose" if part == "d" else "command",
                text=text if part == "d" else filled,
                platform=platform,
            )


def _splunk(tree: dict[str, Any]) -> Iterator[Text]:
    """The values that a search looks for, and how the detection is told."""
    tags = tree["tags"]
    techniques = tuple(str(each) for each in tags["mitre_attack_id"] or ())
    if not techniques:
        return
    own = str(tree.get("id") or short_id(str(tree.get("name"))))[:80]
    sources = " ".join(str(each) for each in tree.get("data_source") or ())
    events = tuple(dict.fromkeys(f"{log.lower()}|{event}" for log, event in _SOURCE_EVENT.findall(sources)))
    search = _MACRO.sub(" ", str(tree["search"]))
    values = said(*(quoted or bare for quoted, bare in _VALUE.findall(search)))
    told = said(f"{tree.get('name') or ''}.", tree.get("description"))
    for part, kind, text in (("", "detection", values), ("d", "prose", told)):
        yield Text(
            source="splunk",
            id=f"{own}{part}",
            techniques=techniques,
            kind=kind,
            text=text,
            platform=_platform([str(each).lower() for each in tags.get("asset_type", "").split()]),
            events=events,
        )


def _car(tree: dict[str, Any]) -> Iterator[Text]:
    covered = [
        str(each)
        for part in tree["coverage"]
        for each in (part.get("subtechniques") or [part.get("technique")])
        if each
    ]
    codes = [part.get("code") for part in tree.get("implementations") or () if isinstance(part, dict)]
    yield Text(
        source="car",
        id=str(tree["id"])[:80],
        techniques=tuple(covered),
        kind="detection",
        text=said(tree.get("title"), tree.get("description"), *codes),
        platform=_platform([str(each).lower() for each in tree.get("platforms") or ()]),
    )


def _stockpile(tree: list[dict[str, Any]]) -> Iterator[Text]:
    for ability in tree:
        own = str(ability.get("id") or short_id(str(ability.get("name"))))[:60]
        technique = str(ability["technique"]["attack_id"])
        commands: dict[str, list[str]] = {}
        for system, executors in (ability.get("platforms") or {}).items():
            for executor in (executors or {}).values():
                commands.setdefault(str(system), []).append(str((executor or {}).get("command") or ""))
        for executor in ability.get("executors") or ():  # as newer versions have it
            commands.setdefault(str(executor.get("platform")), []).append(str(executor.get("command") or ""))
        told = said(f"{ability.get('name') or ''}.", ability.get("description"))
        for system, text, kind in [(s, said(*each), "command") for s, each in sorted(commands.items())] + [
            ("", told, "prose")
        ]:
            yield Text(
                source="stockpile",
                id=f"{own}{system}"[:80],
                techniques=(technique,),
                kind=kind,
                text=text,
                platform=_platform([system]) if system else "",
            )


def _platform(names: Any) -> str:
    """`windows` where it is among them, which endpoints of a rule are taken to be."""
    found = [str(name).lower() for name in names]
    if "windows" in found or "endpoint" in found:
        return "windows"
    return "linux" if "linux" in found else "other"
